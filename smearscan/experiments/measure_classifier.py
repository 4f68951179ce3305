"""Measures stage two on located cells: by site, with intervals over groups."""

from pathlib import Path
from typing import Any

import pandas as pd

from smearscan.classification.classifier import Classifier
from smearscan.experiments.scores import figures
from smearscan.training.cells import load_crops


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
