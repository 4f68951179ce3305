"""Pictures in, RGB out. Which kind a file is, its content says; what is not known is refused by name."""

import os
import struct
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from smearscan.errors import ImageError
from smearscan.io.icc import to_srgb
from smearscan.io.jpeg import decode_jpeg, reason_of
from smearscan.io.kinds import SUFFIXES, told_kind
from smearscan.io.limits import MAX_PIXELS, MIN_SIDE_PX, check_bytes, check_size
from smearscan.io.samples import to_rgb8, turned_upright
from smearscan.io.streams import read_ahead
from smearscan.io.whole_slides import read_region, region_of

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE_PX",
    "REDUCTIONS",
    "Rgb",
    "as_rgb",
    "checked",
    "longest_side",
    "read_image",
    "read_reduced",
    "some_images",
    "write_image",
]

Rgb = NDArray[np.uint8]
S = TypeVar("S")

REDUCTIONS = (1, 2, 4, 8)
"""By how much a JPEG's sides can be reduced while it is decoded."""

_FORMATS = tuple(
    reader.format
    for reader in (
        BmpImagePlugin.BmpImageFile, JpegImagePlugin.JpegImageFile, PngImagePlugin.PngImageFile,
        TiffImagePlugin.TiffImageFile,
    )
)  # fmt: skip
"""All that Pillow is let look at: some of its other readers start programs.

They are imported above: asked for one that is not, Pillow imports all it has, some sixty.
"""

_ORIENTATION = 0x0112  # EXIF tag


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Read a picture as RGB, turned upright by its EXIF tag.

    Parameters
    ----------
    path : str or Path
        JPEG, PNG, TIFF (see :func:`smearscan.io.tiff.decode_tiff`) or BMP; gray, RGB, with or without alpha,
        up to 16 bits a channel or floats (see :func:`smearscan.io.samples.to_rgb8`). Or a region of a whole
        slide, see :mod:`smearscan.io.whole_slides`.
    max_pixels : int
        Limit of height times width, checked before anything is decoded; a file that holds many times more
        bytes is not even read.

    Returns
    -------
    ndarray, (H, W, 3) uint8
        RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty, damaged or cut short, of a kind that is not read, or its size is
        outside the limits.
    """
    return read_reduced(path, 1, max_pixels)[0]


def read_reduced(
    path: str | Path, reduction: int, max_pixels: int = MAX_PIXELS
) -> tuple[Rgb, tuple[int, int], int]:
    """Read a picture, a JPEG with fewer pixels: they are never computed, which is much quicker.

    Parameters
    ----------
    path : str or Path
        As :func:`read_image`.
    reduction : int
        1, 2, 4 or 8: each way one pixel stands for so many (libjpeg's scaled inverse transform, a mean of
        blocks; of a whole slide a level, where there is one). Other kinds of files are read whole.
    max_pixels : int
        As :func:`read_image`.

    Returns
    -------
    image : ndarray, (ceil(H / r), ceil(W / r), 3) uint8
        RGB.
    shape : tuple of int
        ``(H, W)`` of the picture itself, pixels.
    reduction : int
        The reduction r that was made.

    Raises
    ------
    ImageError
        As :func:`read_image`.
    """
    path = Path(path)
    if region := region_of(path):
        check_size(region[1].height, region[1].width, str(path), max_pixels)
        image, reduction = read_region(*region, reduction)
        return image, (region[1].height, region[1].width), reduction
    try:
        with path.open("rb", buffering=0) as file:
            check_bytes(os.fstat(file.fileno()).st_size, str(path), max_pixels)
            data = file.readall()
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{path}: cannot be read ({reason})") from error
    if not data:
        raise ImageError(f"{path}: the file is empty")
    name = str(path)
    if data[:2] == b"\xff\xd8":  # by content: a PNG named .jpg is common
        image, shape = decode_jpeg(data, name, reduction, max_pixels)
        return image, shape, reduction
    image = _decode_whole(data, name, max_pixels)
    return image, (image.shape[0], image.shape[1]), 1


def as_rgb(image: object, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Bring what a caller holds to an RGB field.

    Parameters
    ----------
    image : ndarray, PIL.Image.Image, str or Path
        An array is (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) gray, uint8, uint16 or float in [0, 1].
    max_pixels : int
        As :func:`read_image`.

    Returns
    -------
    ndarray, (H, W, 3) uint8

    Raises
    ------
    ImageError
        If it is none of these.
    """
    if isinstance(image, (str, Path)):
        return read_image(image, max_pixels)
    if isinstance(image, Image.Image):
        name = str(getattr(image, "filename", "") or "picture")
        check_size(image.height, image.width, name, max_pixels)
        return _from_pillow(image, name)
    if isinstance(image, np.ndarray):
        if image.ndim == 3 and image.shape[2] == 2:
            raise ImageError(f"array: shape {image.shape} is no picture; give (H, W, 3), (H, W, 4) or (H, W)")
        return checked(to_rgb8(image, "array"), "array", max_pixels)
    raise ImageError(f"a field must be an RGB array, a PIL image or a path, not {type(image).__name__}")


