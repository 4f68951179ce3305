"""Figures of cells with probabilities, each with its interval from a bootstrap over groups.

Cells of one patient resemble each other, so whole groups are drawn (Field and Welsh, J. R. Stat. Soc. B
2007). A drawn group counts as often as it was drawn: everything is computed from weights of groups, for all
draws at once, and is the same as computing it from the drawn cells.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score, roc_curve

from smearscan.differential.statistics.estimates import estimate_of_draws, group_weights
from smearscan.differential.statistics.scaling import reliability
from smearscan.taxonomy import BLAST

Floats = NDArray[np.float64]
Figure = dict[str, Any]

METRICS = (
    "accuracy", "accuracy_within_present_classes", "accuracy_on_trained_classes",
    "accuracy_on_trained_and_present_classes", "balanced_accuracy",
    "precision", "recall", "specificity", "f1", "false_negatives", "auroc", "calibration_error",
)  # fmt: skip
"""Of two classes with blast among them, precision, recall, specificity, F1, share of false negatives and
AUROC are those of blasts; else the mean over the classes there are, each against the rest (macro).
`accuracy_within_present_classes` is that of the likeliest among the classes that the cells have: what is
known of a slide on which, say, no erythroblast was ever seen. `accuracy_on_trained_classes` and
`accuracy_on_trained_and_present_classes` leave out the cells of classes that training had none, or too few,
of: no net can name what it was never shown."""

ROUNDS = 1000
_BLOCK = 50


def figures(
    probs: NDArray[np.floating], table: pd.DataFrame, classes: tuple[str, ...],
    threshold: float | NDArray[np.floating] = 0.5, drawn: Mapping[str, Floats] | None = None,
) -> Figure:  # fmt: skip
    """Figures of one set of cells.

    Parameters
    ----------
    probs : ndarray, (N, K)
    table : DataFrame
        N rows with ``target`` and ``group``; where a cell was scored by several nets, ``cell`` tells which
        rows are the same. ``taught`` tells where training had the cell's class; left out, it had them all.
    classes : tuple of str, (K,)
    threshold : float or ndarray (N,)
        Of the blast net; one a cell where folds have their own.
    drawn : mapping, optional
        What :func:`draws` gave for these cells, where it is known already.

    Returns
    -------
    dict
        Each of :data:`METRICS` with ``value``, ``interval_95``, ``cells`` and ``groups``; ``classes`` that
        are there and ``confusion`` (K, K) by true and called class; of a blast net numbers of ``blasts`` and
        ``healthy``.
    """
    counts = _counts(table)
    made: Figure = dict(counts)
    target = table["target"].to_numpy(np.int64)
    if (positive := blast_of(classes)) is not None:
        blasts = table[target == positive]
        made |= {"blasts": _counts(blasts)["cells"], "healthy": _counts(table[target != positive])["cells"]}
    taught = _counts(table[_taught(table)])
    for name, values in (drawn or draws(probs, table, classes, threshold)).items():
        made[name] = estimate_of_draws(
            values, **(taught if name.startswith("accuracy_on_trained") else counts)
        )
    made["classes"] = [classes[k] for k in np.unique(target)]
    untaught = table[~_taught(table)]
    kinds = np.unique(untaught["target"].to_numpy(np.int64))
    made["untaught"] = {classes[k]: _counts(untaught[untaught["target"] == k])["cells"] for k in kinds}
    called = called_class(probs, classes, threshold)
    made["confusion"] = confusion_matrix(target, called, labels=range(len(classes))).tolist()
    return made


def mean_over(sets: Mapping[str, Mapping[str, Floats]], counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """Mean of each figure over data sets, every set alike, whatever its size.

    Parameters
    ----------
    sets : mapping
        Of each set, what :func:`draws` gave. Sets are drawn independently of each other.
    counts : mapping
        Of each set, its ``cells`` and ``groups``.
    """
    made: Figure = {}
    for name in METRICS:
        known = [key for key, drawn in sets.items() if not np.isnan(drawn[name][0])]
        if known:
            mean = np.mean([sets[key][name] for key in known], axis=0)
            total = {n: sum(counts[key][n] for key in known) for n in ("cells", "groups")}
            made[name] = estimate_of_draws(mean, **total) | {"sets": len(known)}
    return made


def blast_of(classes: tuple[str, ...]) -> int | None:
    """Index of the class that a net of two classes is asked for, or None."""
    return classes.index(BLAST) if len(classes) == 2 and BLAST in classes else None


def called_class(
    probs: NDArray[np.floating], classes: tuple[str, ...], threshold: float | NDArray[np.floating] = 0.5
) -> NDArray[np.int64]:
    """Class that each cell is called, (N,) int64: the likeliest, or blast from the threshold on."""
    positive = blast_of(classes)
    if positive is None:
        return np.asarray(probs.argmax(axis=1), np.int64)
    return np.where(probs[:, positive] >= threshold, positive, 1 - positive)


def draws(
    probs: NDArray[np.floating], table: pd.DataFrame, classes: tuple[str, ...],
    threshold: float | NDArray[np.floating] = 0.5, rounds: int = ROUNDS, seed: int = 0,
) -> dict[str, Floats]:  # fmt: skip
    """Compute every figure for the cells as they are and for draws of their groups.

    Returns
    -------
    dict of ndarray, (1 + rounds,)
        First the figure itself; NaN where it is undefined.
    """
    target = table["target"].to_numpy(np.int64)
    code, weights = group_weights(table["group"].to_numpy(str), rounds, seed)
    positive = blast_of(classes)
    called = called_class(probs, classes, threshold)
    made = _of_confusion(_confusions(target, called, code, weights, len(classes)), positive)
    kinds = [positive] if positive is not None else np.unique(target)
    among = called
    if positive is None:
        among = np.where(np.isin(range(len(classes)), kinds), probs, -1).argmax(axis=1)
    everything, taught = np.ones(len(target), bool), _taught(table)
    made["accuracy_within_present_classes"] = _accuracy(among == target, everything, code, weights)
    made["accuracy_on_trained_classes"] = _accuracy(called == target, taught, code, weights)
    made["accuracy_on_trained_and_present_classes"] = _accuracy(among == target, taught, code, weights)
    areas = [_auroc(probs[:, k], target == k, code, weights) for k in kinds]
    made["auroc"] = _mean(np.stack(areas, axis=1))
    errors = _calibration_error(*_confidence(probs, target, positive), code, weights)
    # cells drawn anew stray once more from what they state: their errors are too large by about what the
    # measured one is, and are moved back to it
    errors[1:] = np.maximum(errors[1:] + errors[0] - errors[1:].mean(), 0)
    made["calibration_error"] = errors
    return {name: made[name] for name in METRICS}


def mean_sd_over_runs(values: Mapping[str, list[float | None]]) -> Figure:
    """Mean and standard deviation (of a sample, n - 1) of figures over repeated trainings."""
    made: Figure = {}
    for name, each in values.items():
        known = np.array([v for v in each if v is not None])
        if len(known):
            spread = round(float(known.std(ddof=1)), 4) if len(known) > 1 else None
            made[name] = {"mean": round(float(known.mean()), 4), "sd": spread, "n": len(known)}
    return made


def curves(
    probs: NDArray[np.floating], table: pd.DataFrame, classes: tuple[str, ...], points: int = 120
) -> Figure:
    """Points of the ROC curves (each class against the rest) and of the reliability diagram, to draw them."""
    target = table["target"].to_numpy(np.int64)
    positive = blast_of(classes)
    roc = {}
    for k in [positive] if positive is not None else np.unique(target):
        if 0 < (target == k).sum() < len(target):
            false, true, _ = roc_curve(target == k, probs[:, k])
            some = np.unique(np.linspace(0, len(false) - 1, points).astype(int))
            roc[classes[k]] = {
                "false": false[some].round(4).tolist(),
                "true": true[some].round(4).tolist(),
                "auroc": round(float(roc_auc_score(target == k, probs[:, k])), 4),
            }
    return {"roc": roc, "reliability": reliability(*_confidence(probs, target, positive))}


def _taught(table: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows whose class training had."""
    return table["taught"].to_numpy(bool) if "taught" in table else np.ones(len(table), bool)


