"""``smearscan demo``."""

from pathlib import Path

import click


@click.command("demo")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--fields", default=12, show_default=True, help="Fields of each slide.")
@click.option("--seed", default=1, show_default=True)
def command(directory: Path, fields: int, seed: int) -> None:
    """Draw a healthy and a leukemic smear in DIRECTORY, scan them (shipped weights), write every report."""
    from smearscan.cli.console import voice
    from smearscan.cli.run_scan import scan_and_write
    from smearscan.cli.run_targets import find_targets
    from smearscan.io import find_slides
    from smearscan.io.naming import OutputNames
    from smearscan.scan.scanner import SmearScanner
    from smearscan.synthetic import HEALTHY, LEUKEMIC, write_slides
    from smearscan.taxonomy import NOTICE

    slides, say = directory / "slides", voice(quiet=False)
    truth = write_slides(slides, {"healthy": HEALTHY, "leukemic": LEUKEMIC}, fields, seed)
    targets = find_targets(
        str(directory / "report.csv"),
        slides,
        cells=directory / "cells.csv",
        summary=directory / "summary.csv",
        page=directory / "report.html",
        overlays=directory / "overlays",
    )
    outcome = scan_and_write(
        SmearScanner(), find_slides(slides), OutputNames(slides), targets, root=slides, resume=False,
        for_excel=False, say=say,
    )  # fmt: skip
    say(f"drawn truth: {truth}")
    say(NOTICE)
    raise SystemExit(outcome.exit_code)
