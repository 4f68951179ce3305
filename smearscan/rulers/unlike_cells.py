"""Whether a slide's cells are stained as those that the classifiers learned from.

A network names a cell of another stain as surely as one that it knows, and wrongly more often. Its
probabilities do not tell: the stain does. Nucleus and red cells around are measured in the very crops that
the network names, and compared with the crops that it learned from. A slide of another stain is brought to
the reference stain before its cells are named.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smearscan.results import Stain
from smearscan.results.doubts import UNLIKE_TRAINING, Doubt
from smearscan.rulers.stain import slide_gain
from smearscan.weights import KnownCells

FEWEST_COMPARED = 20
"""Of fewer cells a share says little."""
ENOUGH_CELLS, MOST_FIELDS = 64, 32
"""A slide's stain is measured on its first fields: until so many leukocytes are, or so many fields were read.
By 64 cells the factors lie within 1 % of those by all (median over published slides; one in ten is 4 % off or
more), by 32 within 2 %."""


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


def count_unlike(cells: NDArray[np.float64], known: KnownCells) -> tuple[int, int]:
    """Count the cells that are stained like hardly any that a classifier learned from.

    Parameters
    ----------
    cells : ndarray, (N, 2, 3)
        Of :func:`smearscan.rulers.stain.measure_cells`, in the classifier's crops.
    known : KnownCells

    Returns
    -------
    unlike, compared : int
        Cells beyond the card's distance; cells that could be compared.
    """
    distances = known.distances(cells.reshape(-1, 6))
    return int((distances > known.most_distance).sum()), int((~np.isnan(distances)).sum())


def are_unlike(unlike: int, compared: int, known: KnownCells) -> bool:
    """Tell whether too many cells are stained otherwise; of a few cells that cannot be told."""
    return compared >= FEWEST_COMPARED and unlike > known.most_unlike * compared


def measured_stain(cells: Sequence[NDArray[np.float64]], known: KnownCells) -> Stain:
    """Tell how a slide's cells are to be shown to the networks, by the first of them.

    A slide that is stained as the training cells are stays as photographed: there nothing is gained, and
    known sites lose a point of the types. Any other is brought to the reference stain, in which the shipped
    nets of blasts and fine types saw half of their training cells.

    Parameters
    ----------
    cells : sequence of ndarray, (N, 2, 3)
        Of each field, :func:`smearscan.rulers.stain.measure_cells`; any number.
    known : KnownCells
    """
    seen = np.concatenate([np.empty((0, 2, 3)), *cells])
    if not are_unlike(*count_unlike(seen, known), known):
        return Stain(n_cells=len(seen))
    red, green, blue = slide_gain(seen).tolist()
    return Stain((red, green, blue), len(seen))


def doubts_of_unlike_cells(counts: Iterable[tuple[int, int]], known: KnownCells) -> Iterator[Doubt]:
    """Doubt cells of which too many are stained otherwise.

    Parameters
    ----------
    counts : iterable of tuple of int
        Of each field of a slide, or each picture of a cell, what :func:`count_unlike` gives.
    known : KnownCells
    """
    unlike, compared = (sum(numbers) for numbers in zip((0, 0), *counts, strict=True))
    if are_unlike(unlike, compared, known):
        yield Doubt(
            UNLIKE_TRAINING,
            f"{unlike} of {compared} leukocytes, or the red cells around them, are stained unlike nearly all "
            "that the networks learned from: outside of what they know, names are to be reviewed by eye; "
            "calibrate with labeled cells of this stain, or retrain",
        )


def with_stain_told(doubts: Sequence[Doubt], stain: Stain, judged_by: str = "") -> tuple[Doubt, ...]:
    """Tell with a slide's doubts that it was brought to the reference, whatever its later cells are like.

    `judged_by` says in words what its cells are named by, where that is not what other slides' are.
    """
    if stain.source == "photographed":
        return tuple(doubts)
    told = "; ".join(filter(None, (f"the stain is {stain}", judged_by)))
    if UNLIKE_TRAINING not in {doubt.name for doubt in doubts}:
        return (*doubts, Doubt(UNLIKE_TRAINING, f"{told}; names are to be reviewed by eye"))
    return tuple(
        replace(doubt, reason=f"{doubt.reason}; {told}") if doubt.name == UNLIKE_TRAINING else doubt
        for doubt in doubts
    )
