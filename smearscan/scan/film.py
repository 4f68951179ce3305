"""A whole slide as fields: a grid over it, the parts that can be read, and each cell in one field alone.

The grid's squares part the slide: a cell belongs to the square that its middle lies in. A field is a square
with a seam around it, wide enough for the largest cell. What lies so near an edge that two fields may both
see its middle inside is claimed by both, and kept by the one that is read first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.errors import ImageError
from smearscan.io import REDUCTIONS, read_ahead
from smearscan.io.whole_slides import Region, WholeSlide, open_whole_slide, region_of
from smearscan.results import LAYER, Field, FieldFailure, FilmMap, Scale
from smearscan.rulers.monolayer import Coverage, light_of_glass, part_of, sharpness, without_blurred
from smearscan.runtime import usable_cores

Load = Callable[[Path], Field | FieldFailure]
Measure = Callable[[Sequence[Path]], Scale]
Cell = tuple[int, int]
"""Row and column of a square."""

CLAIM_UM = 1.5
"""How far beyond its square a field claims cells: more than two fields' boxes of one cell may differ."""

_SIDE_UM, _MOST_SIDE_PX = 370.0, 2048
_SEAM_UM = 18.0
"""Around a square: half the largest leukocyte and what is claimed beyond."""

_COARSE_UM, _LEAST_COARSE_PX = 2.0, 8
_PATCH_UM, _PATCH_UM_PER_PX = 70.0, 0.3
_SAMPLED = 64
_PROVISIONAL_UM = 0.25
_SAME_GRID = 1.1
"""A grid made for a size of pixel that turns out so many times larger or smaller is made again."""

_SNAP = max(REDUCTIONS)
"""Regions begin at multiples of it, so that they begin on a pixel of every level that is read."""


