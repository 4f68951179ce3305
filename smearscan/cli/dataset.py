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

    from smearscan.cli.console import progress
    from smearscan.cli.rich_console import err
    from smearscan.errors import DatasetError
    from smearscan.experiments.leak_guard import find_leaks, regrouped
    from smearscan.report.figures import json_of_figures
    from smearscan.report.tables import write_csv
    from smearscan.training.cells import read_cells, root_of

    root = root_of(cells, data)
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


@command.command("pack")
@click.argument("cells", type=_PATH)
@click.option("--data", type=_PATH, help="What the manifest's paths are relative to. Default: its folder.")
@click.option("--out", type=_PATH, required=True, help="Pack to write, .npz.")
@click.option(
    "--crop-um", default=20.0, show_default=True, type=click.FloatRange(0, min_open=True),
    help="Side of the crops that nets will be given; windows are kept with room around them.",
)  # fmt: skip
@click.option("--crop-px", default=80, show_default=True, type=click.IntRange(8), help="The same in pixels.")
@click.option(
    "--quality", default=85, show_default=True, type=click.IntRange(1, 100), help="Of WebP compression."
)
def pack(cells: Path, data: Path | None, out: Path, crop_um: float, crop_px: int, quality: int) -> None:
    """Cut the cells of a manifest once, into one file that trainings take in its place.

    CELLS is a CSV manifest or a folder with one sub-folder a class. A pack of 18,000 cells has about 40 MB:
    to train on another machine without the photographs, and without reading them again for each training.
    """
    from smearscan.cli.console import progress
    from smearscan.cli.rich_console import err
    from smearscan.errors import DatasetError
    from smearscan.training.cells import ROOM, load_crops, read_cells, root_of
    from smearscan.training.packed import SUFFIX, is_pack, packed

    if not is_pack(out):
        raise DatasetError(f"--out {out}: a pack's name ends in {SUFFIX}")
    root = root_of(cells, data)
    with progress("Locating", None) as advance:
        table = read_cells(cells, root, None, None, 0, advance)
    with progress("Cutting", len(table)) as advance:
        windows = load_crops(table, root, ROOM * crop_um, round(ROOM * crop_px), advance)
    packed(table, windows, ROOM * crop_um, quality).save(out)
    err.print(f"written: {out} ({len(table)} cells, {out.stat().st_size / 1e6:.1f} MB)", markup=False)
