"""Slides of a run: scanned whatever happens, named as they are written, made ready to be kept."""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from smearscan.differential import SlideReport
from smearscan.io import Slide, read_ahead
from smearscan.io.content import file_stamps, files_sha256
from smearscan.io.limits import most_bytes
from smearscan.io.naming import OutputNames
from smearscan.io.whole_slides import file_of
from smearscan.results import FieldFailure, FieldResult
from smearscan.results.doubts import SCALE, Doubt
from smearscan.rulers import measure_slide_scale
from smearscan.runtime import usable_cores
from smearscan.scan.pipeline import OnField
from smearscan.scan.run_folder import slide_key
from smearscan.scan.scanner import SmearScanner
from smearscan.scan.slide_doubts import doubts_of_scale
from smearscan.scan.slide_file import FieldItems, slide_bytes
from smearscan.scan.slide_judge import ScannedSlide
from smearscan.scan.slides_in_flight import OnProgress

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PackedSlide:
    """A slide's result, ready to be kept.

    Attributes
    ----------
    slide_id : str
        As it is written.
    content : bytes
        Of its file, :mod:`smearscan.scan.slide_file`.
    was_scanned : bool
        False where the scan itself failed: each of its fields then is a failure.
    """

    slide_id: str
    content: bytes
    was_scanned: bool


@dataclass(frozen=True, slots=True)
class _Before:
    """What is known of a slide before it is scanned; of its scale, where one was given."""

    slide: Slide
    stamps: object
    digests: list[str]
    um_per_px_by_red_cells: float


def scan_and_pack(
    scanner: SmearScanner,
    settings: Mapping[str, Any],
    slides: Iterable[Slide],
    names: OutputNames,
    on_field: OnField | None = None,
    on_progress: OnProgress | None = None,
) -> Generator[PackedSlide, None, None]:
    """Scan slides in one go, whatever happens, to what is kept of each, in order.

    Parameters
    ----------
    scanner : SmearScanner
    settings : mapping
        Of the run, :func:`smearscan.scan.run.answer_settings`.
    slides : iterable of Slide
    names, on_field, on_progress
        As of :func:`smearscan.scan.run.scan_into`.

    Raises
    ------
    OutputError
        What `on_field` raises: a place that stops one slide from being written would stop all.
    """
    known: deque[_Before] = deque()

    def drawn() -> Iterator[Slide]:
        for before in read_ahead(slides, partial(_before, scanner), 1, 1):
            known.append(before)
            yield before.slide

    with closing(scanner.scan_each(drawn(), on_field, on_progress)) as scanned:
        for _, done in scanned:
            packed = _packed(scanner, settings, names, known.popleft(), done)
            del done  # memory holds the cells of the next
            yield packed


def _before(scanner: SmearScanner, slide: Slide) -> _Before:
    stamps = file_stamps(slide.files)
    measured = float("nan")
    if scanner.config.um_per_px is not None and slide.paths and not slide.is_whole:
        with scanner.timer("scale"):
            found = measure_slide_scale(scanner.detector, slide.paths, scanner.config.ruler_fields)
        measured = found.um_per_px if found.source == "red cells" else measured
    return _Before(slide, stamps, digests_of(slide, scanner.config.max_field_pixels), measured)


def _packed(
    scanner: SmearScanner,
    settings: Mapping[str, Any],
    names: OutputNames,
    before: _Before,
    done: ScannedSlide | Exception,
) -> PackedSlide:
    slide = before.slide
    key = key_of(settings, slide, names, before.digests)
    if isinstance(done, Exception):
        _LOG.warning("%s: the slide could not be scanned", slide.slide_id, exc_info=done)
        told = f"the slide could not be scanned ({type(done).__name__}: {done})"
        report, fields = scanner.judge.report_unread(slide, told)
        key = ""
    else:
        report, fields = done
        if contradicted := _doubts_of_scale(scanner, before, report):
            others = (doubt for doubt in report.doubts if doubt.name != SCALE)
            # first: what a wrong scale does to the fields may be doubted after it
            report = replace(report, doubts=(*contradicted, *others))
    if file_stamps(slide.files) != before.stamps:
        _LOG.warning("%s: its pictures changed while they were read", slide.slide_id)
        key = ""
    report, fields = as_written(report, fields, names, dict(zip(slide.files, before.digests, strict=True)))
    with scanner.timer("write"):
        content = slide_bytes(key, report, fields)
    return PackedSlide(report.slide_id, content, not isinstance(done, Exception))


