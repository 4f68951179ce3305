"""What size a picture may have: its file before it is read, its header before a pixel is decoded."""

from smearscan.errors import ImageError

MIN_SIDE_PX = 32
"""A picture with a shorter side holds no whole cell at any usual magnification."""

MAX_PIXELS = 500_000_000
"""Larger single pictures (about 22,000 x 22,000) are refused: export them as fields."""

_BYTES_A_PIXEL, _BYTES_BESIDE = 8, 64 * 2**20
"""So much may a file hold: four samples of 16 bits a pixel, and what it holds beside the picture (thumbnails,
a film). A larger one is no field, or of a kind that takes too much memory."""


def most_bytes(max_pixels: int = MAX_PIXELS) -> int:
    """Bytes that the file of a picture of so many pixels holds at most; one with more is not read."""
    return _BYTES_A_PIXEL * max_pixels + _BYTES_BESIDE


def check_bytes(n_bytes: int, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Check the size of a picture's file, which is read at once.

    Raises
    ------
    ImageError
        Naming the picture, its size and the limit.
    """
    limit = most_bytes(max_pixels)
    if n_bytes > limit:
        raise ImageError(
            f"{name}: the file holds {n_bytes} bytes, more than a picture of {max_pixels} px takes "
            f"({limit}); if it is one, cut it into fields, or raise 'max_field_pixels' in the settings"
        )


def check_size(height: int, width: int, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Check a picture's size, pixels.

    Raises
    ------
    ImageError
        Naming the picture, its size and the limit.
    """
    if min(height, width) < MIN_SIDE_PX:
        raise ImageError(
            f"{name}: {width}x{height} px is too small; a field has at least {MIN_SIDE_PX} px a side"
        )
    if height * width > max_pixels:
        raise ImageError(
            f"{name}: {width}x{height} px is too large; cut it into fields of up to {max_pixels} px, "
            "or raise 'max_field_pixels' in the settings"
        )