def _accuracy(
    right: NDArray[np.bool_], counted: NDArray[np.bool_], code: NDArray[np.intp], weights: Floats
) -> Floats:
    """Share of the counted cells that is right, of every draw, (R,)."""
    n = weights.shape[1]
    hit, of = (weights @ np.bincount(code, rows, n) for rows in (right & counted, counted))
    return _share(hit, of)


def _counts(table: pd.DataFrame) -> dict[str, int]:
    cells = table["cell"].nunique() if "cell" in table else len(table)
    return {"cells": int(cells), "groups": int(table["group"].nunique())}


def _confidence(
    probs: NDArray[np.floating], target: NDArray[np.int64], positive: int | None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Probability stated and whether it came true: of the likeliest class, or of blast."""
    if positive is not None:
        return np.asarray(probs[:, positive], np.float64), target == positive
    return np.asarray(probs.max(axis=1), np.float64), probs.argmax(axis=1) == target


def _confusions(
    target: NDArray[np.int64], called: NDArray[np.int64], code: NDArray[np.intp], weights: Floats, k: int
) -> Floats:
    """Confusion matrix of every draw, (R, K, K)."""
    of_group = np.zeros((weights.shape[1], k, k))
    np.add.at(of_group, (code, target, called), 1)
    return (weights @ of_group.reshape(-1, k * k)).reshape(-1, k, k)


def _of_confusion(confusions: Floats, positive: int | None) -> dict[str, Floats]:
    right = np.diagonal(confusions, axis1=1, axis2=2)
    true, called = confusions.sum(axis=2), confusions.sum(axis=1)
    n = true.sum(axis=1, keepdims=True)
    there = true > 0
    each = {
        "recall": _share(right, true),
        # a class that is there and never called has precision 0
        "precision": np.where(there, _share(right, np.maximum(called, 1)), np.nan),
        "specificity": _share(n - true - called + right, n - true),
        "f1": np.where(there, _share(2 * right, true + called), np.nan),
    }
    made = {"accuracy": right.sum(axis=1) / n[:, 0], "balanced_accuracy": _mean(each["recall"])}
    if positive is None:
        each["specificity"] = np.where(there, each["specificity"], np.nan)
        made |= {name: _mean(values) for name, values in each.items()}
    else:
        made |= {name: values[:, positive] for name, values in each.items()}
    return made | {"false_negatives": 1 - made["recall"]}


def _share(hit: Floats, of: Floats) -> Floats:
    return np.asarray(np.divide(hit, of, out=np.full(hit.shape, np.nan), where=of > 0), np.float64)


def _mean(values: Floats) -> Floats:
    """Mean over the classes that have a value, (R,)."""
    known = ~np.isnan(values)
    return _share(np.where(known, values, 0).sum(axis=1), known.sum(axis=1).astype(np.float64))


def _auroc(
    score: NDArray[np.floating], truth: NDArray[np.bool_], code: NDArray[np.intp], weights: Floats
) -> Floats:
    """Area under the ROC curve of every draw: a true cell above another, equal scores counted half."""
    order = np.argsort(score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    areas = []
    for block in _blocks(weights):
        drawn = block[:, code[order]]
        above = np.cumsum(drawn * truth[order], axis=1)[:, last]
        below = np.cumsum(drawn * ~truth[order], axis=1)[:, last]
        steps = np.diff(below, axis=1, prepend=0)
        beaten = (
            above[:, -1:] - (above + np.concatenate([np.zeros((len(block), 1)), above[:, :-1]], axis=1)) / 2
        )
        areas.append(_share((steps * beaten).sum(axis=1), above[:, -1] * below[:, -1]))
    return np.concatenate(areas)


def _calibration_error(
    confidence: Floats, correct: NDArray[np.bool_], code: NDArray[np.intp], weights: Floats, bins: int = 10
) -> Floats:
    """Compute :func:`smearscan.differential.statistics.scaling.calibration_error` of every draw.

    Cells are in one order for all draws, and equal ones lie side by side: the sums up to a bin's edge are
    read off between two cells.
    """
    order = np.argsort(confidence, kind="stable")
    gap = (confidence - correct)[order]
    errors = []
    for block in _blocks(weights):
        for drawn in block[:, code[order]]:
            counted = np.concatenate([[0], np.cumsum(drawn)])
            summed = np.concatenate([[0], np.cumsum(drawn * gap)])
            size, more = divmod(int(counted[-1]), bins)
            edges = np.concatenate([[0], np.cumsum([size + (i < more) for i in range(bins)])])
            errors.append(np.abs(np.diff(np.interp(edges, counted, summed))).sum() / counted[-1])
    return np.array(errors)


def _blocks(weights: Floats) -> Iterator[Floats]:
    """Few draws at a time: a number for each cell and draw together would fill the memory."""
    for begin in range(0, len(weights), _BLOCK):
        yield weights[begin : begin + _BLOCK]
