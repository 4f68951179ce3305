"""Which parts of a film can be read: where red cells lie in one layer, side by side, and in focus.

Judged from a coarse picture of each part (about 1 to 2 um a pixel) and a small patch of its middle in full
resolution. A film is read where red cells lie singly or just touch; towards its thick end they lie on each
other, until hardly any glass is seen between them, and towards the feathered edge they lie far apart (Bain,
Blood Cells, 5th ed., ch. 1). So the glass that is seen tells the parts. How dark the cells are does not: a
field of many nuclei is as dark as one of red cells in several layers, and is what is looked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.numeric import median
from smearscan.results.film_map import BLURRED, EMPTY, LAYER, THICK, THIN

Rgb = NDArray[np.uint8]
Light = NDArray[np.float64]
"""RGB of the glass beside the cells, (3,)."""

_GLASS_DENSITY = 0.06
"""Optical density (log10) below which a pixel is glass, whatever the stain: 13 % less light than most. Noise
and uneven light take less, the palest red cells take more."""

_EMPTY, _THIN, _THICK = 0.02, 0.08, 0.85
"""Shares that cells cover: of a part, below which it is empty, thin; of a block of it, above which this is
thick (docs/results/film_parts.json, by ``python -m references film-parts``)."""

_BLOCK_UM, _THICK_BLOCKS = 60.0, 0.1
"""Width of a block; share of thick ones above which a part is thick."""

_THICK_SIDE, _FEWEST_HALVES = 0.5, 4
"""Share of thick half-blocks along a side above which the thick part reaches into a square; a square of fewer
half-blocks each way is not asked."""

_BLURRED = 0.35
"""Share of the film's median sharpness below which a part is out of focus."""

_GLASS_PERCENTILE = 97


def light_of_glass(samples: Sequence[Rgb]) -> Light:
    """Measure it on coarse pictures of several parts of a film, (H, W, 3) uint8 RGB each."""
    pixels = np.concatenate([image.reshape(-1, 3) for image in samples])
    return np.asarray(np.maximum(np.percentile(pixels, _GLASS_PERCENTILE, axis=0), 1), np.float64)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the glass cells cover.

    Attributes
    ----------
    whole : float
        Share of a part, 0 to 1.
    thick : float
        Share of its blocks (60 um wide, about a field through a 100x lens) of which hardly any glass is seen:
        where the thick part begins within a square, much of this may be readable, and the rest is not.
    reach : float
        The same of blocks half as wide along a side, where it is the largest: a strip of the thick part that
        reaches into a square from the next one is too narrow for whole blocks to tell.
    """

    whole: float
    thick: float
    reach: float = 0.0

    @classmethod
    def of(cls, coarse: Rgb, glass: Light, um_per_px: float) -> "Coverage":
        """Measure it on a coarse picture, (H, W, 3) uint8 RGB; of the glass: :func:`light_of_glass`."""
        # whatever the stain, a cell takes much out of one channel
        covered = (coarse / glass).min(axis=-1) < 10**-_GLASS_DENSITY
        thick, halves = (_blocks(covered, um / um_per_px) > _THICK for um in (_BLOCK_UM, _BLOCK_UM / 2))
        sides = (halves[0], halves[-1], halves[:, 0], halves[:, -1])
        # of a part no wider than a field a side is a crowd of cells or two
        reach = max(float(side.mean()) for side in sides) if min(halves.shape) > _FEWEST_HALVES else 0.0
        return cls(float(covered.mean()), float(thick.mean()), reach)


def _blocks(covered: NDArray[np.bool_], side_px: float) -> NDArray[np.float64]:
    """Share that cells cover of each block of a part, (R, C), the blocks about so wide."""
    rows, columns = (max(1, round(side / side_px)) for side in covered.shape)
    parted = [np.array_split(row, columns, axis=1) for row in np.array_split(covered, rows)]
    return np.array([[block.mean() for block in row] for row in parted])


def part_of(covered: Coverage) -> int:
    """Part of the film by what cells cover: an index into ``FILM_PARTS``."""
    if covered.whole < _EMPTY:
        return EMPTY
    if covered.whole < _THIN:
        return THIN
    return THICK if covered.thick > _THICK_BLOCKS or covered.reach > _THICK_SIDE else LAYER


def sharpness(patch: Rgb) -> float:
    """How much of a patch's contrast lies in its finest details: 0 for a blank one, whatever the stain.

    Parameters
    ----------
    patch : ndarray, (H, W, 3) uint8 RGB
        At a scale where a red cell is some 20 to 30 px wide: finer details are the camera's noise.
    """
    return sharpness_of(smoothed(patch))


def smoothed(patch: Rgb) -> NDArray[np.float32]:
    """Green levels of a patch without the camera's noise, (H, W) float32."""
    return np.asarray(cv2.GaussianBlur(patch[:, :, 1].astype(np.float32), (0, 0), 0.8), np.float32)


def sharpness_of(smooth: NDArray[np.float32]) -> float:
    """Tell the :func:`sharpness` of a patch that is :func:`smoothed`."""
    spread = deviation(smooth)
    return deviation(cv2.Laplacian(smooth, cv2.CV_32F)) / spread if spread > 1 else 0.0


def deviation(levels: NDArray[np.float32]) -> float:
    """Return the standard deviation, several times as quickly as numpy."""
    return float(cv2.meanStdDev(levels)[1][0, 0])


def without_blurred(parts: NDArray[np.uint8], sharp: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Mark as blurred the parts of one layer that are far less sharp than most of them; shapes alike."""
    layer = parts == LAYER
    if not layer.any():
        return parts
    limit = _BLURRED * float(median(sharp[layer]))
    return np.where(layer & (sharp < limit), np.uint8(BLURRED), parts)
