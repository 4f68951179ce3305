"""A run: many slides, each kept on disk as soon as it is read, to be gone on with whatever happens."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smearscan import __version__
from smearscan.differential import SlideReport
from smearscan.errors import OutputError
from smearscan.io import Slide, find_slides
from smearscan.io.content import file_stamps, files_sha256
from smearscan.io.naming import OutputNames
from smearscan.io.whole_slides import file_of
from smearscan.results import FieldFailure, FieldResult
from smearscan.results.doubts import SCALE, Doubt
from smearscan.rulers import measure_slide_scale
from smearscan.runtime import usable_cores
from smearscan.scan.facts_file import facts_of, keep_facts
from smearscan.scan.pipeline import OnField
from smearscan.scan.run_folder import RunFolder
from smearscan.scan.scanner import OnProgress, SmearScanner
from smearscan.scan.slide_doubts import doubts_of_scale
from smearscan.scan.slide_file import FieldItems

OnSlide = Callable[[SlideReport], None]

_LOG = logging.getLogger(__name__)

_CHANGE_NO_ANSWER = {"window", "workers", "read_ahead"}
_KNOWN_BY_CONTENT = {"detector", "blast", "differential", "calibration", "reference_ranges"}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run did.

    Attributes
    ----------
    n_slides, n_kept : int
        Slides of the run, and those of them that an earlier run had read.
    broken : tuple of str
        Slides that could not be scanned at all; the next ``--resume`` tries them again.
    """

    n_slides: int
    n_kept: int
    broken: tuple[str, ...] = ()


def run_slides(
    scanner: SmearScanner,
    root: Path,
    folder: Path,
    *,
    resume: bool | None = None,
    on_field: OnField | None = None,
    on_progress: OnProgress | None = None,
    on_slide: OnSlide | None = None,
) -> RunSummary:
    """Scan every slide of a folder into a run folder; :func:`smearscan.scan.run_folder.read_run` reads it.

    The same in two steps, with more to choose: :func:`open_run`, :func:`scan_into`.

    Raises
    ------
    ImageError
        If the folder is missing or holds no picture.
    RunError
        If another process uses the run folder, or an interrupted run is to be gone on with first.
    OutputError
        If the disk is full or the run folder closed.
    """
    slides, names = find_slides(root), OutputNames(root)
    with open_run(scanner, slides, names, folder, resume) as state:
        return scan_into(state, scanner, slides, names, on_field, on_progress, on_slide)


def open_run(
    scanner: SmearScanner, slides: Sequence[Slide], names: OutputNames, folder: Path, resume: bool | None,
    part_of: Sequence[Slide] = (),
) -> RunFolder:  # fmt: skip
    """Make the run folder of these slides and this scanner; enter it (``with``) to hold it.

    Parameters
    ----------
    scanner : SmearScanner
    slides : sequence of Slide
        In the order of the report.
    names : OutputNames
        How slides and fields are named in all that is written.
    folder : Path
    resume : bool or None
        See :class:`smearscan.scan.run_folder.RunFolder`.
    part_of : sequence of Slide
        All slides of which `slides` are a part, see :func:`smearscan.scan.merge.merge_runs`.
    """
    ids, every = ([names.slide(slide.slide_id) for slide in some] for some in (slides, part_of))
    return RunFolder(folder, answer_settings(scanner, names), ids, resume, every)


def scan_into(
    state: RunFolder,
    scanner: SmearScanner,
    slides: Sequence[Slide],
    names: OutputNames,
    on_field: OnField | None = None,
    on_progress: OnProgress | None = None,
    on_slide: OnSlide | None = None,
) -> RunSummary:
    """Scan into an open run folder the slides that it does not hold yet.

    Memory holds one slide's cells at a time. Stopped at any moment, by the keyboard, a signal, a full disk or
    the power, the folder keeps every slide that was read.

    Parameters
    ----------
    state : RunFolder
        Of :func:`open_run`, entered.
    scanner, slides, names
        As they were given there.
    on_field, on_progress : callable, optional
        See :meth:`smearscan.scan.scanner.SmearScanner.scan_slide`; of slides that are kept only progress is
        told.
    on_slide : callable, optional
        Called with the report of each slide that was scanned.

    Returns
    -------
    RunSummary

    Raises
    ------
    OutputError
        If the disk is full or the folder closed.
    """
    keep_facts(state.folder, facts_of(scanner), resumed=state.resumed)
    kept = {slide.slide_id for slide in slides if _is_kept(state, slide, names)}
    broken = []
    for slide in slides:
        if slide.slide_id in kept:
            for _ in slide.paths if on_progress else ():
                on_progress(slide.slide_id)  # type: ignore[misc]
            continue
        report, is_whole = _scan_slide_into(state, scanner, slide, names, on_field, on_progress)
        if not is_whole:
            broken.append(report.slide_id)
        if on_slide:
            on_slide(report)
    state.finish()
    return RunSummary(len(slides), len(kept), tuple(broken))


