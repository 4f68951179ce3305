"""``smearscan demo``."""

from pathlib import Path

import click


@click.command("demo")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--fields", default=12, show_default=True, help="Fields of each slide.")
@click.option("--seed", default=1, show_default=True)
def command(directory: Path, fields: int, seed: int) -> None:
    """Draw a healthy and a leukemic smear in DIRECTORY, scan them (shipped weights), write every report."""
    from smearscan.cli.console import err, progress, summary
    from smearscan.cli.run import overlay_writer
    from smearscan.differential.slide_report import report_frame
    from smearscan.report.tables import write_csv
    from smearscan.results import cells_frame
    from smearscan.scan.scanner import SmearScanner
    from smearscan.synthetic import HEALTHY, LEUKEMIC, write_slides

    slides = directory / "slides"
    truth = write_slides(slides, {"healthy": HEALTHY, "leukemic": LEUKEMIC}, fields, seed)
    scanner, out = SmearScanner(), directory / "report.csv"
    reports, results = [], []
    with progress("Scanning", 2 * fields) as advance:
        for report, scanned in scanner.scan_slides(
            slides, overlay_writer(directory / "overlays", slides, scanner.timer), advance
        ):
            reports.append(report)
            results += scanned
    write_csv(report_frame(reports), out)
    card = scanner.calibration_name
    write_csv(cells_frame(results, slides, card), directory / "cells.csv")
    summary(reports, out)
    err.print(
        f"drawn truth: {truth}; cells: {directory / 'cells.csv'}; overlays: {directory / 'overlays'}",
        markup=False,
    )
