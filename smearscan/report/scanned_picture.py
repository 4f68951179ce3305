"""A field's picture, read again after the scan: the very one that was scanned, or a word why not."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ImageError
from smearscan.io.content import file_sha256, file_stamps
from smearscan.io.decode import read_image
from smearscan.io.whole_slides import region_of
from smearscan.report.run_facts import field_name, without_paths
from smearscan.results import FieldResult


def read_scanned(result: FieldResult, root: Path | None) -> NDArray[np.uint8]:
    """Read the picture of a field again.

    Parameters
    ----------
    result : FieldResult
        Its boxes belong to one picture alone; with a ``sha256`` the file's content must be that one.
    root : Path or None
        Folder that was scanned, by which the field is named in errors.

    Returns
    -------
    ndarray, (H, W, 3) uint8 RGB

    Raises
    ------
    ImageError
        If the file is gone, cannot be read, or is another one than was scanned.
    """
    if result.path is None:
        raise ImageError("a field was scanned from memory: it has no file to read again")
    name = field_name(result.path, root)
    try:
        if result.sha256 and _digest(result.path) != result.sha256:
            raise ImageError(f"{name}: its content is not the one that was scanned")
        image = read_image(result.path)
    except OSError as error:
        raise ImageError(f"{name}: is not there any more ({error.strerror})") from error
    except ImageError as error:
        raise ImageError(without_paths(str(error), result.path, root)) from error
    if image.shape[:2] != tuple(result.shape):
        size, scanned = (f"{w} x {h} px" for h, w in (image.shape[:2], result.shape))
        raise ImageError(f"{name}: has {size} now, {scanned} were scanned")
    return image


def _digest(path: Path) -> str:
    """SHA-256 of a field's file; that of a whole slide is computed once for all its fields."""
    region = region_of(path)
    return _digest_once(region[0], file_stamps([region[0]])[0]) if region else file_sha256(path)


@lru_cache(maxsize=4)
def _digest_once(path: Path, _: tuple[int, int]) -> str:
    return file_sha256(path)
