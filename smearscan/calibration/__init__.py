"""Labeled cells to a calibration card; how well its intervals cover, on simulated and on pooled slides."""
