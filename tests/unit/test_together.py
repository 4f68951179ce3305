"""Nets with one trunk: held while they learn, run once while scanning, and answering as each alone does."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from smearscan.classification import backbones
from smearscan.classification import shared_trunk as together
from smearscan.classification.classifier import Classifier, Pair
from smearscan.errors import ConfigError, WeightsError
from smearscan.runtime.mixed_precision import Bf16WithFallback
from smearscan.runtime.self_check import probabilities
from smearscan.training import batches, fine_tuning
from smearscan.training import train_classifier as training
from smearscan.training.config import ClassifierTraining, load_config
from smearscan.weights.pairs import ClassifierCard, load_weights, save_weights

ARCHITECTURE = "resnet18_stage3"
PARTS = backbones.trunk_of(ARCHITECTURE)
CLASSES = {"differential": ("neutrophil", "monocyte", "lymphocyte"), "blast": ("healthy", "blast")}
SIDE = 32


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compile nothing that is kept, and start no process."""
    monkeypatch.setenv("SMEARSCAN_CACHE", str(tmp_path / "cache"))
    near = {"num_workers": 0, "prefetch_factor": None}
    monkeypatch.setattr(batches, "DataLoader", lambda *given, **kept: DataLoader(*given, **{**kept, **near}))


def pair(folder: Path, task: str, trunk_seed: int = 0, own_seed: int = 1, **card: object) -> Path:
    """Save an untrained net: its trunk is of one seed, all above of another."""
    torch.manual_seed(trunk_seed)
    below = backbones.build(ARCHITECTURE, 2, "linear", "frozen").state_dict()
    torch.manual_seed(own_seed)
    net = backbones.build(ARCHITECTURE, len(CLASSES[task]), "linear", "frozen").state_dict()
    net |= {name: value for name, value in below.items() if name.partition(".")[0] in PARTS}
    told = {
        "name": task, "task": task, "architecture": ARCHITECTURE, "classes": CLASSES[task], "crop_um": 20,
        "crop_px": SIDE, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.3), "trunk": PARTS, **card,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    save_weights(folder / task, ClassifierCard.model_validate(told), net)
    return folder / f"{task}.safetensors"


def one_body(folder: Path) -> list[Path]:
    """Save two nets with the same body, each with a head of its own."""
    torch.manual_seed(4)
    below = backbones.build(ARCHITECTURE, 2, "linear", "frozen").state_dict()
    paths = []
    for task in ("differential", "blast"):
        path = pair(folder, task, own_seed=len(task))
        card, tensors = load_weights(path, ClassifierCard)
        save_weights(path, card, {**below, **{k: v for k, v in tensors.items() if k.startswith("head.")}})
        paths.append(path)
    return paths


def crops(n: int, side: int = SIDE) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (n, side, side, 3), np.uint8)


# ---------------------------------------------------------------- one network for several nets


@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize("n", [0, 1, 11])
def test_together_they_answer_as_each_alone(engine: str, n: int, tmp_path: Path) -> None:
    paths = [pair(tmp_path, "blast", own_seed=5), pair(tmp_path, "differential", own_seed=6)]
    both = together.load_classifiers(paths, "cpu", engine)
    geometry = both[0].geometry
    joint = together.predict_probs(both, {geometry: crops(n)})
    for path, net, probs in zip(paths, both, joint, strict=True):
        assert net.card.name == path.stem
        alone = Classifier.load(path, "cpu", "torch").probs(crops(n))
        assert probs.shape == (n, len(net.card.classes))
        np.testing.assert_allclose(probs, alone, atol=1e-5)
        np.testing.assert_array_equal(net.probs(crops(n)), probs)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_nets_of_one_body_answer_as_each_alone(engine: str, tmp_path: Path) -> None:
    paths = one_body(tmp_path)
    both = together.load_classifiers(paths, "cpu", engine)
    for path, probs in zip(paths, together.predict_probs(both, {both[0].geometry: crops(5)}), strict=True):
        alone = Classifier.load(path, "cpu", "torch").probs(crops(5))
        np.testing.assert_allclose(probs, alone, atol=1e-5)


