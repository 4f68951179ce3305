"""``smearscan train detector`` and ``smearscan train classifier``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.options import train_on

if TYPE_CHECKING:
    import pandas as pd

    from smearscan.weights.pairs import ClassifierCard

_PATH = click.Path(path_type=Path)
_OUT = click.option(
    "--out", type=_PATH, required=True, help="Folder for checkpoint, curves and the weights pair."
)
_START = click.option(
    "--start", type=_PATH, help="Pretrained weights to start from; none starts from random."
)


@click.group("train")
def command() -> None:
    """Retrain either stage on its own. An interrupted run goes on where it stopped when called again."""


@command.command("detector")
@click.option(
    "--config", "config_file", type=_PATH, required=True,
    help="YAML: data sets, splits, schedule. Or an export as it is: a YOLO data.yaml, a COCO .json.",
)  # fmt: skip
@click.option("--data", type=_PATH, default=Path(), help="Folder the data sets' paths are relative to.")
@click.option("--exclude-site", multiple=True, help="Leave a data set out (to measure on an unseen one).")
@click.option("--epochs", type=int, help="In place of the file's.")
@click.option(
    "--start", type=_PATH,
    help="Weights to start from: a detector, as weights/detector.safetensors (its working scale and "
    "thresholds are kept), or Ultralytics' yolov8n.pt by way of 'smearscan weights import'. None starts from "
    "random.",
)  # fmt: skip
@train_on
@_OUT
def detector(
    config_file: Path,
    data: Path,
    exclude_site: tuple[str, ...],
    epochs: int | None,
    start: Path | None,
    device: str,
    out: Path,
) -> None:
    """Fine-tune the detector on fields with YOLO, VOC, COCO or CSV boxes."""
    import torch

    from smearscan.cli.console import logging_to_terminal
    from smearscan.cli.rich_console import err, training
    from smearscan.errors import ConfigError
    from smearscan.runtime.engine import resolve_device
    from smearscan.training.exported_sets import load_detector_training
    from smearscan.training.train_detector import train
    from smearscan.weights.pairs import shipped

    click.get_current_context().with_resource(logging_to_terminal())
    config, data = load_detector_training(config_file, data)
    if start is None:
        told = f"starts from random weights; --start {shipped('detector')} needs far fewer fields"
        err.print(told, markup=False, soft_wrap=True)
    clumps = config.clumps
    unknown = set(exclude_site) - {s.name for s in config.sites} - set(clumps.sites if clumps else ())
    if unknown:
        raise ConfigError(f"--exclude-site {min(unknown)}: is no data set of {config_file}")
    if clumps:
        left = [name for name in clumps.sites if name not in exclude_site]
        clumps = clumps.model_copy(update={"sites": left}) if left else None
    kept = [s for s in config.sites if s.name not in exclude_site]
    config = config.model_copy(update={"sites": kept, "clumps": clumps})
    if epochs:  # the closing share of the schedule stays what it is
        final = round(config.final_epochs * epochs / config.epochs)
        config = config.model_copy(update={"epochs": epochs, "final_epochs": final})
    with training(config.epochs) as report:
        card = train(config, data, start, out, report, _tell, torch.device(resolve_device(device)))
    err.print(f"written: {out / card.name}.safetensors and .yaml", markup=False)


@command.command("classifier")
@click.argument("cells", type=_PATH)
@click.option("--config", "config_file", type=_PATH, help="YAML: task, classes, synonyms, schedule.")
@click.option(
    "--data", type=_PATH, help="Folder a manifest's pictures are relative to. Default: the manifest's own."
)
@click.option(
    "--detector", type=_PATH, help="Detector pair that finds the cell in each picture. Default: shipped."
)
@click.option("--um-per-px", type=float, help="Scale of the pictures if known and not in the manifest.")
@click.option("--exclude-site", multiple=True, help="Leave a site out (to measure on an unseen one).")
@click.option("--name", help="Name of the new weights. Default: the configuration's, or 'classifier'.")
@click.option("--epochs", type=int, help="In place of the file's.")
@_START
@train_on
@_OUT
def classifier(
    cells: Path, config_file: Path | None, data: Path | None, detector: Path | None, um_per_px: float | None,
    exclude_site: tuple[str, ...], name: str | None, epochs: int | None, start: Path | None, device: str,
    out: Path,
) -> None:  # fmt: skip
    """Fine-tune a classifier on CELLS: a folder with a sub-folder a class, a CSV manifest or a pack."""
    import torch

    from smearscan.cli.console import logging_to_terminal, progress
    from smearscan.cli.rich_console import err, training
    from smearscan.runtime.engine import resolve_device
    from smearscan.training.cells import read_cells, root_of
    from smearscan.training.config import ClassifierTraining, load_config
    from smearscan.training.first_try import first_configuration
    from smearscan.training.train_classifier import train
    from smearscan.weights.pairs import shipped

    click.get_current_context().with_resource(logging_to_terminal())
    if config_file is None and start is None:
        start = shipped("differential")
        err.print(f"starts from {start}; --start or --config give another way", markup=False, soft_wrap=True)
    config = load_config(config_file, ClassifierTraining) if config_file else first_configuration(start)
    given = {"name": name, "epochs": epochs, "exclude_sites": [*config.exclude_sites, *exclude_site]}
    config = config.model_copy(update={k: v for k, v in given.items() if v})
    root = root_of(cells, data)
    with progress("Locating", None) as advance:
        table = read_cells(cells, root, detector, um_per_px, config.seed, advance)
    _show_counts(table)
    with training(config.epochs) as report:
        card = train(config, table, root, start, out, report, _tell, torch.device(resolve_device(device)))
    _show_validation(card)
    err.print(f"written: {out / card.name}.safetensors and .yaml", markup=False)
    err.print(f"use it: --weights {out / card.name}.safetensors", markup=False)


def _tell(told: str) -> None:
    from smearscan.cli.rich_console import err

    err.print(told, markup=False, highlight=False, soft_wrap=True)


def _show_counts(table: "pd.DataFrame") -> None:
    """Print how many cells of each class there are to learn from and to judge by."""
    from rich.table import Table

    from smearscan.cli.rich_console import out

    splits = [name for name in ("train", "val", "test") if (table["split"] == name).any()]
    shown = Table("class", *splits, "all", box=None)
    for name, rows in table.groupby("class"):
        counts = [str(int((rows["split"] == split).sum())) for split in splits]
        shown.add_row(str(name), *counts, str(len(rows)))
    out.print(shown)


def _show_validation(card: "ClassifierCard") -> None:
    """Print how good the net is on the validation cells, and what it takes for what."""
    from rich.table import Table

    from smearscan.cli.rich_console import out

    accuracy = card.metrics.get("validation", {}).get("accuracy")
    if accuracy is None:
        return
    low, high = accuracy["interval_95"]
    out.print(
        f"validation accuracy {100 * accuracy['value']:.1f} % (exact 95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f}) on {accuracy['cells']} cells of {accuracy['groups']} groups; these also set "
        "temperature and threshold, so a new slide may do worse",
        highlight=False, soft_wrap=True,
    )  # fmt: skip
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(card.classes)]
    if len(letters) < len(card.classes):
        return
    shown = Table("truth / likeliest", *letters, box=None)
    for letter, name, row in zip(letters, card.classes, card.confusion, strict=True):
        shown.add_row(f"{letter} {name}", *(str(n) if n else "." for n in row))
    out.print(shown)


@command.command("preview")
@click.argument("cells", type=_PATH)
@click.option("--config", "config_file", type=_PATH, required=True, help="YAML that tells the augmentation.")
@click.option(
    "--data", type=_PATH, help="Folder a manifest's pictures are relative to. Default: the manifest's own."
)
@click.option(
    "--detector", type=_PATH, help="Detector pair that finds the cell in each picture. Default: shipped."
)
@click.option("--um-per-px", type=float, help="Scale of the pictures if known and not in the manifest.")
@click.option("--rows", default=6, show_default=True, type=click.IntRange(1, 40), help="Cells to show.")
@click.option("--draws", default=8, show_default=True, type=click.IntRange(1, 20), help="Draws of each cell.")
@click.option("--seed", default=0, show_default=True, help="Another seed shows other cells and draws.")
@click.option("--out", type=_PATH, required=True, help="Picture to write, PNG.")
def preview(
    cells: Path, config_file: Path, data: Path | None, detector: Path | None, um_per_px: float | None,
    rows: int, draws: int, seed: int, out: Path,
) -> None:  # fmt: skip
    """Show what training would show the network: cells of CELLS as they are, and augmented."""
    from smearscan.cli.console import progress
    from smearscan.cli.rich_console import err
    from smearscan.training.cells import read_cells, root_of
    from smearscan.training.config import ClassifierTraining, load_config
    from smearscan.training.preview import draw_grid, in_words, sample_grid, sampled
    from smearscan.training.train_classifier import prepared

    config = load_config(config_file, ClassifierTraining)
    root = root_of(cells, data)
    with progress("Locating", None) as advance:
        table = read_cells(cells, root, detector, um_per_px, config.seed, advance)
    table, classes = prepared(table, config)
    table = sampled(table[table["split"] == "train"], rows, seed)
    grid = sample_grid(table, root, config, len(classes), draws, seed)
    labels = [(classes[target], site) for target, site in zip(table["target"], table["site"], strict=True)]
    figure = draw_grid(grid, labels, f"{config.name}: what training shows", in_words(config.augmentation))
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
    err.print(f"written: {out}", markup=False)
