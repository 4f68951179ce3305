"""Pictures to fields: what cannot be read becomes a failure that travels in its place."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smearscan.errors import ImageError
from smearscan.io.colors import check_colors
from smearscan.io.decode import as_rgb, read_reduced
from smearscan.io.limits import MAX_PIXELS
from smearscan.results import Field, FieldFailure, Scale

Picture = NDArray[np.uint8] | Image.Image | str | Path


def load_field(
    picture: Picture,
    slide_id: str = "",
    scale: Scale | None = None,
    reduction: int = 1,
    max_pixels: int = MAX_PIXELS,
    any_colors: bool = True,
) -> Field | FieldFailure:
    """Read a picture as a field.

    Parameters
    ----------
    picture : ndarray (H, W, 3) uint8 RGB, PIL.Image.Image, str or Path
    slide_id : str
    scale : Scale, optional
        Of the photograph, where it is known.
    reduction : int
        How far a JPEG file is reduced while it is read, see :func:`smearscan.io.decode.read_reduced`.
    max_pixels : int
        Limit of height times width, checked before anything is decoded.
    any_colors : bool
        Whether gray photographs and negatives are fields, see :func:`smearscan.io.colors.check_colors`.

    Returns
    -------
    Field or FieldFailure
        The latter with the reason where the picture cannot be read.
    """
    path = Path(picture) if isinstance(picture, (str, Path)) else None
    try:
        if path is None:
            image, shape, reduction = as_rgb(picture, max_pixels), None, 1
        else:
            image, shape, reduction = read_reduced(path, reduction, max_pixels)
        if not any_colors:
            check_colors(image, str(path or "picture"))
        return Field(image, path, slide_id, scale, reduction, shape)
    except ImageError as error:
        return FieldFailure(slide_id, path, str(error))