def as_written(
    report: SlideReport, fields: FieldItems, names: OutputNames, digests: Mapping[Path, str]
) -> tuple[SlideReport, FieldItems]:
    """Give a slide's report and results what is written: names of slide, pictures, failures; their hashes."""
    slide_id = names.slide(report.slide_id)

    def renamed(item: FieldResult | FieldFailure) -> FieldResult | FieldFailure:
        if item.path is not None:
            item = replace(item, sha256=digests.get(file_of(item.path), ""))
        path = names.field(item.path) if item.path is not None else None
        if isinstance(item, FieldFailure):
            return replace(item, slide_id=slide_id, path=path, reason=names.text(item.reason, item.path))
        return replace(item, slide_id=slide_id, path=path)

    failures = tuple(f for f in map(renamed, report.tally.failures) if isinstance(f, FieldFailure))
    tally = replace(report.tally, slide_id=slide_id, failures=failures)
    doubts = tuple(_renamed_doubt(doubt, names) for doubt in report.doubts)
    return replace(report, tally=tally, doubts=doubts), [renamed(item) for item in fields]


def _renamed_doubt(doubt: Doubt, names: OutputNames) -> Doubt:
    reason = doubt.reason
    for path in sorted(doubt.paths, key=lambda path: -len(str(path))):  # of two, one may begin with the other
        reason = names.text(reason, path)
    return replace(doubt, reason=reason, paths=tuple(map(names.field, doubt.paths)))


def _doubts_of_scale(scanner: SmearScanner, before: _Before, report: SlideReport) -> tuple[Doubt, ...]:
    """Doubt a scale that was not measured: a whole slide's was while its parts were sought."""
    is_given = scanner.config.um_per_px is not None
    film = report.film
    measured = before.um_per_px_by_red_cells if film is None else film.measured_um_per_px
    return doubts_of_scale(report.scale.um_per_px, measured, is_given)


def digests_of(slide: Slide, max_pixels: int) -> list[str]:
    """SHA-256 of each file of a slide; empty for one that cannot be read, or is refused by its size.

    Parameters
    ----------
    slide : Slide
    max_pixels : int
        As of the settings. A whole slide may be of any size.
    """
    return files_sha256(slide.files, usable_cores(), None if slide.is_whole else most_bytes(max_pixels))


def key_of(settings: Mapping[str, Any], slide: Slide, names: OutputNames, digests: Sequence[str]) -> str:
    """Return :func:`smearscan.scan.run_folder.slide_key` of a slide as it lies there."""
    fields = [names.field(path).as_posix() for path in slide.files]
    beside = [_renamed_doubt(doubt, names).reason for doubt in slide.doubts]
    beside += [names.text(failure.reason, failure.path) for failure in slide.failures]
    known = [
        digest or _unread(slide, path, settings) for path, digest in zip(slide.files, digests, strict=True)
    ]
    return slide_key(settings, names.slide(slide.slide_id), fields, known, beside)


def _unread(slide: Slide, path: Path, settings: Mapping[str, Any]) -> str:
    """Size of a picture that is refused by it, whatever it holds; empty of any other."""
    ((size, _),) = file_stamps([path])
    is_refused = not slide.is_whole and size > most_bytes(settings["max_field_pixels"])
    return f"{size} bytes" if is_refused else ""
