"""Training of stage two on tiny random data: sampling, augmentation, calibration, resuming."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from smearscan.classification import backbones
from smearscan.classification.classifier import Classifier
from smearscan.errors import ConfigError, DatasetError
from smearscan.io import write_image
from smearscan.runtime.torch_engine import FromPixels, TorchEngine
from smearscan.training import batches
from smearscan.training import train_classifier as training
from smearscan.training.augment import Augmentation, augmented
from smearscan.training.config import ClassifierTraining


def config(**more: object) -> ClassifierTraining:
    return ClassifierTraining(
        **{"name": "net", "crop_px": 32, "batch": 4, "epoch_cells": 8, "epochs": 2, **more}
    )


def cells(*groups: tuple[str, int, int]) -> pd.DataFrame:
    """Rows of (site, target, how many)."""
    rows = [(f"{s}{t}{i}.png", s, t) for s, t, n in groups for i in range(n)]
    return pd.DataFrame(rows, columns=["image", "site", "target"])


def made(model: nn.Module) -> training.Trained:
    return training.Trained(model, None)


# ---------------------------------------------------------------- sampling


@given(
    sizes=st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(1, 9)), min_size=1, max_size=6
    ),
    weight=st.floats(0.1, 10),
)
def test_shares_are_chances(sizes: list[tuple[str, int, int]], weight: float) -> None:
    table = cells(*sizes)
    share = batches.shares(table, config(site_weights={"a": weight}))
    assert share.shape == (len(table),)
    assert (share > 0).all()
    assert share.sum() == pytest.approx(1)


def test_a_site_is_drawn_by_its_weight_and_the_root_of_its_size() -> None:
    table = cells(("a", 0, 100), ("b", 0, 4))
    share = batches.shares(table, config(site_weights={"b": 2.5}))
    by_site = pd.Series(share).groupby(table["site"].to_numpy()).sum()
    assert by_site["a"] / by_site["b"] == pytest.approx(10 / (2.5 * 2))


def test_within_a_site_a_class_is_drawn_by_the_root_of_its_size() -> None:
    table = cells(("a", 0, 90), ("a", 1, 10), ("b", 1, 500))
    share = batches.shares(table, config())
    own = (table["site"] == "a").to_numpy()
    by_class = pd.Series(share[own]).groupby(table["target"].to_numpy()[own]).sum()
    assert by_class[0] / by_class[1] == pytest.approx(3)


def test_a_class_is_drawn_by_its_weight() -> None:
    table = cells(("a", 0, 50), ("a", 1, 50), ("b", 0, 30)).assign(**{"class": "x"})
    table["class"] = table["target"].map({0: "neutrophil", 1: "platelet"})
    told = {"task": "differential", "classes": ("neutrophil", "platelet"), "class_weights": {"platelet": 0.2}}
    weighed, _ = training.prepared(table.drop(columns="target"), config(**told))
    share = pd.Series(batches.shares(weighed, config())).groupby([weighed["site"], weighed["target"]]).sum()
    assert share["a", 0] / share["a", 1] == pytest.approx(5)
    assert share["b", 0] / share["a"].sum() == pytest.approx(np.sqrt(0.3))  # a site's own share stays
    with pytest.raises(ValueError, match="need one class a cell"):
        config(task="cells", class_weights={"platelet": 2})
    with pytest.raises(DatasetError, match="class_weights names 'blast', which is not among neutrophil"):
        training.prepared(table, config(**{**told, "class_weights": {"blast": 2}}))


# ---------------------------------------------------------------- augmentation


def window(seed: int = 0, side: int = 45) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def test_a_crop_has_the_nets_shape_and_leaves_its_window_alone() -> None:
    given, rng = window(), np.random.default_rng(3)
    before = given.copy()
    for _ in range(60):
        crop = augmented(given, 32, rng)
        assert crop.shape == (32, 32, 3)
        assert crop.dtype == np.uint8
    np.testing.assert_array_equal(given, before)


def test_augmentation_hangs_on_its_seed_alone() -> None:
    def drawn(seed: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        return np.stack([augmented(window(), 32, rng) for _ in range(25)])

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).any()
    assert len(np.unique(drawn(1), axis=0)) == 25


def test_the_cell_stays_in_the_crop() -> None:
    given = np.full((45, 45, 3), 235, np.uint8)
    y, x = np.mgrid[:45, :45] - 22
    given[x**2 + y**2 < 64] = (90, 40, 140)
    rng = np.random.default_rng(0)
    for _ in range(100):
        gray = augmented(given, 32, rng).astype(float).mean(axis=2)
        assert gray[12:20, 12:20].mean() < gray[[0, 0, -1, -1], [0, -1, 0, -1]].mean()


def test_the_stream_of_crops_is_seeded_and_endless() -> None:
    table = cells(("a", 0, 3), ("a", 1, 3))
    windows = np.stack([window(i) for i in range(6)])

    def first(seed: int, n: int = 40) -> tuple[NDArray[np.uint8], list[int]]:
        stream = iter(batches.Cells(windows, table, config(), seed))
        drawn = [next(stream) for _ in range(n)]
        return np.stack([c for c, _ in drawn]), [t for _, t in drawn]

    np.testing.assert_array_equal(first(1)[0], first(1)[0])
    assert first(1)[1] != first(2)[1]
    assert set(first(1)[1]) == {0, 1}
    images, targets = batches.collate(list(zip(*first(1, 5), strict=True)))
    assert images.shape == (5, 32, 32, 3)
    assert images.dtype == torch.uint8
    assert targets.dtype == torch.int64


def test_a_crop_takes_the_depth_of_stain_of_any_site_alike() -> None:
    table = cells(("pale", 0, 30), ("deep", 1, 3))
    gray = np.where(table["site"] == "pale", 160, 90).astype(np.uint8)
    windows = np.repeat(gray, 45 * 45 * 3).reshape(-1, 45, 45, 3)

    def shades(share: float) -> pd.Series:
        how = {**Augmentation.none().model_dump(), "exchange": share}
        stream = iter(batches.Cells(windows, table, config(augmentation=how), 0))
        drawn = [next(stream) for _ in range(400)]
        return pd.DataFrame([(t, int(c.mean())) for c, t in drawn], columns=["target", "gray"])

    as_is = shades(0).groupby("target")["gray"].unique()
    assert [set(shade) for shade in as_is] == [{160}, {90}]
    deep = (shades(1)["gray"] < 125).groupby(shades(1)["target"]).mean()
    np.testing.assert_allclose(deep, 0.5, atol=0.1)  # either class in either stain


def test_what_sets_a_cell_apart_within_its_site_is_not_exchanged() -> None:
    table = cells(("pale", 0, 1), ("pale", 1, 1), ("deep", 0, 1), ("deep", 1, 1))
    density = np.array([0.3, 0.45, 0.6, 0.9])  # at either site the second kind is half as dense again
    gray = np.round(235 * np.exp(-density)).astype(np.uint8)
    windows = np.repeat(gray, 45 * 45 * 3).reshape(-1, 45, 45, 3)
    how = {**Augmentation.none().model_dump(), "exchange": 1}
    stream = iter(batches.Cells(windows, table, config(augmentation=how), 0))
    drawn = pd.DataFrame([(t, -np.log(c.mean() / 235)) for c, t in (next(stream) for _ in range(200))])
    for kind, wanted in ((0, [0.3, 0.6]), (1, [0.45, 0.9])):
        np.testing.assert_allclose(np.unique(drawn[1][drawn[0] == kind].round(1)), wanted, atol=0.06)


# ---------------------------------------------------------------- calibration


@given(
    specificity=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
    probs=st.lists(st.floats(0, 1, width=32, exclude_max=True), min_size=1, max_size=300),
)
def test_the_threshold_keeps_the_specificity(specificity: float, probs: list[float]) -> None:
    healthy = np.array(probs, np.float32)
    threshold = training.threshold_at(specificity, healthy)
    assert 0 < threshold <= 1
    assert (healthy < np.float32(threshold)).mean() >= specificity


def test_the_threshold_is_no_higher_than_it_must_be() -> None:
    healthy = np.linspace(0, 0.9, 1000, dtype=np.float32)
    threshold = training.threshold_at(0.95, healthy)
    assert (healthy < threshold).mean() == pytest.approx(0.95, abs=0.002)


def test_cells_that_are_surely_blasts_can_still_be_told() -> None:
    assert training.threshold_at(0.95, np.ones(10, np.float32)) == 1


# ---------------------------------------------------------------- classes


def manifest(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"image": [f"{i}.png" for i in range(len(names))], "class": names, "site": "here"})


def test_classes_of_a_custom_task_are_those_of_the_table() -> None:
    table, classes = training.prepared(manifest("b", "a", "b"), config())
    assert classes == ("a", "b")
    assert table["target"].tolist() == [1, 0, 1]


def test_names_of_data_sets_are_brought_to_ours() -> None:
    table, classes = training.prepared(manifest("Segmented Neutrophils", "Myeloblast"), config(task="blast"))
    assert classes == ("healthy", "blast")
    assert table["target"].tolist() == [0, 1]


def test_an_unknown_class_is_refused_by_name() -> None:
    with pytest.raises(DatasetError, match="'unicorn' is not known"):
        training.prepared(manifest("monocyte", "unicorn"), config(task="differential"))


def test_sites_are_chosen_and_left_out() -> None:
    table = manifest("a", "b", "a", "b").assign(site=["x", "x", "y", "z"])
    assert len(training.prepared(table, config(sites=["x", "y"]))[0]) == 3
    assert len(training.prepared(table, config(exclude_sites=["x"]))[0]) == 2
    with pytest.raises(DatasetError, match="no cell is left"):
        training.prepared(table, config(sites=["x"], exclude_sites=["x"]))


# ---------------------------------------------------------------- fitting


class Tiny(backbones.Network):
    """Stands for a backbone."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.body, self.norm = nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, n_classes)

    def features(self, images: Tensor) -> Tensor:
        return self.norm(self.body(images)).mean(dim=(2, 3))


