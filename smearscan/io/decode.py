"""Pictures in, RGB out. BGR exists in this file only."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from smearscan.errors import ImageError

Rgb = NDArray[np.uint8]
S = TypeVar("S")

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
MIN_SIDE_PX = 32
"""A picture with a shorter side holds no whole cell at any usual magnification."""

MAX_PIXELS = 500_000_000
"""Larger single pictures (about 22,000 x 22,000) are refused: export them as fields."""

REDUCTIONS = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4,
              8: cv2.IMREAD_REDUCED_COLOR_8}  # fmt: skip
"""By how much a JPEG's sides can be reduced while it is decoded, and OpenCV's word for it."""

_HEADER = 1 << 20  # bytes of a file within which its size is looked for
_ORIENTATION = 0x0112  # EXIF tag


def read_image(path: str | Path) -> Rgb:
    """Read a picture as RGB, turned upright by its EXIF tag.

    Parameters
    ----------
    path : str or Path
        JPEG, PNG, TIFF (first page) or BMP; gray, RGB, RGBA (laid on white) or 16 bits a channel (scaled to
        the smallest of 8, 10, 12, 14 or 16 bits that holds its largest value).

    Returns
    -------
    ndarray, (H, W, 3) uint8
        RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty, broken or cut short, or its size is outside the limits.
    """
    return read_reduced(path, 1)[0]


def read_reduced(path: str | Path, reduction: int) -> tuple[Rgb, tuple[int, int], int]:
    """Read a picture, a JPEG with fewer pixels: they are never computed, which is much quicker.

    Parameters
    ----------
    path : str or Path
        As :func:`read_image`.
    reduction : int
        1, 2, 4 or 8: each way one pixel stands for so many (libjpeg's scaled inverse transform, a mean of
        blocks). Other kinds of files are read whole.

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
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not len(data):
        raise ImageError(f"{path}: the file is empty")
    is_jpeg = data[:2].tobytes() == b"\xff\xd8"  # by content: a PNG named .jpg is common
    shape = _shape_of(data) if is_jpeg and reduction > 1 else None
    if shape is None:
        reduction = 1
    image = _decode_jpeg(data, path, reduction) if is_jpeg else _decode_with_pillow(path)
    height, width = shape or image.shape[:2]
    if (-(-height // reduction), -(-width // reduction)) != image.shape[:2]:
        height, width = width, height  # the EXIF tag turns it by a quarter
    check_size(height, width, str(path))
    return image, (height, width), reduction


def as_rgb(image: object) -> Rgb:
    """Bring what a caller holds to an RGB field.

    Parameters
    ----------
    image : ndarray, PIL.Image.Image, str or Path
        An array is (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) gray, uint8, uint16 or float in [0, 1].

    Returns
    -------
    ndarray, (H, W, 3) uint8

    Raises
    ------
    ImageError
        If it is none of these.
    """
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, Image.Image):
        return checked(_from_pillow(image), "picture")
    if isinstance(image, np.ndarray):
        return checked(_to_rgb8(image, "array"), "array")
    raise ImageError(f"a field must be an RGB array, a PIL image or a path, not {type(image).__name__}")


def longest_side(image: object) -> int:
    """Longest side in px of what :func:`as_rgb` takes, of a file by its header; 0 where it cannot be told."""
    if isinstance(image, np.ndarray):
        return max(image.shape[:2], default=0)
    try:
        if isinstance(image, Image.Image):
            return max(image.size)
        with Image.open(image) as picture:  # type: ignore[arg-type]
            return max(picture.size)
    except (OSError, ValueError, SyntaxError, AttributeError, Image.DecompressionBombError):
        return 0  # reading it will tell why


def some_images(pictures: Sequence[S], most: int, read: Callable[[S], Rgb] = as_rgb) -> list[Rgb]:
    """Read up to `most` pictures, evenly spread; one that cannot be read is passed over for another."""
    n = len(pictures)
    spread = np.linspace(0, n - 1, min(n, most)).round().astype(int).tolist()
    images: list[Rgb] = []
    for i in dict.fromkeys([*spread, *range(n)]):
        if len(images) == len(spread):
            break
        try:
            images.append(read(pictures[i]))
        except ImageError:
            continue
    return images


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
        done, data = cv2.imencode(path.suffix, image[:, :, ::-1], options)
    except cv2.error:  # no such format
        done = False
    if not done:
        raise ImageError(f"{path}: cannot be encoded as {path.suffix or 'a file without a suffix'}")
    try:
        data.tofile(path)
    except OSError as error:
        raise ImageError(f"{path}: cannot be written ({error.strerror or error})") from error


def checked(image: Rgb, name: str) -> Rgb:
    """Return the picture if its size is within the limits.

    Raises
    ------
    ImageError
        Naming the picture, its size and the limit.
    """
    check_size(image.shape[0], image.shape[1], name)
    return image


def check_size(height: int, width: int, name: str) -> None:
    """Check a picture's size, pixels.

    Raises
    ------
    ImageError
        As :func:`checked`.
    """
    if min(height, width) < MIN_SIDE_PX:
        raise ImageError(
            f"{name}: {width}x{height} px is too small; a field has at least {MIN_SIDE_PX} px a side"
        )
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{name}: {width}x{height} px is too large; cut it into fields of up to {MAX_PIXELS} px"
        )


