"""Trains and scores anew: protocols behind a leak guard, measuring of both stages, comparison of systems."""
