"""What size a picture may have; its header is checked before a pixel is decoded."""

from smearscan.errors import ImageError

MIN_SIDE_PX = 32
"""A picture with a shorter side holds no whole cell at any usual magnification."""

MAX_PIXELS = 500_000_000
"""Larger single pictures (about 22,000 x 22,000) are refused: export them as fields."""


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
