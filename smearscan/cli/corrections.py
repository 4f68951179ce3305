"""``smearscan corrections``."""

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.group("corrections")
def command() -> None:
    """Use what people corrected on the review page."""


@command.command("apply")
@click.argument("file", type=_PATH)
@click.option("--to", type=_PATH, required=True, help="New folder for the training sets.")
@click.option("--pictures", type=_PATH, required=True, help="The folder that was scanned.")
@click.option("--reader", help="Take this reader's word alone. Default: all; cells in dispute are left out.")
def apply(file: Path, to: Path, pictures: Path, reader: str | None) -> None:
    """Turn FILE, saved by the review page, into training sets of both stages and a table to calibrate on."""
    from smearscan.cli.rich_console import err
    from smearscan.training.corrections import apply_corrections
    from smearscan.training.corrections_file import read_corrections

    done = apply_corrections(read_corrections(file), pictures, to, reader)
    for name, n in sorted(done.classes.items(), key=lambda item: -item[1]):
        click.echo(f"{name} {n}")
    err.print(f"whole fields for the detector: {done.whole_fields}", markup=False)
    if done.differing:
        err.print(f"left out, as the readers differ: {done.differing} cells", markup=False)
    for command_line in next_commands(to, done.nets, bool(done.whole_fields)):
        err.print(f"smearscan {command_line}", markup=False, highlight=False, soft_wrap=True)


def next_commands(folder: Path, nets: tuple[str, ...], has_fields: bool) -> list[str]:
    """Tell what can be done with a folder of corrections, each command with all that it needs."""
    from smearscan.weights.pairs import shipped

    told = [
        f"train classifier {folder} --config {folder / net}.yaml --start {shipped(net)} --out runs/{net}"
        for net in nets
    ]
    if has_fields:
        start = shipped("detector")
        config = folder / "detector.yaml"
        told.append(f"train detector --config {config} --data {folder} --start {start} --out runs/detector")
    return [*told, f"calibrate --cells {folder / 'truth.csv'} --out site.yaml"]
