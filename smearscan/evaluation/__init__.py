"""Measuring: matches, metrics, intervals; what the cards quote."""
