"""``smearscan crossval``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.options import PATH, train_on
from smearscan.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from smearscan.experiments.protocols import Split

PROTOCOLS = ("holdout", "kfold", "lodo")


@click.command("crossval")
@click.argument("cells", type=PATH)
@click.option("--config", "config_file", type=PATH, required=True, help="YAML the net is trained with.")
@click.option(
    "--protocol", type=click.Choice(PROTOCOLS), default="kfold", show_default=True,
    help="One split of 70/15/15; folds; or each data set left out once. Always by whole groups.",
)  # fmt: skip
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Of kfold.")
@click.option(
    "--site", "sites", multiple=True,
    help="kfold: the site whose groups are folded, all others help; lodo: only these are left out, A+B of "
    "one training.",
)  # fmt: skip
@click.option(
    "--min-cells", type=click.IntRange(1), default=20, show_default=True,
    help="Of lodo: cells that a data set needs of a class for it to be scored.",
)  # fmt: skip
@click.option(
    "--repeats", type=click.IntRange(1), default=1, show_default=True,
    help="Seeds: the configuration's and those that follow it; each its own split and training.",
)  # fmt: skip
@click.option("--data", type=PATH, help="What the manifest's paths are relative to. Default: its folder.")
@click.option(
    "--start", type=PATH,
    help="Pretrained backbone; or the --runs of another configuration (--keep-nets): each run goes on from "
    "the same run's net, in the same folds. Default: random weights.",
)  # fmt: skip
@click.option(
    "--detector", type=PATH, help="Detector that finds cells without a box. Default: the shipped one."
)
@click.option(
    "--um-per-px", type=click.FloatRange(0, min_open=True), help="Scale of pictures that tell none."
)
@click.option("--runs", type=PATH, required=True, help="Folder of the runs; an interrupted one goes on.")
@train_on
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True,
    help="Trainings at once, each in a process of its own: for several cores, or a GPU that one leaves idle.",
)  # fmt: skip
@click.option("--keep-nets", is_flag=True, help="Keep each run's net, a weights pair, in its folder.")
@click.option(
    "--out", type=PATH, help="Folder for results.csv, .json, .md and .html. Default: that of the runs."
)
@click.option(
    "--allow-leaks", is_flag=True, help="Score leaked folds all the same; everything written says so."
)
@click.option(
    "--write-card", is_flag=True, help="Write the figures into the card of the shipped net of this name."
)
def command(
    cells: Path, config_file: Path, protocol: str, folds: int, sites: tuple[str, ...], min_cells: int,
    repeats: int, data: Path | None, start: Path | None, detector: Path | None, um_per_px: float | None,
    runs: Path, device: str, jobs: int, keep_nets: bool, out: Path | None, allow_leaks: bool,
    write_card: bool,
) -> None:  # fmt: skip
    """Train and score a classifier by a protocol, so that no group is on both sides.

    CELLS is a CSV manifest, a folder with one sub-folder a class, or a pack ('dataset pack'). Cells are
    compared across folds first; where the same cell, picture or group is on both sides, nothing is scored.
    """
    import torch

    from smearscan.cli.console import progress
    from smearscan.cli.rich_console import err, training
    from smearscan.experiments.cross_validation import epochs_left, guard, joined, run
    from smearscan.experiments.cross_validation_report import markdown, write_results
    from smearscan.experiments.cross_validation_summary import card_figures, summarize
    from smearscan.experiments.protocols import with_classes
    from smearscan.experiments.summed import answering
    from smearscan.runtime.engine import resolve_device
    from smearscan.taxonomy import SUMS
    from smearscan.training.cells import read_cells, root_of
    from smearscan.training.config import ClassifierTraining, load_config

    config = load_config(config_file, ClassifierTraining)
    root = root_of(cells, data)
    with progress("Locating", None) as advance:
        table = read_cells(cells, root, detector, um_per_px, config.seed, advance)
    table, classes = with_classes(table, config)
    seeds = range(config.seed, config.seed + repeats)
    before = start if start and start.is_dir() else None
    plans = {seed: _splits(table, protocol, folds, seed, sites, min_cells, before) for seed in seeds}
    with progress("Comparing", None) as advance:
        leaks = guard(table, list(plans.values()), root, allow_leaks, advance)
    with training(sum(epochs_left(config, plan, runs, seed) for seed, plan in plans.items())) as report:
        on = torch.device(resolve_device(device))
        results = joined(
            run(config, table, classes, plan, root, start, runs, report, (seed,), keep_nets, on, jobs)
            for seed, plan in plans.items()
        )
    results.scores().to_csv(runs / "out_of_fold.csv", index=False)
    told = {"": results}
    if config.task == "cells":
        told = {task: answering(results, task) for task in SUMS}
    for task, part in told.items():
        if task:
            part.scores().to_csv(runs / f"out_of_fold_{task}.csv", index=False)
        summary = summarize(part, protocol, leaks, ", ".join(sites))
        click.echo(markdown(summary))
        for path in write_results(summary, (out or runs) / task):
            err.print(f"written: {path}", markup=False)
    if write_card:
        from smearscan.weights.pairs import ClassifierCard, load_card, save_card, shipped

        card = load_card(shipped(config.name), ClassifierCard)
        metrics = {**card.metrics, "crossval": card_figures(summary)}
        save_card(shipped(config.name), card.model_copy(update={"metrics": metrics}))


def _splits(
    table: "pd.DataFrame", protocol: str, folds: int, seed: int, sites: tuple[str, ...], min_cells: int,
    before: Path | None,
) -> list["Split"]:  # fmt: skip
    from smearscan.experiments import protocols
    from smearscan.experiments.cross_validation import scored_groups

    if unknown := sorted({name for one in sites for name in one.split("+")} - set(table["site"])):
        known = ", ".join(sorted(set(table["site"])))
        raise ConfigError(f"--site {unknown[0]} is not in the manifest; it has {known}")
    if protocol == "holdout":
        if sites:
            raise ConfigError("--site means nothing to --protocol holdout; list 'sites' in the configuration")
        return protocols.holdout(table, seed)
    if protocol == "kfold":
        if len(sites) > 1:
            raise ConfigError("--protocol kfold folds one --site, or without any all cells; give one or none")
        scored = scored_groups(before, seed) if before else ()
        return protocols.kfold(table, folds, seed, sites[0] if sites else None, scored)
    return protocols.lodo(table, min_cells, sites)
