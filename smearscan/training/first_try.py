"""What makes a training work at the first try: a schedule that suits the data, and what a start gives.

Only what a configuration leaves out is filled in; what it states stays.
"""

import hashlib
from pathlib import Path
from typing import Any, TypeVar

from smearscan.errors import WeightsError
from smearscan.training.config import ClassifierTraining, DetectorTraining
from smearscan.weights.pairs import Card, ClassifierCard, DetectorCard, load_card

C = TypeVar("C", bound=Card)
T = TypeVar("T", ClassifierTraining, DetectorTraining)

_DRAWS = 4
"""How often an epoch shows a cell or field on average, where a set is small."""
_FEWEST_CELLS, _FEWEST_FIELDS = 320, 64
_WARM_UP_SHARE = 0.1


def classifier_schedule(config: ClassifierTraining, n_cells: int) -> ClassifierTraining:
    """Show each of few cells some times an epoch, in place of a number of draws meant for thousands."""
    cells = min(config.epoch_cells, max(_FEWEST_CELLS, _DRAWS * n_cells))
    steps = config.epochs * max(1, cells // config.batch)
    fitting = {"epoch_cells": cells, "warmup_steps": min(config.warmup_steps, int(_WARM_UP_SHARE * steps))}
    return _completed(config, fitting)


def detector_schedule(config: DetectorTraining, n_fields: int) -> DetectorTraining:
    """Show each of few fields some times an epoch, in place of a number of canvases meant for a thousand."""
    canvases = min(config.canvases_per_epoch, max(_FEWEST_FIELDS, _DRAWS * n_fields))
    steps = config.epochs * max(1, canvases // config.batch)
    warm_up = min(config.warmup_steps, max(1, int(_WARM_UP_SHARE * steps)))
    return _completed(config, {"canvases_per_epoch": canvases, "warmup_steps": warm_up})


def from_start(config: DetectorTraining, start: Path | None) -> tuple[DetectorTraining, str]:
    """Take over the architecture, working scale and thresholds of a detector that training starts from.

    Returns
    -------
    config : DetectorTraining
    told : str
        What was taken over, in words; empty where nothing was.
    """
    if start is None or not start.with_suffix(".yaml").is_file():
        return config, ""  # weights without a card say nothing of a scale
    card = load_card(start, DetectorCard)
    own = {
        "architecture": card.architecture,
        "working_red_cell_px": card.working_red_cell_px,
        "thresholds": card.thresholds,
    }
    taken = {key: value for key, value in own.items() if key not in config.model_fields_set}
    told = ", ".join(f"{key} {value}" for key, value in taken.items())
    return config.model_copy(update=taken), f"as {card.name}, which it starts from: {told}" if told else ""


def first_configuration(start: Path | None) -> ClassifierTraining:
    """Return the configuration of a classifier without one: architecture and crops of what it starts from."""
    if start is None or not start.with_suffix(".yaml").is_file():  # a backbone without a card
        return ClassifierTraining(name="classifier")
    card = load_card(start, ClassifierCard)
    return ClassifierTraining(
        name="classifier", architecture=card.architecture, crop_um=card.crop_um, crop_px=card.crop_px,
        norm=card.norm,
    )  # fmt: skip


def fingerprint(*parts: object) -> str:
    """SHA-256 of what a training learns from: its configuration, its rows, the weights that it starts from.

    A path stands for the content of its file; anything else for its text.
    """
    found = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) and part.is_file() else str(part).encode()
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()


def finished(pair: Path, kind: type[C], mark: str) -> C | None:
    """Card of a pair that the same training has written already; None where it has not."""
    try:
        card = load_card(pair, kind)
    except WeightsError:
        return None
    known: dict[str, Any] = card.training
    return card if pair.is_file() and known.get("fingerprint") == mark else None


def _completed(config: T, fitting: dict[str, int]) -> T:
    missing = {key: value for key, value in fitting.items() if key not in config.model_fields_set}
    return config.model_copy(update=missing)
