"""COCO object detection: one JSON file a run, written as it comes."""

import json
import tempfile
from pathlib import Path
from typing import Any, TextIO

from smearscan.differential.slide_report import SlideReport
from smearscan.io.atomic import atomic_text
from smearscan.report.exports.names import ClassNumbers
from smearscan.report.exports.pictures import Picture, pictures_of
from smearscan.report.run_facts import RunFacts, field_name
from smearscan.results import FieldFailure, FieldResult
from smearscan.taxonomy import NOTICE


class CocoExport:
    """Writes ``coco.json``: ``bbox`` is x, y, width, height in pixels, ``score`` the detector's.

    A whole slide is one image, in pixels of level 0.

    Images and annotations wait in temporary files: a run of any length takes no more memory than a slide.
    """

    missing = ()

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        self.file = folder / "coco.json"
        self._facts, self._root = facts, root
        self._classes = ClassNumbers(facts.classes)
        self._images: TextIO = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._cells: TextIO = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._n_images = self._n_cells = 0

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide."""
        for picture in pictures_of(report, results):
            self._add(picture, report.slide_id)

    def _add(self, picture: Picture, slide_id: str) -> None:
        self._n_images += 1
        image = {
            "id": self._n_images,
            "file_name": field_name(picture.path, self._root),
            "height": picture.shape[0],
            "width": picture.shape[1],
            "slide": slide_id,
            "um_per_px": picture.um_per_px,
        }
        _append(self._images, image, self._n_images)
        for cell in picture.cells:
            self._n_cells += 1
            x0, y0, x1, y1 = (round(v, 2) for v in cell.xyxy)
            width, height = round(x1 - x0, 2), round(y1 - y0, 2)
            annotation = {
                "id": self._n_cells,
                "image_id": self._n_images,
                "category_id": self._classes[cell.type] + 1,
                "bbox": [x0, y0, width, height],
                "area": round(width * height, 2),
                "iscrowd": 0,
                "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
                "score": round(cell.score, 4),
                **({"fine_type": cell.fine_type} if cell.fine_type else {}),
            }
            _append(self._cells, annotation, self._n_cells)

    def close(self) -> list[Path]:
        """Write the file; returns it."""
        info = {"description": NOTICE, "version": self._facts.version, "date_created": self._facts.made}
        categories = [
            {"id": k + 1, "name": name, "supercategory": "leukocyte"}
            for k, name in enumerate(self._classes.names)
        ]
        with atomic_text(self.file) as out:
            out.write(f'{{"info":{json.dumps(info)},"licenses":[],"categories":{json.dumps(categories)}')
            for name, part in (("images", self._images), ("annotations", self._cells)):
                out.write(f',"{name}":[')
                part.seek(0)
                out.writelines(part)
                out.write("]")
                part.close()
            out.write("}\n")
        return [self.file]


def _append(out: TextIO, value: dict[str, Any], number: int) -> None:
    out.write((",\n" if number > 1 else "\n") + json.dumps(value, allow_nan=False))
