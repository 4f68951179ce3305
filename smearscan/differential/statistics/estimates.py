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


def group_weights(
    groups: NDArray[np.generic], rounds: int = 1000, seed: int = 0
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Draw whole groups with replacement, as often as there are groups.

    Cells of one patient resemble each other; drawing cells alone would make intervals too narrow
    (Field and Welsh, J. R. Stat. Soc. B 2007).

    Parameters
    ----------
    groups : ndarray, (N,)
        Group of each row.
    rounds, seed : int

    Returns
    -------
    code : ndarray, (N,)
        Number of each row's group.
    weights : ndarray, (1 + rounds, G) float64
        How often each group counts: first once each, as it is, then of every draw.
    """
    names, code = np.unique(groups, return_inverse=True)
    n, rng = len(names), np.random.default_rng(seed)
    drawn = [np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(rounds)]
    return code, np.vstack([np.ones(n), *drawn])


def estimate_of_draws(
    drawn: NDArray[np.float64], cells: int, groups: int
) -> dict[str, float | int | list[float] | None]:
    """Give a figure with its 95 % percentile interval; none where a single group leaves nothing to draw.

    Parameters
    ----------
    drawn : ndarray, (1 + rounds,) float64
        The figure, then that of every draw; NaN where it is undefined.
    cells, groups : int
        Behind the figure.
    """
    value, known = drawn[0], drawn[1:][~np.isnan(drawn[1:])]
    told = not np.isnan(value)
    limits = (
        np.percentile(known, [2.5, 97.5]).round(4).tolist() if told and groups > 1 and len(known) else None
    )
    return {
        "value": round(float(value), 4) if told else None,
        "interval_95": limits,
        "cells": cells,
        "groups": groups,
    }


def over_groups(
    measure: Callable[[NDArray[np.int64]], float],
    groups: NDArray[np.generic],
    seed: int = 0,
    rounds: int = 1000,
) -> dict[str, float | int | list[float] | None]:
    """Give any figure with its interval from a bootstrap over groups, see :func:`group_weights`.

    Parameters
    ----------
    measure : callable
        Maps row numbers, (M,) int64 with repeats, to the figure; NaN where it is undefined.
    groups : ndarray, (N,)
        Group of each row.
    seed, rounds : int
    """
    code, weights = group_weights(groups, rounds, seed)
    rows = np.arange(len(groups))
    drawn = [measure(np.repeat(rows, times[code].astype(int))) for times in weights]
    return estimate_of_draws(np.array(drawn, np.float64), len(groups), weights.shape[1])


def share_over_groups(
    hit: NDArray[np.bool_], groups: NDArray[np.generic], seed: int = 0, rounds: int = 1000
) -> dict[str, float | int | list[float] | None]:
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
    shares = np.concatenate([[hit.mean()], (drawn @ hits) / (drawn @ size)])
    return estimate_of_draws(shares, len(hit), n)