@pytest.fixture
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "build", lambda _, n, *__: Tiny(n))


class Stopped(Exception):  # noqa: N818
    pass


def fit(
    out: Path, epochs_seen: list[float], stop_after: int = 0, start: Path | None = None, first: int = 0,
    classes: tuple[int, int] = (0, 1), **more: object,
) -> nn.Module:  # fmt: skip
    def report(row: dict[str, float]) -> None:
        epochs_seen.append(row["epoch"])
        if row["epoch"] == stop_after:
            raise Stopped

    table = cells(("a", classes[0], 4), ("a", classes[1], 4))
    windows = np.stack([window(first + i) for i in range(8)])
    return training.fit(config(epochs=3, **more), table, 2, windows, start, out, report)


@pytest.mark.usefixtures("_tiny")
def test_an_interrupted_run_goes_on_at_the_next_epoch(tmp_path: Path) -> None:
    seen: list[float] = []
    with pytest.raises(Stopped):
        fit(tmp_path / "run", seen, stop_after=2)
    assert (tmp_path / "run" / "checkpoint.pt").is_file()
    resumed = fit(tmp_path / "run", seen)
    assert seen == [1, 2, 3]
    assert pd.read_csv(tmp_path / "run" / "curves.csv")["epoch"].tolist() == [1, 2, 3]
    assert (tmp_path / "run" / "curves.png").is_file()
    # the net has no dropout: stopping must not have changed anything
    whole = fit(tmp_path / "whole", [])
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.usefixtures("_tiny")
def test_a_run_of_another_configuration_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        fit(tmp_path, [], stop_after=1)
    with pytest.raises(ConfigError, match="another configuration"):
        fit(tmp_path, [], learning_rate=0.5)


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("other", [{"first": 8}, {"classes": (1, 0)}], ids=["pictures", "labels"])
def test_a_run_on_other_data_is_not_gone_on_with(tmp_path: Path, other: dict[str, Any]) -> None:
    with pytest.raises(Stopped):
        fit(tmp_path, [], stop_after=1)
    with pytest.raises(ConfigError, match="another configuration"):
        fit(tmp_path, [], **other)


