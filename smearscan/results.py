"""The types that travel through smearscan; frozen, pixel-free once a field is read, empty is normal."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smearscan.plots import plot_cells
from smearscan.taxonomy import BLAST, DETECTOR_CLASSES, LEUKOCYTE, RED_CELL_UM, UNCLASSIFIED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Scale:
    """Physical scale of a field or slide.

    Attributes
    ----------
    um_per_px : float
        Micrometers a field pixel.
    source : str
        How it is known: ``given``, ``file`` (as a whole slide's file says), ``red cells``, ``leukocytes``
        (too few red cells) or ``assumed``.
    n_cells : int
        Cells measured.
    """

    um_per_px: float
    source: str
    n_cells: int = 0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.um_per_px) and self.um_per_px > 0):
            raise ValueError(f"um_per_px must be a positive number, not {self.um_per_px}")

    @property
    def red_cell_px(self) -> float:
        """Diameter of a red cell in field pixels."""
        return RED_CELL_UM / self.um_per_px

    def downsampled(self, reduction: float) -> "Scale":
        """Scale of the same field where one pixel stands for `reduction` each way."""
        return replace(self, um_per_px=self.um_per_px * reduction)


@dataclass(frozen=True, slots=True)
class Field:
    """One photograph, or one region of a whole slide.

    Attributes
    ----------
    image : ndarray, (H, W, 3) uint8, RGB
    path : Path or None
        Where it was read from.
    slide_id : str
        The slide it belongs to.
    scale : Scale or None
        Known beforehand (given, or measured on the whole slide); None lets the field be measured alone.
    reduction : int
        Each way one pixel of `image` stands for so many of the photograph.
    original_shape : tuple of int or None
        ``(height, width)`` of the photograph in pixels, where that is not the image's.
    origin : tuple of int or None
        ``(x, y)`` of a region's corner in its whole slide, pixels; None for a photograph.
    core : tuple of float or None
        ``(x0, y0, x1, y1)`` in pixels of the region: the part that is this region's; a cell whose middle lies
        outside belongs to a neighbor. None for a photograph, of which all is its own.
    """

    image: NDArray[np.uint8]
    path: Path | None = None
    slide_id: str = ""
    scale: Scale | None = None
    reduction: int = 1
    original_shape: tuple[int, int] | None = None
    origin: tuple[int, int] | None = None
    core: tuple[float, float, float, float] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of the photograph in pixels."""
        return self.original_shape or (self.image.shape[0], self.image.shape[1])


@dataclass(frozen=True, slots=True)
class Detections:
    """What the detector found in one field.

    Attributes
    ----------
    xyxy : ndarray, (N, 4) float32
        Field pixels, half-open, sorted by score.
    scores : ndarray, (N,) float32
    labels : ndarray, (N,) int64
        Index into :data:`smearscan.taxonomy.DETECTOR_CLASSES`.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or self.scores.shape != (n,) or self.labels.shape != (n,):
            raise ValueError(
                f"{n} boxes need {n} scores and labels, got {self.scores.shape}, {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    def where(self, keep: NDArray[np.bool_]) -> "Detections":
        """Return the detections for which `keep`, (N,) bool, is True."""
        return Detections(self.xyxy[keep], self.scores[keep], self.labels[keep])

    def rescaled_to(self, factor: int, shape: tuple[int, int]) -> "Detections":
        """Return them in pixels that are `factor` times smaller, cut to a field of `shape`, (H, W)."""
        limit = np.array([shape[1], shape[0]] * 2, np.float32)
        xyxy = np.minimum(self.xyxy * np.float32(factor), limit)
        return Detections(np.asarray(xyxy, np.float32), self.scores, self.labels)

    @property
    def leukocytes(self) -> "Detections":
        """The leukocytes alone."""
        return self.where(self.labels == LEUKOCYTE)

    def count(self, name: str) -> int:
        """How many of one class, ``leukocyte``, ``red_cell`` or ``platelet``."""
        return int((self.labels == DETECTOR_CLASSES.index(name)).sum())


@dataclass(frozen=True, slots=True)
class Cell:
    """One leukocyte; a research suggestion, not a diagnosis.

    Attributes
    ----------
    xyxy : tuple of float
        Field pixels.
    score : float
        The detector's.
    type : str
        ``blast``, a class of the differential, or ``unclassified``.
    type_probability : float
        Calibrated probability of that type; NaN where no classifier ran.
    blast_probability : float
        NaN where the blast net did not run.
    probabilities : dict
        Probability of each class of the differential; empty where it did not run.
    """

    xyxy: tuple[float, float, float, float]
    score: float
    type: str
    type_probability: float
    blast_probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class FieldResult:
    """One scanned field; holds no pixels. Iterating gives its leukocytes as :class:`Cell`.

    Attributes
    ----------
    slide_id, path
        As of the :class:`Field`.
    shape : tuple of int
        ``(height, width)`` in pixels.
    detections : Detections
        Leukocytes only; N of them.
    probs : ndarray, (N, K) float32
        Calibrated probabilities of the differential's `classes`; K is 0 where it did not run.
    classes : tuple of str, (K,)
    blast_probs : ndarray, (N,) float32
        Calibrated probability of blast; NaN where the blast net did not run.
    types : tuple of str, (N,)
        What each cell is called.
    scale : Scale
        Scale used and the ruler it comes from.
    n_red_cells, n_platelets : int
        Other cells found, as an account of the field's quality.
    n_possible_blasts : int
        Cells whose blast probability reaches the blast net's own, sensitive threshold, whatever they are
        called.
    sha256 : str
        Of the file that was read, in hexadecimal; empty where it is not known.
    red_cell_xyxy : ndarray, (M, 4) float32
        Boxes of the red cells, field pixels; empty where they are not kept.
    origin : tuple of int or None
        As of the :class:`Field`; boxes are in pixels of the region, see :attr:`slide_xyxy`.
    """

    slide_id: str
    path: Path | None
    shape: tuple[int, int]
    detections: Detections
    probs: NDArray[np.float32]
    classes: tuple[str, ...]
    blast_probs: NDArray[np.float32]
    types: tuple[str, ...]
    scale: Scale
    n_red_cells: int = 0
    n_platelets: int = 0
    n_possible_blasts: int = 0
    sha256: str = ""
    red_cell_xyxy: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 4), np.float32))
    origin: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        n, k = len(self.detections), len(self.classes)
        if self.probs.shape != (n, k) or self.blast_probs.shape != (n,) or len(self.types) != n:
            raise ValueError(
                f"{n} cells and {k} classes do not fit probs {self.probs.shape}, "
                f"blast_probs {self.blast_probs.shape}, {len(self.types)} types"
            )

    def __len__(self) -> int:
        return len(self.detections)

    def __repr__(self) -> str:
        where = self.path.name if self.path else "array"
        kinds = ", ".join(f"{n} {name}" for name, n in Counter(self.types).most_common())
        return (
            f"FieldResult({where}, {self.shape[0]} x {self.shape[1]} px, {len(self)} leukocytes"
            f"{': ' if kinds else ''}{kinds}; {self.scale.um_per_px:.4g} um a pixel, {self.scale.source})"
        )

    def _repr_html_(self) -> str:
        """Table of the cells, for notebooks."""
        table = self.to_frame()[
            ["id", "type", "type_probability", "blast_probability", "x0", "y0", "x1", "y1"]
        ]
        return f"<p>{escape(repr(self))}</p>{table.to_html(index=False, max_rows=20, na_rep='')}"

    def __iter__(self) -> Iterator[Cell]:
        for i, kind in enumerate(self.types):
            x0, y0, x1, y1 = (float(v) for v in self.detections.xyxy[i])
            yield Cell(
                xyxy=(x0, y0, x1, y1),
                score=float(self.detections.scores[i]),
                type=kind,
                type_probability=self._type_probability(i),
                blast_probability=float(self.blast_probs[i]),
                probabilities=dict(zip(self.classes, map(float, self.probs[i]), strict=True)),
            )

    @property
    def slide_xyxy(self) -> NDArray[np.float64]:
        """Boxes, (N, 4), in pixels of the photograph, or of the whole slide that the field is a region of."""
        corner = np.array([*(self.origin or (0, 0))] * 2, np.float64)
        return np.asarray(self.detections.xyxy + corner, np.float64)

    def _type_probability(self, i: int) -> float:
        kind = self.types[i]
        if kind == BLAST:
            return float(self.blast_probs[i])
        if kind in self.classes:
            return float(self.probs[i, self.classes.index(kind)])
        return float(self.probs[i].max()) if kind == UNCLASSIFIED and self.classes else float("nan")

    @property
    def type_probs(self) -> NDArray[np.float64]:
        """Calibrated probability of what each cell is called, (N,); NaN where no classifier ran."""
        return np.array([self._type_probability(i) for i in range(len(self))], np.float64)

    def plot(self, image: NDArray[np.uint8] | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the cells as boxes, numbered as in ``cells.csv``.

        Parameters
        ----------
        image : ndarray, (H, W, 3) uint8 RGB, optional
            The field, which a result does not hold: ``result.plot(smearscan.read_image(result.path))``.
            Without it the boxes stand on white.
        ax : matplotlib Axes, optional
            By default those of a new figure.

        Raises
        ------
        ValueError
            If the image is not the field's size.
        """
        where = self.path.name if self.path else "array"
        title = f"{where}: {len(self)} leukocytes"
        return plot_cells(self.shape, self.detections.xyxy, self.types, title, image, ax)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a cell, with the columns of ``cells.csv``."""
        return cells_frame([self])


@dataclass(frozen=True, slots=True)
class FieldFailure:
    """A field that could not be scanned; it travels in the stream in its place."""

    slide_id: str
    path: Path | None
    reason: str
    sha256: str = ""


FILM_PARTS = ("empty", "thin", "thick", "blurred", "one layer")
"""Parts of a film, by their numbers in a :class:`FilmMap`; the last alone is read."""

EMPTY, THIN, THICK, BLURRED, LAYER = range(len(FILM_PARTS))


@dataclass(frozen=True, slots=True)
class FilmMap:
    """A whole slide as a grid of square parts: what each is, and whether it was read.

    Attributes
    ----------
    shape : tuple of int
        ``(height, width)`` of the slide, pixels of level 0.
    side : int
        Of a part, pixels; those at the right and lower edge may be smaller.
    parts : ndarray, (R, C) uint8
        Index into :data:`FILM_PARTS`, row by row from the upper left.
    read : ndarray, (R, C) bool
    measured_um_per_px : float
        Micrometers a pixel by the slide's red cells; NaN where they could not be measured.
    """

    shape: tuple[int, int]
    side: int
    parts: NDArray[np.uint8]
    read: NDArray[np.bool_]
    measured_um_per_px: float = float("nan")

    def __post_init__(self) -> None:
        if self.parts.shape != self.read.shape or self.parts.ndim != 2:
            raise ValueError(f"parts {self.parts.shape} and read {self.read.shape} must be alike, (R, C)")

    @property
    def read_percent(self) -> float:
        """Share of the readable parts that was read, percent; NaN where none is readable."""
        n = int((self.parts == LAYER).sum())
        return 100 * float(self.read.sum()) / n if n else float("nan")

    @property
    def left_out(self) -> str:
        """What was left out, in words."""
        counts = Counter(self.parts.ravel().tolist())
        told = [f"{counts[k]} {FILM_PARTS[k]}" for k in range(LAYER) if counts[k]]
        return ", ".join(told) or "nothing"


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


def cells_frame(
    results: Iterable[FieldResult | FieldFailure], root: Path | None = None, calibration: str = ""
) -> "pd.DataFrame":
    """Return one row a leukocyte.

    Parameters
    ----------
    results : iterable of FieldResult or FieldFailure
        Failures have no cells.
    root : Path, optional
        ``field`` is the picture's path relative to it, where it lies below.
    calibration : str
        Name of the card that changed the probabilities; empty where none did.

    Returns
    -------
    DataFrame
        :data:`CELL_COLUMNS`, ``p_CLASS`` for each class of the differential, ``um_per_px``, ``calibration``,
        ``id`` (the cell's number within its field, from 1 on, as on overlays).
        Boxes in pixels of the field as displayed, those of a whole slide in pixels of the slide.
    """
    import pandas as pd

    read = [result for result in results if isinstance(result, FieldResult)]
    classes = next((result.classes for result in read if result.classes), ())
    sizes = [len(result) for result in read]

    def of_each_field(values: Iterable[object]) -> NDArray[np.object_]:
        return np.repeat(np.array([*values, None], dtype=object)[:-1], sizes)

    def of_each_cell(width: int, values: Callable[[FieldResult], NDArray[Any]]) -> NDArray[np.float64]:
        return np.concatenate([np.empty((0, width)), *(values(r).reshape(len(r), width) for r in read)])

    boxes = of_each_cell(4, lambda result: result.slide_xyxy)
    scores = of_each_cell(1, lambda result: result.detections.scores)
    certain = np.column_stack(
        [
            of_each_cell(1, lambda result: result.type_probs),
            of_each_cell(1, lambda result: result.blast_probs),
            of_each_cell(len(classes), lambda result: result.probs),
        ]
    )
    columns: list[Sequence[object]] = [
        of_each_field(result.slide_id for result in read).tolist(),
        of_each_field(_relative(result.path, root) for result in read).tolist(),
        *([round(value, 1) for value in side] for side in boxes.T.tolist()),
        [round(value, 4) for value in scores[:, 0].tolist()],
        [name for result in read for name in result.types],
        *([five_digits(value) for value in part] for part in certain.T.tolist()),
        of_each_field(five_digits(result.scale.um_per_px) for result in read).tolist(),
        [calibration] * sum(sizes),
        [number for size in sizes for number in range(1, size + 1)],
    ]
    names = [*CELL_COLUMNS, *(f"p_{name}" for name in classes), "um_per_px", "calibration", "id"]
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def five_digits(value: float) -> float:
    """Five significant digits: small probabilities keep theirs, so that a table can be calibrated on."""
    return float(f"{value:.5g}")


def _relative(path: Path | None, root: Path | None) -> str:
    if path is None:
        return ""
    base = root.parent if root is not None and root.is_file() else root
    return path.relative_to(base).as_posix() if base is not None and path.is_relative_to(base) else str(path)
