"""Whether the stain ruler depends on a slide's cells: blasts alone, others alone, slides of one type."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.rulers import stain
from smearscan.rulers.optical_density import center_optical_density
from smearscan.rulers.unlike_cells import ENOUGH_CELLS, FEWEST_COMPARED, measured_stain
from smearscan.taxonomy import BLAST, BLAST_SUMS, DIFFERENTIAL_SUMS
from smearscan.training.cells import Progress, load_crops
from smearscan.training.config import ClassifierTraining
from smearscan.training.partial import summed_targets
from smearscan.training.train_classifier import prepared
from smearscan.weights import KnownCells

Floats = NDArray[np.float64]
FEWEST = 10
"""Blasts and other cells that a slide needs of each."""
DRAWS = 100
BLAST_INDEX = list(BLAST_SUMS).index(BLAST)


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


def measure_pooled(
    table: pd.DataFrame,
    config: ClassifierTraining,
    root: Path,
    known: KnownCells,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Show slides of one type alone, of 95 % blasts and of all cells of a site to the ruler.

    Whether a slide is brought to the reference, and by which factors, should be the same for all of a site.

    Parameters
    ----------
    table, config, root
        As of :func:`measure_dependence`.
    known : KnownCells
        Of the card of the networks that a scan runs.

    Returns
    -------
    dict
        For each site and kind of slide ``reference``, the share of :data:`DRAWS` slides of as many cells as a
        scan measures that were brought to the reference; ``factor``, the median over them of the largest
        factor, over the channels, between their gain and that of all the site's cells.
    """
    cells, classes = prepared(table, config)
    kinds = summed_targets(cells, classes, "differential", config.normal_promyelocytes)
    blasts = summed_targets(cells, classes, "blast", config.normal_promyelocytes) == BLAST_INDEX
    types = np.where(blasts, BLAST, np.array([*DIFFERENTIAL_SUMS, ""])[kinds])
    stained = stain.measure_cells(
        load_crops(cells, root, config.crop_um, config.crop_px, progress), config.crop_um
    )
    rng, made = np.random.default_rng(0), dict[str, Any]()
    for site, rows in cells.groupby("site").indices.items():
        every = stain.slide_gain(stained[rows])
        of_type = {str(name): rows[types[rows] == name] for name in np.unique(types[rows]) if name}
        of_type = {name: own for name, own in of_type.items() if len(own) >= FEWEST_COMPARED}
        slides = {"all": [rows], **{name: [own] for name, own in of_type.items()}}
        if BLAST in of_type and (others := rows[types[rows] != BLAST]).size >= FEWEST_COMPARED:
            slides["95 % blasts"] = [of_type[BLAST]] * 19 + [others]
        made[str(site)] = {kind: _drawn(stained, parts, every, known, rng) for kind, parts in slides.items()}
    return made


def _drawn(
    stained: Floats,
    parts: list[NDArray[np.int64]],
    every: Floats,
    known: KnownCells,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Draw slides of cells, each from one of the parts, and measure them."""
    brought, factors = [], []
    for _ in range(DRAWS):
        rows = [rng.choice(parts[k]) for k in rng.integers(len(parts), size=ENOUGH_CELLS)]
        brought.append(measured_stain([stained[rows]], known).source == "reference")
        factors.append(float(np.exp(np.abs(np.log(stain.slide_gain(stained[rows]) / every)).max())))
    return {"reference": float(np.mean(brought)), "factor": round(float(np.median(factors)), 3)}
