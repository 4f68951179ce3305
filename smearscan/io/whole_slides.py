"""Whole slides: which files are some, and their regions as fields.

A region of a whole slide is named by a path below the slide's file, in pixels of level 0:
``film.svs/x8192_y4096_w1656_h1656``. Wherever a picture is read by its path, a region is, too.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ImageError
from smearscan.io.icc import to_srgb

Rgb = NDArray[np.uint8]

SCANNER_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".svslide", ".vms", ".vmu")
"""Names that scanners give; whether one can be read, opening it tells."""

_TIFF = (".tif", ".tiff", ".btf")
_DICOM = (".dcm", ".dicom")
_LEAST_SIDE_PX = 4096
"""A tiled TIFF file with reduced levels is a whole slide from this side on; a smaller one is a photograph."""

_NAME = re.compile(r"x(\d+)_y(\d+)_w(\d+)_h(\d+)")
_OPEN_SLIDES = 4


class Region(NamedTuple):
    """A rectangle of a whole slide, in pixels of level 0."""

    x: int
    y: int
    width: int
    height: int

    def of(self, file: Path) -> Path:
        """Name of this region of a whole slide, as a path below it."""
        return file / f"x{self.x}_y{self.y}_w{self.width}_h{self.height}"


def region_of(path: Path) -> tuple[Path, Region] | None:
    """Whole slide and region that a path names; None for the path of a picture."""
    found = _NAME.fullmatch(path.name)
    return (path.parent, Region(*map(int, found.groups()))) if found else None


def file_of(path: Path) -> Path:
    """File that a field is read from: of a region its whole slide."""
    found = region_of(path)
    return found[0] if found else path


def is_whole_slide(path: Path) -> bool:
    """Whether a file is a whole slide: by its name, a TIFF file by its levels. DICOM is no photograph."""
    suffix = path.suffix.lower()
    if suffix in (*SCANNER_SUFFIXES, *_DICOM):
        return True
    if suffix not in _TIFF:
        return False
    from smearscan.io.pyramids import is_tiled_pyramid  # its parser is loaded where a TIFF file is met

    return is_tiled_pyramid(path, _LEAST_SIDE_PX)


def first_of_each_series(paths: Sequence[Path]) -> list[Path]:
    """Leave of the files of each DICOM series the first; all else stays, in its order."""
    found: list[Path] = []
    seen: set[str] = set()
    for path in paths:
        # a series that cannot be told is a slide of its own, and reported as broken
        name = (_series_id(path) if path.suffix.lower() in _DICOM else None) or str(path)
        if name not in seen:
            found.append(path)
        seen.add(name)
    return found


def is_part_of_slide(folder: Path) -> bool:
    """Whether a folder holds the pixels of a whole slide beside it, as MIRAX has it."""
    return folder.with_name(f"{folder.name}.mrxs").is_file()


def files_of(path: Path) -> list[Path]:
    """Every file of a whole slide: MIRAX keeps its pixels in a folder, DICOM in several files beside it."""
    if path.suffix.lower() == ".mrxs":
        return [path, *sorted(path.with_suffix("").glob("*"))]
    if path.suffix.lower() in _DICOM:
        series = _series_id(path)
        beside = (p for p in sorted(path.parent.glob("*")) if p.suffix.lower() in _DICOM and p != path)
        return [path, *(p for p in beside if series and _series_id(p) == series)]
    return [path]


def _series_id(path: Path) -> str | None:
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    except ImportError:
        return None  # without the extra the file is reported as not read
    try:
        told = dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
        return str(told.SeriesInstanceUID)
    except (InvalidDicomError, AttributeError, OSError, ValueError):
        return None


class WholeSlide:
    """An open whole slide.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    shape : tuple of int
        ``(height, width)`` of level 0, pixels.
    um_per_px : float or None
        Micrometers a pixel of level 0, where the file says so.

    Raises
    ------
    ImageError
        If it cannot be opened: it is damaged, no whole slide, or needs ``smearscan[wsi]``.
    """

    def __init__(self, path: Path) -> None:
        from smearscan.io.pyramids import open_pyramid

        self.path = path
        self._pyramid = open_pyramid(path, is_tiff=path.suffix.lower() in _TIFF)
        self.shape = self._pyramid.levels[0]
        self.um_per_px = self._pyramid.um_per_px

    def __del__(self) -> None:
        if (pyramid := getattr(self, "_pyramid", None)) is not None:
            pyramid.close()

    def reductions(self) -> dict[int, int]:
        """Whole numbers by which levels reduce level 0, and which level does; 1 is always among them."""
        found: dict[int, int] = {}
        for level, shape in enumerate(self._pyramid.levels):
            factor = max(1, round(max(self.shape) / max(shape)))
            # a level may lack or have the last, partial row of pixels
            if all(abs(side - full / factor) <= 1 for side, full in zip(shape, self.shape, strict=True)):
                found.setdefault(factor, level)
        return found

    def read(self, region: Region, reduction: int = 1) -> Rgb:
        """Read a region with fewer pixels.

        Parameters
        ----------
        region : Region
            Within the slide.
        reduction : int
            One of :meth:`reductions`: each way one pixel stands for so many.

        Returns
        -------
        ndarray, (ceil(height / r), ceil(width / r), 3) uint8
            sRGB.

        Raises
        ------
        ImageError
            If it lies outside the slide, or a part of it is damaged.
        """
        height, width = self.shape
        if region.x + region.width > width or region.y + region.height > height or min(region[2:]) < 1:
            raise ImageError(
                f"{region.of(self.path)}: lies outside the slide of {width}x{height} px; "
                "the file is another one than it was"
            )
        level = self.reductions()[reduction]
        rows, columns = self._pyramid.levels[level]
        x, y = region.x // reduction, region.y // reduction
        w = min(-(-region.width // reduction), columns - x)
        h = min(-(-region.height // reduction), rows - y)
        return to_srgb(self._pyramid.read(level, x, y, w, h), self._pyramid.profile)


def open_whole_slide(path: Path) -> WholeSlide:
    """Open a whole slide; the last few stay open, one that changed on disk is opened anew.

    Raises
    ------
    ImageError
        As :class:`WholeSlide`.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror})") from error
    return _opened(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=_OPEN_SLIDES)
def _opened(path: Path, _size: int, _changed: int) -> WholeSlide:
    return WholeSlide(path)


def read_region(path: Path, region: Region, reduction: int = 1) -> tuple[Rgb, int]:
    """Read a region of a whole slide, and the reduction made: the largest level up to the one asked for.

    Raises
    ------
    ImageError
        As :class:`WholeSlide` and :meth:`WholeSlide.read`.
    """
    slide = open_whole_slide(path)
    made = max(r for r in slide.reductions() if r <= reduction and reduction % r == 0)
    return slide.read(region, made), made
