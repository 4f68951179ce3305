"""Which parts of a film can be read: where red cells lie in one layer, side by side, and in focus.

Judged from a coarse picture of each part (about 1 to 2 um a pixel) and a small patch of its middle in full
resolution. In the thick part red cells lie on each other, so that hardly any light comes through undimmed or
much of it comes through two cells; towards the feathered edge they lie far apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.results.film_map import BLURRED, EMPTY, LAYER, THICK, THIN

Rgb = NDArray[np.uint8]

_LEAST_DENSITY = 0.03
"""Optical density (log10) below which a pixel is background, whatever the stain."""

_EMPTY, _THIN, _THICK = 0.02, 0.08, 0.85
"""Shares of a part that cells cover, between which it is empty, thin, of one layer, thick."""

_TWO_LAYERS, _OVERLAP = 1.7, 0.5
"""A pixel so many times as dense as the film's usual cell is covered twice, or is a nucleus; a part where
these are such a share of what is covered is thick."""

_BLURRED = 0.35
"""Share of the film's median sharpness below which a part is out of focus."""

_BACKGROUND_PERCENTILE = 97


@dataclass(frozen=True, slots=True)
class FilmLight:
    """What light comes through a film.

    Attributes
    ----------
    background : ndarray, (3,) float64
        RGB of the glass beside the cells.
    cell_density : float
        Median optical density of what is no background: that of a red cell.
    """

    background: NDArray[np.float64]
    cell_density: float

    @classmethod
    def of(cls, samples: Sequence[Rgb]) -> "FilmLight":
        """Measure it on coarse pictures of several parts, (H, W, 3) uint8 RGB each."""
        pixels = np.concatenate([image.reshape(-1, 3) for image in samples])
        background = np.maximum(np.percentile(pixels, _BACKGROUND_PERCENTILE, axis=0), 1)
        density = _density(pixels, background)
        stained = density[density > _LEAST_DENSITY]
        return cls(background, float(np.median(stained)) if len(stained) else 2 * _LEAST_DENSITY)

    def covered(self, coarse: Rgb) -> tuple[float, float]:
        """Share of a part's coarse picture that cells cover, and share of that which is dense as two."""
        density = _density(coarse, self.background)
        is_cell = density > max(_LEAST_DENSITY, self.cell_density / 2)
        n = int(is_cell.sum())
        twice = float((density > _TWO_LAYERS * self.cell_density).sum()) / max(n, 1)
        return n / density.size, twice


def part_of(coverage: float, overlap: float) -> int:
    """Part of the film by what cells cover, see :meth:`FilmLight.covered`: an index into ``FILM_PARTS``."""
    if coverage < _EMPTY:
        return EMPTY
    if coverage < _THIN:
        return THIN
    return THICK if coverage > _THICK or overlap > _OVERLAP else LAYER


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
    limit = _BLURRED * float(np.median(sharp[layer]))
    return np.where(layer & (sharp < limit), np.uint8(BLURRED), parts)


def _density(pixels: NDArray[np.uint8], background: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest optical density of the three channels: whatever the stain, cells take most out of one."""
    share = np.clip((pixels / background).min(axis=-1), 0.01, 1.0)
    return np.asarray(-np.log10(share), np.float64)
