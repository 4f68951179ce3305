"""The pictures of a TIFF file, also of one whose pages go round in a circle."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tifffile


def series_of(file: "tifffile.TiffFile") -> list[Any]:
    """List the pictures (tifffile's series) of a file.

    The pages are counted first: tifffile follows them for ever where one leads back to an earlier one, but
    notices it while it counts.
    """
    len(file.pages)
    return list(file.series)
