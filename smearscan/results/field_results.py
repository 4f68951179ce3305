"""What is known of a field once it is scanned, cell by cell, and the table of it; no pixels are kept."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smearscan.results.field_quality import FieldQuality
from smearscan.results.fields import AS_PHOTOGRAPHED, Detections, Scale, Stain
from smearscan.results.names import escaped
from smearscan.results.plots import plot_cells
from smearscan.results.table_columns import (
    CELL_COLUMNS,
    FINE_COLUMNS,
    STAIN_COLUMNS,
    five_digits,
    relative_path,
)
from smearscan.taxonomy import BLAST, UNCLASSIFIED

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


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
    fine_type : str
        A finer guess within the type; empty where there is none.
    fine_probability : float
        Of the fine type, given the type; NaN where there is none.
    """

    xyxy: tuple[float, float, float, float]
    score: float
    type: str
    type_probability: float
    blast_probability: float
    probabilities: dict[str, float]
    fine_type: str = ""
    fine_probability: float = float("nan")


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
    quality : FieldQuality or None
        How it was photographed; None of a region, and where it was not measured.
    unlike_training : tuple of int
        Leukocytes that are stained like hardly any that the classifiers learned from, and of how many that
        could be compared; of a region none are.
    fine_classes : tuple of str
        Fine types that were asked for; empty where no net names them.
    fine_types : tuple of str, (N,)
        The likeliest fine type of each cell within what it is called, empty where there is none; an empty
        tuple where no net names them.
    fine_probs : ndarray, (N,) float32
        Probability of the fine type, given the type; NaN where there is none. Of as many as `fine_types`.
    stain : Stain
        What brought the cells to the reference stain before they were named.
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
    quality: FieldQuality | None = None
    unlike_training: tuple[int, int] = (0, 0)
    fine_classes: tuple[str, ...] = ()
    fine_types: tuple[str, ...] = ()
    fine_probs: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    stain: Stain = AS_PHOTOGRAPHED

    def __post_init__(self) -> None:
        n, k = len(self.detections), len(self.classes)
        if self.probs.shape != (n, k) or self.blast_probs.shape != (n,) or len(self.types) != n:
            raise ValueError(
                f"{n} cells and {k} classes do not fit probs {self.probs.shape}, "
                f"blast_probs {self.blast_probs.shape}, {len(self.types)} types"
            )
        n_fine = n if self.fine_classes else 0
        if len(self.fine_types) != n_fine or self.fine_probs.shape != (n_fine,):
            raise ValueError(
                f"{n_fine} cells with fine types do not fit {len(self.fine_types)} fine_types, "
                f"fine_probs {self.fine_probs.shape}"
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
                **self._finer(i),
            )

    def _finer(self, i: int) -> dict[str, Any]:
        if not self.fine_classes:
            return {}
        return {"fine_type": self.fine_types[i], "fine_probability": float(self.fine_probs[i])}

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


_AT_ONCE = 256


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
        ``id`` (the cell's number within its field, from 1 on, as on overlays); :data:`FINE_COLUMNS` where
        fine types were asked for, and at the end :data:`STAIN_COLUMNS`, the factors of each channel's optical
        density that cells were named with.
        Boxes in pixels of the field as displayed, those of a whole slide in pixels of the slide.
    """
    import pandas as pd

    names, blocks = cell_columns(results, root, calibration)
    whole: list[list[object]] = [[] for _ in names]
    for columns in blocks:
        for values, more in zip(whole, columns, strict=True):
            values += more
    return pd.DataFrame(dict(zip(names, whole, strict=True)))


def cell_columns(
    results: Iterable[FieldResult | FieldFailure], root: Path | None = None, calibration: str = ""
) -> tuple[list[str], Iterator[list[Sequence[object]]]]:
    """Return the same table's names, and the values of each column for some fields after the other.

    Parameters
    ----------
    results, root, calibration
        As of :func:`cells_frame`.

    Returns
    -------
    names : list of str
    blocks : iterator
        Columns of up to 256 fields: a slide's whole table takes many times the memory of its results.
    """
    read = [result for result in results if isinstance(result, FieldResult)]
    classes = next((result.classes for result in read if result.classes), ())
    has_fine = any(result.fine_classes for result in read)
    fine, of_classes = FINE_COLUMNS if has_fine else (), (f"p_{name}" for name in classes)
    names = [*CELL_COLUMNS, *of_classes, "um_per_px", "calibration", "id", *fine, *STAIN_COLUMNS]
    parts = (read[start : start + _AT_ONCE] for start in range(0, len(read), _AT_ONCE))
    return names, (_columns(part, root, calibration, len(classes), has_fine) for part in parts)


def _columns(
    read: Sequence[FieldResult], root: Path | None, calibration: str, n_classes: int, has_fine: bool
) -> list[Sequence[object]]:
    """Columns of the cells of some fields."""
    sizes = [len(result) for result in read]

    def of_each_field(values: Iterable[object]) -> list[object]:
        return [value for value, size in zip(values, sizes, strict=True) for _ in range(size)]

    def of_each_cell(width: int, values: Callable[[FieldResult], NDArray[Any]]) -> NDArray[np.float64]:
        return np.concatenate([np.empty((0, width)), *(values(r).reshape(len(r), width) for r in read)])

    boxes = of_each_cell(4, lambda result: result.slide_xyxy)
    scores = of_each_cell(1, lambda result: result.detections.scores)
    certain = np.column_stack(
        [
            of_each_cell(1, lambda result: result.type_probs),
            of_each_cell(1, lambda result: result.blast_probs),
            of_each_cell(n_classes, lambda result: result.probs),
        ]
    )
    columns: list[Sequence[object]] = [
        of_each_field(escaped(result.slide_id) for result in read),
        of_each_field(escaped(relative_path(result.path, root)) for result in read),
        *([round(value, 1) for value in side] for side in boxes.T.tolist()),
        [round(value, 4) for value in scores[:, 0].tolist()],
        [name for result in read for name in result.types],
        *([five_digits(value) for value in part] for part in certain.T.tolist()),
        of_each_field(five_digits(result.scale.um_per_px) for result in read),
        [calibration] * sum(sizes),
        [number for size in sizes for number in range(1, size + 1)],
    ]
    if has_fine:
        columns.append([name for result in read for name in result.fine_types])
        columns.append([five_digits(value) for result in read for value in result.fine_probs.tolist()])
    gains = [[five_digits(factor) for factor in result.stain.gain] for result in read]
    return [*columns, *(of_each_field(gain[k] for gain in gains) for k in range(3))]
