"""Learns which stains a finished net knows, from the cells that it was trained on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.classifier import Logits, as_seen
from smearscan.density import middle_density
from smearscan.errors import DatasetError
from smearscan.stain_range import StainRange
from smearscan.training.cells import Progress, load_crops
from smearscan.weights import ClassifierCard

PER_KIND = 60
"""Cells of each site and class that are looked at: means and covariances change little with more."""


def stain_range_of(
    card: ClassifierCard, run: Callable[[NDArray[np.uint8]], Logits], table: pd.DataFrame, root: Path,
    seed: int = 0, progress: Progress | None = None,
) -> StainRange:  # fmt: skip
    """Describe the stains of a net's training cells and its answers on them.

    Parameters
    ----------
    card : ClassifierCard
    run : callable
        The network: crops (N, S, S, 3) uint8 RGB, as it sees them, to logits (N, K).
    table : DataFrame
        Located cells with ``target`` and ``site``: those that the net was trained on, and no others.
    root : Path
        What ``image`` is relative to.
    seed : int
        Of the draw of at most :data:`PER_KIND` cells a site and class.
    progress : callable, optional
        Called with a word after each picture.

    Raises
    ------
    DatasetError
        If no site has as many cells as a covariance needs.
    """
    order = table.sample(frac=1, random_state=seed)
    few = order[order.groupby(["site", "target"]).cumcount() < PER_KIND].sort_index()
    if few.empty or few["site"].value_counts().max() < 4:
        raise DatasetError("the range of stain needs at least four training cells of one site")
    crops = load_crops(few, root, card.crop_um, card.crop_px, progress)
    logits = run(as_seen(crops, card.background, card.crop_um))
    density = middle_density(crops, card.crop_um)
    return StainRange.of(density, few["site"].to_numpy(str), few["target"].to_numpy(np.int64), logits)
