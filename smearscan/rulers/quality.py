"""How a field was photographed: what its pixels say beside its cells.

Measured on a copy of the field at a fixed number of pixels a red cell, so that a figure means the same at
every magnification. :mod:`smearscan.rulers.quality_doubts` judges it.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.detection.detector import resized
from smearscan.numeric import median
from smearscan.results import Detections, FieldQuality, Scale
from smearscan.rulers.monolayer import deviation, sharpness_of, smoothed
from smearscan.taxonomy import LEUKOCYTE, RED_CELL, RED_CELL_UM

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float64]

RED_CELL_PX = 21.0
"""Diameter of a red cell, px, at which fields are compared."""

_WHITE_PERCENTILE, _CLIPPED = 97, 253
_NUCLEUS_REACH, _NUCLEUS_SHARE = 0.6, 0.4
_RING = 0.65
_STAINED, _GREENER = 10**-0.06, 10**0.04
"""Share of the background's light that what is stained lets through, at most; and how many times more of the
green light than of the red and the blue something greenish lets through."""
_INK = 0.3
"""Share of the light that nothing stained falls below in every channel: dyes let red or blue through."""
_PAPER, _BELOW_PAPER = 250, 240
"""Levels of what is drawn in white, where the background is darker."""
_BAR_PX, _BAR_SHAPE, _BAR_FILL = 10, 4, 0.7
"""A scale bar is so long (half a red cell), so many times longer than high, and so full."""
_LEAST_DETAILS = 0.01
"""Levels; less is an error of rounding."""
_BLOCK_PX = 60.0 / RED_CELL_UM * RED_CELL_PX
"""Width of a part: 60 um, as of a film's (:mod:`smearscan.rulers.monolayer`)."""
_LEAST_FREE = 0.25
"""Share of a part that leukocytes must leave free for the rest to tell anything: many are no thick part."""
_CORNER = 0.06
"""Side of the squares looked at in a field's corners, shares of its shorter side."""
_GRID = np.stack(np.meshgrid(*[np.linspace(-_NUCLEUS_REACH, _NUCLEUS_REACH, 9)] * 2), axis=-1).reshape(-1, 2)
_ANGLES = np.arange(8) * math.pi / 4
_CIRCLE = _RING * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_ROOM = np.array([-1, -1, 2, 2])
"""What a box is widened by, px: cells have soft edges."""
_SECOND_DIFFERENCES = [
    np.array(kernel, np.float32)
    for kernel in (
        [[0, 0, 0], [1, -2, 1], [0, 0, 0]], [[0, 1, 0], [0, -2, 0], [0, 1, 0]],
        [[0.5, 0, 0], [0, -1, 0], [0, 0, 0.5]], [[0, 0, 0.5], [0, -1, 0], [0.5, 0, 0]],
    )
]  # fmt: skip
"""Along the rows, the columns and both diagonals."""
_UNKNOWN = (math.nan, math.nan, math.nan)


def measure_quality(image: Rgb, image_scale: Scale, found: Detections) -> FieldQuality:
    """Measure how a field was photographed.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
    image_scale : Scale
        Of these pixels.
    found : Detections
        What was found in it, pixels of `image`.
    """
    small = _at_one_scale(image, image_scale.red_cell_px / RED_CELL_PX)
    light, smooth = _light(small), smoothed(small)
    stained = cv2.bitwise_not(cv2.inRange(small, np.ceil(light * _STAINED), _of(255)))
    of_stained = np.array(cv2.mean(small, mask=stained)[:3])
    factor = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]] * 2)
    xyxy = found.xyxy * factor
    cells, red_cells = (xyxy[found.labels == label] for label in (LEUKOCYTE, RED_CELL))
    ring = _at(small, red_cells, _CIRCLE)
    return FieldQuality(
        sharpness=sharpness_of(smooth),
        evenness=_evenness(smooth),
        light=_channels(light),
        corners=_corners(small, light),
        overexposed=float((ring >= _CLIPPED).any(axis=-1).mean()) if ring.size else math.nan,
        white=_share(cv2.inRange(small, _of(_CLIPPED), _of(255))),
        covered=_covered(stained, cells),
        in_cells=_in_cells(stained, xyxy),
        greenish=_greenish(small, light),
        bar=_longest_bar(small, light) / RED_CELL_PX,
        nucleus=_nucleus(_density(_at(small, cells, _GRID), light)),
        red_cell=_channels(median(_density(ring, light).reshape(-1, 3))) if ring.size else _UNKNOWN,
        stained=_channels(_density(of_stained, light)) if of_stained.any() else _UNKNOWN,
        pale=found.n_pale,
    )


def _at_one_scale(image: Rgb, shrink: float) -> Rgb:
    """Shrink a picture, by halves first: that is several times quicker than by any number."""
    while shrink >= 2:
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        image = resized(image[:height, :width], 0.5)
        shrink /= 2
    return resized(image, 1 / shrink)


