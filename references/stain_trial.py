"""Whether the stain ruler depends on a slide's cells: its blasts alone against its other cells alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.rulers import stain
from smearscan.rulers.optical_density import center_optical_density
from smearscan.training.cells import Progress, load_crops
from smearscan.training.config import ClassifierTraining
from smearscan.training.partial import summed_targets
from smearscan.training.train_classifier import prepared

Floats = NDArray[np.float64]
FEWEST = 10
"""Blasts and other cells that a slide needs of each."""


def measure_dependence(
    table: pd.DataFrame, config: ClassifierTraining, root: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Compare the gains that a slide's blasts alone and its other cells alone would give it.

    Both should be the same: the slide was stained once. Besides the ruler, the mean density of the cells'
    middles is tried, as a ruler that sees cells and not kinds of pixel.

    Parameters
    ----------
    table : DataFrame
        Located cells of sites whose groups are slides or patients.
    config : ClassifierTraining
        Of the task ``cells``: what the sets' names mean.
    root : Path
        What ``image`` is relative to.

    Returns
    -------
    dict
        For each site and ruler the ``median`` and ``worst`` over slides of the largest factor, over the three
        channels, by which both gains differ (1: not at all); ``slides`` and ``cells``.
    """
    cells, classes = prepared(table, config)
    blast = summed_targets(cells, classes, "blast", config.normal_promyelocytes)
    cells = cells.assign(blast=blast)[blast >= 0]
    number = cells.groupby(["site", "group"])["blast"].agg(["sum", "size"])
    enough = number[(number["sum"] >= FEWEST) & (number["size"] - number["sum"] >= FEWEST)].index
    cells = cells[pd.MultiIndex.from_frame(cells[["site", "group"]]).isin(enough)].reset_index(drop=True)
    crops = load_crops(cells, root, config.crop_um, config.crop_px, progress)
    kinds = stain.measure_cells(crops, config.crop_um)
    middle = center_optical_density(crops, config.crop_um)
    made: dict[str, Any] = {}
    for site, part in cells.groupby("site"):
        factors: dict[str, list[float]] = {"nuclei and red cells": [], "mean of the cells' middles": []}
        for _, slide in part.groupby("group"):
            rows = [slide.index[slide["blast"] == kind].to_numpy() for kind in (0, 1)]
            ruler = [stain.slide_gain(kinds[own], kinds[slide.index]) for own in rows]
            mean = [1 / np.median(middle[own], axis=0) for own in rows]
            for name, (first, second) in zip(factors, (ruler, mean), strict=True):
                factors[name].append(float(np.exp(np.abs(np.log(first / second)).max())))
        told = {
            name: {"median": round(float(np.median(f)), 3), "worst": round(max(f), 3)}
            for name, f in factors.items()
        }
        made[str(site)] = {**told, "slides": int(part["group"].nunique()), "cells": len(part)}
    return made
