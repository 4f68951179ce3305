"""Counting how cells are misnamed, and how far slides differ in it: calibration does it, a scan never."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtri

from smearscan.differential.statistics.misclassification import (
    Counts,
    Floats,
    MisclassificationModel,
    healthy_rows,
)
from smearscan.taxonomy import BLAST, UNCLASSIFIED

_FEW = 100
_WIDEST = 20.0


def misclassification_model(
    classes: tuple[str, ...], truth: NDArray[np.str_], called: NDArray[np.str_], group: NDArray[np.str_],
    found: Counts | None = None,
) -> MisclassificationModel:  # fmt: skip
    """Count labeled cells.

    Parameters
    ----------
    classes : tuple of str, (T,)
    truth, called : ndarray, (N,) str
        What each cell is, and what it was called: one of `classes` or ``unclassified``.
    group : ndarray, (N,) str
        The slide or patient of each cell.
    found : ndarray, (T, 2) int64, optional

    Returns
    -------
    MisclassificationModel

    Notes
    -----
    The spread is the analysis-of-variance estimator of the intraclass correlation, summed over names (Weir
    and Cockerham, Evolution 38:1358, 1984; Ridout et al., Biometrics 55:137, 1999, for a single name).
    """
    names = (*classes, UNCLASSIFIED)
    ids, code = np.unique(group, return_inverse=True)
    table = np.zeros((len(ids), len(classes), len(names)), np.int64)
    row = {name: i for i, name in enumerate(names)}
    true = np.array([row[t] for t in truth], np.int64)
    np.add.at(table, (code, true, np.array([row[c] for c in called], np.int64)), 1)
    size = table.sum(axis=2)  # cells by group and class
    total = np.maximum(size.sum(axis=0), 1)
    return MisclassificationModel(
        classes,
        table.sum(axis=0),
        _spreads([_without_false(table[:, t], classes, t) for t in range(len(classes))]),
        np.asarray((size > 0).sum(axis=0), np.int64),
        np.asarray((size.astype(np.float64) ** 2).sum(axis=0) / total.astype(np.float64) ** 2),
        np.zeros((len(classes), 2), np.int64) if found is None else found,
        *_variations(classes, table),
        np.zeros((len(classes), len(names)), np.int64),
    )


def _variations(classes: tuple[str, ...], table: Counts) -> tuple[float, float]:
    """Relative variance of a group's false-blast rate and its upper 95 % limit, from counts (G, T, names).

    The variance at which the squared excesses of the groups over what their composition lets expect, each
    over its own variance (binomial, and the one sought), sum up to their degrees of freedom (Paule and
    Mandel, J. Res. Natl. Bur. Stand. 87:377, 1982); at the limit they sum up to the 5 % quantile of
    chi-square (Viechtbauer, Stat. Med. 26:37, 2007).
    """
    if BLAST not in classes:
        return 0.0, 0.0
    healthy = table[:, healthy_rows(classes)]
    blast = classes.index(BLAST)
    named = healthy[:, :, :-1].sum(axis=2)
    rate = (healthy[:, :, blast].sum(axis=0) + 1 / (len(classes) + 1)) / (named.sum(axis=0) + 1)
    seen, expected, n = healthy[:, :, blast].sum(axis=1), named @ rate, named.sum(axis=1)
    seen, expected, n = seen[n > 0], expected[n > 0], n[n > 0]
    if len(n) < 2:
        return 0.0, 0.0

    def above(variance: float, wanted: float) -> float:
        spread = expected * (1 - expected / n) + variance * expected**2
        return float(((seen - expected) ** 2 / spread).sum()) - wanted

    def solved(wanted: float) -> float:
        if above(0.0, wanted) <= 0:
            return 0.0
        return _WIDEST if above(_WIDEST, wanted) >= 0 else float(brentq(above, 0.0, _WIDEST, (wanted,)))

    return solved(len(n) - 1), solved(float(chdtri(len(n) - 1, 0.95)))  # of chi-square: its 5 % quantile


def _without_false(row: Counts, classes: tuple[str, ...], t: int) -> Counts:
    """Leave out the false blasts of a row, (G, names); `overdispersion` holds how these differ."""
    if BLAST not in classes or classes[t] == BLAST:
        return row
    return np.delete(row, classes.index(BLAST), axis=1)


def _spreads(rows: list[Counts]) -> Floats:
    """Intraclass correlation of each row, (T,), drawn toward that of all rows where cells are few."""
    parts = np.array([_mean_squares(row) for row in rows])
    cells = np.array([row.sum() for row in rows], np.float64)
    own = _correlation(parts.T)
    shared = _correlation((parts * cells[:, None]).sum(axis=0) / max(cells.sum(), 1.0))
    weight = cells / (cells + _FEW)
    return np.asarray(weight * own + (1 - weight) * shared, np.float64)


def _correlation(parts: Floats) -> Floats:
    """Intraclass correlation from (numerator, denominator, ...); 0 where nothing tells."""
    over, under = parts
    ratio = np.divide(over, under, out=np.zeros_like(over), where=under > 0)
    return np.asarray(np.clip(ratio, 0.0, 0.9), np.float64)


def _mean_squares(table: Counts) -> tuple[float, float]:
    """Numerator and denominator of the intraclass correlation, from counts by group, (G, names)."""
    n = table.sum(axis=1).astype(np.float64)
    table, n = table[n > 0], n[n > 0]
    cells, groups = n.sum(), len(n)
    if groups < 2 or cells <= groups:
        return 0.0, 0.0
    share, mean = table / n[:, None], table.sum(axis=0) / cells
    between = float((n[:, None] * (share - mean) ** 2).sum()) / (groups - 1)
    within = float((n[:, None] * share * (1 - share)).sum()) / (cells - groups)
    typical = (cells - (n**2).sum() / cells) / (groups - 1)
    return between - within, between + (typical - 1) * within
