"""``smearscan evaluate background`` and ``leaks``: what serves the laboratory, measured on its own."""

from pathlib import Path

import click

from smearscan.cli.options import JSON, PATH, show


@click.command("background")
@click.option(
    "--data", type=PATH, required=True, help="Folder that holds the data sets jtsc and cellavision."
)
@click.option("--detector", type=PATH, help="Detector pair that finds the cells. Default: shipped.")
@JSON
def background(data: Path, detector: Path | None, out: Path | None) -> None:
    """Score the removal of the background against published masks of leukocytes."""
    from smearscan.cli.console import progress
    from smearscan.detector import Detector
    from smearscan.errors import DatasetError
    from smearscan.evaluation.background import MASKED, measure_background
    from smearscan.training.cells import locate
    from smearscan.training.published import published_cells

    table = published_cells(data)
    table = table[table["site"].isin(MASKED)].reset_index(drop=True)
    if table.empty:
        raise DatasetError(f"{data}: holds neither of the sets with masks ({', '.join(MASKED)})")
    with progress("Locating", len(table)) as advance:
        table = locate(table, data, Detector.load(detector), advance)
    show(measure_background(table, data), out)


@click.command("leaks")
@click.argument("cells", type=PATH)
@click.option("--data", type=PATH, required=True, help="Folder that holds the data sets bccd, pbc and txl.")
@JSON
def leaks(cells: Path, data: Path, out: Path | None) -> None:
    """Try the leak guard on known leaks: one picture in two sets, augmented copies, and none."""
    import tempfile

    from smearscan.evaluation.leak_trial import known_leaks
    from smearscan.training.cells import read_manifest

    with tempfile.TemporaryDirectory() as work:
        show(known_leaks(read_manifest(cells), data, Path(work)), out)
