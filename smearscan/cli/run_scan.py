"""What ``smearscan run`` does between its options and its exit code: scan, write, say."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from smearscan.cli.after_scan import make_exports, make_review
from smearscan.cli.console import print_slides, progress
from smearscan.cli.run_targets import Targets
from smearscan.cli.stopping import STOPPED_BY_KEYBOARD, STOPPED_BY_SIGTERM, Terminated
from smearscan.errors import OutputError, RunError, SmearscanError
from smearscan.io import write_image
from smearscan.io.folders import Slide
from smearscan.io.naming import OutputNames
from smearscan.report.tables import STDOUT
from smearscan.results import Field, FieldResult
from smearscan.results.doubts import counted
from smearscan.scan.run import RunSummary, open_run, scan_into
from smearscan.scan.run_folder import RunFolder, read_reports
from smearscan.scan.run_reports import write_run_reports
from smearscan.scan.scanner import SmearScanner

if TYPE_CHECKING:
    from smearscan.scan.pipeline import OnField
    from smearscan.scan.run import ScanAll
    from smearscan.scan.timing import StageTimer

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its exit code with the reason in words, and what was read in all."""

    exit_code: int
    reason: str
    n_fields: int = 0
    n_cells: int = 0


@dataclass(frozen=True, slots=True)
class Stop:
    """What ended a scan before its end."""

    exit_code: int
    reason: str


def scan_and_write(
    scanner: SmearScanner, slides: Sequence[Slide], names: OutputNames, targets: Targets, *, root: Path,
    resume: bool | None, for_excel: bool, say: Say, show: bool = True, part_of: Sequence[Slide] = (),
    scan_all: "ScanAll | None" = None,
) -> Outcome:  # fmt: skip
    """Scan slides, write all that was asked for, and say it; stopped half-way, for what was read.

    Parameters
    ----------
    scanner, slides, names
        See :func:`smearscan.scan.run.open_run`.
    targets : Targets
    root : Path
        The scanned folder.
    resume : bool or None
        See :class:`smearscan.scan.run_folder.RunFolder`.
    for_excel : bool
        See :func:`smearscan.scan.run_reports.write_run_reports`.
    say : callable
        Prints a sentence on stderr, or swallows it.
    show : bool
        Whether the slides are printed.
    part_of : sequence of Slide
        See :func:`smearscan.scan.run.open_run`.
    scan_all : callable, optional
        See :func:`smearscan.scan.run.scan_into`.
    """
    with _folder_of(targets) as folder, open_run(scanner, slides, names, folder, resume, part_of) as state:
        if state.changed:
            say(f"not gone on with: {_several(state.changed)} changed; every slide is read anew")
        stop, done = _scan(state, scanner, slides, names, targets, say, scan_all)
        stored = sum(1 for _ in read_reports(folder))
        if not stored:
            return _ended(stop, folder, 0, len(slides), say, kept=targets.run is not None)
        stop = _write(scanner, targets, folder, root, for_excel, say) or stop
        if show:
            print_slides(read_reports(folder), to_stderr=targets.report == STDOUT)
        if stop:
            return _ended(stop, folder, stored, len(slides), say, kept=targets.run is not None)
        return judged(folder, done, say)


def _scan(
    state: RunFolder,
    scanner: SmearScanner,
    slides: Sequence[Slide],
    names: OutputNames,
    targets: Targets,
    say: Say,
    scan_all: "ScanAll | None",
) -> tuple[Stop | None, RunSummary | None]:
    draw = overlay_writer(targets, names, scanner.timer) if targets.overlays else None
    try:
        # how many fields a whole slide has, opening it tells
        known = not any(slide.is_whole for slide in slides)
        total = sum(len(slide.paths) for slide in slides) if known else None
        with progress("Scanning", total) as advance:
            done = scan_into(state, scanner, slides, names, draw, advance, scan_all=scan_all)
    except Terminated:
        return Stop(STOPPED_BY_SIGTERM, "stopped by SIGTERM"), None
    except KeyboardInterrupt:
        return Stop(STOPPED_BY_KEYBOARD, "stopped by Ctrl-C"), None
    except (OutputError, RunError) as error:
        return Stop(1, str(error)), None
    if done.n_kept:
        say(f"{done.n_kept} of {done.n_slides} slides were read before and are kept")
        if targets.overlays:
            say(f"overlays of these are as they were: {targets.overlays}")
    return None, done


