"""The one crop function: every classifier sees a cell cut by it, in training and while scanning.

A crop is a square of constant physical size around the middle of a cell's box, so that a lymphocyte stays
smaller than a monocyte at every magnification; the light behind the field is brought to white, so that a
yellow lamp does not make another stain.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.numeric import level_percentile

BACKGROUND = 235
"""Gray level the field's background is brought to, and the fill beyond the field's border."""

_BACKGROUND_PERCENTILE = 90
_SAMPLES = 100_000
_GAIN_LIMITS = (0.6, 2.5)


class Geometry(NamedTuple):
    """How a net's crops are cut: side on the slide in micrometers, side as returned in pixels."""

    um: float
    px: int


def background_gain(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Factor of each channel that brings a field's background to :data:`BACKGROUND`.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB

    Returns
    -------
    ndarray, (3,) float32
        Within 0.6 to 2.5; a field without background keeps about its colors.
    """
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / _SAMPLES)))
    bright = level_percentile(image[::step, ::step], _BACKGROUND_PERCENTILE)
    gain = np.clip(BACKGROUND / np.maximum(bright, 1), *_GAIN_LIMITS)
    return np.asarray(gain, np.float32)


def cut_crops(
    image: NDArray[np.uint8], xyxy: NDArray[np.float32], um_per_px: float, crop_um: float, crop_px: int
) -> NDArray[np.uint8]:
    """Cut one square crop a box.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
        The field, full resolution.
    xyxy : ndarray, (N, 4) float32
        Boxes in field pixels.
    um_per_px : float
        Scale of the field, micrometers a pixel.
    crop_um : float
        Side of a crop on the slide, micrometers.
    crop_px : int
        Side of a crop as returned, pixels.

    Returns
    -------
    ndarray, (N, crop_px, crop_px, 3) uint8 RGB
        Beyond the field's border filled with the background's gray.
    """
    out = np.full((len(xyxy), crop_px, crop_px, 3), BACKGROUND, np.uint8)
    if not len(xyxy):
        return out
    corrected = _corrected(background_gain(image))
    side = max(2, round(crop_um / um_per_px))
    for crop, (x, y) in zip(out, (xyxy[:, :2] + xyxy[:, 2:]) / 2, strict=True):
        part = _window(image, round(float(x) - side / 2), round(float(y) - side / 2), side, corrected)
        crop[:] = resized_crop(part, crop_px)
    return out


def resized_crop(part: NDArray[np.uint8], crop_px: int) -> NDArray[np.uint8]:
    """Bring a square part of a field, (S, S, 3) uint8, to `crop_px` a side; averaged where it shrinks."""
    how = cv2.INTER_AREA if len(part) > crop_px else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (crop_px, crop_px), interpolation=how), np.uint8)


def _window(
    image: NDArray[np.uint8], left: int, top: int, side: int, corrected: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Square of `side` px with its corner at (left, top), background corrected, filled beyond the border."""
    height, width = image.shape[:2]
    x0, y0 = min(max(left, 0), width), min(max(top, 0), height)
    x1, y1 = min(max(left + side, 0), width), min(max(top + side, 0), height)
    part = np.full((side, side, 3), BACKGROUND, np.uint8)
    if x0 < x1 and y0 < y1:
        seen = cv2.LUT(np.ascontiguousarray(image[y0:y1, x0:x1]), corrected)
        part[y0 - top : y1 - top, x0 - left : x1 - left] = seen
    return part


def _corrected(gain: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Table of every level of each channel times its gain, (1, 256, 3): quicker than a product a pixel."""
    levels = np.arange(256, dtype=np.uint8)[None, :, None]
    return np.asarray(np.clip(levels * gain, 0, 255), np.uint8)
