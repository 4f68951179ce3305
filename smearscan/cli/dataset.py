"""``smearscan dataset``."""

from pathlib import Path

import click

_PATH = click.Path(path_type=Path)


@click.group("dataset")
def command() -> None:
    """Prepare training manifests."""


@command.command("published")
@click.argument("data", type=_PATH)
@click.option("--out", type=_PATH, required=True, help="Manifest to write, CSV.")
@click.option(
    "--detector",
    type=_PATH,
    help="Locate cells without a box with this detector; 'shipped' for the shipped one.",
)
def published(data: Path, out: Path, detector: Path | None) -> None:
    """Write one manifest of the published single-cell sets in DATA, split without leaks."""
    from smearscan.cli.console import progress
    from smearscan.report.tables import write_csv
    from smearscan.training.published import published_cells

    table = published_cells(data)
    if detector is not None:
        from smearscan.detector import Detector
        from smearscan.training.cells import locate

        found = Detector.load(None if str(detector) == "shipped" else detector)
        with progress("Locating", len(table)) as advance:
            table = locate(table, data, found, advance)
    write_csv(table, out)
    click.echo(table.groupby(["site", "split"]).size().unstack(fill_value=0).to_string())