def _write(
    scanner: SmearScanner, targets: Targets, folder: Path, root: Path, for_excel: bool, say: Say
) -> Stop | None:
    """Write every report of what the run folder holds; what cannot be written is said."""
    try:
        with scanner.timer("write"):
            done = write_run_reports(
                folder,
                report=targets.report,
                cells=targets.cells,
                summary=targets.summary,
                page=targets.page,
                for_excel=for_excel,
            )
            for path, what in done.items():
                if path != STDOUT:
                    say(targets.written(path, what))
            if targets.overlays:
                say(targets.written(targets.overlays, "pictures with their cells drawn in"))
            if targets.exports and targets.export_kinds:
                make_exports(targets.exports, targets.export_kinds, folder, root, say)
            if targets.review:
                make_review(targets.review, folder, root, say)
    except OutputError as error:
        return Stop(1, str(error))
    return None


def _ended(stop: Stop | None, folder: Path, stored: int, n: int, say: Say, kept: bool) -> Outcome:
    """Say why a run ended early and how to go on."""
    stop = stop or Stop(1, "no slide was found")
    say(f"{stop.reason}: {stored} of {n} slides are read")
    if kept:
        say(f"they are kept in {folder}; the same command with --resume goes on")
    return Outcome(stop.exit_code, stop.reason)


def judged(folder: Path, done: RunSummary | None, say: Say) -> Outcome:
    """Tell what of a run folder could not be read, and its exit code in words; `done` of a run just made."""
    n_failed = n_fields = n_cells = n_in_doubt = 0
    for report in read_reports(folder):
        for failure in report.tally.failures:
            say(f"failed: {failure.reason}")
        n_failed += report.tally.n_failed
        n_fields += report.tally.n_fields
        n_cells += report.n_leukocytes
        n_in_doubt += bool(report.doubts)
    if n_failed:
        reason = f"{n_failed} of {n_failed + n_fields} fields could not be read"
        if done and done.broken:
            reason += f", {_several(done.broken)} not at all: --resume tries again"
    else:
        reason = "every field was read"
    if n_in_doubt:
        reason += (
            f"; {counted(n_in_doubt, 'slide has', 'slides have')} doubts ('doubt_reasons' in the report)"
        )
    say(f"exit code {int(n_failed > 0)}: {reason}")
    return Outcome(int(n_failed > 0), reason, n_failed + n_fields, n_cells)


def overlay_writer(targets: Targets, names: OutputNames, timer: "StageTimer") -> "OnField":
    """Make a function that writes each field's overlay, in the tree of the scanned folder."""
    from smearscan.report.overlay import draw_overlay

    folder, suffix = targets.overlays or Path(), f".{targets.overlay_format}"

    def write(field: Field, result: FieldResult) -> None:
        assert field.path is not None
        name = names.field(field.path)
        target = folder / name.with_suffix(name.suffix + suffix)
        with timer("write"):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                write_image(target, draw_overlay(field.image, result))
            except (OSError, SmearscanError) as error:
                raise OutputError(f"{target}: the overlay cannot be written ({error}); make room") from error

    return write


@contextmanager
def _folder_of(targets: Targets) -> Iterator[Path]:
    """Give the run folder; one for this run alone where nothing can be kept."""
    if targets.run is not None:
        yield targets.run
        return
    with TemporaryDirectory(prefix="smearscan-") as folder:
        yield Path(folder)


def _several(names: Sequence[str]) -> str:
    """Name a few things, and how many more there are."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
