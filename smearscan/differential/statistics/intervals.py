"""Exact intervals of shares from counts; vectorized, so that ten thousand slides cost no more than one."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smearscan.numeric import special

Floats = NDArray[np.float64]


def clopper_pearson(counts: ArrayLike, totals: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Exact two-sided interval of shares.

    Parameters
    ----------
    counts, totals : array_like of int, broadcast together
        Cells of the class, and all counted cells.
    level : float
        Two-sided confidence.

    Returns
    -------
    low, high : ndarray of float64
        Percent; 0 and 100 where nothing was counted.

    Notes
    -----
    Clopper and Pearson, Biometrika 26:404 (1934), through quantiles of the beta distribution. The limits of
    Rümke's table for differentials (Rümke, Triangle 4:154, 1960): 0 of 100 gives 0 to 3.6 %.
    """
    k, n = np.broadcast_arrays(np.asarray(counts, np.float64), np.asarray(totals, np.float64))
    tail = (1 - level) / 2
    low = np.where(k > 0, _quantile(tail, k, n - k + 1), 0.0)
    high = np.where(k < n, _quantile(1 - tail, k + 1, n - k), 1.0)
    return 100 * low, 100 * high


def exact_interval(count: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of one percentage; see :func:`clopper_pearson`."""
    low, high = clopper_pearson(count, total, level)
    return float(low), float(high)


def upper_limit(counts: ArrayLike, totals: ArrayLike, level: float = 0.95) -> Floats:
    """Exact one-sided upper limit in percent: what share a count does not exclude.

    The detection limit of a slide: no blast in n cells leaves up to ``1 - 0.05 ** (1 / n)`` possible
    (the "rule of three", about 3 / n; Hanley and Lippman-Hand, JAMA 249:1743, 1983).
    """
    k, n = np.broadcast_arrays(np.asarray(counts, np.float64), np.asarray(totals, np.float64))
    return 100 * np.where(k < n, _quantile(level, k + 1, n - k), 1.0)


def _quantile(share: float, a: Floats, b: Floats) -> Floats:
    """Beta quantile; parameters that are not positive mark limits the caller replaces."""
    quantile: Any = special().betaincinv(np.maximum(a, 1e-9), np.maximum(b, 1e-9), share)
    return np.asarray(quantile, np.float64)
