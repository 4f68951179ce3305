"""``smearscan doctor``."""

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import click

from smearscan.cli.options import machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smearscan.runtime import NetworkSpec, Precision
    from smearscan.weights.pairs import Card

_PACKAGES = ("torch", "torchvision", "ultralytics", "openvino", "onnx", "onnxruntime", "opencv-python")

_TASKS = ("differential", "blast")


@click.command("doctor")
@machine
def command(device: str | None, engine: str | None, precision: str | None) -> None:
    """Tell what this installation runs on: versions, device, each stage's engine and why, cache, weights.

    Networks that are not compiled yet are compiled and kept: the next scan starts at once. Exit code 1: a
    stage has no engine.
    """
    from smearscan import __version__
    from smearscan.classification import shared_trunk as together
    from smearscan.config import scan_config
    from smearscan.detection import detector
    from smearscan.scan.cell_classifier import fine_pair
    from smearscan.scan.unlike_nets import unlike_pairs
    from smearscan.weights.pairs import shipped

    click.echo(f"smearscan {__version__}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(", ".join(f"{name} {_version(name)}" for name in _PACKAGES))
    _hardware()
    _cache()
    card, network = detector.network_spec(shipped("detector"))
    stages: list[tuple[tuple[Card, ...], NetworkSpec]] = [((card,), network)]
    own = scan_config(device=device, engine=engine, precision=precision)
    fine = fine_pair(own)
    namers = [*(shipped(task) for task in _TASKS), *([fine] if fine else [])]
    for group in (namers, list(unlike_pairs(own).values())):
        for pairs, network in together.plan(group):
            stages.append((tuple(pair.card for pair in pairs), network))
    how = (own.device, own.engine, own.precision)
    made = [_stage(_title(cards), network, *how) for cards, network in stages]
    _missing()
    hashes = {card.name: card.sha256 for cards, _ in stages for card in cards}
    click.echo(f"weights: intact: {', '.join(f'{n}:{sha[:12]}' for n, sha in hashes.items())}")
    _calibration(hashes)
    sys.exit(0 if all(made) else 1)


def _title(cards: "Sequence[Card]") -> str:
    *first, last = (card.name for card in cards)
    names = f"{', '.join(first)} and {last}" if first else last
    return names if len(cards) == 1 else f"{names}, as one network (the same trunk)"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


def _hardware() -> None:
    from smearscan.runtime.batches import usable_cores
    from smearscan.runtime.engine import installed, resolve_device
    from smearscan.runtime.openvino_engine import OpenVino

    told = f"device: {resolve_device('auto')}; {usable_cores()} processor cores"
    if installed("openvino"):
        told += ", with bf16" if OpenVino().has_bf16() else ", without bf16"
    click.echo(told)


def _cache() -> None:
    from smearscan.io.kept import YAML, folder

    place = folder()
    if place is None:
        click.echo("cache: off (SMEARSCAN_CACHE); networks are compiled anew for each scan")
        return
    files = [file for file in place.iterdir() if file.is_file()] if place.is_dir() else []
    n_networks = sum(not file.name.startswith(YAML) for file in files)
    size = sum(file.stat().st_size for file in files)
    click.echo(f"cache: {place}, {n_networks} compiled networks, {size / 1e6:.0f} MB")


def _stage(name: str, network: "NetworkSpec", device: str, engine: str, precision: "Precision") -> bool:
    """Make the engine of a stage and tell of it; False if there is none."""
    from smearscan.errors import EngineError
    from smearscan.runtime.engine import make

    began = time.perf_counter()
    try:
        made = make(network, device, engine, precision)
    except EngineError as error:
        click.echo(f"{name}: no engine: {error}")
        return False
    took = f"{'loaded from the cache' if made.from_cache else 'made'} in {time.perf_counter() - began:.1f} s"
    checked = f"self-check: differs from torch in {made.apart}" if made.apart else "is itself the measure"
    click.echo(f"{name}: {made.engine.name} ({made.why}); {took}; {checked}")
    return True


def _missing() -> None:
    from smearscan.runtime.engine import CURES, installed

    for engine, cure in CURES.items():
        if not installed(engine):
            click.echo(f"engine {engine} is not available: {cure}")


def _calibration(hashes: dict[str, str]) -> None:
    from smearscan.differential.calibration_card import load_calibration, shipped_calibration

    own = load_calibration(shipped_calibration())
    every = [*_TASKS, *(f"{task}_unlike" for task in _TASKS)]
    nets = {task: hashes[task] for task in every if task in hashes}
    belongs = "belongs to these nets" if own.belongs_to(nets) else "was made with other nets and is not used"
    click.echo(f"calibration: {own.name} {belongs}")
