"""YOLO labels: a text file a field, in the tree of the pictures, and the list of classes."""

from pathlib import Path

import yaml

from smearscan.differential.slide_report import SlideReport
from smearscan.io.atomic import write_text
from smearscan.report.exports.names import ClassNumbers, FileNames
from smearscan.report.run_facts import RunFacts, field_name
from smearscan.results import FieldFailure, FieldResult


class YoloExport:
    """Writes ``yolo/labels/FIELD.txt`` (class, middle, width and height of 1) and ``yolo/data.yaml``.

    A field without cells gets an empty file: it was read, and nothing was found. A second field of the same
    name but for its suffix is told apart by a number.
    """

    missing = ()

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        self._folder, self._root = folder / "yolo", root
        self._classes, self._names = ClassNumbers(facts.classes), FileNames()
        self._stems: set[str] = set()
        self._files: list[Path] = []

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide."""
        for result in results:
            if isinstance(result, FieldFailure):
                continue
            height, width = result.shape
            lines = []
            for cell in result:
                x0, y0, x1, y1 = cell.xyxy
                middle = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
                size = (x1 - x0) / width, (y1 - y0) / height
                numbers = " ".join(f"{min(max(v, 0.0), 1.0):.6f}" for v in (*middle, *size))
                lines.append(f"{self._classes[cell.type]} {numbers}\n")
            write_text(self._path(field_name(result.path, self._root)), "".join(lines))

    def _path(self, field: str) -> Path:
        named = self._names(field)
        stem = str(named.with_suffix(""))
        label = stem if stem.casefold() not in self._stems else str(named)
        self._stems.add(label.casefold())
        return self._folder / "labels" / f"{label}.txt"

    def close(self) -> list[Path]:
        """Write the list of classes; returns the folder."""
        listed = {
            "path": ".",
            "train": "images",
            "val": "images",
            "names": dict(enumerate(self._classes.names)),
        }
        write_text(self._folder / "data.yaml", yaml.safe_dump(listed, sort_keys=False, allow_unicode=True))
        return [self._folder]
