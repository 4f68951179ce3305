"""Which parts of a film can be read: where red cells lie in one layer, side by side, and in focus.

Judged from a coarse picture of each part (about 1 to 2 um a pixel) and a small patch of its middle in full
resolution. A film is read where red cells lie singly or just touch; towards its thick end they lie on each
other, until hardly any glass is seen between them, and towards the feathered edge they lie far apart (Bain,
Blood Cells, 5th ed., ch. 1). So the glass that is seen tells the parts. How dark the cells are does not: a
field of many nuclei is as dark as one of red cells in several layers, and is what is looked for.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.results.film_map import BLURRED, EMPTY, LAYER, THICK, THIN

Rgb = NDArray[np.uint8]
Light = NDArray[np.float64]
"""RGB of the glass beside the cells, (3,)."""

_GLASS_DENSITY = 0.06
"""Optical density (log10) below which a pixel is glass, whatever the stain: 13 % less light than most. Noise
and uneven light take less, the palest red cells take more."""

_EMPTY, _THIN, _THICK = 0.02, 0.08, 0.85
"""Shares of a part that cells cover, between which it is empty, thin, of one layer, thick: docs/results/
film_parts.json, by ``python -m references film-parts``."""

_BLURRED = 0.35
"""Share of the film's median sharpness below which a part is out of focus."""

_GLASS_PERCENTILE = 97


def light_of_glass(samples: Sequence[Rgb]) -> Light:
    """Measure it on coarse pictures of several parts of a film, (H, W, 3) uint8 RGB each."""
    pixels = np.concatenate([image.reshape(-1, 3) for image in samples])
    return np.asarray(np.maximum(np.percentile(pixels, _GLASS_PERCENTILE, axis=0), 1), np.float64)


def coverage(coarse: Rgb, glass: Light) -> float:
    """Share of a part's coarse picture that cells cover, 0 to 1.

    Parameters
    ----------
    coarse : ndarray, (H, W, 3) uint8 RGB
    glass : ndarray, (3,) float64
        See :func:`light_of_glass`.
    """
    # whatever the stain, a cell takes much out of one channel
    least = (coarse / glass).min(axis=-1)
    return float((least < 10**-_GLASS_DENSITY).mean())


def part_of(covered: float) -> int:
    """Part of the film by the share that cells cover, see :func:`coverage`: an index into ``FILM_PARTS``."""
    if covered < _EMPTY:
        return EMPTY
    if covered < _THIN:
        return THIN
    return THICK if covered > _THICK else LAYER


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
