"""What is written of a scan: tables, overlays, pages."""
