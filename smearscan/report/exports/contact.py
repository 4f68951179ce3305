"""A contact sheet a slide: every cell by class, with the field and the ``id`` under which tables tell it."""

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from smearscan.differential.slide_report import SlideReport
from smearscan.errors import ImageError
from smearscan.io.atomic import write_bytes
from smearscan.report.exports.names import FileNames
from smearscan.report.lettering import font, shortened
from smearscan.report.review.pictures import CROP_PX, photographed_crops
from smearscan.report.run_facts import RunFacts, field_name
from smearscan.report.scanned_picture import read_scanned
from smearscan.report.slide_summary import printable
from smearscan.results import Cell, FieldFailure, FieldResult
from smearscan.taxonomy import NOTICE, UNCLASSIFIED
from smearscan.taxonomy.palette import LOOKS, look

_COLUMNS, _MOST_ROWS = 14, 18
_GAP, _TEXT, _TITLE, _HEAD = 8, 13, 22, 30
_PITCH = CROP_PX + _GAP
_ROW = CROP_PX + 2 * _TEXT + 14
_WIDTH = _COLUMNS * _PITCH + _GAP
_PAPER, _INK, _GRAY = (255, 255, 255), (20, 20, 20), (90, 90, 90)


@dataclass(frozen=True, slots=True)
class _Tile:
    """A cell on the sheet: its name, how sure that is, what stands below it, where its crop is kept."""

    type: str
    probability: float
    field: str
    told: str
    at: int


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the sheet: of cells, or the title of a class."""

    tiles: tuple[_Tile, ...] = ()
    title: str = ""
    type: str = ""


class ContactExport:
    """Writes ``contact/SLIDE.jpg``, and further pages where a slide has many cells.

    Crops wait in a temporary file: a slide of any number of cells takes no more memory than a page.
    """

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        self._folder, self._root, self._names = folder / "contact", root, FileNames()
        self.missing: list[str] = []

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Draw a slide's sheet."""
        with tempfile.TemporaryFile() as crops:
            tiles: list[_Tile] = []
            for result in results:
                if isinstance(result, FieldResult) and len(result):
                    crops.write(self._crops(result).tobytes())
                    tiles += _tiles(result, self._root, len(tiles))

            def crop(tile: _Tile) -> NDArray[np.uint8]:
                size = CROP_PX * CROP_PX * 3
                crops.seek(tile.at * size)
                return np.frombuffer(crops.read(size), np.uint8).reshape(CROP_PX, CROP_PX, 3)

            pages = list(_pages(tiles))
            for number, rows in enumerate(pages, 1):
                sheet = _Sheet(rows, report, number, len(pages))
                for tile, place in sheet.places():
                    sheet.picture.paste(Image.fromarray(crop(tile)), place)
                self._write(report.slide_id, number, sheet.picture)

    def _crops(self, result: FieldResult) -> NDArray[np.uint8]:
        try:
            image = read_scanned(result, self._root)
        except ImageError as error:
            self.missing.append(str(error))
            return np.full((len(result), CROP_PX, CROP_PX, 3), 128, np.uint8)
        return photographed_crops(image, result.detections.xyxy, result.scale.um_per_px)

    def _write(self, slide_id: str, number: int, page: Image.Image) -> None:
        # the zero byte keeps the second page of "a" apart from a slide that is named "a_2"
        name = self._names(slide_id if number == 1 else f"{slide_id}\0{number}")
        buffer = io.BytesIO()
        page.save(buffer, "JPEG", quality=90)
        write_bytes(self._folder / f"{name}.jpg", buffer.getvalue())

    def close(self) -> list[Path]:
        """Return the folder."""
        return [self._folder]


def _tiles(result: FieldResult, root: Path | None, before: int) -> Iterator[_Tile]:
    field = printable(Path(field_name(result.path, root)).stem)
    for number, cell in enumerate(result, 1):
        yield _Tile(cell.type, cell.type_probability, field, _told(number, cell), before + number - 1)


def _told(number: int, cell: Cell) -> str:
    sure = f"  {100 * cell.type_probability:.0f} %" if np.isfinite(cell.type_probability) else ""
    return f"#{number}{sure}"


def _pages(tiles: list[_Tile]) -> Iterator[list[_Row]]:
    """Rows of each page: classes in the palette's order, of a class the surest cells first."""
    order = {kind: i for i, kind in enumerate(LOOKS)}
    kinds = sorted({tile.type for tile in tiles}, key=lambda kind: (order.get(kind, len(order)), kind))
    page: list[_Row] = []
    for kind in kinds:
        own = [tile for tile in tiles if tile.type == kind]
        own.sort(key=lambda tile: (-np.nan_to_num(tile.probability), tile.at))
        words = "without a name" if kind == UNCLASSIFIED else printable(kind.replace("_", " "))
        title = _Row(title=f"{words}: {len(own)}", type=kind)
        page.append(title)
        for start in range(0, len(own), _COLUMNS):
            if sum(1 for row in page if row.tiles) == _MOST_ROWS:
                if page[-1].title:
                    page.pop()
                yield page
                page = [title]
            page.append(_Row(tiles=tuple(own[start : start + _COLUMNS])))
    yield page


class _Sheet:
    """One page as a picture."""

    def __init__(self, rows: list[_Row], report: SlideReport, number: int, of: int) -> None:
        self._rows = rows
        self._font, self._small, self._large = font(_TITLE), font(_TEXT), font(_HEAD)
        self._top = _HEAD + 2 * _TITLE + 5 * _GAP
        height = self._top + sum(_height(row) for row in rows) + _GAP
        self.picture = Image.new("RGB", (_WIDTH, height), _PAPER)
        self._pen = ImageDraw.Draw(self.picture)
        page = f", page {number} of {of}" if of > 1 else ""
        self._line(_GAP, f"{printable(report.slide_id)}{page}", self._large, _INK)
        found = f"{report.n_leukocytes} leukocytes in {report.tally.n_fields} fields; {report.flag.state}"
        self._line(_HEAD + 2 * _GAP, found, self._font, _INK)
        self._line(_HEAD + _TITLE + 3 * _GAP, NOTICE, self._font, _GRAY)

    def _line(self, y: int, text: str, letters: ImageFont.FreeTypeFont, color: tuple[int, int, int]) -> None:
        self._pen.text((_GAP, y), shortened(text, letters, _WIDTH - 2 * _GAP), fill=color, font=letters)

    def places(self) -> Iterator[tuple[_Tile, tuple[int, int]]]:
        """Write titles and what stands below the cells; give each cell with its corner."""
        y = self._top
        for row in self._rows:
            if row.title:
                color = look(row.type).rgb
                self._pen.rectangle((_GAP, y + _GAP, _GAP + _TITLE, y + _GAP + _TITLE), color, (0, 0, 0))
                self._pen.text((2 * _GAP + _TITLE, y + _GAP), row.title, fill=_INK, font=self._font)
            for column, tile in enumerate(row.tiles):
                x = _GAP + column * _PITCH
                below = y + CROP_PX + 2
                self._pen.text((x, below), tile.told, fill=_INK, font=self._small)
                named = shortened(tile.field, self._small, CROP_PX, from_start=True)
                self._pen.text((x, below + _TEXT + 2), named, fill=_GRAY, font=self._small)
                yield tile, (x, y)
            y += _height(row)


def _height(row: _Row) -> int:
    return _TITLE + 2 * _GAP if row.title else _ROW
