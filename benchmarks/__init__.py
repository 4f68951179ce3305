"""Measures how long things take and how much memory they need; see docs/performance.md."""
