"""Files to fields: decodes pictures, finds the slides of a folder, reads ahead in bounded memory."""

from smearscan.io.decode import (
    REDUCTIONS,
    SUFFIXES,
    as_rgb,
    longest_side,
    read_image,
    read_reduced,
    write_image,
)
from smearscan.io.folders import Slide, find_slides
from smearscan.io.streams import read_ahead, windows

__all__ = [
    "REDUCTIONS",
    "SUFFIXES",
    "Slide",
    "as_rgb",
    "find_slides",
    "longest_side",
    "read_ahead",
    "read_image",
    "read_reduced",
    "windows",
    "write_image",
]