def test_one_body_runs_once_for_all_its_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nets = [Pair.read(path).network() for path in one_body(tmp_path)]
    runs = []
    for net in nets:
        above = net.above  # type: ignore[attr-defined]
        monkeypatch.setattr(net, "above", lambda maps, above=above: runs.append(1) or above(maps))
    answers = backbones.Joined(nets)(torch.zeros(1, 3, SIDE, SIDE))
    assert answers.shape == (1, 5)
    assert runs == [1]


def test_which_nets_have_one_body_is_told_by_their_layers(tmp_path: Path) -> None:
    blast, differential = reversed(one_body(tmp_path / "same"))
    assert together.have_one_body(blast, differential)
    other = pair(tmp_path / "other", "differential", own_seed=8)
    assert not together.have_one_body(blast, other)  # the trunk alone is the same
    without = pair(tmp_path / "without", "differential", trunk=())
    assert not together.have_one_body(without, without)  # what shares nothing is never joined


def test_the_trunk_runs_once_for_all_its_nets(tmp_path: Path) -> None:
    nets = together.load_classifiers(
        [pair(tmp_path, "differential"), pair(tmp_path, "blast", own_seed=9)], "cpu", "torch"
    )
    parts = [net.engine for net in nets]
    assert all(isinstance(part, together.HeadView) for part in parts)
    whole = parts[0].whole  # type: ignore[union-attr]
    assert parts[1].whole is whole  # type: ignore[union-attr]
    runs = []

    class Counting:
        name = "counting"

        def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
            runs.append(len(images))
            return whole.run(images)

    counting = Counting()
    for part in parts:
        part.whole = counting  # type: ignore[union-attr]
    together.predict_probs(nets, {nets[0].geometry: crops(5)})
    assert runs == [5]


@pytest.mark.parametrize(
    "other",
    [
        {"trunk_seed": 3}, {"trunk": ()}, {"crop_px": 40}, {"crop_um": 18.0}, {"mean": (0.5, 0.5, 0.5)},
        {"background": "remove"}, {"trunk": PARTS[:2]},
    ],
)  # fmt: skip
def test_what_is_not_the_same_stays_apart(other: dict[str, object], tmp_path: Path) -> None:
    paths = [pair(tmp_path, "differential"), pair(tmp_path, "blast", **other)]  # type: ignore[arg-type]
    plan = together.plan(paths)
    assert [len(pairs) for pairs, _ in plan] == [1, 1]
    assert all(network.heads == () for _, network in plan)
    nets = together.load_classifiers(paths, "cpu", "torch")
    cut = {net.geometry: crops(3, net.card.crop_px) for net in nets}
    for path, probs in zip(paths, together.predict_probs(nets, cut), strict=True):
        alone = Classifier.load(path, "cpu", "torch")
        np.testing.assert_array_equal(probs, alone.probs(cut[alone.geometry]))


def test_a_card_that_tells_of_less_than_the_trunk_is_not_believed(tmp_path: Path) -> None:
    """Equal first layers do not make equal trunks."""
    paths = [pair(tmp_path, task, trunk=PARTS[:1]) for task in ("differential", "blast")]
    torch.manual_seed(0)
    tensors = backbones.build(ARCHITECTURE, 2, "linear", "frozen").state_dict()
    tensors["layer1.0.conv1.weight"] += 1
    card = Classifier.load(paths[1], "cpu", "torch").card
    save_weights(tmp_path / "blast", card, tensors)
    with pytest.raises(WeightsError, match="different ones"):
        together.load_classifiers(paths, "cpu", "torch")


def test_one_network_has_an_identity_of_its_own(tmp_path: Path) -> None:
    paths = [pair(tmp_path, "differential"), pair(tmp_path, "blast")]
    ((_, both),) = together.plan(paths)
    apart = [together.plan([path])[0][1] for path in paths]
    assert both.heads == (3, 2)
    assert len({both.identity, *(network.identity for network in apart)}) == 3


