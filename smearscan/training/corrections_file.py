"""The corrections file that the review page saves: read, checked, and settled to one name a cell."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from smearscan.config import checked
from smearscan.errors import DatasetError
from smearscan.taxonomy import UNCLASSIFIED

Box = tuple[float, float, float, float]
Size = Annotated[int, Field(gt=0)]
Index = Annotated[int, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Decision(_Strict):
    """What a person said of a detected cell; without a name it is no leukocyte."""

    cell: Index
    name: str | None
    at: str


class Added(_Strict):
    """A cell that a person added, field pixels."""

    field: Index
    xyxy: Box
    name: str | None
    at: str


class PersonReading(_Strict):
    """One person's reading of a slide; `checked` are fields of which every leukocyte has its box."""

    reader: str
    signed: str | None
    checked: list[Index]
    decisions: list[Decision]
    added: list[Added]


class FileField(_Strict):
    """A field by its name below the scanned folder."""

    field: str
    height: Size
    width: Size


class FileCells(_Strict):
    """Columns of the cells as the networks found and named them."""

    field: list[Index]
    xyxy: list[float]
    score: list[float]
    type: list[str]
    probability: list[float | None]
    blast: list[float | None]
    probs: list[float]
    possible: list[int]


class FileSlide(_Strict):
    """A slide with its cells and readings."""

    slide: str
    um_per_px: Annotated[float, Field(gt=0)]
    fields: list[FileField]
    cells: FileCells
    readings: list[PersonReading]

    @model_validator(mode="after")
    def _numbers(self) -> "FileSlide":
        n, m = len(self.cells.type), len(self.fields)
        if len(self.cells.field) != n or len(self.cells.xyxy) != 4 * n:
            raise ValueError(f"slide {self.slide!r}: columns of cells differ in length")
        used = [*self.cells.field, *(a.field for r in self.readings for a in r.added)]
        if any(k >= m for k in used) or any(d.cell >= n for r in self.readings for d in r.decisions):
            raise ValueError(f"slide {self.slide!r}: names a cell or field that it has not")
        return self


class CorrectionsFile(_Strict):
    """The whole file."""

    schema_: Literal["smearscan.corrections/1"] = Field(alias="schema")
    notice: str
    run: dict[str, Any]
    saved: str
    classes: list[str]
    slides: list[FileSlide]


@dataclass(frozen=True, slots=True)
class SettledCell:
    """A cell with the name that people gave it.

    Attributes
    ----------
    field : int
        Of the slide.
    xyxy : tuple of float
        Field pixels.
    name : str or None
        None: no leukocyte.
    index : int
        Of the detected cell; -1 where a person added it.
    """

    field: int
    xyxy: Box
    name: str | None
    index: int


@dataclass(frozen=True, slots=True)
class SettledSlide:
    """A slide as people settled it.

    Attributes
    ----------
    slide : FileSlide
    cells : tuple of SettledCell
        Those that a person decided on; all of them where the slide is signed.
    whole_fields : frozenset of int
        Fields of which every leukocyte has its box.
    differing : int
        Cells left out because two readers named them differently.
    """

    slide: FileSlide
    cells: tuple[SettledCell, ...]
    whole_fields: frozenset[int]
    differing: int


def read_corrections(path: Path) -> CorrectionsFile:
    """Read a corrections file.

    Raises
    ------
    DatasetError
        If it cannot be read or is no corrections file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DatasetError(f"{path}: cannot be read as JSON ({error})") from error
    refusal = "is no corrections file of the review page ({told})"
    return checked(CorrectionsFile, content, path, DatasetError, refusal)


def settle(slide: FileSlide, reader: str | None = None) -> SettledSlide:
    """Bring the readings of a slide to one name a cell.

    Parameters
    ----------
    slide : FileSlide
    reader : str, optional
        Take this reader alone. By default every reading counts, and a cell that two readers name differently
        is left out.
    """
    readings = [r for r in slide.readings if reader is None or r.reader == reader]
    signed = [r for r in readings if r.signed]
    names = [_names(slide, r) for r in signed or readings]
    cells, differing = [], 0
    for i in range(len(slide.cells.type)):
        said = {own[i] for own in names if i in own}
        if len(said) > 1:
            differing += 1
        elif said and (name := said.pop()) != UNCLASSIFIED:
            x0, y0, x1, y1 = slide.cells.xyxy[4 * i : 4 * i + 4]
            cells.append(SettledCell(slide.cells.field[i], (x0, y0, x1, y1), name, i))
    added, more = _added(signed or readings)
    whole = (
        frozenset(range(len(slide.fields))) if signed else frozenset().union(*(r.checked for r in readings))
    )
    return SettledSlide(slide, (*cells, *added), whole, differing + more)


def _names(slide: FileSlide, reading: PersonReading) -> dict[int, str | None]:
    """Name of each detected cell that a reading settles; a signature settles all."""
    names: dict[int, str | None] = dict(enumerate(slide.cells.type)) if reading.signed else {}
    return names | {d.cell: d.name for d in reading.decisions}


def _added(readings: list[PersonReading]) -> tuple[list[SettledCell], int]:
    """Cells that people added; one that another reader did not add, or named otherwise, is in dispute."""
    settled: list[SettledCell] = []
    differing = 0
    for k, reading in enumerate(readings):
        for cell in reading.added:
            if cell.name in (None, UNCLASSIFIED):
                continue
            others = [_match(cell, other) for other in readings[:k] + readings[k + 1 :]]
            if any(other is None or other.name != cell.name for other in others):
                differing += 1
            elif k == 0:
                settled.append(SettledCell(cell.field, cell.xyxy, cell.name, -1))
    return settled, differing


def _match(cell: Added, reading: PersonReading) -> Added | None:
    """Return the cell that another reader added at the same place, middle within the box."""
    x, y = (cell.xyxy[0] + cell.xyxy[2]) / 2, (cell.xyxy[1] + cell.xyxy[3]) / 2
    for other in reading.added:
        x0, y0, x1, y1 = other.xyxy
        if other.field == cell.field and x0 <= x <= x1 and y0 <= y <= y1:
            return other
    return None


def class_counts(slides: list[SettledSlide]) -> Counter[str]:
    """Settled cells by class; removed boxes are ``none``."""
    return Counter(cell.name or "none" for slide in slides for cell in slide.cells)
