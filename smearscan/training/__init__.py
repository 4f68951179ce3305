"""Retraining of either stage: data sets, augmentation, loops. Nothing here runs while scanning."""