# ---------------------------------------------------------------- doubt


class Fixed:
    """Answers each picture by its first pixel: a row of the table."""

    name = "fixed"

    def __init__(self, table: NDArray[np.float32]) -> None:
        self.table = table

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.table[images[:, 0, 0, 0]]


def test_doubt_of_one_head_is_enough() -> None:
    sure, unsure = [9.0, 0.0, 0.0], [1.0, 0.5, 0.0]
    quick = np.array([[*sure, 9, 0], [*unsure, 9, 0], [*sure, 0.1, 0], [*unsure, 0, 0]], np.float32)
    images = np.zeros((4, 1, 1, 3), np.uint8)
    images[:, 0, 0, 0] = range(4)
    answers = Bf16WithFallback(Fixed(quick.copy()), Fixed(quick + 100), (3, 2)).run(images)
    np.testing.assert_array_equal(answers - quick, np.repeat([[0], [100], [100], [100]], 5, axis=1))


def test_heads_are_probabilities_of_their_own() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    parts = probabilities(logits, (3, 1, 2))
    assert [part.shape for part in parts] == [(4, 3), (4, 1), (4, 2)]
    for part in parts:
        np.testing.assert_allclose(part.sum(axis=1), 1, atol=1e-6)
    assert [part.shape for part in probabilities(logits)] == [(4, 6)]


# ---------------------------------------------------------------- held while learning


def config(**more: object) -> ClassifierTraining:
    return ClassifierTraining(
        **{
            "name": "net", "crop_px": SIDE, "batch": 4, "epoch_cells": 16, "epochs": 2, "warmup_steps": 1,
            "learning_rate": 1e-2, "trunk": "held", **more,
        }
    )  # fmt: skip


@pytest.fixture
def start(tmp_path: Path) -> Path:
    torch.manual_seed(7)
    path = tmp_path / "start.safetensors"
    save_file(backbones.build(ARCHITECTURE, 2, "linear", "batch").state_dict(), path)
    return path


@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_a_held_trunk_stays_to_the_last_bit(norm: str, start: Path, tmp_path: Path) -> None:
    settings = config(norm=norm)
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(6)], "site": "a", "target": np.arange(6) % 2})
    side = round(training.ROOM * SIDE)
    windows = np.random.default_rng(0).integers(0, 255, (6, side, side, 3))
    before = fine_tuning.network(settings, 2, start).state_dict()
    out = tmp_path / "out"
    model = training.fit(settings, table, 2, windows.astype(np.uint8), start, out, lambda _: None)
    for name, value in model.state_dict().items():
        held = name.partition(".")[0] in PARTS
        if "running" not in name and "tracked" not in name:
            assert torch.equal(value, before[name]) == held, name
        elif held:
            assert torch.equal(value, before[name]), name


def test_what_is_held_must_have_come_from_somewhere() -> None:
    with pytest.raises(ConfigError, match="give --start"):
        fine_tuning.network(config(), 2, None)


def test_what_has_no_trunk_cannot_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("name: net\narchitecture: mobilenet_v2\ntrunk: held\n")
    with pytest.raises(ConfigError, match=r"net.yaml.*trunk.*mobilenet_v2 has no trunk.*resnet18_stage3 has"):
        load_config(path, ClassifierTraining)


def test_the_card_tells_what_was_held() -> None:
    assert config().held == PARTS
    assert config(trunk="learns").held == ()


def test_a_head_that_learns_alone_leaves_its_body_to_the_last_bit(start: Path, tmp_path: Path) -> None:
    settings = config(regime="SFT", head="linear", epochs=1)
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(6)], "site": "a", "target": np.arange(6) % 2})
    side = round(training.ROOM * SIDE)
    windows = np.random.default_rng(0).integers(0, 255, (6, side, side, 3)).astype(np.uint8)
    before = fine_tuning.network(settings, 2, start).state_dict()
    model = training.fit(settings, table, 2, windows, start, tmp_path / "out", lambda _: None)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("head."), name
