"""JPEG, strictly: what libjpeg would fill up and go on is an error here."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from smearscan.errors import ImageError
from smearscan.io.icc import to_srgb
from smearscan.io.limits import check_size
from smearscan.io.samples import turned_upright

Rgb = NDArray[np.uint8]

_ORIENTATION = 0x0112  # EXIF tag
_MOST_SCANS = 500
"""A progressive JPEG has about ten; each is a pass over the picture: a small file could cost hours."""

_HOLE = 256
"""Zeros within a progressive JPEG's scans that no photograph has: libjpeg takes them for refinements."""


_BASELINE_HOLE = 64
"""The same in a baseline JPEG whose code of zeros is no end of a block: some blocks of nothing but -1."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What a JPEG says of itself: ``(height, width)`` as stored, EXIF orientation, ICC profile."""

    shape: tuple[int, int]
    orientation: object
    profile: bytes | None


def decode_jpeg(data: bytes, name: str, reduction: int, max_pixels: int) -> tuple[Rgb, tuple[int, int]]:
    """Decode a JPEG file, with fewer pixels where asked for.

    Parameters
    ----------
    data : bytes
        The file. What follows the picture's end marker (a motion photo's film, a second picture) is left
        alone.
    name : str
        Of the file, for messages.
    reduction : int
        1, 2, 4 or 8: libjpeg's scaled inverse transform, a mean of blocks.
    max_pixels : int
        Limit of height times width.

    Returns
    -------
    image : ndarray, (ceil(H / reduction), ceil(W / reduction), 3) uint8
        RGB, upright.
    shape : tuple of int
        ``(H, W)`` of the upright picture, pixels.

    Raises
    ------
    ImageError
        If anything libjpeg-turbo warns of happened: a hole, a lost part, a cut, even with an end marker put
        after it; or the file has a hole of zeros (of 64; a progressive one of 256, shorter ones are sound).
    """
    header = _header(data, name)
    check_size(*header.shape, name, max_pixels)
    height, width = (-(-side // reduction) for side in header.shape)
    try:
        image = simplejpeg.decode_jpeg(data, "RGB", min_height=height, min_width=width)
    except ValueError as error:
        raise ImageError(
            f"{name}: is no readable JPEG picture: it is cut short or damaged ({error}); copy it again"
        ) from error
    if image.shape != (height, width, 3):
        raise ImageError(f"{name}: the JPEG file has another size than its header says; copy it again")
    upright = turned_upright(to_srgb(image, header.profile), header.orientation)
    turned = header.orientation in (5, 6, 7, 8)
    return upright, (header.shape[1], header.shape[0]) if turned else header.shape


def _check_scans(data: bytes, start: int, name: str) -> None:
    """Refuse a progressive JPEG, whose scans begin at `start`, that has too many or a hole of zeros."""
    end = data.find(b"\xff\xd9", start)
    scans = data[start : end if end >= 0 else len(data)]
    if scans.count(b"\xff\xda") >= _MOST_SCANS:
        raise ImageError(f"{name}: a JPEG of more than {_MOST_SCANS} scans is not read; save it again")
    if bytes(_HOLE) in scans:
        raise ImageError(
            f"{name}: is no readable JPEG picture: it is cut short or damaged (a hole of {_HOLE} zeros); "
            "copy it again, and save a blank one as PNG"
        )


def _check_hole(data: bytes, name: str) -> None:
    """Refuse a baseline JPEG with a hole of zeros: libjpeg takes them for coefficients, and may end in step.

    Where zeros are the code of "no more coefficients" (optimized tables), a large blank part has as many.
    """
    start, zeros_end_blocks = _first_scan(data)
    hole = -1 if zeros_end_blocks else data.find(bytes(_BASELINE_HOLE), start)
    if hole >= 0 and data.find(b"\xff\xd9", start, hole) < 0:  # what follows the picture is left alone
        raise ImageError(
            f"{name}: is no readable JPEG picture: it is cut short or damaged (a hole of {_BASELINE_HOLE} "
            "zeros); copy it again"
        )


def _first_scan(data: bytes) -> tuple[int, bool]:
    """Where a JPEG's first scan begins, and whether zeros end a block there.

    They do where the first, shortest code of the table for brightness (class 1, number 0) is for 0; the
    standard's table has 1 there.
    """
    at, zeros_end_blocks = 2, True
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] not in (b"\xda", b""):
        is_tables, table = data[at + 1] == 0xC4, at + 4
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        while is_tables and table + 17 < at <= len(data):
            if data[table] == 0x10:
                zeros_end_blocks = data[table + 17] == 0
            table += 17 + sum(data[table + 1 : table + 17])
    return at, zeros_end_blocks


def _header(data: bytes, name: str) -> _Header:
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as picture:
            if picture.mode not in ("RGB", "L"):
                raise ImageError(
                    f"{name}: a JPEG of print colors ({picture.mode}) is not read; save it as RGB"
                )
            if "progressive" in picture.info:
                _check_scans(data, picture.fp.tell() if picture.fp else 0, name)
            else:
                _check_hole(data, name)
            orientation = picture.getexif().get(_ORIENTATION, 1)
            return _Header((picture.height, picture.width), orientation, picture.info.get("icc_profile"))
    except ImageError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{name}: is no readable JPEG picture: it is cut short or damaged ({reason_of(error)}); copy it "
            "again"
        ) from error


def reason_of(error: Exception) -> str:
    """Tell Pillow's reason; of a file that it cannot identify it names a place in memory, new in each run."""
    return "its header is not understood" if isinstance(error, UnidentifiedImageError) else str(error)
