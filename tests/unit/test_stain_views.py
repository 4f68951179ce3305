"""Cells of a left-out site scored in two stains."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from references import stain_views
from smearscan.classification.crops import BACKGROUND
from smearscan.errors import DatasetError
from smearscan.rulers.stain import REFERENCE
from smearscan.taxonomy import FINE_CLASSES
from smearscan.training.config import ClassifierTraining

CONFIG = ClassifierTraining(name="cells", task="cells", crop_px=80)
PX = 80


def crops_of(cells: pd.DataFrame, *_: object) -> np.ndarray:  # type: ignore[type-arg]
    """Nuclei of half the reference's depth; blasts have the larger ones."""
    at = np.hypot(*np.mgrid[-39.5:40.5, -39.5:40.5])
    out = np.full((len(cells), PX, PX, 3), BACKGROUND, np.uint8)
    for crop, kind in zip(out, cells["class"], strict=True):
        crop[at < (34 if kind == "myeloblast" else 18)] = BACKGROUND * np.exp(-0.5 * np.array(REFERENCE[0]))
    return out


class Net:
    """Knows blasts by size, and calls everything an eosinophil that is not as dark as the reference."""

    card = SimpleNamespace(classes=FINE_CLASSES, crop_um=20.0, crop_px=80)

    def probs(self, crops: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        dark = (crops[..., 1] < 200).mean(axis=(1, 2))
        level = crops[:, 40, 40, 1]
        kind = np.where(level > 60, "eosinophil", np.where(dark > 0.3, "myeloblast", "segmented_neutrophil"))
        right = np.array([[name == k for name in FINE_CLASSES] for k in kind], float)
        blast = np.array([name == "myeloblast" for name in FINE_CLASSES]) * dark[:, None] / 10
        return right + blast


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kinds = ["segmented_neutrophil"] * 6 + ["myeloblast"] * 4
    rows = pd.DataFrame({"image": "a.png", "class": kinds, "group": "7", "site": "lld"})
    rows["target"] = [FINE_CLASSES.index(kind) for kind in kinds]
    place = tmp_path / "seed0" / "lld"
    place.mkdir(parents=True)
    rows.to_csv(place / "scores.csv", index=False)
    (place / "cells.safetensors").touch()
    monkeypatch.setattr(stain_views, "load_crops", crops_of)
    monkeypatch.setattr(stain_views.Classifier, "load", lambda _: Net())
    return tmp_path


def test_a_pale_slide_is_named_right_in_the_reference_stain(runs: Path) -> None:
    told = stain_views.measure_views(runs, CONFIG, Path(), ("lld",))["lld"]
    assert told["cells"] == 10
    assert told["trainings"] == 1
    assert told["photographed"]["types_right"] == 0
    assert told["reference"]["types_right"] == 1
    for view in stain_views.VIEWS:
        assert told[view]["blast_auroc"] == 1


def test_a_site_that_no_kept_net_left_out_is_told(runs: Path) -> None:
    with pytest.raises(DatasetError, match=r"no run that kept its net left out jtsc; see --keep-nets"):
        stain_views.measure_views(runs, CONFIG, Path(), ("lld", "jtsc"))
