"""The red-cell ruler: how many micrometers a field pixel is, measured on the red cells themselves.

A dried red cell is about 7.2 um wide on every smear, so the size at which the detector sees red cells gives
the scale. Where a field's magnification is unknown, a small pyramid of reductions is tried, an octave apart,
and the one whose red cells are most and agree best with the working size wins, or the first whose red cells
leave no doubt; the scale is then refined until the red cells measured at it confirm it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.detection.detector import Detector, resized
from smearscan.io.streams import read_ahead
from smearscan.numeric import median
from smearscan.results import Detections, Scale
from smearscan.runtime.batches import usable_cores
from smearscan.taxonomy import LEUKOCYTE, RED_CELL, RED_CELL_UM

Picture = NDArray[np.uint8]
T = TypeVar("T")

_ACROSS = (3.5, 7.0, 14.0, 28.0, 56.0)
"""Reductions tried: as if so many red cells, at the working size, made the field's longest side."""

_LEAST_PX = 8  # no field is blown up further than one whose red cells are so wide
_WINDOW_ACROSS = 14  # of the larger reductions only the middle is looked at
_MIN_RED_CELLS = 5
_ASSUMED_RED_CELLS_ACROSS = 8  # a field of an oil immersion objective, as of BCCD
_SCORE = 0.4
_SETTLED, _MANY, _COVER = 0.6, 5, 0.1
"""A reduction is taken, and no larger one tried, where so many red cells agree so well with the working
size (.6: within .4 of an octave) and fill such a share of the picture. With the detector of 32 px a red
cell, on 320 real pictures of five sites, some resized, this moved no scale by more than 5 %, and most by
less than .3 %."""

_NO_RED_CELL = 0.5
"""Weight of a reduction that shows leukocytes alone: so does the grain of a field blown up too far."""

_ALIKE = 0.15
"""Logarithm within which two fields' scales agree: then the rest of a slide's need not be tried."""

_CONFIRMED = 0.01
"""Logarithm within which the red cells confirm a scale."""

_LEUKOCYTE_PER_RED_CELL = 1.85  # median over six data sets, 1.7 to 2.1
_ROUNDS = 3


def measure_scale(detector: Detector, images: Sequence[NDArray[np.uint8]]) -> Scale:
    """Measure the scale of fields that share one magnification.

    Parameters
    ----------
    detector : Detector
        Its red cells are the ruler.
    images : sequence of ndarray, (H, W, 3) uint8 RGB
        One or more fields of a slide.

    Returns
    -------
    Scale
        Ruler ``red cells``; ``leukocytes`` where these help out because fewer than five red cells are
        measurable; ``assumed`` where no cell is: then the field is taken to be as wide as 8 red cells.
    """
    known: list[float] = []
    # two at a time: one thread each; most slides need no more than the first two
    for i in range(0, len(images), 2):
        known += [f for f in _of_each(partial(_coarse, detector), images[i : i + 2]) if f is not None]
        if len(known) >= 2 and np.ptp(np.log(known)) < _ALIKE:
            break
    if not known:
        return _assumed(images)
    # of several fields the geometric middle; one odd field does not turn the slide
    factor = float(np.exp(median(np.log(known))))
    target = detector.card.working_red_cell_px
    red = leukocytes = np.empty(0, np.float32)
    for _ in range(_ROUNDS):
        seen = _of_each(partial(_seen, detector, factor=factor), images)
        red = np.concatenate([_sizes(found, RED_CELL, shape) for found, shape in seen])
        leukocytes = np.concatenate([_sizes(found, LEUKOCYTE, shape) for found, shape in seen])
        size = _red_cell_size(red, leukocytes)
        if size is None:  # what the pyramid saw is gone at its own scale: no cell to trust
            return _assumed(images)
        factor *= target / size
        if abs(np.log(target / size)) < _CONFIRMED:
            break
    by_red_cells = len(red) >= _MIN_RED_CELLS or not len(leukocytes)
    n = len(red) if by_red_cells else len(red) + len(leukocytes)
    return Scale(RED_CELL_UM / (target / factor), "red cells" if by_red_cells else "leukocytes", n)


def _of_each(look: Callable[[Picture], T], images: Sequence[Picture]) -> list[T]:
    """Look at several pictures at once."""
    return list(read_ahead(images, look, usable_cores(), len(images)))


def _assumed(images: Sequence[NDArray[np.uint8]]) -> Scale:
    longest = max(max(image.shape[:2]) for image in images)
    return Scale(RED_CELL_UM / (longest / _ASSUMED_RED_CELLS_ACROSS), "assumed")


def _coarse(detector: Detector, image: Picture) -> float | None:
    """Best factor of the pyramid, corrected by the cells seen at it; None where no cell is seen."""
    target = detector.card.working_red_cell_px
    best, best_weight = None, 0.0
    for across in _ACROSS:
        factor = across * target / max(image.shape[:2])
        if factor > target / _LEAST_PX:
            break
        found, shape = _seen(detector, image, factor)
        red, leukocytes = _sizes(found, RED_CELL, shape), _sizes(found, LEUKOCYTE, shape)
        size = _red_cell_size(red, leukocytes)
        if size is None:
            continue
        # cells seen near the working size count in full, an octave off not at all
        agreement = max(0.0, 1 - abs(float(np.log2(size / target))))
        cover = float((red**2).sum() + (leukocytes**2).sum()) / (shape[0] * shape[1])
        weight = agreement * cover * (1 if len(red) else _NO_RED_CELL)
        if weight > best_weight:
            best, best_weight = factor * target / size, weight
        if agreement >= _SETTLED and len(red) >= _MANY and cover >= _COVER:
            break
    return best


def _seen(detector: Detector, image: Picture, factor: float) -> tuple[Detections, tuple[int, int]]:
    small = resized(image, factor)
    height, width = small.shape[:2]
    side = round(_WINDOW_ACROSS * detector.card.working_red_cell_px)
    y, x = max(0, height - side) // 2, max(0, width - side) // 2
    middle = small[y : y + side, x : x + side]
    found = detector.select(detector.raw(middle), middle, (_SCORE, _SCORE, 1.0))
    return found, (middle.shape[0], middle.shape[1])


def _sizes(found: Detections, label: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Sizes of the cells of one class that are whole and about round, px of the reduction."""
    return whole_sizes(found.xyxy[found.labels == label], shape)


def whole_sizes(xyxy: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Sizes in px of those of a picture's boxes, (N, 4), that are about round and off its border."""
    sides = xyxy[:, 2:] - xyxy[:, :2]
    round_ = np.abs(np.log(np.maximum(sides[:, 0], 1) / np.maximum(sides[:, 1], 1))) < np.log(1.4)
    return boxes.mean_sides(xyxy[round_ & ~boxes.touches_border(xyxy, *shape, margin_px=2)])


def _red_cell_size(red: NDArray[np.float32], leukocytes: NDArray[np.float32]) -> float | None:
    """Size of a red cell, px: of red cells alone if enough, else with leukocytes as larger red cells."""
    if len(red) >= _MIN_RED_CELLS:
        return float(median(red))
    every = np.concatenate([red, leukocytes / np.float32(_LEUKOCYTE_PER_RED_CELL)])
    return float(median(every)) if len(every) else None
