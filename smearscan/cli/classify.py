"""``smearscan classify``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.options import machine, only_place, stages, writable

if TYPE_CHECKING:
    import pandas as pd

    from smearscan.experiments.class_folders import CropSet, Meanings
    from smearscan.scan.scanner import SmearScanner

_PATH = click.Path(path_type=Path)


@click.command("classify")
@click.argument("places", metavar="CROPS", type=_PATH, nargs=-1, required=True)
@click.option("--out", type=_PATH, required=True, help="Table of the named cells to write, CSV.")
@click.option("--um-per-px", type=float, help="Micrometers a pixel, if known; else it is measured.")
@click.option(
    "--task", type=click.Choice(["both", "blast", "differential"]), help="Nets to run. Default: both."
)
@machine
@click.option(
    "--weights",
    "pairs",
    type=_PATH,
    multiple=True,
    help="A weights pair in place of the shipped one; repeatable.",
)
@click.option("--calibration", type=_PATH, help="Calibration card of your site, see 'smearscan calibrate'.")
@click.option("--config", "config_file", type=_PATH, help="YAML file of settings; options win over it.")
def command(
    places: tuple[Path, ...], out: Path, pairs: tuple[Path, ...], config_file: Path | None,
    **settings: object,
) -> None:  # fmt: skip
    """Name the cells of CROPS, a folder (or one picture) of cells that are already cut, one a picture.

    Sub-folders that are named as classes are compared with the names. The names suggest; they are never a
    diagnosis. Exit code 0: done; 1: some pictures could not be read; 2: wrong usage.
    """
    from smearscan.config import scan_config
    from smearscan.errors import ImageError
    from smearscan.io.folders import survey
    from smearscan.report.tables import write_csv

    crops = only_place(places, "classify")
    writable(out, "--out")
    found = survey(crops, with_copies=True)
    paths = [path for slide in found.slides for path in slide.paths]
    if not paths:
        raise ImageError(found.slides[0].failures[0].reason)
    config = scan_config(config_file, **settings, **stages(pairs))

    from smearscan.cli.rich_console import err
    from smearscan.experiments.class_folders import Meanings, crop_sets
    from smearscan.scan.scanner import SmearScanner
    from smearscan.taxonomy import NOTICE

    scanner = SmearScanner.load(config)
    kinds = scanner.classifier.differential.card.classes if scanner.classifier.differential else ()
    meanings = Meanings(kinds, scanner.classifier.blast is not None)
    sets = crop_sets(crops, paths, meanings, lambda told: err.print(told, style="yellow", markup=False))
    table, failures = _named(scanner, sets, crops, len(paths))
    write_csv(table, out)
    _summary(table, meanings)
    failures += [failure.reason for slide in found.slides for failure in slide.failures]
    for told in found.passed_over:
        err.print(f"passed over: {told}", markup=False)
    for reason in failures:
        err.print(f"failed: {reason}", style="red", markup=False)
    err.print(f"written: {out}", markup=False)
    err.print(NOTICE, style="dim")
    sys.exit(1 if failures else 0)


def _named(
    scanner: "SmearScanner", sets: list["CropSet"], root: Path, total: int
) -> tuple["pd.DataFrame", list[str]]:
    """Name every set, and tell of each whose scale or cells are in doubt."""
    import pandas as pd

    from smearscan.cli.console import progress
    from smearscan.cli.rich_console import err
    from smearscan.results.doubts import first_of

    tables, failures, counts = [], [], []
    with progress("Naming", total) as advance:
        for one in sets:
            named = scanner.classify(one.paths, on_progress=advance)
            table = named.to_frame(root)
            places = table.index.to_numpy()
            table["slide"] = [one.slides[i] for i in places]
            tables.append(table.assign(truth=[one.truths[i] for i in places], doubt=""))
            failures += [failure.reason for failure in named.failures]
            counts.append(named.unlike_training)
            for told in _doubts(table):
                err.print(f"{one.name}: {told}", style="yellow", markup=False)
    for members in _judged_together(counts):
        for doubt in scanner.judge.doubts_of_cells([counts[i] for i in members]):
            names = first_of([sets[i].name for i in members])
            err.print(f"{names}: doubt: {doubt.reason}", style="yellow", markup=False)
            for i in members:
                tables[i]["doubt"] = doubt.name
    return pd.concat(tables, ignore_index=True), failures


def _judged_together(counts: list[tuple[int, int]]) -> list[list[int]]:
    """Part sets so that each part has cells enough to compare: those of few cells are one part.

    Parameters
    ----------
    counts : list of tuple of int
        Of each set, cells unlike those that the nets learned from, and cells compared.
    """
    from smearscan.rulers.unlike_cells import FEWEST_COMPARED

    few = [i for i, (_, compared) in enumerate(counts) if compared < FEWEST_COMPARED]
    alone = [[i] for i, (_, compared) in enumerate(counts) if compared >= FEWEST_COMPARED]
    return [*alone, few] if few else alone


def _doubts(table: "pd.DataFrame") -> list[str]:
    doubts = []
    for (ruler, scale), own in table.groupby(["ruler", "um_per_px"]):
        measured = f"{scale:.4g} um a pixel of {len(own)} pictures"
        if ruler == "leukocytes":
            doubts.append(f"too few red cells; {measured} measured on leukocytes. --um-per-px is surer")
        if ruler == "assumed":
            doubts.append(f"no cell to measure; {measured} assumed. Give --um-per-px, or do not trust names")
    if missing := int(table["score"].isna().sum()):
        doubts.append(f"{missing} of {len(table)} pictures have no leukocyte in the middle; named anyway")
    return doubts


def _summary(table: "pd.DataFrame", meanings: "Meanings") -> None:
    """Print how many cells got which name; where folders are classes, against those."""
    from rich.table import Table

    from smearscan.cli.rich_console import out
    from smearscan.experiments.class_folders import agreement

    found = agreement(table["truth"], table["type"], meanings.names)
    if not found.total:
        counts = Table("type", "cells", box=None)
        for name, n in table["type"].value_counts().items():
            counts.add_row(str(name), str(n))
        out.print(counts)
        return
    letters = "abcdefghijklmnopqrstuvwxyz"  # a column each: names would not fit into a terminal
    shown = Table("folder / named", *letters[: len(found.names)], "cells", "right %", box=None)
    for k, name in enumerate(found.names):
        n = int(found.counts[k].sum())
        row = [str(v) if v else "." for v in found.counts[k]]
        right = f"{100 * found.counts[k, k] / n:.1f}" if n else "-"
        shown.add_row(f"{letters[k]} {name}", *row, str(n), right)
    low, high = found.interval
    share = f"{found.right} of {found.total} = {100 * found.right / found.total:.1f} %"
    out.print(shown)
    out.print(
        f"named as their folder: {share} (exact 95 % interval {low:.1f} to {high:.1f})", highlight=False
    )
    out.print(f"unclassified: {found.unclassified}", highlight=False)
