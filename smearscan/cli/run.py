"""``smearscan run``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.options import machine, stages, writable
from smearscan.errors import ConfigError

if TYPE_CHECKING:
    from smearscan.scan.pipeline import OnField
    from smearscan.scan.timing import StageTimer

_PATH = click.Path(path_type=Path)


@click.command("run")
@click.argument("slides", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Report to write, CSV, one row a slide.")
@click.option("--cells", type=_PATH, help="Table of every leukocyte to write, CSV.")
@click.option("--overlays", type=_PATH, help="Folder for pictures of the fields with their cells drawn in.")
@click.option("--export", "kinds", help="Files for other tools: coco,yolo,geojson,parquet,fhir, by commas.")
@click.option("--exports", type=_PATH, help="Folder for --export. Default: 'exports' beside the report.")
@click.option("--review", type=_PATH, help="Folder for the page to review, correct and sign in a browser.")
@click.option(
    "--task", type=click.Choice(["both", "blast", "differential"]), help="Nets to run. Default: both."
)
@machine
@click.option("--um-per-px", type=float, help="Micrometers a pixel, if known; else red cells are measured.")
@click.option(
    "--weights",
    "pairs",
    type=_PATH,
    multiple=True,
    help="A weights pair in place of the shipped one; repeatable.",
)
@click.option("--calibration", type=_PATH, help="Calibration card of your site, see 'smearscan calibrate'.")
@click.option(
    "--until-resolved",
    is_flag=True,
    default=None,
    help="Read a slide's fields in random order only until flag and intervals are settled.",
)
@click.option(
    "--resolve-width",
    "resolve_width_percent",
    type=float,
    help="With --until-resolved: width of the intervals in percentage points. Default: 15.",
)
@click.option("--window", type=int, help="Most fields whose crops are classified together.")
@click.option("--timing", is_flag=True, help="Tell where the time went, on stderr.")
@click.option("--config", "config_file", type=_PATH, help="YAML file of settings; options win over it.")
def command(
    slides: Path, out: Path, cells: Path | None, overlays: Path | None, review: Path | None,
    kinds: str | None, exports: Path | None, pairs: tuple[Path, ...], timing: bool,
    config_file: Path | None, **settings: object,
) -> None:  # fmt: skip
    """Scan SLIDES: every sub-folder is a slide, its pictures are fields; a loose picture is a slide.

    The report suggests; it is never a diagnosis. Exit code 0: done; 1: some fields failed; 2: wrong usage.
    """
    from smearscan.cli.after_scan import export_kinds, facts_of, folder_for, make_exports, make_review
    from smearscan.config import scan_config
    from smearscan.differential.slide_report import report_frame
    from smearscan.io.folders import find_slides
    from smearscan.report.tables import write_csv
    from smearscan.results import cells_frame

    _check_targets(out, cells, overlays)
    folder_for(review, "--review")
    wanted = export_kinds(kinds)
    slides_found = find_slides(slides)
    config = scan_config(config_file, **settings, **stages(pairs))

    from smearscan.cli.console import account, progress, summary
    from smearscan.runtime.batches import usable_cores
    from smearscan.scan.scanner import SmearScanner
    from smearscan.scan.timing import Stopwatch

    scanner = SmearScanner.load(config)
    named = scanner.calibration_name
    watch = Stopwatch()
    reports, results, read = [], [], []
    try:
        with progress("Scanning", sum(len(s.paths) for s in slides_found)) as advance:
            draw = overlay_writer(overlays, slides, scanner.timer) if overlays else None
            for report, fields in scanner.scan_slides(slides, draw, advance):
                reports.append(report)
                results += fields
                read.append((report, fields))
    finally:  # a stop half-way loses no slide that was read
        if reports:
            with scanner.timer("write"):
                write_csv(report_frame(reports), out)
                if cells:
                    write_csv(cells_frame(results, slides, named), cells)
    if wanted:
        make_exports(exports or out.parent / "exports", wanted, facts_of(scanner), read, slides)
    if review:
        with scanner.timer("write"):
            make_review(review, facts_of(scanner), read, slides)
    summary(reports, out)
    if timing:
        n_cells = sum(report.n_leukocytes for report in reports)
        account(watch.stop(scanner.timer, len(results), n_cells, usable_cores()))
    sys.exit(1 if any(r.tally.n_failed for r in reports) else 0)


def _check_targets(out: Path, cells: Path | None, overlays: Path | None) -> None:
    """Refuse before the scan what would fail after it."""
    for option, file in (("--out", out), ("--cells", cells)):
        if file is not None:
            writable(file, option)
    if cells is not None and cells.absolute() == out.absolute():
        raise ConfigError(f"{out}: is given for --out and for --cells; give two files")
    if overlays is not None and overlays.exists() and not overlays.is_dir():
        raise ConfigError(f"{overlays}: is a file; --overlays is a folder")


def overlay_writer(folder: Path, root: Path, clock: "StageTimer") -> "OnField":
    """Make a function that writes each field's overlay to `folder`, in the tree of `root`."""
    from smearscan.io.decode import write_image
    from smearscan.report.overlay import draw_overlay
    from smearscan.results import Field, FieldResult

    base = root.parent if root.is_file() else root

    def write(field: Field, result: FieldResult) -> None:
        assert field.path is not None
        target = folder / field.path.relative_to(base).with_suffix(field.path.suffix + ".png")
        with clock("write"):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_image(target, draw_overlay(field.image, result))

    return write
