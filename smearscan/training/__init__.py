"""Trains either stage on new data: readers of data sets, augmentation, the two trainers and their loop."""
