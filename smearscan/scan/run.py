"""A run: many slides, each kept on disk as soon as it is read, to be gone on with whatever happens."""

import hashlib
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from smearscan import __version__
from smearscan.differential import SlideReport
from smearscan.io import Slide, find_slides
from smearscan.io.naming import OutputNames
from smearscan.scan.facts_file import facts_of, keep_facts
from smearscan.scan.packed_slides import PackedSlide, digests_of, key_of, scan_and_pack
from smearscan.scan.pipeline import OnField
from smearscan.scan.run_folder import RunFolder
from smearscan.scan.scanner import SmearScanner
from smearscan.scan.slides_in_flight import OnProgress
from smearscan.weights import Card

OnSlide = Callable[[SlideReport], None]
ScanAll = Callable[[Sequence[Slide]], Generator[PackedSlide, None, None]]

_LOG = logging.getLogger(__name__)

_CHANGE_NO_ANSWER = {"window", "workers", "read_ahead"}
_KNOWN_BY_CONTENT = {"detector", "blast", "differential", "cells", "calibration", "reference_ranges"}


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
    scan_all: ScanAll | None = None,
) -> RunSummary:
    """Scan into an open run folder the slides that it does not hold yet.

    Memory holds one slide's cells, and those of the window that is read meanwhile. Stopped at any moment, by
    the keyboard, a signal, a full disk or the power, the folder keeps every slide that was read and named.

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
    scan_all : callable, optional
        Scans slides, in any order, in place of this process: :func:`smearscan.scan.cluster.scan_on_ray`.

    Returns
    -------
    RunSummary

    Raises
    ------
    OutputError
        If the disk is full or the folder closed.
    """
    keep_facts(state.folder, facts_of(scanner), resumed=state.resumed)
    kept = {slide.slide_id for slide in slides if _is_kept(state, scanner, slide, names)}
    for slide in slides if on_progress else ():
        for _ in slide.paths if slide.slide_id in kept else ():
            on_progress(slide.slide_id)  # type: ignore[misc]
    left = [slide for slide in slides if slide.slide_id not in kept]
    broken = []
    scan_here = partial(
        scan_and_pack, scanner, state.settings, names=names, on_field=on_field, on_progress=on_progress
    )
    with closing((scan_all or scan_here)(left)) as scanned:
        for done in scanned:
            with scanner.timer("write"):
                state.store(done.slide_id, done.content)
            if not done.was_scanned:
                broken.append(done.slide_id)
            if scan_all and on_progress:
                _tell_of(state.report(done.slide_id), on_progress)
            if on_slide:
                on_slide(state.report(done.slide_id))
    state.finish()
    return RunSummary(len(slides), len(kept), tuple(sorted(broken)))


def answer_settings(scanner: SmearScanner, names: OutputNames | None = None) -> dict[str, Any]:
    """All that changes a slide's report besides its pictures, as JSON values; names no path.

    Weights, their cards and the calibration stand as hashes, the reference ranges as they are.
    """
    none: dict[str, Card | None] = dict.fromkeys(("differential", "blast", "cells"))
    cards = {"detector": scanner.detector.card, **none, **scanner.classifier.cards}
    settings = scanner.config.model_dump(mode="json", exclude=_CHANGE_NO_ANSWER | _KNOWN_BY_CONTENT)
    hashes = {
        f"{stage}_card": _sha256(card.model_dump_json()) if card is not None else None
        for stage, card in cards.items()
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


def _tell_of(report: SlideReport, on_progress: OnProgress) -> None:
    """Tell of each field of a slide that was scanned elsewhere."""
    for _ in range(report.tally.n_fields + report.tally.n_failed):
        on_progress(report.slide_id)


def _is_kept(state: RunFolder, scanner: SmearScanner, slide: Slide, names: OutputNames) -> bool:
    name = names.slide(slide.slide_id)
    if not state.has_file(name):
        return False
    digests = digests_of(slide, scanner.config.max_field_pixels)
    return state.holds(name, key_of(state.settings, slide, names, digests))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
