"""All exports of a run in one pass over its slides."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from smearscan.differential.slide_report import SlideReport
from smearscan.errors import ConfigError
from smearscan.report.exports.coco import CocoExport
from smearscan.report.exports.contact import ContactExport
from smearscan.report.exports.fhir import FhirExport
from smearscan.report.exports.film_maps import FilmMapExport
from smearscan.report.exports.geojson import GeoJsonExport
from smearscan.report.exports.manifest import ManifestExport
from smearscan.report.exports.parquet import ParquetExport
from smearscan.report.exports.yolo import YoloExport
from smearscan.report.run_facts import RunFacts
from smearscan.results import FieldFailure, FieldResult

Slides = Iterable[tuple[SlideReport, list[FieldResult | FieldFailure]]]


class Export(Protocol):
    """What every kind of export does.

    Attributes
    ----------
    missing : sequence of str
        Of each field whose picture was wanted and could not be read again: its name and why.
    """

    @property
    def missing(self) -> Sequence[str]: ...  # noqa: D102

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide."""

    def close(self) -> list[Path]:
        """Finish; returns what was written: files, or folders of many."""


_MAKERS: dict[str, Callable[[Path, RunFacts, Path | None], Export]] = {
    "coco": CocoExport,
    "yolo": YoloExport,
    "geojson": GeoJsonExport,
    "parquet": ParquetExport,
    "fhir": FhirExport,
    "contact": ContactExport,
    "map": FilmMapExport,
}
KINDS = tuple(_MAKERS)
"""Kinds of export by name; a manifest goes with each."""
NEED_PICTURES = ("contact",)
"""Kinds that read the photographs again."""


@dataclass(frozen=True, slots=True)
class Exports:
    """What was written, files or folders of many; fields without their picture, and why."""

    files: tuple[Path, ...]
    missing_pictures: tuple[str, ...] = ()


class Exported:
    """Exports in the making: give each slide to :meth:`add`, then :meth:`close`.

    Parameters
    ----------
    folder : Path
        Where they are written to.
    kinds : sequence of str
        Of :data:`KINDS`; the manifest is always written.
    facts : RunFacts
    root : Path or None
        Folder that was scanned: fields are named by their paths below it.

    Raises
    ------
    ConfigError
        If a kind is not known, or its library is not installed.
    """

    def __init__(self, folder: Path, kinds: Sequence[str], facts: RunFacts, root: Path | None) -> None:
        for kind in kinds:
            if kind not in _MAKERS:
                raise ConfigError(f"--export {kind}: is none of {', '.join(KINDS)}")
        makers = [_MAKERS[kind] for kind in dict.fromkeys(kinds)]
        self._exports = [make(folder, facts, root) for make in makers]
        self._exports.append(ManifestExport(folder, facts, root))

    def add(self, report: SlideReport, results: list[FieldResult | FieldFailure]) -> None:
        """Add a slide to every export."""
        for export in self._exports:
            export.add(report, results)

    def close(self) -> Exports:
        """Finish all; returns what was written."""
        files = tuple(path for export in self._exports for path in export.close())
        return Exports(files, tuple(told for export in self._exports for told in export.missing))


def write_exports(
    folder: Path, kinds: Sequence[str], facts: RunFacts, slides: Slides, root: Path | None
) -> Exports:
    """Write exports of a run, slide by slide; see :class:`Exported`."""
    exports = Exported(folder, kinds, facts, root)
    for report, results in slides:
        exports.add(report, results)
    return exports.close()
