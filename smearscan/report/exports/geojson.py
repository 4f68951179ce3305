"""QuPath's GeoJSON: a file a picture, each cell a detection with its class and measurements."""

import json
import uuid
from pathlib import Path
from typing import Any

from smearscan.differential.slide_report import SlideReport
from smearscan.io.atomic import atomic_text
from smearscan.report.exports.names import FileNames
from smearscan.report.exports.pictures import pictures_of
from smearscan.report.run_facts import RunFacts, field_name
from smearscan.results import Cell, FieldFailure, FieldResult
from smearscan.taxonomy import UNCLASSIFIED
from smearscan.taxonomy.palette import look

_NAMESPACE = uuid.UUID("9d0f4a0e-6c3f-5a52-9a5e-2f7f2b8f7c11")


class GeoJsonExport:
    """Writes ``geojson/PICTURE.geojson``, feature by feature; open it in QuPath beside the picture.

    A whole slide is one picture, whose polygons are in pixels of level 0.
    """

    missing = ()

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        self._folder, self._root, self._names = folder / "geojson", root, FileNames()

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide."""
        for picture in pictures_of(report, results):
            name = field_name(picture.path, self._root)
            with atomic_text(self._folder / f"{self._names(name)}.geojson") as out:
                out.write('{"type":"FeatureCollection","features":[')
                for k, cell in enumerate(picture.cells):
                    out.write("," if k else "")
                    out.write("\n" + json.dumps(feature(cell, f"{name}#{k}"), allow_nan=False))
                out.write("]}\n")

    def close(self) -> list[Path]:
        """Return the folder."""
        return [self._folder]


def feature(cell: Cell, name: str) -> dict[str, Any]:
    """Return a cell as QuPath's detection: a closed, valid polygon in the picture's pixels.

    Parameters
    ----------
    cell : Cell
    name : str
        Of the cell in its run: gives the feature an id that is the same each time.
    """
    from shapely.geometry import box, mapping

    measured = {
        "Detection probability": cell.score,
        "Class probability": cell.type_probability,
        "Blast probability": cell.blast_probability,
        "Fine type probability": cell.fine_probability,
        **{f"Probability: {kind}": p for kind, p in cell.probabilities.items()},
    }
    properties: dict[str, Any] = {
        "objectType": "detection",
        "measurements": {k: float(f"{v:.5g}") for k, v in measured.items() if v == v},
    }
    if cell.fine_type:
        properties["metadata"] = {"Fine type": cell.fine_type}
    if cell.type != UNCLASSIFIED:
        properties["classification"] = {"name": cell.type, "color": list(look(cell.type).rgb)}
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, name)),
        "geometry": mapping(box(*cell.xyxy)),
        "properties": properties,
    }
