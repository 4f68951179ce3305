"""What slides of one kind of cell do to the stain ruler."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from references import stain_trial
from smearscan.rulers.stain import REFERENCE
from smearscan.training.config import ClassifierTraining
from smearscan.weights import KnownCells

CONFIG = ClassifierTraining(name="cells", task="cells", crop_px=80)
KNOWN = KnownCells(
    mean=tuple(np.ravel(REFERENCE).tolist()),
    covariance=tuple(tuple(row) for row in np.diag(0.05 * np.ravel(REFERENCE) ** 2).tolist()),
    most_distance=4.0,
    most_unlike=0.1,
)


def test_slides_of_one_type_and_of_blasts_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blasts are as deep as the reference, neutrophils three times as deep; the site has as many of each."""
    kinds = ["segmented_neutrophil"] * 40 + ["myeloblast"] * 40 + ["eosinophil"] * 5
    table = pd.DataFrame({"image": "a.png", "class": kinds, "group": "7", "site": "lld", "split": "test"})
    table[["x0", "y0", "x1", "y1"]] = 0

    def depths(crops: NDArray[np.uint8], _: float) -> NDArray[np.float64]:
        return np.array(REFERENCE) * np.where(crops[:, 0, 0, :1, None] == 1, 1.0, 3.0)

    def crops(cells: pd.DataFrame, *_: object) -> NDArray[np.uint8]:
        return np.tile((cells["class"] == "myeloblast").to_numpy(np.uint8)[:, None, None, None], (1, 8, 8, 3))

    monkeypatch.setattr(stain_trial, "load_crops", crops)
    monkeypatch.setattr(stain_trial.stain, "measure_cells", depths)
    told = stain_trial.measure_pooled(table, CONFIG, Path(), KNOWN)["lld"]
    assert set(told) == {"all", "neutrophil", "blast", "95 % blasts"}  # five eosinophils are too few
    assert told["blast"]["reference"] == 0
    assert told["neutrophil"]["reference"] == 1
    assert 0.5 < told["all"]["reference"] < 1  # where blasts are the majority their gain is 1
    assert told["95 % blasts"]["reference"] < 0.5
    assert told["blast"]["factor"] == pytest.approx(3, rel=0.01)
    assert told["neutrophil"]["factor"] == pytest.approx(1, rel=0.01)
