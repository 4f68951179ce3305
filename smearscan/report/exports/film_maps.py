"""A map of each whole slide: what of it was read, what was left out and why."""

import io
from pathlib import Path

from PIL import Image

from smearscan.differential.slide_report import SlideReport
from smearscan.io.atomic import write_bytes
from smearscan.report.exports.names import FileNames
from smearscan.report.film_map import draw_film_map
from smearscan.report.run_facts import RunFacts
from smearscan.results import FieldFailure, FieldResult


class FilmMapExport:
    """Writes ``map/SLIDE.png`` of every whole slide; a slide of photographs has no map."""

    missing = ()

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        self._folder, self._names = folder / "map", FileNames()
        self._files: list[Path] = []

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Draw a slide's map."""
        if report.film is None:
            return
        buffer = io.BytesIO()
        Image.fromarray(draw_film_map(report, results)).save(buffer, "PNG")
        self._files.append(self._folder / f"{self._names(report.slide_id)}.png")
        write_bytes(self._files[-1], buffer.getvalue())

    def close(self) -> list[Path]:
        """Return the maps."""
        return self._files