def _shape_of(data: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Height and width by a file's header, before it is turned upright; None where they cannot be told."""
    try:
        with Image.open(BytesIO(data[:_HEADER].tobytes())) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _decode_jpeg(data: NDArray[np.uint8], path: Path, reduction: int) -> Rgb:
    # OpenCV fills what a cut-short JPEG lacks with gray and says nothing: cells would be lost silently
    if (
        not data[-64:].tobytes().rstrip(b"\x00\r\n").endswith(b"\xff\xd9")
        and b"\xff\xd9" not in data[-4096:].tobytes()
    ):
        raise ImageError(f"{path}: the JPEG file is cut short; copy it again")
    try:
        image = cv2.imdecode(data, REDUCTIONS[reduction])
    except cv2.error as error:
        raise ImageError(f"{path}: cannot be decoded ({error.err})") from error
    if image is None:
        raise ImageError(f"{path}: is no readable JPEG picture")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _decode_with_pillow(path: Path) -> Rgb:
    try:
        with Image.open(path) as picture:
            if picture.mode in ("RGB", "RGBA") and ";16" in str(picture.tile):
                return _decode_sixteen_bits(path, picture.getexif().get(_ORIENTATION, 1))
            picture.load()
            return _from_pillow(picture)
    except ImageError:
        raise
    except (OSError, ValueError, SyntaxError, ImportError, Image.DecompressionBombError) as error:
        return _decode_with_opencv(path, error)


def _decode_sixteen_bits(path: Path, orientation: int) -> Rgb:
    """16-bit color, of which Pillow would keep the high byte alone: next to nothing of a 12-bit camera."""
    upright = Image.fromarray(_decode_with_opencv(path, ValueError("16-bit color")))
    upright.getexif()[_ORIENTATION] = orientation
    return np.ascontiguousarray(ImageOps.exif_transpose(upright))


def _decode_with_opencv(path: Path, reason: Exception) -> Rgb:
    """Second try for the TIFF kinds Pillow does not know (16-bit RGB, some compressions)."""
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ImageError(f"{path}: is no readable picture ({reason})") from reason
    if image.ndim == 3:
        order = [2, 1, 0, 3][: image.shape[2]]
        image = image[:, :, order]
    return _to_rgb8(image, str(path))


def _from_pillow(picture: Image.Image) -> Rgb:
    upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("P", "PA", "LA", "CMYK", "YCbCr", "LAB", "HSV", "1", "RGBX"):
        upright = upright.convert("RGBA" if "A" in upright.mode or "transparency" in upright.info else "RGB")
    return _to_rgb8(np.asarray(upright), str(getattr(picture, "filename", "") or "picture"))


def _to_rgb8(image: NDArray[np.generic], name: str) -> Rgb:
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3, 4) or not image.size:
        raise ImageError(f"{name}: shape {image.shape} is no picture; give (H, W, 3), (H, W, 4) or (H, W)")
    value = _to_8_bits(image, name)
    if value.shape[2] == 4:
        alpha = value[:, :, 3:].astype(np.float32) / 255
        value = np.round(value[:, :, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    if value.shape[2] == 1:
        value = np.repeat(value, 3, axis=2)
    return np.ascontiguousarray(value)


def _to_8_bits(image: NDArray[np.generic], name: str) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image.view(np.uint8)
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * 255
    value = image.astype(np.float64)
    if not np.isfinite(value).all() or value.min() < 0:
        raise ImageError(f"{name}: values below 0 or not finite; give uint8, uint16 or float in [0, 1]")
    if np.issubdtype(image.dtype, np.floating) and value.max() <= 1:
        full = 1.0
    else:
        full = next((2.0**bits - 1 for bits in (8, 10, 12, 14, 16) if value.max() < 2**bits), 0.0)
        if not full:
            raise ImageError(f"{name}: values up to {value.max():g} exceed 16 bits; scale the picture first")
    return np.asarray(np.round(value / full * 255), np.uint8)
