"""Pictures of one cell each: how large a pixel is, where the cell is, and what a sequence of them came to.

Training and scanning both begin such pictures here, so that a net sees a cell cut as those it learned from.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from smearscan.classification import Geometry, cut_crops
from smearscan.detection import boxes
from smearscan.detection.detector import Detector
from smearscan.errors import ImageError
from smearscan.io.decode import longest_side, some_images
from smearscan.numeric import median
from smearscan.results import Cell, Detections, Doubt, FieldFailure, FieldResult, Scale, Stain, cells_frame
from smearscan.rulers.scale import measure_scale
from smearscan.rulers.stain import measure_cells
from smearscan.rulers.unlike_cells import measured_stain
from smearscan.taxonomy import LEUKOCYTE
from smearscan.weights import KnownCells

if TYPE_CHECKING:
    import pandas as pd

SAMPLE = 32
"""Pictures that a scale is measured on."""

ACROSS_UM = 29.0
"""Width taken where no cell is found to measure: the median of five published sets, 20 to 33 um."""

T = TypeVar("T")
_ONE_SIZE = 1.1  # a set's own sides lie closer; those of two sets seldom do
_HALF_UM = 6.5  # half a usual leukocyte


def measure_crops(detector: Detector, pictures: Sequence[object]) -> list[Scale]:
    """Measure the scale of pictures of single cells, those of one magnification together.

    One such picture shows a few red cells at most, nearly all cut by its border: alone it errs by a tenth
    and more, and where the leukocyte has to serve as the ruler, by its type. So up to :data:`SAMPLE`
    pictures of a magnification (:func:`magnifications`), evenly spread, are measured together.

    Parameters
    ----------
    detector : Detector
    pictures : sequence
        Anything that :func:`smearscan.io.decode.as_rgb` takes; what cannot be read is passed over.

    Returns
    -------
    list of Scale
        One a picture. Ruler as of :func:`smearscan.rulers.scale.measure_scale`; ``assumed`` where no
        cell is found in any of those measured together: then their median is taken to be
        :data:`ACROSS_UM` wide (longest side).
    """
    kinds = magnifications([longest_side(picture) for picture in pictures])
    scales = {
        kind: _measured(detector, [p for p, k in zip(pictures, kinds, strict=True) if k == kind])
        for kind in dict.fromkeys(kinds)
    }
    return [scales[kind] for kind in kinds]


def measure_stain(
    detector: Detector, pictures: Sequence[object], scales: Sequence[Scale], how: Geometry, known: KnownCells
) -> Stain:
    """Measure how pictures of single cells are stained, on up to :data:`SAMPLE` of them, evenly spread.

    All are taken to be stained alike: pictures of several laboratories are to be named apart.

    Parameters
    ----------
    detector : Detector
    pictures : sequence
        As of :func:`measure_crops`; what cannot be read is passed over.
    scales : sequence of Scale
        Of each.
    how : Geometry
        Of the crops in which `known` was measured.
    known : KnownCells
    """
    cells = []
    for i in range(0, len(pictures), max(1, -(-len(pictures) // SAMPLE))):
        for image in some_images([pictures[i]], 1):
            xyxy = central_cell(detector, image, scales[i]).leukocytes.xyxy
            cells.append(measure_cells(cut_crops(image, xyxy, scales[i].um_per_px, how.um, how.px), how.um))
    return measured_stain(cells, known)


def magnifications(sides: Sequence[int]) -> list[int]:
    """Tell by their longest sides which pictures share a magnification.

    All of them do, unless several sizes are common: sets that were put together. Sides a tenth or less apart
    are one size; a size is common that a tenth of the pictures have, and eight. Then the pictures of a common
    size share one magnification, and the rest does. Crops that are cut to their cells differ, but by small
    steps, and stay together.

    Parameters
    ----------
    sides : sequence of int, (N,)
        Pixels; 0 of a picture that cannot be read.

    Returns
    -------
    list of int, (N,)
        Number of the magnification; -1 is that of the rest, or of all.
    """
    known = np.unique([side for side in sides if side])
    steps = np.cumsum(known[1:] > _ONE_SIZE * known[:-1])
    size_of = dict(zip(known.tolist(), [0, *steps.tolist()], strict=False))
    sizes = [size_of.get(side, -1) for side in sides]
    common = {size for size, n in Counter(sizes).items() if size >= 0 and n >= max(8, len(sides) / 10)}
    return [size if len(common) > 1 and size in common else -1 for size in sizes]


def _measured(detector: Detector, pictures: Sequence[object]) -> Scale:
    images = some_images(pictures, SAMPLE)
    scale = measure_scale(detector, images) if images else Scale(1.0, "assumed")
    if not images or scale.source != "assumed":
        return scale
    return Scale(ACROSS_UM / float(median([max(image.shape[:2]) for image in images])), "assumed")


def central_cell(detector: Detector, image: NDArray[np.uint8], scale: Scale) -> Detections:
    """Find the one cell of a picture: the leukocyte nearest the middle, within a quarter of a side.

    Where there is none, the middle of the picture is taken, 13 um wide, so that nothing is left out silently;
    its score is NaN.

    Returns
    -------
    Detections
        One leukocyte, and whatever red cells and platelets there are.
    """
    found = detector.detect(image, scale)
    height, width = image.shape[:2]
    cells = found.leukocytes
    middle = np.array([width, height], np.float32) / 2
    away = np.hypot(*(boxes.centers(cells.xyxy) - middle).T)
    if len(cells) and away.min() <= min(height, width) / 4:
        best = np.arange(len(cells)) == np.argmin(away)
        xyxy, scores = cells.xyxy[best], cells.scores[best]
    else:
        half = _HALF_UM / scale.um_per_px
        x, y = width / 2, height / 2
        xyxy = boxes.as_boxes([x - half, y - half, x + half, y + half])
        scores = np.array([np.nan], np.float32)
    others = found.where(found.labels != LEUKOCYTE)
    return Detections(
        np.concatenate([xyxy, others.xyxy]),
        np.concatenate([scores, others.scores]),
        np.concatenate([np.array([LEUKOCYTE]), others.labels]),
    )


def check_several(pictures: Iterable[T], call: str) -> None:
    """Refuse one picture in place of several: a path would be read letter by letter, an array row by row.

    Raises
    ------
    ImageError
        Naming the call and the cure.
    """
    one = isinstance(pictures, (str, Path)) or not isinstance(pictures, Iterable)
    if one or (isinstance(pictures, np.ndarray) and pictures.ndim < 4):
        raise ImageError(f"{call} takes a sequence of pictures; give [picture] for a single one")


@dataclass(frozen=True, slots=True)
class NamedCells:
    """What pictures of single cells were called; iterating gives a :class:`Cell` or failure a picture.

    Attributes
    ----------
    results : tuple of FieldResult or FieldFailure
        One a picture, in the order given; each result has exactly one cell, and a score of NaN where no
        leukocyte was found in the middle.
    calibration : str
        Name of the calibration card that changed the probabilities; empty where none did.
    doubts : tuple of Doubt
        Why the names should not be believed unlooked, of all cells together.
    """

    results: tuple[FieldResult | FieldFailure, ...]
    calibration: str = ""
    doubts: tuple[Doubt, ...] = ()

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[Cell | FieldFailure]:
        for result in self.results:
            yield result if isinstance(result, FieldFailure) else next(iter(result))

    @property
    def failures(self) -> tuple[FieldFailure, ...]:
        """The pictures that could not be read."""
        return tuple(r for r in self.results if isinstance(r, FieldFailure))

    @property
    def unlike_training(self) -> tuple[int, int]:
        """Cells stained like hardly any that the classifiers learned from, and how many were compared."""
        counts = [r.unlike_training for r in self.results if isinstance(r, FieldResult)]
        return sum(unlike for unlike, _ in counts), sum(compared for _, compared in counts)

    def to_frame(self, root: Path | None = None) -> "pd.DataFrame":
        """Return one row a picture that could be read, indexed by its place in the sequence.

        Parameters
        ----------
        root : Path, optional
            ``field`` is the picture's path relative to it.

        Returns
        -------
        DataFrame
            The columns of a scan's ``cells.csv``, then ``ruler``.
        """
        import pandas as pd

        read = {i: r.scale.source for i, r in enumerate(self.results) if isinstance(r, FieldResult)}
        table = cells_frame(self.results, root, self.calibration).assign(ruler=list(read.values()))
        table = table.drop(columns="id")  # a picture has one cell
        table.index = pd.Index(list(read), dtype=int)
        return table
