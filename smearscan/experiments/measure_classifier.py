"""Measures stage two on located cells: by site, with intervals over groups."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from smearscan.classification.classifier import Classifier
from smearscan.differential.statistics.estimates import estimate_of_draws
from smearscan.errors import ConfigError
from smearscan.experiments.scores import draws, figures
from smearscan.training.cells import load_crops

COMPARED = {
    "accuracy": "named right",
    "balanced_accuracy": "named right, mean over the classes",
    "recall": "found, of a class (blast net: of the blasts)",
    "specificity": "not called so, of the others",
    "auroc": "area under the ROC curve",
    "calibration_error": "error of the probability",
}
"""Figures that a comparison tells, with their words."""


def measure_cells(net: Classifier, table: pd.DataFrame, root: Path) -> dict[str, Any]:
    """Measure a classifier on cells with a ``target`` (see :func:`smearscan.training.cells.with_targets`).

    Returns
    -------
    dict
        Figures of each site and of all, see :func:`smearscan.experiments.scores.figures`; those of a blast
        net at its threshold.
    """
    probs = net.probs(load_crops(table, root, net.card.crop_um, net.card.crop_px))
    result = {"all": figures(probs, table, net.card.classes, net.card.threshold)}
    for site, rows in table.groupby("site"):
        own = table.index.get_indexer(rows.index)
        result[str(site)] = figures(probs[own], rows, net.card.classes, net.card.threshold)
    return result


def compare_classifiers(
    before: Classifier, after: Classifier, table: pd.DataFrame, root: Path
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measure two classifiers on the same cells, and their difference, paired.

    Parameters
    ----------
    before, after : Classifier
        May name different classes.
    table : DataFrame
        Cells that neither has learned, with a ``target`` of `after`.
    root : Path

    Returns
    -------
    dict
        Each of :data:`COMPARED` with ``before``, ``after`` and ``difference``: value, 95 % interval over
        groups, cells and groups. The same groups are drawn for both, so that what is hard for either does
        not widen the interval of the difference.

    Raises
    ------
    ConfigError
        If `before` has no name for a class of the cells.
    """
    names = [after.card.classes[k] for k in table["target"]]
    if unknown := sorted(set(names) - set(before.card.classes)):
        raise ConfigError(
            f"{before.card.name} has no name for {', '.join(unknown)}; leave these cells out, or compare "
            "with a network that has"
        )
    of_before = table.assign(target=[before.card.classes.index(name) for name in names])
    drawn = []
    for net, cells in ((before, of_before), (after, table)):
        crops = load_crops(cells, root, net.card.crop_um, net.card.crop_px)
        drawn.append(draws(net.probs(crops), cells, net.card.classes, net.card.threshold))
    counts = {"cells": len(table), "groups": int(table["group"].nunique())}
    old, new = drawn
    compared = {}
    for name in COMPARED:
        columns = {"before": old[name], "after": new[name], "difference": new[name] - old[name]}
        if not np.isnan(columns["difference"][0]):
            compared[name] = {column: estimate_of_draws(of, **counts) for column, of in columns.items()}
    return compared
