"""What both trainers share: schedule, checkpoint, averaged weights, curves."""

import copy
import csv
import math
from pathlib import Path
from typing import Any

import torch
from torch import nn

from smearscan.errors import ConfigError


def learning_rate(step: int, total: int, warmup: int) -> float:
    """Factor of the learning rate: linear warm-up, then a cosine to one hundredth."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, total - warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2


class Averaged:
    """Exponential moving average of a network's weights, the net that is kept (Polyak averaging)."""

    def __init__(self, model: nn.Module, decay: float = 0.998, ramp: float = 200.0) -> None:
        self.model = copy.deepcopy(model).eval()
        self.updates = 0
        self._decay, self._ramp = decay, ramp
        for p in self.model.parameters():
            p.requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the present weights; slowly once training is under way."""
        self.updates += 1
        decay = self._decay * (1 - math.exp(-self.updates / self._ramp))
        own = self.model.state_dict()
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                own[name].mul_(decay).add_(value.detach(), alpha=1 - decay)
            else:
                own[name].copy_(value)


class Checkpoint:
    """The state of a run in one file, written whole or not at all."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint

    def save(self, **state: Any) -> None:
        """Write the state; a crash while writing leaves the former checkpoint."""
        part = self._path.with_suffix(".part")
        torch.save({"fingerprint": self._fingerprint, **state}, part)
        part.replace(self._path)

    def load(self) -> dict[str, Any] | None:
        """Read the state of an interrupted run, or None where there is none.

        Raises
        ------
        ConfigError
            If the checkpoint was made with another configuration.
        """
        if not self._path.is_file():
            return None
        state: dict[str, Any] = torch.load(self._path, map_location="cpu", weights_only=True)
        if state.pop("fingerprint") != self._fingerprint:
            raise ConfigError(
                f"{self._path}: was made with another configuration; give another --out or delete the folder"
            )
        return state

    def remove(self) -> None:
        """Delete the file once the run is complete."""
        self._path.unlink(missing_ok=True)


class Curves:
    """Training curves: one CSV row an epoch, and a picture of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, float]] = []

    def add(self, **values: float) -> None:
        """Append an epoch and rewrite the CSV."""
        self.rows.append(values)
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)

    def draw(self) -> None:
        """Write the curves beside the CSV as PNG, losses and scores in two panels."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3.5), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        epochs = [row["epoch"] for row in self.rows]
        for name in self.rows[0]:
            if name in ("epoch", "seconds"):
                continue
            panel = left if "loss" in name else right
            panel.plot(epochs, [row[name] for row in self.rows], label=name)
        for panel in (left, right):
            panel.set_xlabel("epoch")
            if panel.get_legend_handles_labels()[0]:
                panel.legend()
        figure.savefig(self._path.with_suffix(".png"), dpi=120)


def precision() -> torch.autocast:
    """Context of the forward pass: bfloat16 where the processor has it; float32 is two times slower there."""
    kernels: Any = torch.backends.mkldnn  # its calls carry no types
    has = bool(kernels.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, enabled=has)
