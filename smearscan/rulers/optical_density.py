"""How deep a cell is stained: the mean optical density of its middle, and a crop brought to another one.

Dyes absorb, so a deeper stain multiplies optical density (Beer and Lambert) and leaves the white background
white. Sites differ in this more than in anything else that a crop shows.
"""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.classification.crops import BACKGROUND

Density = NDArray[np.float64]

MIDDLE_UM = 4.0
"""Radius of the disc that is measured: within nearly every leukocyte, whatever its type."""
GAIN_LIMITS = (1 / 3, 3.0)
"""What a channel may be multiplied by: beyond it only noise would be amplified."""

_LEVELS = np.arange(256)
_DENSITY = -np.log(np.maximum(_LEVELS, 1) / BACKGROUND)
MEASURED_DENSITY = -np.log(np.maximum(_LEVELS, 12) / BACKGROUND)
"""Of each level of a channel. Black pixels tell none: below 12, density 3, the camera's offset decides."""


def center_optical_density(crops: NDArray[np.uint8], side_um: float) -> Density:
    """Mean optical density of the middle of each crop.

    Parameters
    ----------
    crops : ndarray, (N, S, S, 3) uint8 RGB
        From the crop function: the background has the gray level ``BACKGROUND``, density 0.
    side_um : float
        Side of a crop on the slide, micrometers.

    Returns
    -------
    ndarray, (N, 3) float64
        Of red, green and blue; natural logarithm.
    """
    disc = _disc(crops.shape[1], side_um)
    return np.array([MEASURED_DENSITY[crop[disc]].mean(axis=0) for crop in crops]).reshape(-1, 3)


def match_optical_density(crop: NDArray[np.uint8], have: Density, want: Density) -> NDArray[np.uint8]:
    """Multiply the density of each channel, so that a mean density `have` becomes `want`.

    Parameters
    ----------
    crop : ndarray, (S, S, 3) uint8 RGB
    have, want : ndarray, (3,)
        As :func:`center_optical_density` measures it.

    Returns
    -------
    ndarray, (S, S, 3) uint8 RGB
        A new array; the background's gray stays. No channel is multiplied beyond :data:`GAIN_LIMITS`.
    """
    return multiply_density(crop, np.maximum(want, 0.02) / np.maximum(have, 0.02))


def multiply_density(crops: NDArray[np.uint8], gain: Density | Sequence[float]) -> NDArray[np.uint8]:
    """Multiply the optical density of each channel; white background stays white.

    Parameters
    ----------
    crops : ndarray, (..., S, S, 3) uint8 RGB
    gain : (3,)
        No channel is multiplied beyond :data:`GAIN_LIMITS`.

    Returns
    -------
    ndarray
        As `crops`, a new array.
    """
    if not crops.size:
        return crops.copy()
    density = _DENSITY[:, None] * np.clip(gain, *GAIN_LIMITS)
    levels = np.clip(BACKGROUND * np.exp(-density), 0, 255).round().astype(np.uint8)
    flat = np.ascontiguousarray(crops).reshape(1, -1, 3)
    return np.asarray(cv2.LUT(flat, levels[None]), np.uint8).reshape(crops.shape)


@cache
def _disc(side: int, side_um: float) -> NDArray[np.bool_]:
    at = (np.arange(side) - (side - 1) / 2) * side_um / side
    return np.asarray(np.hypot(at[:, None], at) < MIDDLE_UM)
