"""Reports of a scan against counts by hand: reading both, agreement, counting error, one page."""
