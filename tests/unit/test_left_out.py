"""Cells of a left-out site, named for the card of slides stained unlike the training cells."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from test_stain_views import PX, crops_of

from references import left_out
from smearscan.calibration.labeled_cells import read_labeled
from smearscan.classification.crops import Geometry
from smearscan.training.config import ClassifierTraining

CONFIG = ClassifierTraining(name="cells", task="cells", crop_px=PX, normal_promyelocytes=("pbc",))
CLASSES = {"blast": ("healthy", "blast"), "differential": ("neutrophil", "immature_granulocyte")}
NETS = {task: Path(task) for task in CLASSES}


class Net:
    """Is sure of the second class where a large nucleus is as dark as the reference."""

    geometry, trees = Geometry(20.0, PX), "some"

    def __init__(self, task: str) -> None:
        self.card = SimpleNamespace(classes=CLASSES[task], crop_um=20.0, crop_px=PX)

    def probs(self, crops: np.ndarray, measured: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        dark = crops[:, 40, 40, 1] < 60
        assert (measured[:, 0] > 60).all()  # as photographed: half as deep
        second = dark * (crops[..., 1] < 200).mean(axis=(1, 2))
        return np.stack([1 - second, second], axis=1)


@pytest.fixture(params=[False])
def told(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> pd.DataFrame:
    kinds = ["segmented_neutrophil"] * 6 + ["myeloblast"] * 3 + ["promyelocyte"] * 2 + ["granulocyte"]
    rows = pd.DataFrame({"image": "a.png", "class": kinds, "group": "7", "site": "lld", "split": "test"})
    rows.loc[10, "site"] = "pbc"
    config = CONFIG.model_copy(update={"synonyms": {"granulocyte": ("segmented_neutrophil", "myelocyte")}})
    monkeypatch.setattr(left_out, "load_crops", crops_of)
    monkeypatch.setattr(left_out.Classifier, "load", lambda path: Net(path.name))
    monkeypatch.setattr(left_out, "measure", lambda crops, how: crops[:, 40, 40, 1:2].astype(np.float32))
    return left_out.name_left_out(rows, Path(), config, NETS, photographed=request.param)


def test_cells_are_shown_in_the_reference_and_measured_as_photographed(told: pd.DataFrame) -> None:
    blasts = told["truth"] == "blast"
    assert told.loc[blasts, "blast_probability"].iloc[0] > told.loc[~blasts, "blast_probability"].iloc[0] > 0


@pytest.mark.parametrize("told", [True], indirect=True)
def test_cells_are_shown_as_photographed_where_that_is_asked(told: pd.DataFrame) -> None:
    assert (told["blast_probability"] == 0).all()  # half as deep, so none is dark


def test_truths_are_sums_of_fine_types_and_open_ones_are_left_out(told: pd.DataFrame) -> None:
    counts = told.groupby(["site", "truth"]).size().to_dict()
    assert counts == {("lld", "neutrophil"): 6, ("lld", "blast"): 4, ("pbc", "immature_granulocyte"): 1}


def test_the_table_is_read_as_labeled_cells(told: pd.DataFrame, tmp_path: Path) -> None:
    told.to_csv(tmp_path / "lld.csv", index=False)
    cells = read_labeled(tmp_path / "lld.csv", CLASSES["differential"])
    assert len(cells) == 11
    assert set(cells.site) == {"lld", "pbc"}
    assert cells.found.all()
    assert not cells.asked.any()
