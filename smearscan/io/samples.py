"""Samples of any kind to 8-bit RGB: depth, ranges of floats, transparency, orientation, one rule each."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ImageError

Rgb = NDArray[np.uint8]
Alpha = Literal["unassociated", "associated"]

_DEPTHS = (8, 10, 12, 14, 16)
"""Bits a sample that cameras have; a file of 16 holds any of them."""

_OVERSHOOT = 0.25
"""A float picture of 0 to 1 may leave its range by so much, by resampling or division."""

_WHITE = 0.999
"""Share of a float picture's samples that are no brighter than its white."""

_LEAST_OF_8_BITS = 32
"""A float picture whose largest value is below this, and above 1.25, has no range that could be told."""


def to_rgb8(image: NDArray[Any], name: str, full: float | None = None, alpha: Alpha = "unassociated") -> Rgb:
    """Bring samples to 8-bit RGB.

    Parameters
    ----------
    image : ndarray, (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4)
        Gray, gray with alpha, RGB or RGB with alpha; bool, unsigned or signed integers, or floats.
    name : str
        Of the picture, for messages.
    full : float, optional
        Value of white where the file says it; else the smallest of 8, 10, 12, 14 or 16 bits that holds the
        largest value of integers, and 1 of floats up to 1. Floats up to 1.25 are divided by what 999 of 1,000
        samples do not exceed, or 1, and clipped; floats from 32 count as integers do.
    alpha : str
        ``unassociated``: colors are shown whole, as the camera took them; where transparent pixels all have
        one color, nothing was photographed there, and they are white. ``associated``: colors were
        multiplied by alpha, and are laid on white.

    Returns
    -------
    ndarray, (H, W, 3) uint8, contiguous

    Raises
    ------
    ImageError
        If shape, type or range is none of these.
    """
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 2, 3, 4) or not image.size:
        raise ImageError(f"{name}: shape {image.shape} is no picture; give (H, W, 3), (H, W, 4) or (H, W)")
    n_colors = image.shape[2] - (image.shape[2] % 2 == 0)
    colors = to_8_bits(image[:, :, :n_colors], name, full)
    if n_colors < image.shape[2]:
        # the alpha's own range is that of its type: its largest value says nothing of it
        own = full or (1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max))
        colors = _without_alpha(colors, to_8_bits(image[:, :, n_colors:], name, own), alpha)
    if n_colors == 1:
        colors = np.repeat(colors, 3, axis=2)
    return np.ascontiguousarray(colors)


def to_8_bits(image: NDArray[Any], name: str, full: float | None = None) -> NDArray[np.uint8]:
    """Scale samples of any type to 0 to 255; parameters and errors of :func:`to_rgb8`."""
    if image.dtype == np.uint8 and full in (None, 255):
        return image.view(np.uint8)
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * 255
    if image.dtype.kind not in "uif":
        raise ImageError(f"{name}: samples of type {image.dtype} are no colors; save it as 8 or 16 bit RGB")
    low, high = float(image.min()), float(image.max())
    if image.dtype.kind == "f":
        full = _full_of_floats(image, low, high, name) if full is None else full
    elif low < 0 or high > 65535:
        raise ImageError(f"{name}: values from {low:g} to {high:g} leave 16 bits; scale the picture first")
    full = _full_of_integers(high) if full is None else full
    if high > full * (1 + _OVERSHOOT) or low < -full * _OVERSHOOT:
        raise ImageError(f"{name}: values from {low:g} to {high:g} leave the file's own range, 0 to {full:g}")
    if image.dtype.kind == "f":
        return np.asarray(np.clip(np.round(image / full * 255), 0, 255), np.uint8)
    table = np.clip(np.round(np.arange(int(high) + 1) / full * 255), 0, 255).astype(np.uint8)
    return np.asarray(table[image.astype(np.intp, copy=False)], np.uint8)


def turned_upright(image: Rgb, orientation: object) -> Rgb:
    """Turn a picture as its EXIF or TIFF orientation (1 to 8; anything else is 1) says."""
    turned = image.transpose(1, 0, 2) if orientation in (5, 6, 7, 8) else image
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)


def _full_of_integers(high: float) -> float:
    return next(2.0**bits - 1 for bits in _DEPTHS if high < 2**bits)


def _full_of_floats(image: NDArray[Any], low: float, high: float, name: str) -> float:
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError(f"{name}: holds values that are no numbers; give uint8, uint16 or float in [0, 1]")
    if high <= 1 + _OVERSHOOT and low >= -_OVERSHOOT:
        # a whole background a hair above 1 is white; a few pixels that ring above it are not
        return max(1.0, float(np.quantile(image, _WHITE))) if high > 1 else 1.0
    if low < 0 or not _LEAST_OF_8_BITS <= high <= 65535:
        raise ImageError(f"{name}: values from {low:g} to {high:g} are of no known range; scale it to 0 to 1")
    return _full_of_integers(np.floor(high))


def _without_alpha(colors: Rgb, alpha: NDArray[np.uint8], kind: Alpha) -> Rgb:
    clear = alpha[:, :, 0] == 0
    if not clear.all():  # a photograph that is transparent everywhere is a file with an idle channel
        if kind == "associated":
            # rounded once, so that opaque pixels keep their value
            return np.asarray(np.minimum(colors.astype(np.uint16) + (255 - alpha), 255), np.uint8)
        hidden = colors[clear]
        if len(hidden) and (hidden == hidden[0]).all():
            colors = colors.copy()
            colors[clear] = 255
    return colors
