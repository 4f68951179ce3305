"""Intervals: exact for independent counts, bootstrap over groups for cells of the same patient."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.statistics.intervals import exact_interval


def share(count: int, total: int) -> dict[str, float | int | list[float] | None]:
    """Give a share with its Clopper-Pearson 95 % interval, as cards print it."""
    if not total:
        return {"value": None, "n": 0, "of": 0, "interval_95": [0.0, 1.0]}
    low, high = exact_interval(count, total)
    interval = [round(low / 100, 4), round(high / 100, 4)]
    return {"value": round(count / total, 4), "n": count, "of": total, "interval_95": interval}


def over_groups(
    measure: Callable[[NDArray[np.int64]], float],
    groups: NDArray[np.generic],
    seed: int = 0,
    rounds: int = 1000,
) -> dict[str, float | int | list[float] | list[None] | None]:
    """Give a figure with its 95 % percentile interval from a bootstrap that draws whole groups.

    Cells of one patient resemble each other; drawing cells alone would make the interval too narrow
    (Field and Welsh, J. R. Stat. Soc. B 2007).

    Parameters
    ----------
    measure : callable
        Maps row numbers, (M,) int64 with repeats, to the figure; NaN where it is undefined.
    groups : ndarray, (N,)
        Group of each row.
    seed, rounds : int
    """
    names, code = np.unique(groups, return_inverse=True)
    rows = [np.flatnonzero(code == g) for g in range(len(names))]
    rng = np.random.default_rng(seed)
    drawn = [
        measure(np.concatenate([rows[g] for g in rng.integers(len(names), size=len(names))]))
        for _ in range(rounds)
    ]
    value = float(measure(np.arange(len(groups))))
    known = np.array(drawn)[~np.isnan(drawn)]
    limits = np.percentile(known, [2.5, 97.5]) if len(known) else []
    return {
        "value": None if np.isnan(value) else round(value, 4),
        "interval_95": [round(float(limit), 4) for limit in limits] or None,
        "cells": len(groups),
        "groups": len(names),
    }


def share_over_groups(
    hit: NDArray[np.bool_], groups: NDArray[np.generic], seed: int = 0, rounds: int = 1000
) -> dict[str, float | int | list[float] | list[None] | None]:
    """Give a share as :func:`over_groups` gives a figure; all draws at once, quick for thousands of groups.

    Parameters
    ----------
    hit : ndarray, (N,) bool
        At least one.
    groups : ndarray, (N,)
        Group of each.
    seed, rounds : int
    """
    _, code, size = np.unique(groups, return_inverse=True, return_counts=True)
    hits, n = np.bincount(code, weights=hit), len(size)
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=rounds)
    low, high = np.percentile((drawn @ hits) / (drawn @ size), [2.5, 97.5])
    interval = [round(float(low), 4), round(float(high), 4)]
    return {"value": round(float(hit.mean()), 4), "interval_95": interval, "cells": len(hit), "groups": n}
