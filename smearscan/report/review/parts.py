"""One slide as parts of the page: its numbers as JSON, its pictures as files of text, spooled to disk."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.slide_report import SlideReport
from smearscan.differential.suspects import TOLD_BY_THE_FLAG
from smearscan.errors import ImageError
from smearscan.report.film_map import draw_film_map
from smearscan.report.review import pictures
from smearscan.report.run_facts import field_name, without_paths
from smearscan.report.scanned_picture import read_scanned
from smearscan.results import FieldFailure, FieldResult
from smearscan.results.doubts import Doubt, about_names
from smearscan.taxonomy import BLAST, UNCLASSIFIED

Floats = NDArray[np.float32]


@dataclass
class Doubtful:
    """Unclassified cells of the whole run, kept to be put in order; a few hundred bytes each."""

    where: list[tuple[int, int]] = field(default_factory=list)
    probs: list[Floats] = field(default_factory=list)
    blast: list[float] = field(default_factory=list)
    looks: list[Floats] = field(default_factory=list)


@dataclass
class Spooled:
    """A slide's parts on disk.

    Attributes
    ----------
    entry : dict
        Its line in the list of slides.
    numbers : dict
        Fields and cells, see ``web/src/model/data.ts``.
    pictures : list of (str, Path)
        Element id in the page, file with its base64 text.
    size : int
        Bytes of the pictures' text.
    missing : list of str
        Of each field whose picture could not be read again: its name and why.
    """

    entry: dict[str, Any]
    numbers: dict[str, Any]
    pictures: list[tuple[str, Path]] = field(default_factory=list)
    size: int = 0
    missing: list[str] = field(default_factory=list)


def spool(
    index: int, report: SlideReport, results: list[FieldResult | FieldFailure], root: Path | None,
    folder: Path, doubtful: Doubtful, with_fields: bool = True,
) -> Spooled:  # fmt: skip
    """Turn one slide into parts of the page.

    Parameters
    ----------
    index : int
        Of the slide in the run.
    report, results
        Of the slide.
    root : Path or None
        Folder that was scanned.
    folder : Path
        Where pictures are written to.
    doubtful : Doubtful
        Gets the slide's unclassified cells.
    with_fields : bool
        Whether fields are embedded, too; without them cells can be named but none added.
    """
    read = [result for result in results if isinstance(result, FieldResult)]
    cells = _Cells(read)
    out = Spooled(_entry(report, results, root), {})
    fields: list[dict[str, Any]] = []
    places = cells.places()
    sheets = _Sheets(places, folder)
    n_cells = 0
    for result in read:
        try:
            image = read_scanned(result, root)
        except ImageError as error:
            out.missing.append(str(error))
            image = None
        crops = _crops(image, result)
        info = _field(result, root)
        if image is not None and with_fields:
            data, info["reduction"] = pictures.field_picture(image, result.scale.um_per_px)
            info["picture"] = True
            _write(out, folder, f"field-{index}-{len(fields)}", data)
        _note_doubtful(doubtful, index, n_cells, result, crops)
        sheets.add(crops)
        fields.append(info)
        n_cells += len(result)
    for number, data in enumerate(sheets.pictures()):
        _write(out, folder, f"sprite-{index}-{number}", data)
    film = report.film and {
        "read_percent": _number(report.film.read_percent),
        "left_out": report.film.left_out,
    }
    if film:
        _write(out, folder, f"map-{index}", pictures.drawing(draw_film_map(report, results)))
    out.numbers = {
        "fields": fields,
        "cells": cells.as_json(),
        "fine": _fine(report, read),
        "sprite": _sprite(places),
        "film": film,
    }
    return out


def _entry(
    report: SlideReport, results: list[FieldResult | FieldFailure], root: Path | None
) -> dict[str, Any]:
    tally = report.tally
    failures = [
        {"field": field_name(f.path, root), "reason": without_paths(f.reason, f.path, root)}
        for f in tally.failures
    ]
    return {
        "name": report.slide_id,
        "n_fields": tally.n_fields,
        "n_failed": tally.n_failed,
        "failures": failures,
        "n_available": report.reading.n_available,
        "n_red_cells": tally.n_red_cells,
        "um_per_px": float(f"{report.scale.um_per_px:.5g}"),
        "ruler": report.scale.source,
        "share": report.reading.alpha_share,
        "flag_share": report.reading.flag_share,
        "stopped": report.reading.reason,
        "types": {str(k): int(v) for k, v in tally.types.items()},
        "possible": tally.n_possible_blasts,
        "restained": tally.n_restained > 0,
        "flag": {"state": report.flag.state, "tier": report.flag.tier, "reason": report.flag_reason},
        "suspects": [s.reason for s in report.suspects if s.name not in TOLD_BY_THE_FLAG],
        "doubts": [_told(doubt, root) for doubt in report.doubts],
        "names_in_doubt": about_names(report.doubts),
        "page": "",
        "teach": 0,
    }


def _told(doubt: Doubt, root: Path | None) -> str:
    reason = doubt.reason
    for path in sorted(doubt.paths, key=lambda path: -len(str(path))):  # of two, one may begin with the other
        reason = without_paths(reason, path, root)
    return reason


def _crops(image: NDArray[np.uint8] | None, result: FieldResult) -> NDArray[np.uint8]:
    if image is None:
        side = pictures.CROP_PX
        return np.full((len(result), side, side, 3), 128, np.uint8)
    return pictures.photographed_crops(image, result.detections.xyxy, result.scale.um_per_px)


def _field(result: FieldResult, root: Path | None) -> dict[str, Any]:
    height, width = result.shape
    name = field_name(result.path, root)
    return {"name": name, "height": height, "width": width, "reduction": 1.0, "picture": False}


def _fine(report: SlideReport, results: list[FieldResult]) -> dict[str, Any] | None:
    """Fine types that say more than the type, and which each cell is of; None where no net names them."""
    names = [share.name for share in report.fine_shares]
    if not names:
        return None
    number = {name: k for k, name in enumerate(names)}
    cells = [cell for result in results for cell in result]
    return {
        "names": names,
        "which": [number.get(cell.fine_type, -1) for cell in cells],
        "probability": [
            _number(cell.fine_probability) if cell.fine_type in number else None for cell in cells
        ],
    }


def _note_doubtful(
    doubtful: Doubtful, index: int, before: int, result: FieldResult, crops: NDArray[np.uint8]
) -> None:
    own = [i for i, kind in enumerate(result.types) if kind == UNCLASSIFIED]
    if not own:
        return
    doubtful.where += [(index, before + i) for i in own]
    doubtful.probs += list(result.probs[own])
    doubtful.blast += [float(result.blast_probs[i]) for i in own]
    doubtful.looks += list(pictures.appearance(crops[own]))


def _sprite(places: list[int]) -> dict[str, Any]:
    return {
        "px": pictures.CROP_PX,
        "columns": pictures.COLUMNS,
        "per_sheet": pictures.PER_SHEET,
        "um": pictures.CROP_UM,
        "places": places,
    }


def _write(out: Spooled, folder: Path, name: str, data: bytes) -> None:
    path = folder / f"{name}.b64"
    text = pictures.as_text(data)
    path.write_text(text, encoding="ascii")
    out.pictures.append((name, path))
    out.size += len(text)


class _Sheets:
    """Lays crops on sheets of sprites, each in its place; they wait on disk until all are there.

    Parameters
    ----------
    places : list of int
        Of each cell, in the order of adding.
    folder : Path
    """

    def __init__(self, places: list[int], folder: Path) -> None:
        self._places, self._file, self._added = np.array(places, np.int64), folder / "crops", 0
        shape = len(places), pictures.CROP_PX, pictures.CROP_PX, 3
        self._crops = np.memmap(self._file, np.uint8, "w+", shape=shape) if places else None

    def add(self, crops: NDArray[np.uint8]) -> None:
        if self._crops is not None:
            self._crops[self._places[self._added : self._added + len(crops)]] = crops
            self._added += len(crops)

    def pictures(self) -> Iterator[bytes]:
        if self._crops is None:
            return
        for start in range(0, self._added, pictures.PER_SHEET):
            yield pictures.sheet(self._crops[start : start + pictures.PER_SHEET])
        self._crops = None
        self._file.unlink()


class _Cells:
    """Columns of the cells of a slide."""

    def __init__(self, results: list[FieldResult]) -> None:
        self.field: list[int] = []
        self.xyxy: list[float] = []
        self.score: list[float] = []
        self.type: list[str] = []
        self.probability: list[float | None] = []
        self.blast: list[float | None] = []
        self.probs: list[float] = []
        self.possible: list[int] = []
        for at, result in enumerate(results):
            self._add(at, result)

    def _add(self, at: int, result: FieldResult) -> None:
        likeliest = np.argsort(-result.blast_probs, kind="stable")[: result.n_possible_blasts]
        possible = np.zeros(len(result), np.int64)
        possible[likeliest] = 1
        self.possible += possible.tolist()
        for cell in result:
            self.field.append(at)
            self.xyxy += [round(v, 1) for v in cell.xyxy]
            self.score.append(round(cell.score, 4))
            self.type.append(cell.type)
            self.probability.append(_number(cell.type_probability))
            self.blast.append(_number(cell.blast_probability))
            self.probs += [float(f"{p:.5g}") for p in cell.probabilities.values()]

    def places(self) -> list[int]:
        """Place of each cell on the sheets: as the gallery shows them, so that a screen needs few sheets."""

        def shown(i: int) -> tuple[int, str, float]:
            if self.type[i] == UNCLASSIFIED:
                return 0, "", self.probability[i] or 0.0
            if self.possible[i] and self.type[i] != BLAST:
                return 1, "", -(self.blast[i] or 0.0)
            return 2, self.type[i], -(self.probability[i] or 0.0)

        places = np.empty(len(self.type), np.int64)
        places[sorted(range(len(self.type)), key=shown)] = np.arange(len(self.type))
        return [int(place) for place in places]

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self)) | {"teach": [0] * len(self.type)}


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None
