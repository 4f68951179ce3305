"""Files to fields: decodes pictures, finds the slides of a folder, reads ahead in bounded memory."""

from smearscan.io.decode import (
    REDUCTIONS,
    as_rgb,
    longest_side,
    read_image,
    read_reduced,
    some_images,
    write_image,
)
from smearscan.io.fields import Picture, load_field
from smearscan.io.folders import Slide, find_slides
from smearscan.io.kinds import SUFFIXES
from smearscan.io.streams import read_ahead, windows

__all__ = [
    "REDUCTIONS",
    "SUFFIXES",
    "Picture",
    "Slide",
    "as_rgb",
    "find_slides",
    "load_field",
    "longest_side",
    "read_ahead",
    "read_image",
    "read_reduced",
    "some_images",
    "windows",
    "write_image",
]
