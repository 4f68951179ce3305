"""What ``smearscan run`` does with a folder, as a callable that can be timed again and again."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from smearscan.report.tables import write_cells_csv, write_report_csv
from smearscan.results import FieldResult
from smearscan.scan.scanner import SmearScanner


class Ours:
    """Scans the slides of a folder and writes both tables.

    Parameters
    ----------
    folder : Path
    **settings
        Of :class:`smearscan.scan.scanner.SmearScanner`.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder, self.scanner = folder, SmearScanner(**settings)
        self._results: list[FieldResult] = []

    def __call__(self) -> dict[str, Any]:
        """Scan; tell what was counted and what each stage took, seconds added up over threads."""
        scanner, reports, results = self.scanner, [], []
        scanner.timer.seconds.clear()
        for report, fields in scanner.scan_slides(self.folder):
            reports.append(report)
            results += fields
        with TemporaryDirectory() as out:
            write_report_csv(lambda: reports, Path(out) / "report.csv")
            write_cells_csv([results], Path(out) / "cells.csv", self.folder, scanner.calibration_name)
        self._results = [r for r in results if isinstance(r, FieldResult)]
        return {
            "fields": len(self._results),
            "types": dict(Counter(name for r in self._results for name in r.types)),
            "stages": {name: round(taken, 4) for name, taken in scanner.timer.seconds.items()},
            "engines": [net.engine.name for net in (scanner.detector, *scanner.classifier.nets.values())],
        }

    def cells(self) -> list[dict[str, Any]]:
        """Tell boxes, field pixels, and names of the leukocytes of each field of the last run."""
        return [{"xyxy": r.detections.xyxy.round(2).tolist(), "types": list(r.types)} for r in self._results]
