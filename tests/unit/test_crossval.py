"""Cross-validation by group: every cell of a site is scored once, by a fold that never saw its group."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smearscan.errors import DatasetError
from smearscan.evaluation import crossval
from smearscan.training.config import ClassifierTraining

CLASSES = ("neutrophil", "monocyte")
CONFIG = ClassifierTraining(name="x", classes=CLASSES, synonyms={"smudge_cell": None})


def table(groups: int = 8) -> pd.DataFrame:
    """Cells of two sites; one in five of a class that is not learned, and a group that has nothing else."""
    rows = [
        {"image": f"{g}_{i}.png", "class": "smudge_cell" if i % 5 == 4 else CLASSES[i % 2], "group": f"g{g}"}
        for g in range(groups)
        for i in range(10)
    ]
    rows += [{"image": f"s_{i}.png", "class": "smudge_cell", "group": "only"} for i in range(3)]
    own = pd.DataFrame(rows).assign(site="own", split="train")
    other = pd.DataFrame(
        {
            "image": [f"o{i}.png" for i in range(20)],
            "class": CLASSES * 10,
            "group": [f"o{i}" for i in range(20)],
        }
    ).assign(site="other", split=["train", "val"] * 10)
    return pd.concat([own, other]).reset_index(drop=True)


class Folds:
    """Stands for the training of a fold: answers by the number of the picture, notes what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]] = []

    def __call__(self, config: object, classes: object, rest: pd.DataFrame, helpers: pd.DataFrame,
                 test: pd.DataFrame, *_: object) -> tuple[np.ndarray, float]:  # type: ignore[type-arg]  # fmt: skip
        self.given.append((rest, helpers, test))
        sure = np.array([0.5 + int(name.split("_")[1][0]) / 100 for name in test["image"]])
        right = np.where(test["class"] == CLASSES[0], sure, 1 - sure)
        return np.column_stack([right, 1 - right]), 0.5 + len(self.given) / 100


def run(out: Path, monkeypatch: pytest.MonkeyPatch, folds: int = 4) -> tuple[dict[str, object], Folds]:
    made = Folds()
    monkeypatch.setattr(crossval, "_fold", made)
    out.mkdir(exist_ok=True)
    figures = crossval.cross_validate(CONFIG, table(), Path(), None, "own", folds, out, lambda _: None)
    return figures, made


def test_no_fold_has_seen_the_groups_it_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, made = run(tmp_path, monkeypatch)
    assert len(made.given) == 4
    for rest, helpers, test in made.given:
        assert not set(rest["group"]) & set(test["group"])
        assert set(helpers["site"]) == {"other"}
        assert set(helpers["split"]) == {"train"}
        assert set(rest["class"]) == set(CLASSES)  # taught without what is not learned


def test_every_cell_of_a_scored_group_is_in_the_table_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, monkeypatch)
    found = pd.read_csv(tmp_path / "out_of_fold.csv")
    whole = table()
    scored = whole[(whole["site"] == "own") & (whole["group"] != "only")]
    assert sorted(found["image"]) == sorted(scored["image"])
    assert (found["class"] == "smudge_cell").sum() == 16
    assert found.loc[found["class"] == "smudge_cell", "target"].isna().all()
    assert found[["p_neutrophil", "p_monocyte", "threshold"]].notna().all(axis=None)
    number = found["image"].str.extract(r"_(\d)")[0].astype(int)
    wanted = np.where(found["class"] == "neutrophil", 0.5 + number / 100, 0.5 - number / 100)
    np.testing.assert_allclose(found["p_neutrophil"], wanted)  # each with its own probabilities


def test_figures_are_of_the_learned_classes_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures, _ = run(tmp_path, monkeypatch)
    assert np.array(figures["all"]["confusion"]).sum() == 64  # type: ignore[index]
    assert sum(np.array(part["confusion"]).sum() for part in figures["each"]) == 64  # type: ignore[attr-defined]
    assert figures["folds"] == 4


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = run(tmp_path, monkeypatch)
    before = (tmp_path / "out_of_fold.csv").read_text()
    (tmp_path / "fold2.npz").unlink()
    again, made = run(tmp_path, monkeypatch)
    assert len(made.given) == 1
    # the fold's threshold is that of the stand-in's first call now; all else is as before
    assert before.count("\n") == (tmp_path / "out_of_fold.csv").read_text().count("\n")
    assert first["all"] == again["all"]


def test_too_few_groups_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="site 'own' has 8 groups, fewer than 9 folds"):
        run(tmp_path, monkeypatch, folds=9)


def test_several_cells_of_one_picture_are_each_scored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields with boxes hold several cells; a picture's name does not tell them apart."""
    several = table()
    several["image"] = several["image"].str.replace(r"_[0-4]\.", "_1.", regex=True)
    monkeypatch.setattr(crossval, "_fold", Folds())
    crossval.cross_validate(CONFIG, several, Path(), None, "own", 4, tmp_path, lambda _: None)
    assert len(pd.read_csv(tmp_path / "out_of_fold.csv")) == 80
