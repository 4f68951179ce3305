"""What both trainers share: schedule, checkpoint, averaged weights, curves, and a run of all of them."""

import copy
import csv
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from smearscan.errors import ConfigError
from smearscan.io.atomic import replacing


def learning_rate(step: int, total: int, warmup: int, schedule: str = "cosine", decay: float = 0.0) -> float:
    """Factor of the learning rate at a step: linear warm-up, then `schedule`.

    ``cosine`` falls to one hundredth at `total`; ``constant`` stays; ``inverse`` is 1 / (1 + decay * step)
    after the warm-up, which Keras calls an optimizer's decay.
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule != "cosine":
        return 1 / (1 + (decay * (step - warmup) if schedule == "inverse" else 0.0))
    done = (step - warmup) / max(1, total - warmup)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, done))) / 2


class ExponentialMovingAverage:
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
                own[name].lerp_(value.detach(), 1 - decay)  # what does not learn stays to the last bit
            else:
                own[name].copy_(value)


class Checkpoint:
    """The state of a run in one file, written whole or not at all."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path, self._fingerprint = path, fingerprint

    def save(self, **state: Any) -> None:
        """Write the state; a crash while writing leaves the former checkpoint."""
        with replacing(self._path) as part:
            torch.save({"fingerprint": self._fingerprint, **state}, part)

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


class Run:
    """A training that can be gone on with: network, its average, optimizer, curves, checkpoint.

    Parameters
    ----------
    model : Module
        What is trained.
    optimizer : Optimizer
    out : Path
        Folder of ``checkpoint.pt``, ``curves.csv`` and ``curves.png``.
    fingerprint : str
        Of the configuration; a checkpoint with another one is refused.
    """

    def __init__(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, out: Path, fingerprint: str
    ) -> None:
        self.averaged, self.curves = ExponentialMovingAverage(model), Curves(out / "curves.csv")
        self._model, self._optimizer = model, optimizer
        self._checkpoint = Checkpoint(out / "checkpoint.pt", fingerprint)

    def resume(self) -> int:
        """Load the checkpoint, if any, and tell how many epochs are done; raises as it does."""
        state = self._checkpoint.load()
        if state is None:
            return 0
        self._model.load_state_dict(state["model"])
        self.averaged.model.load_state_dict(state["averaged"])
        self.averaged.updates, self.curves.rows = state["updates"], state["curves"]
        self._optimizer.load_state_dict(state["optimizer"])
        return int(state["epoch"])

    def step(self, loss: Tensor, rate: float, longest: float | None = None) -> None:
        """Move the weights against the gradient of `loss`, a group at `rate` times its ``factor``.

        A gradient longer than `longest`, where that is given, is shortened to it.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if longest is not None:
            nn.utils.clip_grad_norm_(self._model.parameters(), longest)
        self._optimizer.step()
        self.averaged.update(self._model)

    def finish_epoch(self, epoch: int, **values: float) -> dict[str, float]:
        """Add a row to the curves, write the checkpoint, and hand the row back."""
        self.curves.add(epoch=epoch, **values)
        self._checkpoint.save(
            epoch=epoch, model=self._model.state_dict(), averaged=self.averaged.model.state_dict(),
            updates=self.averaged.updates, optimizer=self._optimizer.state_dict(), curves=self.curves.rows,
        )  # fmt: skip
        return self.curves.rows[-1]


def loaders(device: torch.device) -> int:
    """Tell how many processes make batches beside the training: one feeds a processor, a GPU takes more."""
    return 1 if device.type == "cpu" else 3


def precision(device: torch.device) -> torch.autocast:
    """Context of the forward pass: bfloat16 on a GPU, and where the processor has it: twice as fast there."""
    if device.type != "cpu":
        return torch.autocast(device.type, torch.bfloat16)
    kernels: Any = torch.backends.mkldnn  # its calls carry no types
    has = bool(kernels.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.autocast("cpu", torch.bfloat16, enabled=has)
