"""Cells of a stain that training had are left alone; others are looked at in each stain that it had."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from pydantic import ValidationError
from test_density import SIDE_UM, cell

from smearscan.classifier import Classifier, answers
from smearscan.cli.weights import stain
from smearscan.density import middle_density
from smearscan.errors import DatasetError, WeightsError
from smearscan.stain_range import StainRange
from smearscan.training import familiar
from smearscan.weights import ClassifierCard, load_card, save_card

Crops = NDArray[np.uint8]
MEANS = {"pale": (0.4, 0.9, 0.2), "deep": (0.8, 1.6, 0.4)}


def a_range(limit: float = 2.5) -> StainRange:
    """Two sites whose cells, in a net of two classes, were answered (3, 0) and (0, 3)."""
    rng = np.random.default_rng(0)
    density = np.concatenate([rng.normal(mean, 0.05, (200, 3)) for mean in MEANS.values()])
    target = np.tile([0, 1], 200)
    logits = np.where(target[:, None] == [0, 1], 3.0, 0.0).astype(np.float32)
    made = StainRange.of(density, np.repeat(list(MEANS), 200), target, logits)
    return made.model_copy(update={"limit": limit})


def a_card(stain: StainRange | None) -> ClassifierCard:
    return ClassifierCard(
        name="net", task="custom", architecture="none", classes=("a", "b"), crop_um=SIDE_UM, crop_px=60,
        mean=(0, 0, 0), std=(1, 1, 1), stain=stain,
    )  # fmt: skip


def net(crops: Crops) -> NDArray[np.float32]:
    """Knows the deep stain best: the nearer a cell is to it, the surer the second class."""
    off = np.abs(middle_density(crops, SIDE_UM) - MEANS["deep"]).sum(axis=1)
    return np.stack([np.zeros(len(crops)), 3 - off], axis=1).astype(np.float32)


INSIDE = np.stack([cell(0.4, 0.9, 0.2), cell(0.8, 1.6, 0.4), cell(0.42, 0.92, 0.22)])
FAR = np.stack([cell(0.3, 2.2, 0.7), cell(1.4, 0.6, 0.1)])


def test_each_site_has_its_own_stain() -> None:
    found = a_range()
    assert list(found.sites) == ["deep", "pale"]
    for name, mean in MEANS.items():
        np.testing.assert_allclose(found.sites[name].mean, mean, atol=0.02)
        np.testing.assert_allclose(found.sites[name].covariance, np.eye(3) * 0.05**2, atol=0.001)
    assert sorted(found.answers) == [(0, 3), (0, 3), (3, 0), (3, 0)]


def test_between_two_sites_is_outside_of_both() -> None:
    density = np.array([*MEANS.values(), np.mean(list(MEANS.values()), axis=0)])
    assert a_range().outside(density).tolist() == [False, False, True]


def test_a_site_of_three_cells_has_no_stain() -> None:
    found = StainRange.of(
        np.random.default_rng(0).random((13, 3)), np.repeat(["many", "few"], [10, 3]), np.zeros(13, np.int64),
        np.zeros((13, 2), np.float32),
    )  # fmt: skip
    assert list(found.sites) == ["many"]


def test_answers_inside_are_the_nets_bit_for_bit() -> None:
    np.testing.assert_array_equal(answers(net, INSIDE, a_card(a_range())), net(INSIDE))
    both = np.concatenate([INSIDE, FAR])
    np.testing.assert_array_equal(answers(net, both, a_card(a_range()))[:3], net(INSIDE))


def test_without_a_range_nothing_changes() -> None:
    np.testing.assert_array_equal(answers(net, FAR, a_card(None)), net(FAR))
    assert answers(net, FAR[:0], a_card(a_range())).shape == (0, 2)


def test_outside_the_look_counts_that_is_most_familiar() -> None:
    looks = dict(zip(a_range().sites, a_range().views(FAR, SIDE_UM), strict=True))
    np.testing.assert_array_equal(answers(net, FAR, a_card(a_range())), net(looks["deep"]))


def test_the_look_as_it_is_counts_where_no_other_is_nearer() -> None:
    def sure(crops: Crops) -> NDArray[np.float32]:
        return np.tile(np.array([3, 0], np.float32), (len(crops), 1))

    np.testing.assert_array_equal(answers(sure, FAR, a_card(a_range())), sure(FAR))


def test_neither_order_nor_company_matters() -> None:
    crops = np.concatenate([FAR[:1], INSIDE, FAR[1:]])
    together = answers(net, crops, a_card(a_range()))
    np.testing.assert_array_equal(answers(net, crops[::-1], a_card(a_range()))[::-1], together)
    for crop, one in zip(crops, together, strict=True):
        np.testing.assert_array_equal(answers(net, crop[None], a_card(a_range()))[0], one)


def test_the_crops_given_are_left_alone() -> None:
    before = FAR.copy()
    answers(net, FAR, a_card(a_range()))
    np.testing.assert_array_equal(FAR, before)


def test_a_view_has_the_stain_of_its_site() -> None:
    for one, view in zip(a_range().sites.values(), a_range().views(INSIDE, SIDE_UM), strict=True):
        np.testing.assert_allclose(middle_density(view, SIDE_UM), np.tile(one.mean, (3, 1)), atol=0.03)


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"sites": {}},
        {"answers": []},
        {"answers": [[1, 2], [1, 2, 3]]},
        {"sites": {"a": {"mean": [1, 2, 3], "covariance": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}}},
        {"sites": {"a": {"mean": [1, 2, 3], "covariance": [[1, 0.5, 0], [0, 1, 0], [0, 0, 1]]}}},
        {"surprise": 3},
    ],
)
def test_a_range_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StainRange.model_validate({**a_range().model_dump(), **wrong})


def test_a_card_carries_the_range_there_and_back(tmp_path: Path) -> None:
    save_card(tmp_path / "net.yaml", a_card(a_range()))
    assert load_card(tmp_path / "net.yaml", ClassifierCard) == a_card(a_range())
    three = a_card(a_range()).model_copy(update={"classes": ("a", "b", "c")})
    save_card(tmp_path / "net.yaml", three)
    with pytest.raises(WeightsError, match="answers of the classes"):
        load_card(tmp_path / "net.yaml", ClassifierCard)


def test_the_range_is_learned_from_training_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [name for name in MEANS for _ in range(100)]
    table = pd.DataFrame({"site": kinds, "target": [0, 1] * 100, "gray": np.linspace(-0.1, 0.1, 200)})

    def load(rows: pd.DataFrame, *_: object) -> Crops:
        shades = zip(rows["site"], rows["gray"], strict=True)
        return np.stack([cell(*(np.array(MEANS[s]) + g)) for s, g in shades])

    monkeypatch.setattr(familiar, "load_crops", load)
    monkeypatch.setattr(familiar, "PER_KIND", 30)
    found = familiar.stain_range_of(a_card(None), net, table, Path())
    assert list(found.sites) == ["deep", "pale"]
    assert len(found.answers) == 4
    assert found == familiar.stain_range_of(a_card(None), net, table, Path())
    with pytest.raises(DatasetError, match="four training cells"):
        familiar.stain_range_of(a_card(None), net, table[:3], Path())


def test_the_command_writes_the_range_into_the_card_and_takes_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, table, config = tmp_path / "net.yaml", tmp_path / "cells.csv", tmp_path / "net_config.yaml"
    save_card(pair, a_card(None))
    config.write_text("name: net\nclasses: [a, b]\n")
    box = {"um_per_px": 0.1, "x0": 0, "y0": 0, "x1": 9, "y1": 9, "split": "train"}
    made = [(f"{s}{i}.png", "ab"[i % 2], s, f"{s}{i}") for s in "pqr" for i in range(4)]
    pd.DataFrame(made, columns=["image", "class", "site", "group"]).assign(**box).to_csv(table, index=False)
    sites: list[set[str]] = []

    def learn(card: ClassifierCard, run: object, cells: pd.DataFrame, *_: object) -> StainRange:
        sites.append(set(cells["site"]))
        return a_range()

    def load(path: Path) -> SimpleNamespace:
        return SimpleNamespace(card=load_card(path, ClassifierCard), engine=SimpleNamespace(run=net))

    monkeypatch.setattr(Classifier, "load", load)
    monkeypatch.setattr(familiar, "stain_range_of", learn)
    told = [str(pair), str(table), "--config", str(config), "--data", str(tmp_path)]
    assert CliRunner().invoke(stain, [*told, "--exclude-site", "q"]).output == "net: stains of deep, pale\n"
    assert sites == [{"p", "r"}]
    assert load_card(pair, ClassifierCard) == a_card(a_range())
    assert CliRunner().invoke(stain, [*told, "--remove"]).exit_code == 0
    assert load_card(pair, ClassifierCard) == a_card(None)
