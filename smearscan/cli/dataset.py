"""``smearscan dataset``."""

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.group("dataset")
def command() -> None:
    """Prepare training manifests."""


@command.command("leaks")
@click.argument("cells", type=_PATH)
@click.option("--data", type=_PATH, help="What the manifest's paths are relative to. Default: its folder.")
@click.option("--folds", default="split", show_default=True, help="Column that tells the folds apart.")
@click.option("--regroup", type=_PATH, help="Manifest to write in which pictures of one cell share a group.")
@click.option("--out", type=_PATH, help="JSON file to write what was found to, too.")
def leaks(cells: Path, data: Path | None, folds: str, regroup: Path | None, out: Path | None) -> None:
    """Tell whether the same cell, picture or group is in two folds of a manifest; exit code 1 if so.

    CELLS is a located manifest (CSV) or a folder with one sub-folder a class.
    """
    import sys
    from dataclasses import asdict

    from smearscan.cli.console import err, progress
    from smearscan.errors import DatasetError
    from smearscan.experiments.leak_guard import find_leaks, regrouped
    from smearscan.report.figures import json_of_figures
    from smearscan.report.tables import write_csv
    from smearscan.training.cells import read_cells

    root = data or (cells if cells.is_dir() else cells.parent)
    with progress("Locating", None) as advance:
        table = read_cells(cells, root, None, None, 0, advance)
    if folds not in table:
        raise DatasetError(
            f"{cells}: has no column {folds!r}; give --folds one of {', '.join(table.columns)}"
        )
    with progress("Comparing", table["image"].nunique()) as advance:
        found = find_leaks(table, root, folds, advance)
    click.echo(found.text())
    if out:
        told = {"leaked": found.leaked, "findings": [asdict(one) for one in found.findings]}
        out.write_text(json_of_figures(told), encoding="utf-8")
    if regroup:
        with progress("Regrouping", table["image"].nunique()) as advance:
            mended, joined = regrouped(table, root, advance)
        write_csv(mended, regroup)
        err.print(f"written: {regroup} ({joined} groups joined to others)", markup=False)
    sys.exit(1 if found.leaked else 0)
