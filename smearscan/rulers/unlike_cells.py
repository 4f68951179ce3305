"""Whether a slide's cells are stained as those that the classifiers learned from.

A network names a cell of another stain as surely as one that it knows, and wrongly more often. Its
probabilities do not tell: the stain does. Nucleus and red cells around are measured in the very crops that
the network names, and compared with the crops that it learned from.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from smearscan.results.doubts import UNLIKE_TRAINING, Doubt
from smearscan.rulers.stain import measure_cells
from smearscan.weights import KnownCells

FEWEST_COMPARED = 20
"""Of fewer cells a share says little."""
_ENOUGH_PX = 40
"""Crops of so many pixels each way tell the same as larger ones, and take a quarter of the time."""


def stain_densities(crops: NDArray[np.uint8], side_um: float) -> NDArray[np.float64]:
    """Measure the six densities of :class:`smearscan.weights.KnownCells` in crops.

    Parameters
    ----------
    crops : ndarray, (N, S, S, 3) uint8 RGB
        From the crop function.
    side_um : float
        Side of a crop on the slide, micrometers.

    Returns
    -------
    ndarray, (N, 6) float64
        With NaN for a cell around which hardly any red cell is seen.
    """
    step = max(1, crops.shape[1] // _ENOUGH_PX)
    return measure_cells(crops[:, ::step, ::step], side_um).reshape(-1, 6)


def standing_apart(xyxy: NDArray[np.float32], side_px: float) -> NDArray[np.bool_]:
    """Tell which leukocytes have no other in their crop, which would be measured as red cells.

    Parameters
    ----------
    xyxy : ndarray, (N, 4)
        Boxes of a field's leukocytes.
    side_px : float
        Side of a crop, in pixels of the field.

    Returns
    -------
    ndarray, (N,) bool
    """
    low, high = xyxy[:, None, :2], xyxy[:, None, 2:]
    middle = (low + high) / 2
    reach = (
        np.abs(middle - middle[:, 0]) - (high - low)[:, 0] / 2
    )  # from each middle to the other's near sides
    is_in_crop = np.asarray((reach < side_px / 2).all(axis=2), np.bool_)
    np.fill_diagonal(is_in_crop, False)
    return np.asarray(~is_in_crop.any(axis=1), np.bool_)


def count_unlike(crops: NDArray[np.uint8], side_um: float, known: KnownCells) -> tuple[int, int]:
    """Count the cells that are stained like hardly any that a classifier learned from.

    Returns
    -------
    unlike, compared : int
        Cells beyond the card's distance; cells that could be compared.
    """
    distances = known.distances(stain_densities(crops, side_um))
    return int((distances > known.most_distance).sum()), int((~np.isnan(distances)).sum())


def doubts_of_unlike_cells(counts: Iterable[tuple[int, int]], known: KnownCells) -> Iterator[Doubt]:
    """Doubt cells of which too many are stained otherwise.

    Parameters
    ----------
    counts : iterable of tuple of int
        Of each field of a slide, or each picture of a cell, what :func:`count_unlike` gives.
    known : KnownCells
    """
    unlike, compared = (sum(numbers) for numbers in zip((0, 0), *counts, strict=True))
    if compared >= FEWEST_COMPARED and unlike > known.most_unlike * compared:
        yield Doubt(
            UNLIKE_TRAINING,
            f"{unlike} of {compared} leukocytes, or the red cells around them, are stained unlike nearly all "
            "that the networks learned from: outside of what they know, names are to be reviewed by eye; "
            "calibrate with labeled cells of this stain, or retrain",
        )
