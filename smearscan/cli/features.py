"""``smearscan features``."""

from pathlib import Path

import click

from smearscan.cli.options import PATH, show


@click.command("features")
@click.argument("cells", type=PATH)
@click.option("--weights", type=PATH, help="Classifier pair.")
@click.option("--task", type=click.Choice(["blast", "differential"]), help="The shipped net of this task.")
@click.option("--config", "config_file", type=PATH, help="YAML of classes and synonyms. Default: the card's.")
@click.option(
    "--layer", default="", help="Layer of the net by its name, layer2 say. Default: the head's input."
)
@click.option(
    "--split", default="test", show_default=True, type=click.Choice(["train", "val", "test", "all"]),
    help="Cells of the manifest to look at.",
)  # fmt: skip
@click.option("--site", "sites", multiple=True, help="Only these sites.")
@click.option(
    "--per-kind", type=click.IntRange(1), default=100, show_default=True,
    help="At most so many cells of each class at each site, drawn at random.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True)
@click.option("--data", type=PATH, help="What the manifest's paths are relative to. Default: its folder.")
@click.option("--out", type=PATH, required=True, help="Folder for features.json, .csv and the two pictures.")
def command(
    cells: Path, weights: Path | None, task: str | None, config_file: Path | None, layer: str, split: str,
    sites: tuple[str, ...], per_kind: int, seed: int, data: Path | None, out: Path,
) -> None:  # fmt: skip
    """Tell whether a net's features separate the classes of CELLS, or rather the sites they come from.

    CELLS is a CSV manifest or a folder with one sub-folder a class.
    """
    from smearscan.cli.console import progress
    from smearscan.cli.rich_console import err
    from smearscan.experiments import features, sampling
    from smearscan.experiments.feature_map import draw_maps
    from smearscan.report.tables import write_csv
    from smearscan.training.cells import read_cells, root_of
    from smearscan.training.config import ClassifierTraining, load_config
    from smearscan.training.train_classifier import prepared
    from smearscan.weights.pairs import shipped

    if (weights is None) == (task is None):
        raise click.UsageError("give either --weights or --task")
    pair = weights or shipped(str(task))
    config = features.taught_config(pair)
    if config_file:
        named = load_config(config_file, ClassifierTraining)
        config = config.model_copy(update={"synonyms": named.synonyms, "task": named.task})
    root = root_of(cells, data)
    table = read_cells(cells, root, None, None, seed)
    table, classes = prepared(table, config.model_copy(update={"sites": list(sites)}))
    if split != "all":
        table = table[table["split"] == split]
    table = sampling.per_kind(table, per_kind, seed)
    with progress("Cutting", len(table)) as advance:
        found = features.features_of_pair(pair, table, root, layer, advance)
    figures = features.study(found, table, classes, seed)
    maps = features.maps(found, seed)
    named_cells = features.class_names(table, classes)
    points = table[["image", "group", "site"]].assign(**{"class": named_cells})
    for name, at in maps.items():
        points = points.assign(**{f"{name} x": at[:, 0], f"{name} y": at[:, 1]})
    where = layer or "the head's input"
    for word, labels in (("class", named_cells), ("site", table["site"].to_numpy(str))):
        draw_maps(out / f"by_{word}.png", maps, labels, f"{config.name}, {where}: by {word}")
    write_csv(points, out / "features.csv")
    show({"net": config.name, "layer": where, "split": split, "seed": seed, **figures}, out / "features.json")
    err.print(f"written: {out}/features.json, features.csv, by_class.png, by_site.png", markup=False)
