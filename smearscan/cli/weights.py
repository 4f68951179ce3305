"""``smearscan weights``."""

from pathlib import Path

import click


@click.group("weights")
def command() -> None:
    """Look after weights pairs, NAME.safetensors + NAME.yaml."""


@command.command("list")
def list_() -> None:
    """List the shipped weights."""
    from smearscan.weights import load_any_card, shipped_folder

    for path in sorted(shipped_folder("weights").glob("*.yaml")):
        card = load_any_card(path)
        click.echo(
            f"{card.name:14s} {card.stage:10s} {card.architecture:16s} {card.short_hash}  "
            f"{', '.join(card.classes)}"
        )


@command.command("verify")
@click.argument("pairs", nargs=-1, type=click.Path(path_type=Path))
def verify(pairs: tuple[Path, ...]) -> None:
    """Check each pair (default: the shipped ones) against the hash of its card."""
    from smearscan.weights import load_any_card, load_weights, shipped_folder

    for pair in pairs or sorted(shipped_folder("weights").glob("*.yaml")):
        card, _ = load_weights(pair, type(load_any_card(pair)))
        click.echo(f"{card.name}: intact, sha256 {card.sha256}")