def test_other_pictures_of_the_same_size_are_another_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks: list[str] = []
    monkeypatch.setattr(training, "finished", lambda _, __, mark: marks.append(mark) or True)
    table = pd.DataFrame(
        {"image": ["a.bmp", "b.bmp"], "class": ["x", "y"], "group": ["1", "2"], "site": "s",
         "split": ["train", "val"]}
    )  # fmt: skip
    pictures = [window(seed) for seed in range(2)]
    for order in ((0, 1), (0, 1), (1, 0)):
        for name, i in zip(table["image"], order, strict=True):
            write_image(tmp_path / name, pictures[i])
        training.train(config(task="custom", classes=()), table, tmp_path, None, tmp_path / "out", print)
    assert marks[0] == marks[1] != marks[2]


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("pretrained", [True, False])
def test_training_moves_the_weights_and_holds_a_given_normalization(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pretrained: bool
) -> None:
    """Statistics that come with the weights stay; from random weights they have to be learned."""
    monkeypatch.setattr(backbones, "start_from", lambda *_, **__: 1)
    torch.manual_seed(config().seed)
    before = Tiny(2).state_dict()
    after = fit(tmp_path, [], start=tmp_path / "given.safetensors" if pretrained else None).state_dict()
    assert not torch.equal(before["body.weight"], after["body.weight"])
    assert not torch.equal(before["head.weight"], after["head.weight"])
    for name in ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked"):
        assert torch.equal(before[name], after[name]) == pretrained


