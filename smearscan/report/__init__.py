"""What is written of a scan: tables and overlays."""