def _light(image: Rgb) -> Floats:
    """Levels of the background: what 3 of 100 pixels exceed in each channel."""
    pixels = image[::2, ::2].reshape(-1, 3)
    rank = len(pixels) * _WHITE_PERCENTILE // 100
    return np.asarray(np.maximum(np.partition(pixels, rank, axis=0)[rank], 1), np.float64)


def _evenness(smooth: NDArray[np.float32]) -> float:
    """How much of details there is in the direction of the fewest, of that of the most: 1 is alike in all."""
    details = [deviation(cv2.filter2D(smooth, -1, kernel)) for kernel in _SECOND_DIFFERENCES]
    return min(details) / max(details) if max(details) > _LEAST_DETAILS else 1.0


def _corners(image: Rgb, light: Floats) -> float:
    """Level of the brightest pixel in the second darkest corner, share of the light's."""
    n = max(3, round(_CORNER * min(image.shape[:2])))
    squares = (image[:n, :n], image[:n, -n:], image[-n:, :n], image[-n:, -n:])
    return float(sorted(int(square.max()) for square in squares)[1] / light.max())


def _covered(stained: NDArray[np.uint8], leukocytes: Floats) -> float:
    """Share that is stained, 255, beside the leukocytes, of the part of which most is; NaN without such."""
    beside = np.full_like(stained, 255)
    for x0, y0, x1, y1 in np.maximum(leukocytes + _ROOM, 0).astype(int).tolist():
        beside[y0:y1, x0:x1] = 0
    size = tuple(max(1, round(side / _BLOCK_PX)) for side in stained.shape[::-1])
    covered, free = (
        cv2.resize(mask, size, interpolation=cv2.INTER_AREA) / 255.0
        for mask in (cv2.bitwise_and(stained, beside), beside)
    )
    enough = free >= _LEAST_FREE
    return float((covered[enough] / free[enough]).max()) if enough.any() else math.nan


def _in_cells(stained: NDArray[np.uint8], xyxy: Floats) -> float:
    """Share of what is stained, 255, that lies within boxes; NaN where nothing is."""
    stained, n = stained.copy(), cv2.countNonZero(stained)
    for x0, y0, x1, y1 in np.maximum(xyxy + _ROOM, 0).astype(int).tolist():
        stained[y0:y1, x0:x1] = 0
    return 1 - cv2.countNonZero(stained) / n if n else math.nan


def _greenish(image: Rgb, light: Floats) -> float:
    """Share of the pixels that are greener than the background."""
    red, green, blue = cv2.split(image)
    least = [
        cv2.convertScaleAbs(channel, alpha=_GREENER * light[1] / level)
        for channel, level in ((red, light[0]), (blue, light[2]))
    ]
    return _share(cv2.compare(green, cv2.max(*least), cv2.CMP_GT))


def _longest_bar(image: Rgb, light: Floats) -> int:
    """Length in px of the longest bar that is drawn into a picture, black or white; 0 without one."""
    longest = 0
    inks = [cv2.inRange(image, _of(0), np.floor(light * _INK))]
    if light.max() < _BELOW_PAPER:
        inks.append(cv2.inRange(image, _of(_PAPER), _of(255)))
    for ink in inks:
        if cv2.countNonZero(ink):
            _, _, parts, _ = cv2.connectedComponentsWithStats(ink, connectivity=4)
            for _, _, width, height, area in parts[1:].tolist():
                is_bar = width >= max(_BAR_PX, _BAR_SHAPE * height) and area >= _BAR_FILL * width * height
                longest = max(longest, width if is_bar else 0)
    return longest


def _share(mask: NDArray[np.uint8]) -> float:
    return float(cv2.countNonZero(mask)) / mask.size


def _of(level: float) -> Floats:
    return np.full(3, level, np.float64)


def _at(image: Rgb, xyxy: Floats, offsets: Floats) -> Rgb:
    """Pixels at places within boxes, (N, P, 3); `offsets`, (P, 2), are in half sides from the middle."""
    middle, half = (xyxy[:, :2] + xyxy[:, 2:]) / 2, (xyxy[:, 2:] - xyxy[:, :2]) / 2
    places = (middle[:, None] + half[:, None] * offsets).astype(np.intp)
    x = places[..., 0].clip(0, image.shape[1] - 1)
    y = places[..., 1].clip(0, image.shape[0] - 1)
    return np.asarray(image[y, x], np.uint8)


def _density(pixels: Rgb | Floats, light: Floats) -> Floats:
    return np.clip(-np.log10((pixels + 1.0) / (light + 1.0)), 0, 2)


def _nucleus(density: Floats) -> tuple[float, float, float]:
    """Median over cells of the mean of each one's darkest pixels; `density` is (N, P, 3)."""
    if not len(density):
        return _UNKNOWN
    n = round(_NUCLEUS_SHARE * density.shape[1])
    darkest = np.argpartition(-density.sum(axis=2), n, axis=1)[:, :n]
    return _channels(median(np.take_along_axis(density, darkest[..., None], axis=1).mean(axis=1)))


def _channels(values: Floats) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue
