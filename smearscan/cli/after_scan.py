"""What ``smearscan run`` and the commands on a finished run write besides tables: the page, the exports."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from smearscan.errors import ConfigError

if TYPE_CHECKING:
    from smearscan.differential import SlideReport
    from smearscan.report.run_facts import RunFacts
    from smearscan.results import FieldFailure, FieldResult
    from smearscan.scan.scanner import SmearScanner

    Slides = Iterable[tuple[SlideReport, list[FieldResult | FieldFailure]]]


def facts_of(scanner: "SmearScanner") -> "RunFacts":
    """Gather what pages and exports tell of the scanner that made a run."""
    from smearscan.report.run_facts import RunFacts

    stages = (scanner.classifier.differential, scanner.classifier.blast)
    cards = [scanner.detector.card, *(net.card for net in stages if net is not None)]
    return RunFacts.of(scanner.config, cards, scanner.classifier.calibration)


def folder_for(path: Path | None, option: str) -> None:
    """Refuse a file where a folder is to be written, before the scan."""
    if path is not None and path.exists() and not path.is_dir():
        raise ConfigError(f"{path}: is a file; {option} is a folder")


def make_review(out: Path, facts: "RunFacts", slides: "Slides", root: Path, with_fields: bool = True) -> None:
    """Write the review page and say what was written."""
    from smearscan.cli.console import err
    from smearscan.report.review import write_review

    done = write_review(out, facts, slides, root, with_fields=with_fields)
    told = f"{done.slides} slides, {done.cells} cells, {done.size / 1e6:.1f} MB"
    pages = f" and {len(done.files) - 1} pages of slides" if len(done.files) > 1 else ""
    err.print(f"written: {done.files[0]}{pages} ({told}); open it in a browser", markup=False)
    if done.missing_pictures:
        n = done.missing_pictures
        err.print(f"{n} fields could not be read again: they are in the page without their pictures")


def export_kinds(listed: str | None) -> list[str]:
    """Read kinds of export, by commas; refuse an unknown one before the scan."""
    if not listed:
        return []
    from smearscan.report.exports import KINDS

    kinds = [kind.strip().lower() for kind in listed.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"--export {kind}: is none of {', '.join(KINDS)}")
    if "parquet" in kinds:
        from importlib.util import find_spec

        if find_spec("pyarrow") is None:
            raise ConfigError("--export parquet needs pyarrow: pip install pyarrow")
    return kinds


def make_exports(out: Path, kinds: list[str], facts: "RunFacts", slides: "Slides", root: Path) -> None:
    """Write exports, with the run's manifest, and say where they are."""
    from smearscan.cli.console import err
    from smearscan.report.exports import write_exports

    for path in write_exports(out, kinds, facts, slides, root):
        err.print(f"written: {path}", markup=False)
