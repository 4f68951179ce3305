"""What several commands share: types of options, and how figures are shown."""

import json
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)
JSON = click.option("--out", type=PATH, help="JSON file to write the figures to, too.")


def show(figures: Any, out: Path | None) -> None:
    """Print figures as JSON, and write them to a file where one is given."""
    text = json.dumps(figures, indent=1)
    click.echo(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")
