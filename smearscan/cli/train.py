"""``smearscan train detector`` and ``smearscan train classifier``."""

from pathlib import Path

import click

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
@click.option("--config", "config_file", type=_PATH, required=True, help="YAML: data sets, splits, schedule.")
@click.option("--data", type=_PATH, default=Path(), help="Folder the data sets' paths are relative to.")
@click.option("--exclude-site", multiple=True, help="Leave a data set out (to measure on an unseen one).")
@click.option("--epochs", type=int, help="In place of the file's.")
@_START
@_OUT
def detector(
    config_file: Path,
    data: Path,
    exclude_site: tuple[str, ...],
    epochs: int | None,
    start: Path | None,
    out: Path,
) -> None:
    """Fine-tune the detector on fields with YOLO, VOC, COCO or CSV boxes."""
    from smearscan.cli.console import err, training
    from smearscan.errors import ConfigError
    from smearscan.training.config import DetectorTraining, load_config
    from smearscan.training.detector import train

    config = load_config(config_file, DetectorTraining)
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
        card = train(config, data, start, out, report)
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
@_OUT
def classifier(
    cells: Path, config_file: Path | None, data: Path | None, detector: Path | None, um_per_px: float | None,
    exclude_site: tuple[str, ...], name: str | None, epochs: int | None, start: Path | None, out: Path,
) -> None:  # fmt: skip
    """Fine-tune a classifier on CELLS: a folder with a sub-folder a class, or a CSV (image,class,group)."""
    from smearscan.cli.console import err, progress, training
    from smearscan.training.cells import read_cells
    from smearscan.training.classifier import train
    from smearscan.training.config import ClassifierTraining, load_config

    config = (
        load_config(config_file, ClassifierTraining) if config_file else ClassifierTraining(name="classifier")
    )
    given = {"name": name, "epochs": epochs, "exclude_sites": [*config.exclude_sites, *exclude_site]}
    config = config.model_copy(update={k: v for k, v in given.items() if v})
    root = data or (cells if cells.is_dir() else cells.parent)
    with progress("Locating", None) as advance:
        table = read_cells(cells, root, detector, um_per_px, config.seed, advance)
    with training(config.epochs) as report:
        card = train(config, table, root, start, out, report)
    err.print(f"written: {out / card.name}.safetensors and .yaml", markup=False)
