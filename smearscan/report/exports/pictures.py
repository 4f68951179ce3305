"""Pictures with their cells, as other tools open them: a photograph each, a whole slide as one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smearscan.differential.slide_report import SlideReport
from smearscan.io.whole_slides import file_of
from smearscan.results import Cell, FieldFailure, FieldResult


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and its cells, whose boxes are in its pixels.

    Attributes
    ----------
    path : Path or None
    shape : tuple of int
        ``(height, width)``, pixels.
    um_per_px : float
    cells : list of Cell
        Of a whole slide, those of all its fields that were read, field by field.
    """

    path: Path | None
    shape: tuple[int, int]
    um_per_px: float
    cells: list[Cell]


def pictures_of(report: SlideReport, results: Sequence[FieldResult | FieldFailure]) -> Iterator[Picture]:
    """Give the pictures of a slide that were read.

    Parameters
    ----------
    report : SlideReport
    results : sequence of FieldResult or FieldFailure
        Of its fields.
    """
    read = [result for result in results if isinstance(result, FieldResult)]
    if report.film is None:
        for result in read:
            yield Picture(result.path, result.shape, result.scale.um_per_px, list(result))
    elif read:
        cells = [cell for result in read for cell in _in_slide(result)]
        first = read[0].path
        yield Picture(file_of(first) if first else None, report.film.shape, report.scale.um_per_px, cells)


def _in_slide(result: FieldResult) -> Iterator[Cell]:
    """Give the cells of a region with boxes in pixels of the whole slide."""
    for cell, (x0, y0, x1, y1) in zip(result, result.slide_xyxy.tolist(), strict=True):
        yield replace(cell, xyxy=(x0, y0, x1, y1))