def answer_settings(scanner: SmearScanner, names: OutputNames | None = None) -> dict[str, Any]:
    """All that changes a slide's report besides its pictures, as JSON values; names no path.

    Weights, their cards and the calibration stand as hashes, the reference ranges as they are.
    """
    stages = {
        "detector": scanner.detector,
        "differential": scanner.classifier.differential,
        "blast": scanner.classifier.blast,
    }
    settings = scanner.config.model_dump(mode="json", exclude=_CHANGE_NO_ANSWER | _KNOWN_BY_CONTENT)
    hashes = {
        f"{stage}_card": _sha256(net.card.model_dump_json()) if net is not None else None
        for stage, net in stages.items()
    }
    calibration = scanner.classifier.calibration
    pseudonyms = names.pseudonyms if names else None
    return {
        "version": __version__,
        **settings,
        **hashes,
        "weights": list(scanner.weights),
        "reference_ranges": scanner.suspect_rule.ranges.as_json(),
        "calibration": _sha256(calibration.model_dump_json()) if calibration else None,
        "calibration_name": scanner.calibration_name,
        "pseudonyms": pseudonyms.fingerprint if pseudonyms else None,
    }


def _scan_slide_into(
    state: RunFolder,
    scanner: SmearScanner,
    slide: Slide,
    names: OutputNames,
    on_field: OnField | None,
    on_progress: OnProgress | None,
) -> tuple[SlideReport, bool]:
    """Scan a slide and keep it; return its report, and whether it could be scanned."""
    before = file_stamps(slide.files)
    digests = _digests(slide)
    key = _key(state, slide, names, digests)
    try:
        report, fields = scanner.scan_slide(slide, on_field, on_progress)
    except OutputError:
        raise  # what stops one slide from being written would stop all
    except Exception as error:
        _LOG.warning("%s: the slide could not be scanned", slide.slide_id, exc_info=True)
        told = f"the slide could not be scanned ({type(error).__name__}: {error})"
        report, fields = scanner.report_unread(slide, told)
        key = ""
        whole = False
    else:
        whole = True
        if contradicted := _doubts_of_scale(scanner, slide, report):
            others = (doubt for doubt in report.doubts if doubt.name != SCALE)
            report = replace(report, doubts=(*others, *contradicted))
    if file_stamps(slide.files) != before:
        _LOG.warning("%s: its pictures changed while they were read", slide.slide_id)
        key = ""
    report, fields = as_written(report, fields, names, dict(zip(slide.files, digests, strict=True)))
    with scanner.timer("write"):
        state.store(report, fields, key)
    return report, whole


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


def _doubts_of_scale(scanner: SmearScanner, slide: Slide, report: SlideReport) -> tuple[Doubt, ...]:
    """Doubt a scale that was not measured: a whole slide's was while its parts were sought."""
    given = scanner.config.um_per_px
    if report.film is not None:
        measured = report.film.measured_um_per_px
        return doubts_of_scale(report.scale.um_per_px, measured, is_given=given is not None)
    if given is None or not slide.paths:
        return ()
    with scanner.timer("scale"):
        found = measure_slide_scale(scanner.detector, slide.paths, scanner.config.ruler_fields)
    by_red_cells = found.um_per_px if found.source == "red cells" else float("nan")
    return doubts_of_scale(given, by_red_cells, is_given=True)


def _is_kept(state: RunFolder, slide: Slide, names: OutputNames) -> bool:
    name = names.slide(slide.slide_id)
    return state.has_file(name) and state.holds(name, _key(state, slide, names, _digests(slide)))


def _digests(slide: Slide) -> list[str]:
    return files_sha256(slide.files, usable_cores())


def _key(state: RunFolder, slide: Slide, names: OutputNames, digests: Sequence[str]) -> str:
    fields = [names.field(path).as_posix() for path in slide.files]
    beside = [_renamed_doubt(doubt, names).reason for doubt in slide.doubts]
    beside += [names.text(failure.reason, failure.path) for failure in slide.failures]
    return state.key(names.slide(slide.slide_id), fields, digests, beside)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
