"""Pictures for the page: crops as sheets of sprites, fields made smaller; the stain as photographed."""

import base64
import io
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smearscan.detection.boxes import centers

CROP_UM = 20.0
"""Side of a crop on the slide, as the networks see it."""
CROP_PX = 88
COLUMNS, PER_SHEET = 10, 100
FIELD_UM_PER_PX = 0.14
"""Fields are made smaller to this scale: a leukocyte is some 90 px wide, enough to see it is one."""
MOST_FIELD_PX = 1600
_BEYOND = 200  # gray level beyond a field's border

Rgb = NDArray[np.uint8]


def photographed_crops(image: Rgb, xyxy: NDArray[np.float32], um_per_px: float) -> Rgb:
    """Cut a square around each box, colors untouched.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
    xyxy : ndarray, (N, 4) float32
        Field pixels.
    um_per_px : float

    Returns
    -------
    ndarray, (N, CROP_PX, CROP_PX, 3) uint8 RGB
        Gray beyond the field's border.
    """
    out = np.full((len(xyxy), CROP_PX, CROP_PX, 3), _BEYOND, np.uint8)
    side = max(2, round(CROP_UM / um_per_px))
    height, width = image.shape[:2]
    for crop, (x, y) in zip(out, centers(xyxy), strict=True):
        left, top = round(float(x) - side / 2), round(float(y) - side / 2)
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
        part = np.full((side, side, 3), _BEYOND, np.uint8)
        if x0 < x1 and y0 < y1:
            part[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
        how = cv2.INTER_AREA if side > CROP_PX else cv2.INTER_CUBIC
        crop[:] = cv2.resize(part, (CROP_PX, CROP_PX), interpolation=how)
    return out


def sheet(crops: Rgb) -> bytes:
    """Lay up to :data:`PER_SHEET` crops, (N, S, S, 3), side by side in rows of :data:`COLUMNS`, as WebP."""
    n, side = len(crops), crops.shape[1]
    rows = max(1, math.ceil(n / COLUMNS))
    laid = np.full((rows * COLUMNS, side, side, 3), _BEYOND, np.uint8)
    laid[:n] = crops
    grid = laid.reshape(rows, COLUMNS, side, side, 3).swapaxes(1, 2).reshape(rows * side, COLUMNS * side, 3)
    return _webp(grid, 82)


def field_picture(image: Rgb, um_per_px: float) -> tuple[bytes, float]:
    """Make a field smaller; returns WebP and how many of its pixels became one."""
    height, width = image.shape[:2]
    reduction = max(1.0, FIELD_UM_PER_PX / um_per_px, max(height, width) / MOST_FIELD_PX)
    if reduction > 1:
        size = max(1, round(width / reduction)), max(1, round(height / reduction))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _webp(image, 70), reduction


def drawing(image: Rgb) -> bytes:
    """Encode a drawing, (H, W, 3), as WebP to the last pixel: its lines and letters stay sharp."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def as_text(data: bytes) -> str:
    """Bytes as base64."""
    return base64.b64encode(data).decode()


def _webp(image: Rgb, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def appearance(crops: Rgb) -> NDArray[np.float32]:
    """Describe cells by their colors in rings around the middle, whichever way they are turned.

    Parameters
    ----------
    crops : ndarray, (N, S, S, 3) uint8 RGB

    Returns
    -------
    ndarray, (N, 36) float32
        Mean and standard deviation of L, a and b in six rings.
    """
    side = crops.shape[1]
    y, x = np.indices((side, side)) - (side - 1) / 2
    ring = np.minimum(np.hypot(x, y) / (side / 2) * 6, 5).astype(int).ravel()
    size = np.bincount(ring, minlength=6).astype(np.float32)
    out = np.empty((len(crops), 36), np.float32)
    for i, crop in enumerate(crops):
        lab = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
        mean = np.stack([np.bincount(ring, lab[:, c], 6) / size for c in range(3)])
        square = np.stack([np.bincount(ring, lab[:, c] ** 2, 6) / size for c in range(3)])
        out[i] = np.concatenate([mean, np.sqrt(np.maximum(square - mean**2, 0))]).ravel()
    return out
