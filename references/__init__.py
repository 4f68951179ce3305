"""What is tied to the published data sets and to this repository's results; not part of the wheel."""
