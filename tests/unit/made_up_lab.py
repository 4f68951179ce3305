"""Made-up cells and a stand-in for training, for tests of what runs around it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from smearscan.experiments import cross_validation as lab
from smearscan.training.config import ClassifierTraining
from smearscan.training.train_classifier import Trained
from smearscan.weights.pairs import ClassifierCard

CLASSES = ("neutrophil", "monocyte", "eosinophil")
CONFIG = ClassifierTraining(
    name="small", classes=CLASSES, synonyms={"smudge_cell": None}, epochs=2, crop_px=32
)


def manifest() -> pd.DataFrame:
    """Cells of three sites in groups of six; one in ten of no learned class."""
    kinds = [*CLASSES * 3, "smudge_cell"]
    rows = [
        {"image": f"{site}/{i}.png", "class": kinds[i % 10], "group": f"{site}_{i // 6}", "site": site}
        for site in ("a", "b", "c")
        for i in range(120)
    ]
    box = {"um_per_px": 0.1, "x0": 0.0, "y0": 0.0, "x1": 9.0, "y1": 9.0}
    table = pd.DataFrame(rows).assign(**box)
    part = table["group"].str.rsplit("_", n=1).str[-1].astype(int) % 5  # every group in one part
    return table.assign(split=part.map({0: "val", 1: "test"}).fillna("train"))


def put(table: pd.DataFrame, folder: Path) -> None:
    """Write a manifest, and its pictures, which nobody reads, as empty files."""
    table.to_csv(folder / "cells.csv", index=False)
    for image in table["image"].unique():
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()


class Tiny(nn.Module):
    """Answers a blank; only its speed and size are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images.mean(dim=(2, 3)))


class Trainer:
    """Stands for the training: notes what it was given, writes curves, right in most of what it names."""

    def __init__(self) -> None:
        self.given: list[tuple[ClassifierTraining, pd.DataFrame, pd.DataFrame]] = []
        self.starts: list[Path | None] = []
        self.stop_at = -1
        self._seed = 0

    def trained(
        self, config: ClassifierTraining, classes: tuple[str, ...], train: pd.DataFrame, val: pd.DataFrame,
        root: Path, start: Path | None, out: Path, report: Callable[[dict[str, float]], None],
        _: torch.device,
    ) -> tuple[Trained, ClassifierCard]:  # fmt: skip
        self.given.append((config, train, val))
        self.starts.append(start)
        out.mkdir(parents=True, exist_ok=True)
        (out / "checkpoint.pt").touch()
        rows = [{"epoch": e + 1, "loss": 2 - e / 2, "seconds": 1.5} for e in range(config.epochs)]
        for row in rows:
            report(row)
        if len(self.given) == self.stop_at:
            raise KeyboardInterrupt
        pd.DataFrame(rows).to_csv(out / "curves.csv", index=False)
        self._seed = config.seed
        card = ClassifierCard(
            name=config.name, task="custom", architecture="none", classes=classes, crop_um=20, crop_px=32,
            mean=(0, 0, 0), std=(1, 1, 1), temperature=2.0,
        )  # fmt: skip
        return Trained(Tiny(), None), card

    @staticmethod
    def load_crops(table: pd.DataFrame, *_: object) -> np.ndarray:  # type: ignore[type-arg]
        return np.asarray(table[["cell", "target"]].to_numpy())

    def logits_of(self, _: nn.Module, told: np.ndarray, __: object) -> np.ndarray:  # type: ignore[type-arg]
        """Four in five right, which ones depends on cell and seed."""
        cell, target = told.T
        off = ((cell * 7 + self._seed) % 5 == 0).astype(int)
        right = np.eye(3)[(np.maximum(target, 0) + off) % 3]
        return np.asarray(right * (2 + cell[:, None] % 4), np.float32)

    def put(self, monkeypatch: pytest.MonkeyPatch) -> "Trainer":
        """Take the place of training and of reading pictures."""
        for name in ("trained", "load_crops", "logits_of"):
            monkeypatch.setattr(lab, name, getattr(self, name))
        return self
