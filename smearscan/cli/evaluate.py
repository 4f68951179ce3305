"""``smearscan evaluate ...``: the figures that cards and README quote."""

from pathlib import Path
from typing import Any

import click

from smearscan.cli import evaluate_statistics
from smearscan.cli.options import JSON as _JSON
from smearscan.cli.options import PATH as _PATH
from smearscan.cli.options import show as _show

_DATA = click.option("--data", type=_PATH, required=True, help="Folder that holds the data sets.")
_CARD = click.option("--write-card", is_flag=True, help="Write the figures into the card of the weights.")
_SPLIT = click.option("--split", default="test", show_default=True, type=click.Choice(["val", "test"]))


@click.group("evaluate")
def command() -> None:
    """Measure on data the weights have not seen; every figure with its interval and number of cells."""
    from smearscan.cli.console import logging_to_terminal

    click.get_current_context().with_resource(logging_to_terminal())  # what the readers of data sets warn of


command.add_command(evaluate_statistics.labeled)
command.add_command(evaluate_statistics.transfer)
command.add_command(evaluate_statistics.coverage)
command.add_command(evaluate_statistics.pooled)


@command.command("detector")
@click.option(
    "--config", "config_file", type=_PATH, required=True, help="YAML that names data sets and splits."
)
@click.option("--weights", type=_PATH, help="Detector pair. Default: shipped.")
@click.option("--site", "sites", multiple=True, help="Only these data sets.")
@click.option(
    "--scales", default="", help="Also resize the fields of the sites by these factors: 0.5,0.7,1.4,2."
)
@click.option("--empty", type=_PATH, help="Folder of fields without leukocytes.")
@click.option(
    "--points", type=_PATH, help="CSV (image,x,y) of leukocytes counted by eye in fields of one slide."
)
@click.option("--points-images", type=_PATH, help="Folder of the pictures --points names.")
@click.option("--clumps", is_flag=True, help="Also drawn clumps of 2 to 12 touching cells.")
@click.option(
    "--key", default="", help="Name under which --write-card files the figures. Default: the split."
)
@_SPLIT
@_DATA
@_JSON
@_CARD
def detector(
    config_file: Path, weights: Path | None, sites: tuple[str, ...], scales: str, empty: Path | None,
    points: Path | None, points_images: Path | None, clumps: bool, key: str, split: str, data: Path,
    out: Path | None, write_card: bool,
) -> None:  # fmt: skip
    """Measure the detector: fields of every data set, scale given and measured, and what else is asked."""
    from smearscan.detection.detector import Detector
    from smearscan.experiments import measure_detector as measure
    from smearscan.io.kinds import SUFFIXES
    from smearscan.training.exported_sets import load_detector_training

    config, data = load_detector_training(config_file, data)
    net = Detector.load(weights)
    factors = [float(factor) for factor in scales.split(",") if factor]
    figures: dict[str, Any] = dict(measure.measure_sites(net, config, data, split, sites, factors))
    if empty:
        figures["fields without leukocytes"] = measure.measure_empty(
            net, sorted(p for p in empty.iterdir() if p.suffix.lower() in SUFFIXES)
        )
    if points:
        counted = measure.read_points(points, points_images or points.parent)
        figures["cells counted by eye"] = measure.measure_points(net, counted)
    if clumps:
        figures["drawn clumps"] = measure.measure_clumps(net, range(2, 13), 20, seed=7)
    _show(figures, out)
    if write_card:
        _write_card(weights, "detector", net.card, key or split, figures)


