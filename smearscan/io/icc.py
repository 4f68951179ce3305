"""Color profiles: a camera's colors brought to sRGB, where the profile makes a difference that shows."""

from functools import lru_cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Rgb = NDArray[np.uint8]

_SAME = 8
"""Largest change of a level, of 255, at which a profile counts as sRGB: writers round its curves apart."""


def to_srgb(image: Rgb, profile: bytes | None) -> Rgb:
    """Bring RGB of a profile (Adobe RGB, Display P3, a swapped one) to sRGB.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
    profile : bytes or None
        ICC profile of the file. None, one that is sRGB but for rounding, one of other colors than RGB, or one
        that cannot be read change nothing.

    Returns
    -------
    ndarray, (H, W, 3) uint8 RGB
    """
    transform = _transform(profile) if profile else None
    if transform is None:
        return image
    return np.asarray(ImageCms.applyTransform(Image.fromarray(image), transform), np.uint8)


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> Any:
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        if own.profile.xcolor_space.strip() != "RGB":
            return None
        transform = ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    level = np.linspace(0, 255, 9).astype(np.uint8)
    colors = np.stack(np.meshgrid(level, level, level), axis=-1).reshape(9, 81, 3)
    changed = np.asarray(ImageCms.applyTransform(Image.fromarray(colors), transform))
    same = np.abs(changed.astype(int) - colors).max() <= _SAME
    return None if same else transform
