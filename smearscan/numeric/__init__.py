"""Arithmetic that several rooms share: quick percentiles, and scipy's special functions without its rest."""

from smearscan.numeric.percentiles import level_percentile, median, quantile
from smearscan.numeric.special import softmax, special

__all__ = ["level_percentile", "median", "quantile", "softmax", "special"]