@dataclass(frozen=True, slots=True)
class FilmGrid:
    """Squares over a slide of `shape`, (H, W) px, `side` px wide, seen with `seam` px around them."""

    shape: tuple[int, int]
    side: int
    seam: int

    @classmethod
    def over(cls, shape: tuple[int, int], um_per_px: float) -> "FilmGrid":
        """Grid of a slide of this scale."""
        side = min(_SIDE_UM / um_per_px, _MOST_SIDE_PX)
        return cls(shape, _snapped(side), _snapped(_SEAM_UM / um_per_px))

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return -(-self.shape[0] // self.side), -(-self.shape[1] // self.side)

    def square(self, at: Cell) -> Region:
        """Return a square, cut to the slide."""
        return self._cut(at, 0)

    def window(self, at: Cell) -> Region:
        """Return a square with its seam, cut to the slide: what its field shows."""
        return self._cut(at, self.seam)

    def _cut(self, at: Cell, beyond: int) -> Region:
        (y, x), (height, width) = (i * self.side for i in at), self.shape
        x0, y0 = max(x - beyond, 0), max(y - beyond, 0)
        x1, y1 = min(x + self.side + beyond, width), min(y + self.side + beyond, height)
        return Region(x0, y0, x1 - x0, y1 - y0)


@dataclass(frozen=True, slots=True)
class Film:
    """A whole slide ready to be read.

    Attributes
    ----------
    path : Path
    grid : FilmGrid
    parts : ndarray, (R, C) uint8
        What each square is, an index into ``FILM_PARTS``.
    scale : Scale
        Of level 0.
    measured_um_per_px : float
        By red cells; NaN where these could not be measured.
    """

    path: Path
    grid: FilmGrid
    parts: NDArray[np.uint8]
    scale: Scale
    measured_um_per_px: float

    @property
    def cells(self) -> list[Cell]:
        """Squares that can be read, row by row."""
        return [(int(r), int(c)) for r, c in np.argwhere(self.parts == LAYER)]

    @property
    def fields(self) -> tuple[Path, ...]:
        """Their fields, named as :class:`smearscan.io.whole_slides.Region` does."""
        return tuple(self.grid.window(at).of(self.path) for at in self.cells)

    def loader(self, load: Load) -> Load:
        """Let a loader of pictures tell where in the slide a field lies, and what of it is its own."""
        own = dict(zip(self.fields, self.cells, strict=True))

        def placed(path: Path) -> Field | FieldFailure:
            found = load(path)
            if isinstance(found, FieldFailure):
                return found
            window, square = self.grid.window(own[path]), self.grid.square(own[path])
            x, y = square.x - window.x, square.y - window.y
            core = (float(x), float(y), float(x + square.width), float(y + square.height))
            return replace(found, origin=(window.x, window.y), core=core)

        return placed

    def map_of(self, read: Sequence[Path]) -> FilmMap:
        """Account of the slide, given the fields that were read."""
        done = np.zeros(self.parts.shape, bool)
        own = dict(zip(self.fields, self.cells, strict=True))
        for path in read:
            done[own[path]] = True
        return FilmMap(self.grid.shape, self.grid.side, self.parts, done, self.measured_um_per_px)


def open_film(path: Path, given: Scale | None, measure: Measure) -> Film:
    """Open a whole slide, find what of it can be read, and its scale.

    Parameters
    ----------
    path : Path
    given : Scale or None
        As the user says; else the file's own; else measured.
    measure : callable
        Measures the red cells of fields.

    Raises
    ------
    ImageError
        If it cannot be opened, or none of it can be read.
    """
    slide = open_whole_slide(path)
    known = given or (Scale(slide.um_per_px, "file") if slide.um_per_px else None)
    um_per_px = known.um_per_px if known else _PROVISIONAL_UM
    film = _surveyed(slide, um_per_px, known)
    measured = measure(film.fields) if film.cells else Scale(um_per_px, "assumed")
    apart = max(measured.um_per_px / um_per_px, um_per_px / measured.um_per_px)
    if known is None and apart > _SAME_GRID:
        film = _surveyed(slide, measured.um_per_px, measured)
    by_red_cells = measured.um_per_px if measured.source == "red cells" else float("nan")
    return replace(film, scale=known or measured, measured_um_per_px=by_red_cells)


def _surveyed(slide: WholeSlide, um_per_px: float, scale: Scale | None) -> Film:
    grid = FilmGrid.over(slide.shape, um_per_px)
    parts = survey(slide, grid, um_per_px)
    return Film(slide.path, grid, parts, scale or Scale(um_per_px, "assumed"), float("nan"))


def survey(slide: WholeSlide, grid: FilmGrid, um_per_px: float) -> NDArray[np.uint8]:
    """Tell what each square of a slide is, (R, C) uint8; a square that cannot be read stays in, to be told.

    Each is looked at in the coarsest level that still shows red cells, and those of one layer by a patch of
    their middle: no level is read whole.
    """
    every = [(r, c) for r in range(grid.size[0]) for c in range(grid.size[1])]
    coarsest = max(r for r in slide.reductions() if r * um_per_px <= _COARSE_UM or r == 1)
    coarse = partial(_coarse, slide, grid, coarsest)
    threads = usable_cores()
    spread = np.unique(np.linspace(0, len(every) - 1, min(len(every), _SAMPLED)).round().astype(int))
    samples = read_ahead([every[i] for i in spread], coarse, threads, threads)
    glass = light_of_glass([image for image in samples if image is not None] or [_BLANK])

    def look(at: Cell) -> tuple[int, float]:
        picture = coarse(at)
        part = LAYER
        if picture is not None:
            part = part_of(Coverage.of(picture, glass, coarsest * um_per_px))
        return part, _sharpness(slide, grid.square(at), um_per_px) if part == LAYER else 0.0

    seen = list(read_ahead(every, look, threads, 2 * threads))
    parts = np.array([part for part, _ in seen], np.uint8).reshape(grid.size)
    return without_blurred(parts, np.array([sharp for _, sharp in seen]).reshape(grid.size))


_BLANK = np.full((1, 1, 3), 255, np.uint8)


def _coarse(slide: WholeSlide, grid: FilmGrid, reduction: int, at: Cell) -> NDArray[np.uint8] | None:
    """Picture of a square in a coarse level; None where it cannot be read, which its field will tell."""
    square = grid.square(at)
    if min(square.width, square.height) < _LEAST_COARSE_PX * reduction:
        return _BLANK  # a sliver at the slide's edge
    try:
        return slide.read(square, reduction)
    except ImageError:
        return None


def _sharpness(slide: WholeSlide, square: Region, um_per_px: float) -> float:
    """Sharpness of a square's middle; endless where it cannot be read, so that its field tells why."""
    side = min(round(_PATCH_UM / um_per_px), square.width, square.height)
    x, y = square.x + (square.width - side) // 2, square.y + (square.height - side) // 2
    try:
        patch = slide.read(Region(x, y, side, side))
    except ImageError:
        return float("inf")
    factor = um_per_px / _PATCH_UM_PER_PX
    if factor < 1:
        size = (max(1, round(side * factor)),) * 2
        patch = np.asarray(cv2.resize(patch, size, interpolation=cv2.INTER_AREA), np.uint8)
    return sharpness(patch)


def within_core(field: Field, xyxy: NDArray[np.float32], beyond_px: float = 0.0) -> NDArray[np.bool_]:
    """Tell which boxes, (N, 4) in pixels of the region, have their middle in the field's own part; (N,).

    Half-open, so that a middle on the line between two squares is in one of them; with `beyond_px` the part
    is so much wider on each side.
    """
    if field.core is None:
        return np.ones(len(xyxy), bool)
    middle = boxes.centers(xyxy)
    low = np.array(field.core[:2]) - beyond_px
    high = np.array(field.core[2:]) + beyond_px
    return np.asarray(((middle >= low) & (middle < high)).all(axis=1))


@dataclass(slots=True)
class Seams:
    """Keeps each cell once across the fields of a film: what two of them claim, the first one has.

    Attributes
    ----------
    grid : FilmGrid
    nms_iou : float
        From this overlap on two boxes are one cell, as within a field.
    """

    grid: FilmGrid
    nms_iou: float
    _kept: dict[Cell, NDArray[np.float32]] = field(default_factory=dict)

    def __call__(self, path: Path | None, xyxy: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which boxes, (N, 4) px of the field at `path`, no field before had; (N,). Call in order."""
        found = region_of(path) if path is not None else None
        if found is None:
            return np.ones(len(xyxy), bool)
        window = found[1]
        row, column = ((v + self.grid.seam) // self.grid.side for v in (window.y, window.x))
        own = xyxy + np.array([window.x, window.y] * 2, np.float32)
        around = [(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)]
        near = [self._kept[at] for at in around if at in self._kept]
        keep = np.ones(len(own), bool)
        if near and len(own):
            before = np.concatenate(near)
            keep &= ~(boxes.iou(own, before) > self.nms_iou).any(axis=1)
        self._kept[(row, column)] = own[keep]
        return keep


def _snapped(px: float) -> int:
    return max(_SNAP, round(px / _SNAP) * _SNAP)
