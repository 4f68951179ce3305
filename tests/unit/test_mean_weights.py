"""The network of mean weights: what it is made of, and what may not be averaged."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from references.mean_weights import average
from smearscan.classification import backbones
from smearscan.errors import ConfigError
from smearscan.io import write_image
from smearscan.training.config import ClassifierTraining
from smearscan.weights.pairs import ClassifierCard, load_weights, save_weights

CLASSES = ("basophil", "monocyte")


def config(**more: object) -> ClassifierTraining:
    return ClassifierTraining.model_validate({"name": "mean", "classes": CLASSES, "crop_px": 32, **more})


def saved(file: Path, seed: int, **card: object) -> Path:
    torch.manual_seed(seed)
    model = backbones.build("resnet18_stage3", len(CLASSES))
    told = {
        "name": file.stem, "task": "custom", "architecture": "resnet18_stage3", "classes": CLASSES,
        "crop_um": 20, "crop_px": 32, "mean": (0.5,) * 3, "std": (0.2,) * 3, **card,
    }  # fmt: skip
    save_weights(file, ClassifierCard.model_validate(told), model.state_dict())
    return file


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(12):
        write_image(tmp_path / f"{i}.png", rng.integers(0, 256, (90, 90, 3), np.uint8))
        split = "val" if i % 3 else "train"
        rows.append((f"{i}.png", CLASSES[i % 2], f"g{i}", "here", split, 0.3, 25, 25, 65, 65))
    columns = ["image", "class", "group", "site", "split", "um_per_px", "x0", "y0", "x1", "y1"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "cells.csv", index=False)
    return tmp_path / "cells.csv"


def test_every_weight_is_the_mean_and_validation_cells_fit_the_temperature(
    tmp_path: Path, manifest: Path
) -> None:
    pairs = [saved(tmp_path / f"net{seed}.safetensors", seed) for seed in range(3)]
    card = average(pairs, config(), manifest, tmp_path, tmp_path / "mean.safetensors")
    loaded, mean = load_weights(tmp_path / "mean.safetensors", ClassifierCard)
    parts = [load_weights(pair, ClassifierCard) for pair in pairs]
    for name, tensor in mean.items():
        wanted = torch.stack([tensors[name].double() for _, tensors in parts]).mean(dim=0)
        torch.testing.assert_close(tensor.double(), wanted, atol=1e-3, rtol=1e-3)
    assert loaded == card
    assert (card.name, card.temperature != 1.0) == ("mean", True)
    assert set(card.training["mean_of"]) == {own.short_hash for own, _ in parts}
    assert sum(map(sum, card.confusion)) == 8


def test_what_is_not_alike_is_refused(tmp_path: Path, manifest: Path) -> None:
    one = saved(tmp_path / "one.safetensors", 0)
    odd = saved(tmp_path / "odd.safetensors", 1, classes=CLASSES[::-1])
    out = tmp_path / "mean.safetensors"
    with pytest.raises(ConfigError, match=r"odd\.safetensors: is not as the configuration tells"):
        average([one, odd], config(), manifest, tmp_path, out)
    with pytest.raises(ConfigError, match="give pairs alike"):
        average([one], config(norm="group"), manifest, tmp_path, out)
    assert not out.exists()
