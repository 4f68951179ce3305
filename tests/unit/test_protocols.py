"""Who is trained on and who is scored: groups stay whole, every cell is scored where it should be."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.errors import DatasetError
from smearscan.experiments.protocols import Split, assign_folds, holdout, kfold, lodo, with_classes
from smearscan.training.config import ClassifierTraining

CLASSES = ("neutrophil", "monocyte")
CONFIG = ClassifierTraining(name="x", classes=CLASSES, synonyms={"smudge_cell": None})


def site(name: str, groups: int, cells: int = 10, prefix: str = "") -> pd.DataFrame:
    """Cells of a site: half neutrophils, half monocytes, in groups; every fifth is of no learned class."""
    n = groups * cells
    return pd.DataFrame(
        {
            "image": [f"{name}/{i}.png" for i in range(n)],
            "class": ["smudge_cell" if i % 5 == 4 else CLASSES[i % 2] for i in range(n)],
            "group": [f"{prefix or name}_g{i // cells}" for i in range(n)],
            "site": name,
            "split": [("train", "train", "val", "test")[i // cells % 4] for i in range(n)],
        }
    )


def table(*sites: pd.DataFrame) -> pd.DataFrame:
    return with_classes(pd.concat(sites or (site("own", 16), site("other", 8))), CONFIG)[0]


def groups(cells: pd.DataFrame, rows: np.ndarray) -> set[str]:  # type: ignore[type-arg]
    return set(cells["group"].iloc[rows])


def assert_apart(cells: pd.DataFrame, split: Split) -> None:
    """No row and no group is in two parts, and only learned cells are trained on."""
    parts = [split.train, split.val, split.test]
    assert all(len(part) for part in parts)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not groups(cells, parts[a]) & groups(cells, parts[b])
    assert (cells["target"].iloc[np.concatenate(parts[:2])] >= 0).all()


# ---------------------------------------------------------------- cells and their groups


def test_cells_of_classes_that_are_not_learned_stay_and_are_marked() -> None:
    found, classes = with_classes(site("own", 2), CONFIG)
    assert classes == CLASSES
    assert found["cell"].tolist() == list(range(20))
    assert ((found["target"] == -1) == (found["class"] == "smudge_cell")).all()
    learned = found[found["target"] >= 0]
    assert (learned["class"] == learned["target"].map(dict(enumerate(CLASSES)))).all()


def test_pictures_named_alike_at_two_sites_are_no_group_but_a_patient_is() -> None:
    cells = pd.DataFrame(
        {
            "image": ["a/001.jpg", "b/001.jpg", "a/2.jpg", "b/2.jpg", "a/x1.jpg", "b/x2.jpg", "a/9.jpg"],
            "class": "neutrophil",
            "group": ["001.jpg", "001.jpg", "2", "2", "patient 7", "patient 7", "9.jpg"],
            "site": ["a", "b", "a", "b", "a", "b", "a"],
        }
    )
    found = with_classes(cells, CONFIG)[0]["group"].tolist()
    assert found == ["a/001.jpg", "b/001.jpg", "a/2", "b/2", "patient 7", "patient 7", "9.jpg"]


# ---------------------------------------------------------------- hold-out


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_a_holdout_is_70_15_15_by_group(seed: int) -> None:
    cells = table(site("own", 28))
    (split,) = holdout(cells, seed)
    assert_apart(cells, split)
    learned = np.flatnonzero(cells["target"] >= 0)
    assert sorted(np.concatenate([split.train, split.val, split.test])) == learned.tolist()
    assert len(split.val) == len(split.test) == len(learned) / 7


def test_each_seed_holds_out_others() -> None:
    cells = table(site("own", 28))
    assert len({tuple(holdout(cells, seed)[0].test) for seed in range(4)}) == 4
    assert (holdout(cells, 1)[0].test == holdout(cells, 1)[0].test).all()


# ---------------------------------------------------------------- folds


def test_no_fold_has_seen_the_groups_it_scores() -> None:
    cells = table()
    splits = kfold(cells, 4, 0, "own")
    helpers = np.flatnonzero(
        (cells["site"] == "other") & (cells["split"] == "train") & (cells["target"] >= 0)
    )
    assert len(helpers)
    for split in splits:
        assert_apart(cells, split)
        assert split.train[-len(helpers) :].tolist() == helpers.tolist()
        assert set(cells["site"].iloc[np.concatenate([split.val, split.test])]) == {"own"}


def test_every_cell_of_the_site_is_scored_once_those_of_no_learned_class_too() -> None:
    cells = table()
    scored = np.concatenate([split.test for split in kfold(cells, 4, 0, "own")])
    assert sorted(scored) == np.flatnonzero(cells["site"] == "own").tolist()


def test_a_group_without_a_learned_cell_is_not_scored() -> None:
    nothing = site("own", 1, cells=3, prefix="only").assign(**{"class": "smudge_cell"})
    cells = table(site("own", 16), nothing)
    for split in kfold(cells, 4, 0, "own"):
        assert "only_g0" not in groups(cells, split.test)


def test_without_a_site_all_learned_cells_are_folded() -> None:
    cells = table()
    splits = kfold(cells, 3, 0)
    scored = np.concatenate([split.test for split in splits])
    assert sorted(scored) == np.flatnonzero(cells["target"] >= 0).tolist()
    for split in splits:
        assert_apart(cells, split)
        assert set(cells["site"].iloc[split.train]) == {"own", "other"}


def test_a_patient_whom_another_site_has_too_helps_nobody() -> None:
    cells = table(site("own", 16), site("other", 20, prefix="own"))
    for split in kfold(cells, 4, 0, "own"):
        assert_apart(cells, split)


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(DatasetError, match="site 'own' has 16 groups, fewer than 17 folds"):
        kfold(table(), 17, 0, "own")


# ---------------------------------------------------------------- data sets


def test_each_data_set_is_left_out_once_and_scored_whole() -> None:
    cells = table(site("a", 8), site("b", 12), site("c", 16))
    splits = lodo(cells)
    assert [split.name for split in splits] == ["a", "b", "c"]
    learned = cells["target"] >= 0
    for split in splits:
        assert_apart(cells, split)
        assert split.test.tolist() == np.flatnonzero(learned & (cells["site"] == split.name)).tolist()
        rest = learned & (cells["site"] != split.name)
        assert split.train.tolist() == np.flatnonzero(rest & (cells["split"] != "val")).tolist()
        assert split.val.tolist() == np.flatnonzero(rest & (cells["split"] == "val")).tolist()


def test_rare_classes_are_not_scored_and_sites_of_one_class_only_help() -> None:
    rare = site("rare", 8)
    few = rare[(rare["class"] != "monocyte") | (np.arange(80) < 12)]
    more = pd.DataFrame({"class": "basophil"}, index=range(7)).assign(
        image="m", group=[f"m{i}" for i in range(7)], site="a", split="train"
    )
    config = CONFIG.model_copy(update={"classes": (*CLASSES, "basophil")})
    cells = with_classes(pd.concat([site("a", 8), site("b", 8), few, more]), config)[0]
    splits = lodo(cells)
    assert [split.name for split in splits] == ["a", "b"]
    assert not (cells["class"].iloc[splits[0].test] == "basophil").any()
    assert (cells["site"].iloc[splits[0].train] == "rare").any()
    assert [split.name for split in lodo(cells, min_cells=5)] == ["a", "b", "rare"]


def test_a_class_that_no_other_site_has_enough_of_is_not_taught() -> None:
    alone = pd.DataFrame({"class": "basophil"}, index=range(30)).assign(
        image="m", group=[f"m{i}" for i in range(30)], site="a", split="train"
    )
    config = CONFIG.model_copy(update={"classes": (*CLASSES, "basophil")})
    few = alone[:9].assign(site="b", group=[f"n{i}" for i in range(9)])
    cells = with_classes(pd.concat([site("a", 8), site("b", 8), alone, few]), config)[0]
    a, b = lodo(cells)
    assert (cells["class"].iloc[a.test] == "basophil").sum() == 30
    assert a.taught is not None
    assert b.taught is not None
    assert a.taught.tolist() == [0, 1]
    assert b.taught.tolist() == [0, 1, 2]


def test_sites_that_share_a_patient_are_left_out_together() -> None:
    cells = table(site("a", 8), site("half_of_a", 8, prefix="a"), site("b", 8))
    splits = lodo(cells)
    assert [split.name for split in splits] == ["a+half_of_a", "b"]
    for split in splits:
        assert_apart(cells, split)
    assert set(cells["site"].iloc[splits[0].test]) == {"a", "half_of_a"}


def test_only_the_sites_asked_for_are_left_out() -> None:
    cells = table(site("a", 8), site("b", 8), site("c", 8))
    (split,) = lodo(cells, sites=("b",))
    assert (split.name, set(cells["site"].iloc[split.train])) == ("b", {"a", "c"})


def test_what_cannot_be_left_out_is_refused() -> None:
    with pytest.raises(DatasetError, match="no site has two classes with 500 cells"):
        lodo(table(), min_cells=500)
    with pytest.raises(DatasetError, match="without own no cell is left"):
        lodo(table(site("own", 16)))


# ---------------------------------------------------------------- for the leak guard


def test_the_folds_of_a_plan_are_told_to_the_leak_guard() -> None:
    cells = table()
    splits = kfold(cells, 4, 0, "own")
    told = assign_folds(cells, splits)
    for split in splits:
        assert set(told.index[told["fold"] == split.name]) == set(split.test)
    train = told.index[told["fold"] == "train"]
    assert set(cells["site"].loc[train]) == {"other"}
    # helpers that no net learns take no part
    assert set(cells.index) - set(told.index) == set(
        np.flatnonzero((cells["site"] == "other") & ((cells["split"] != "train") | (cells["target"] < 0)))
    )


def test_a_holdout_has_two_sides() -> None:
    cells = table(site("own", 28))
    (split,) = holdout(cells, 0)
    told = assign_folds(cells, [split])["fold"]
    assert set(told.index[told == "holdout"]) == set(split.test)
    assert set(told.index[told == "train"]) == {*split.train, *split.val}


def test_a_cell_that_is_only_kept_from_a_net_counts_to_its_fold() -> None:
    """A rare class of a left-out site is not scored; to the nets of other sites it is a neighbor's cell."""
    rare = site("a", 1, prefix="rare").assign(**{"class": "monocyte"})
    config = CONFIG.model_copy(update={"classes": ("neutrophil", "monocyte", "basophil")})
    rare["class"] = "basophil"
    cells = with_classes(pd.concat([site("a", 8), site("b", 8), rare]), config)[0]
    told = assign_folds(cells, lodo(cells))
    assert set(told.loc[told["class"] == "basophil", "fold"]) == {"a"}