@command.command("classifier")
@click.argument("cells", type=_PATH)
@click.option("--config", "config_file", type=_PATH, help="YAML the net was trained with (its synonyms).")
@click.option("--weights", type=_PATH, help="Classifier pair.")
@click.option("--task", type=click.Choice(["blast", "differential"]), help="The shipped net of this task.")
@click.option(
    "--against",
    type=_PATH,
    help="Pair to compare with: before, after, and their difference on the same cells.",
)
@click.option("--site", "sites", multiple=True, help="Only these sites; with --all-splits, of every split.")
@click.option("--all-splits", is_flag=True, help="All cells of the sites: for sites the net never saw.")
@click.option(
    "--key", default="", help="Name under which --write-card files the figures. Default: the split."
)
@click.option(
    "--data", type=_PATH, help="Folder a manifest's pictures are relative to. Default: the manifest's own."
)
@_SPLIT
@_JSON
@_CARD
def classifier(
    cells: Path, config_file: Path | None, weights: Path | None, task: str | None, against: Path | None,
    sites: tuple[str, ...], all_splits: bool, key: str, split: str, data: Path | None, out: Path | None,
    write_card: bool,
) -> None:  # fmt: skip
    """Measure a classifier on CELLS, a folder with a sub-folder a class or a manifest, by site.

    Of a folder that the net was trained on, the cells that training kept apart (--split test) are judged; of
    any other one take --all-splits. Intervals are over groups. With --against, a table of both networks.
    """
    from smearscan.classification.classifier import Classifier
    from smearscan.cli.options import write_figures
    from smearscan.cli.rich_console import comparison_table
    from smearscan.experiments.measure_classifier import compare_classifiers, measure_cells
    from smearscan.training.cells import read_cells, root_of
    from smearscan.training.config import ClassifierTraining, load_config
    from smearscan.training.train_classifier import prepared

    if (weights is None) == (task is None):
        raise click.UsageError("give either --weights or --task")
    net = Classifier.load(weights) if weights else Classifier.shipped(str(task))
    if config_file:
        config = load_config(config_file, ClassifierTraining)
    else:
        config = ClassifierTraining(name=net.card.name, task=net.card.task)
    chosen = {"sites": list(sites) or config.sites, "exclude_sites": [], "classes": net.card.classes}
    root = root_of(cells, data)
    table, _ = prepared(read_cells(cells, root, None, None, config.seed), config.model_copy(update=chosen))
    if not all_splits:
        table = table[table["split"] == split]
    table = table.reset_index(drop=True)
    figures = measure_cells(net, table, root)
    if against:
        figures["compared"] = compare_classifiers(Classifier.load(against), net, table, root)
        comparison_table(figures["compared"])
        if out:
            write_figures(out, figures)
    else:
        _show(figures, out)
    if write_card:
        _write_card(weights, str(task), net.card, key or split, figures)


@command.command("pipeline")
@click.argument("cells", type=_PATH)
@click.option(
    "--site", default="bccd", show_default=True, help="Site whose fields hold one leukocyte of known type."
)
@click.option("--config", "config_file", type=_PATH, help="YAML of scan settings, for other weights say.")
@_SPLIT
@_DATA
@_JSON
@_CARD
def pipeline(
    cells: Path, site: str, config_file: Path | None, split: str, data: Path, out: Path | None,
    write_card: bool,
) -> None:  # fmt: skip
    """Measure the whole way, each field on its own, on fields with one leukocyte of known type."""
    from smearscan.config import scan_config
    from smearscan.experiments.measure_pipeline import measure_pipeline
    from smearscan.scan.scanner import SmearScanner
    from smearscan.taxonomy.cell_names import DIFFERENTIAL_SYNONYMS
    from smearscan.training.cells import read_manifest

    scanner = SmearScanner.load(scan_config(config_file))
    table = read_manifest(cells)
    table = table[(table["site"] == site) & (table["split"] == split)]
    figures = measure_pipeline(scanner, table, data, dict(DIFFERENTIAL_SYNONYMS))
    _show(figures, out)
    if write_card and scanner.classifier.differential:
        _write_card(
            scanner.config.differential,
            "differential",
            scanner.classifier.differential.card,
            f"pipeline_{site}",
            figures,
        )


def _write_card(weights: Path | None, name: str, card: Any, key: str, figures: dict[str, Any]) -> None:
    from smearscan.weights.pairs import save_card, shipped

    save_card(weights or shipped(name), card.model_copy(update={"metrics": {**card.metrics, key: figures}}))
