"""Measures stage two on located cells: by site, with intervals over groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, roc_auc_score

from smearscan.classifier import Classifier
from smearscan.evaluation.intervals import over_groups
from smearscan.statistics.scaling import calibration_error
from smearscan.taxonomy import BLAST
from smearscan.training.cells import load_crops


def measure_cells(net: Classifier, table: pd.DataFrame, root: Path) -> dict[str, Any]:
    """Measure a classifier on cells with a ``target`` (see :func:`smearscan.training.cells.with_targets`).

    Returns
    -------
    dict
        Figures of each site and of all; of a blast net AUROC, recall and specificity at its threshold.
    """
    probs = net.probs(load_crops(table, root, net.card.crop_um, net.card.crop_px))
    result = {"all": figures(probs, table, net.card.classes, net.card.threshold)}
    for site, rows in table.groupby("site"):
        own = table.index.get_indexer(rows.index)
        result[str(site)] = figures(probs[own], rows, net.card.classes, net.card.threshold)
    return result


def figures(
    probs: NDArray[np.floating], table: pd.DataFrame, classes: tuple[str, ...],
    threshold: float | NDArray[np.floating] = 0.5,
) -> dict[str, Any]:  # fmt: skip
    """Figures of one set of cells.

    Parameters
    ----------
    probs : ndarray, (N, K)
    table : DataFrame
        N rows with ``target`` and ``group``.
    classes : tuple of str, (K,)
    threshold : float or ndarray (N,)
        Of the blast net; one a cell where folds have their own.
    """
    target, groups = table["target"].to_numpy(), table["group"].to_numpy()
    if set(classes) == {"healthy", BLAST}:
        return _binary_figures(
            probs[:, classes.index(BLAST)], target == classes.index(BLAST), groups, threshold
        )
    guess = probs.argmax(axis=1)
    present = np.unique(target)
    return {
        "accuracy": over_groups(lambda i: float((guess[i] == target[i]).mean()), groups),
        "balanced_accuracy": over_groups(lambda i: _balanced(target[i], guess[i]), groups, rounds=300),
        "calibration_error": round(calibration_error(probs.max(axis=1), guess == target), 4),
        "classes": [classes[k] for k in present],
        "confusion": confusion_matrix(target, guess, labels=range(len(classes))).tolist(),
    }


def _balanced(target: NDArray[np.int64], guess: NDArray[np.int64]) -> float:
    kinds = np.unique(target)
    return float(np.mean([(guess[target == k] == k).mean() for k in kinds]))


def _binary_figures(
    prob: NDArray[np.floating], blast: NDArray[np.bool_], groups: NDArray[np.generic],
    threshold: float | NDArray[np.floating],
) -> dict[str, Any]:  # fmt: skip
    called = prob >= threshold
    result: dict[str, Any] = {"blasts": int(blast.sum()), "healthy": int((~blast).sum())}
    if blast.any() and not blast.all():
        result["auroc"] = over_groups(lambda i: _auroc(blast[i], prob[i]), groups, rounds=300)
    if blast.any():
        result["recall"] = over_groups(lambda i: _share_of(called[i], blast[i]), groups)
    if not blast.all():
        result["specificity"] = over_groups(lambda i: _share_of(~called[i], ~blast[i]), groups)
    result["calibration_error"] = round(calibration_error(prob, blast), 4)
    return result


def _auroc(truth: NDArray[np.bool_], prob: NDArray[np.floating]) -> float:
    return float(roc_auc_score(truth, prob)) if truth.any() and not truth.all() else float("nan")


def _share_of(hit: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(hit[among].mean()) if among.any() else float("nan")
