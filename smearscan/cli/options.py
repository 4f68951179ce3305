"""What several commands share: types of options, whose weights are given, how figures are shown."""

import json
from pathlib import Path
from typing import Any

import click

from smearscan.errors import ConfigError

PATH = click.Path(path_type=Path)
JSON = click.option("--out", type=PATH, help="JSON file to write the figures to, too.")


def show(figures: Any, out: Path | None) -> None:
    """Print figures as JSON, and write them to a file where one is given."""
    text = json.dumps(figures, indent=1)
    click.echo(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")


def stages(pairs: tuple[Path, ...]) -> dict[str, Path]:
    """Tell by its card which stage each given weights pair is for."""
    from smearscan.taxonomy import BLAST
    from smearscan.weights import DetectorCard, load_any_card

    found: dict[str, Path] = {}
    for pair in pairs:
        card = load_any_card(pair)
        if isinstance(card, DetectorCard):
            stage = "detector"
        else:
            knows_blasts = card.task == "blast" or (card.task == "custom" and BLAST in card.classes)
            stage = "blast" if knows_blasts else "differential"
        if stage in found:
            raise ConfigError(f"--weights: {found[stage]} and {pair} are both for the {stage}; give one")
        found[stage] = pair
    return found