def longest_side(image: object) -> int:
    """Longest side in px of what :func:`as_rgb` takes, of a file by its header; 0 where it cannot be told."""
    if isinstance(image, np.ndarray):
        return max(image.shape[:2], default=0)
    try:
        if isinstance(image, Image.Image):
            return max(image.size)
        with Image.open(image, formats=_FORMATS) as picture:  # type: ignore[arg-type]
            return max(picture.size)
    except (OSError, ValueError, SyntaxError, AttributeError, Image.DecompressionBombError):
        return 0  # reading it will tell why


def some_images(
    pictures: Sequence[S], most: int, read: Callable[[S], Rgb] = as_rgb, threads: int = 1
) -> list[Rgb]:
    """Read up to `most` pictures, evenly spread; one that cannot be read is passed over for another."""
    n = len(pictures)
    spread = np.linspace(0, n - 1, min(n, most)).round().astype(int).tolist()

    def tried(i: int) -> Rgb | None:
        try:
            return read(pictures[i])
        except ImageError:
            return None

    found = [image for image in read_ahead(spread, tried, threads, threads) if image is not None]
    for i in sorted({*range(n)}.difference(spread)):
        if len(found) == len(spread):
            break
        image = tried(i)
        if image is not None:
            found.append(image)
    return found


def write_image(path: str | Path, image: Rgb, quality: int = 92) -> None:
    """Write an RGB picture; the suffix chooses the format.

    Raises
    ------
    ImageError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
        options = [cv2.IMWRITE_JPEG_QUALITY, quality] if is_jpeg else []
        done, data = cv2.imencode(path.suffix, image[:, :, ::-1], options)  # OpenCV's order is BGR
    except cv2.error:  # no such format
        done = False
    if not done:
        raise ImageError(f"{path}: cannot be encoded as {path.suffix or 'a file without a suffix'}")
    try:
        data.tofile(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written ({error.strerror or error})") from error


def checked(image: Rgb, name: str, max_pixels: int = MAX_PIXELS) -> Rgb:
    """Return the picture if its size is within the limits.

    Raises
    ------
    ImageError
        Naming the picture, its size and the limit.
    """
    check_size(image.shape[0], image.shape[1], name, max_pixels)
    return image


def _decode_whole(data: bytes, name: str, max_pixels: int) -> Rgb:
    """Decode what is no JPEG file, by the kind that its first bytes tell."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _decode_png(data, name, max_pixels)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        from smearscan.io.tiff import decode_tiff  # its parser is loaded where a TIFF file is met

        return decode_tiff(data, name, max_pixels)
    if data[:2] == b"BM":
        return _decode_bmp(data, name, max_pixels)
    kind = told_kind(data)
    told = f"a {kind} file is not read" if kind else "neither JPEG, PNG, TIFF nor BMP"
    raise ImageError(f"{name}: is no readable picture ({told}); save it as one of {', '.join(SUFFIXES)}")


def _decode_png(data: bytes, name: str, max_pixels: int) -> Rgb:
    """Decode PNG in all its depths: libpng checks every part's sum, and keeps all 16 bits."""
    if len(data) < 24 or data[12:16] != b"IHDR":
        raise ImageError(f"{name}: is no readable picture (a PNG file without a header)")
    width, height = struct.unpack(">II", data[16:24])
    check_size(height, width, name, max_pixels)
    try:
        samples = np.asarray(imagecodecs.png_decode(data))
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ImageError(f"{name}: is no readable picture ({error}); copy it again") from error
    image = to_rgb8(samples, name)
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as header:
            orientation, profile = header.getexif().get(_ORIENTATION, 1), header.info.get("icc_profile")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: is no readable picture ({reason_of(error)})") from error
    return turned_upright(to_srgb(image, profile), orientation)


def _decode_bmp(data: bytes, name: str, max_pixels: int) -> Rgb:
    try:
        with Image.open(BytesIO(data), formats=("BMP",)) as picture:
            check_size(picture.height, picture.width, name, max_pixels)
            return _from_pillow(picture, name)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: is no readable picture ({reason_of(error)})") from error


def _from_pillow(picture: Image.Image, name: str) -> Rgb:
    """Take over a picture of Pillow's, which may still lie in a file that is cut short."""
    try:
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in ("CMYK", "LAB", "HSV", "YCbCr", "P", "PA", "1", "RGBX", "La", "RGBa"):
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        samples = np.asarray(upright)
    except (OSError, ValueError, SyntaxError, KeyError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: is no readable picture ({reason_of(error)})") from error
    return to_srgb(to_rgb8(samples, name), picture.info.get("icc_profile"))
