"""Names of the columns of ``cells.csv``, and how single values are written in tables."""

from pathlib import Path

CELL_COLUMNS = (
    "slide",
    "field",
    "x0",
    "y0",
    "x1",
    "y1",
    "score",
    "type",
    "type_probability",
    "blast_probability",
)
"""Columns of ``cells.csv`` that are always there; their names are stable, other programs read them."""

FINE_COLUMNS = ("fine_type", "fine_probability")
"""Columns after them in ``cells.csv``, where a net names fine types."""

STAIN_COLUMNS = ("stain_red", "stain_green", "stain_blue")
"""Columns at the end of ``cells.csv``: factors of the optical density, as of :class:`Stain`."""


def five_digits(value: float) -> float:
    """Five significant digits: small probabilities keep theirs, so that a table can be calibrated on."""
    return float(f"{value:.5g}")


def relative_path(path: Path | None, root: Path | None) -> str:
    """Tell a picture's path relative to the folder, or the file, that was scanned, where it lies below."""
    if path is None:
        return ""
    base = root.parent if root is not None and root.is_file() else root
    return path.relative_to(base).as_posix() if base is not None and path.is_relative_to(base) else str(path)
