"""Pictures to fields: what cannot be read becomes a failure that travels in its place."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smearscan.errors import ImageError
from smearscan.io.decode import as_rgb, read_reduced
from smearscan.results import Field, FieldFailure, Scale

Picture = NDArray[np.uint8] | Image.Image | str | Path


def load_field(
    picture: Picture, slide_id: str = "", scale: Scale | None = None, reduction: int = 1
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

    Returns
    -------
    Field or FieldFailure
        The latter with the reason where the picture cannot be read.
    """
    path = Path(picture) if isinstance(picture, (str, Path)) else None
    try:
        if path is None:
            return Field(as_rgb(picture), None, slide_id, scale)
        image, shape, reduction = read_reduced(path, reduction)
        return Field(image, path, slide_id, scale, reduction, shape)
    except ImageError as error:
        return FieldFailure(slide_id, path, str(error))