@pytest.mark.usefixtures("_tiny")
def test_the_card_holds_what_scanning_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    probs = np.concatenate([np.linspace(0.01, 0.5, 50), np.linspace(0.4, 0.99, 50)])
    logits = np.stack([np.log(1 - probs), np.log(probs)], axis=1).astype(np.float32)
    monkeypatch.setattr(training, "logits_of", lambda *_: logits)
    val = pd.DataFrame({"target": [0] * 50 + [1] * 50})
    crops = np.zeros((100, 32, 32, 3), np.uint8)
    card = training.calibrated_card(config(task="blast"), ("healthy", "blast"), made(Tiny(2)), val, crops)
    assert np.array(card.confusion).sum() == 100
    assert [sum(row) for row in card.confusion] == [50, 50]
    calibrated = softmax(logits / card.temperature, axis=1)[:50, 1]
    assert (calibrated < card.threshold).mean() >= 0.95
    assert card.unclassified_below == 0
    assert (card.head, card.norm, card.background) == ("linear", "frozen", "keep")
    assert (card.mean, card.std) == (backbones.IMAGENET_MEAN, backbones.IMAGENET_STD)
    custom = training.calibrated_card(config(), ("a", "b"), made(Tiny(2)), val, crops)
    assert (custom.threshold, custom.unclassified_below) == (0.5, 0.5)


# ---------------------------------------------------------------- background and mixing


def test_training_and_scanning_take_the_background_away_alike(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Windows, crops of validation and crops of a scan all pass through the one function."""
    seen_um: list[float] = []
    monkeypatch.setattr(
        "smearscan.classification.classifier.without_background",
        lambda crop, um: seen_um.append(um) or crop // 2,
    )
    monkeypatch.setattr(backbones, "build", lambda _, n, *__: Tiny(n))
    shown = []
    monkeypatch.setattr(training, "crop_batches", lambda windows, *_, **__: shown.append(windows) or iter([]))
    with pytest.raises(StopIteration):
        fit(tmp_path, [], background="remove")
    np.testing.assert_array_equal(shown[0], np.stack([window(i) for i in range(8)]) // 2)

    assert set(seen_um) == {training.ROOM * 20}
    seen_um.clear()
    model, crops = Tiny(2).eval(), np.stack([window(i, 32) for i in range(3)])
    removed = training.logits_of(made(model), crops, config(background="remove"))
    np.testing.assert_array_equal(removed, training.logits_of(made(model), crops // 2, config()))
    features = training.features_of(model, crops, config(background="remove"))
    np.testing.assert_array_equal(features, training.features_of(model, crops // 2, config()))
    card = training.calibrated_card(
        config(background="remove"), ("a", "b"), made(model), pd.DataFrame({"target": [0, 1, 0]}), crops
    )
    whole = FromPixels(model, card.mean, card.std)
    scanning = Classifier(TorchEngine(whole, torch.device("cpu"), 64), card)
    np.testing.assert_allclose(scanning.probs(crops), softmax(removed / card.temperature, axis=1), rtol=1e-6)
    assert set(seen_um) == {20}


def test_mixed_crops_have_mixed_targets() -> None:
    table = cells(("a", 0, 3), ("a", 1, 3))
    windows = np.stack([window(i) for i in range(6)])
    plain = batches.crop_batches(windows, table, config(), 2, 0)
    assert next(plain)[1].dtype == torch.int64
    blended = batches.crop_batches(windows, table, config(augmentation={"mixup": 0.4}), 2, 0)
    crops, chances = next(blended)
    assert crops.shape == (4, 32, 32, 3)
    assert chances.shape == (4, 2)
    torch.testing.assert_close(chances.sum(dim=1), torch.ones(4))
