"""``smearscan compare``."""

import sys
from functools import partial
from pathlib import Path

import click

from smearscan.cli.options import PATH, replace_section
from smearscan.errors import ConfigError


@click.command("compare")
@click.argument("configs", type=PATH, nargs=-1, required=True)
@click.argument("cells", type=PATH)
@click.option("--data", type=PATH, help="What the manifest's paths are relative to. Default: its folder.")
@click.option(
    "--protocol", type=click.Choice(["holdout", "kfold", "lodo"]), default="holdout", show_default=True,
    help="One split of 70/15/15; folds; or each data set left out once. Always by whole groups.",
)  # fmt: skip
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of kfold.")
@click.option(
    "--min-cells", type=click.IntRange(1), default=20, show_default=True,
    help="Of lodo: cells that a data set needs of a class for it to be scored.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True, help="Of the split and of --per-kind.")
@click.option("--site", "sites", multiple=True, help="Only these sites, in place of the files' own.")
@click.option("--per-kind", type=click.IntRange(1), help="At most so many cells of each class at each site.")
@click.option(
    "--start", "starts", multiple=True, metavar="ARCHITECTURE=FILE",
    help="Pretrained weights of an architecture; all others start from random ones.",
)  # fmt: skip
@click.option("--epochs", type=click.IntRange(1), help="In place of the files'.")
@click.option("--epoch-cells", type=click.IntRange(1), help="Cells an epoch, in place of the files'.")
@click.option("--crop-px", type=click.IntRange(16), help="Side of the crops, where a net takes any.")
@click.option("--cached-epochs", type=click.IntRange(1), help="Epochs of heads on cached features (cheap).")
@click.option("--runs", type=PATH, required=True, help="Folder of the runs; an interrupted one goes on.")
@click.option("--out", type=PATH, help="Folder for comparison.csv, .json and .md. Default: that of the runs.")
@click.option("--into", type=PATH, help="Markdown file in which the table follows <!-- compare PART -->.")
@click.option("--part", default="all", show_default=True, help="PART of --into.")
@click.option("--allow-leaks", is_flag=True, help="Score leaked folds all the same; the table says so.")
def command(
    configs: tuple[Path, ...], cells: Path, data: Path | None, protocol: str, folds: int, min_cells: int,
    seed: int, sites: tuple[str, ...], per_kind: int | None, starts: tuple[str, ...], epochs: int | None,
    epoch_cells: int | None, crop_px: int | None, cached_epochs: int | None, runs: Path, out: Path | None,
    into: Path | None, part: str, allow_leaks: bool,
) -> None:  # fmt: skip
    """Train and score every system of CONFIGS on CELLS by one protocol, and print one table of them.

    CONFIGS are YAML files as for 'train classifier' (configs/seeds holds the published systems); CELLS, the
    last argument, is a CSV manifest or a folder with one sub-folder a class. The exit code is 1 if a system
    failed: the reason is in its row, and the others are there.
    """
    from smearscan.cli.console import progress
    from smearscan.cli.rich_console import err, training
    from smearscan.experiments import protocols
    from smearscan.experiments import system_comparison as compare
    from smearscan.experiments.system_comparison_report import markdown, write_comparison
    from smearscan.training.cells import read_cells, root_of
    from smearscan.training.config import ClassifierTraining, load_config

    files = [load_config(path, ClassifierTraining) for path in configs]
    shorter = compare.Shorter(epochs, epoch_cells, crop_px, cached_epochs)
    systems = compare.systems_of(files, shorter, dict(map(_start, starts)), sites)
    split = {
        "holdout": partial(protocols.holdout, seed=seed),
        "kfold": partial(protocols.kfold, k=folds, seed=seed),
        "lodo": partial(protocols.lodo, min_cells=min_cells),
    }[protocol]
    root = root_of(cells, data)
    with progress("Locating", None) as advance:
        table = read_cells(cells, root, None, None, seed, advance)
    planned = compare.plan(systems, table, split, root, per_kind, seed, allow_leaks)
    rows = []
    with training(sum(one.epochs_left(runs) for one in planned)) as report:
        for one in planned:
            err.print(f"{one.system.ran.name}: {one.failed or one.system.schedule}", markup=False)
            rows.append(compare.row(one, root, runs, protocol, report))
            # after each: whoever stops the table has what is finished
            written = write_comparison(rows, protocol, out or runs)
    text = markdown(rows, protocol)
    click.echo(text)
    for path in written:
        err.print(f"written: {path}", markup=False)
    if into:
        replace_section(into, f"<!-- compare {part} -->", text)
    failed = [row for row in rows if row["failed"]]
    for row in failed:
        err.print(f"failed: {row['system']}: {row['failed']}", style="red", markup=False)
    sys.exit(1 if failed else 0)


def _start(given: str) -> tuple[str, Path]:
    architecture, _, file = given.partition("=")
    if not file:
        raise ConfigError(
            f"--start {given}: is not ARCHITECTURE=FILE, for example resnet18=weights.safetensors"
        )
    if not Path(file).is_file():
        raise ConfigError(f"--start {given}: the file {file} is not there")
    return architecture, Path(file)
