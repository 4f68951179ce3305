"""The run's manifest: what was read, with which networks, settings and versions; no user, host or path."""

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TextIO

from smearscan.differential.slide_report import SlideReport
from smearscan.io.atomic import atomic_text
from smearscan.io.content import file_sha256
from smearscan.io.whole_slides import file_of
from smearscan.report.run_facts import RunFacts, field_name, without_paths
from smearscan.results import FieldFailure, FieldResult
from smearscan.taxonomy import NOTICE

SCHEMA = "smearscan.manifest/1"


class ManifestExport:
    """Writes ``manifest.json``; every field stands in it with the SHA-256 of its file."""

    missing = ()

    def __init__(self, folder: Path, facts: RunFacts, root: Path | None) -> None:
        self.file, self._facts, self._root = folder / "manifest.json", facts, root
        self._slides: TextIO = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._n = 0

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide."""
        sha256 = cache(_sha256)  # a whole slide is hashed once, not for each of its fields
        slide = {
            "slide": report.slide_id,
            "n_fields": report.tally.n_fields,
            "n_failed": report.tally.n_failed,
            "n_leukocytes": report.n_leukocytes,
            "um_per_px": report.scale.um_per_px,
            "flag": report.flag.state,
            "fields": [self._field(result, sha256) for result in results],
        }
        self._slides.write((",\n" if self._n else "\n") + json.dumps(slide, allow_nan=False))
        self._n += 1

    def _field(
        self, result: FieldResult | FieldFailure, sha256: Callable[[Path | None], str | None]
    ) -> dict[str, Any]:
        digest = result.sha256 or sha256(file_of(result.path) if result.path else None)
        told: dict[str, Any] = {"field": field_name(result.path, self._root), "sha256": digest}
        if isinstance(result, FieldFailure):
            return told | {"failed": without_paths(result.reason, result.path, self._root)}
        return told | {"height": result.shape[0], "width": result.shape[1], "n_leukocytes": len(result)}

    def close(self) -> list[Path]:
        """Write the file; returns it."""
        head = {"schema": SCHEMA, "notice": NOTICE, **self._facts.as_json()}
        with atomic_text(self.file) as out:
            out.write(json.dumps(head, indent=1)[:-2] + ',\n "slides": [')
            self._slides.seek(0)
            out.writelines(self._slides)
            out.write("]\n}\n")
        self._slides.close()
        return [self.file]


def _sha256(path: Path | None) -> str | None:
    """Hash of a file that was scanned without a run folder; None where it is not there any more."""
    try:
        return file_sha256(path) if path is not None else None
    except OSError:
        return None
