"""Pairs and cards from elsewhere: what was tampered with, does not fit, or would harm, is refused by name."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from safetensors.torch import save

from smearscan.classification import backbones, classifier
from smearscan.config import read_yaml
from smearscan.detection import detector
from smearscan.differential.calibration_card import load_calibration, shipped_calibration
from smearscan.errors import ConfigError, WeightsError
from smearscan.training.config import ClassifierTraining, DetectorTraining
from smearscan.weights.pairs import ClassifierCard, DetectorCard, load_card, save_weights, shipped

CARD = ClassifierCard(
    name="small", architecture="soto_ayala_32", classes=("healthy", "blast"), task="blast", crop_um=20,
    crop_px=32, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), head="own",
)  # fmt: skip
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    torch.manual_seed(0)
    return dict(backbones.build("soto_ayala_32", 2, "own").state_dict())


@pytest.fixture
def pair(tmp_path: Path, tensors: Tensors) -> Path:
    save_weights(tmp_path / "small.safetensors", CARD, tensors)
    return tmp_path / "small.safetensors"


def forge(pair: Path, tensors: Tensors | None = None, **keys: object) -> None:
    """Write what an attacker would: other content, and a card whose hash is right for it."""
    if tensors is not None:
        pair.write_bytes(save(tensors))
    card = pair.with_suffix(".yaml")
    told = yaml.safe_load(card.read_text()) | {"sha256": hashlib.sha256(pair.read_bytes()).hexdigest()}
    card.write_text(yaml.safe_dump(told | keys))


def build(pair: Path) -> Any:
    return classifier.network_spec(pair)[1].build()


def test_an_honest_pair_is_built(pair: Path) -> None:
    forge(pair)
    images = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    assert build(pair)(images).shape == (1, 2)


def test_a_file_cut_anywhere_is_refused(pair: Path) -> None:
    whole = pair.read_bytes()
    for length in np.linspace(0, len(whole) - 1, 20).astype(int):
        pair.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"small\.safetensors: does not match the sha256 of its card"):
            build(pair)
        forge(pair)  # and with a card that was made to fit
        with pytest.raises(WeightsError, match=r"small\.safetensors: is no safetensors file"):
            build(pair)


def test_the_weights_of_another_pair_are_refused(pair: Path, tensors: Tensors) -> None:
    other = pair.with_name("other.safetensors")
    save_weights(other, CARD, {name: value + 1 for name, value in tensors.items()})
    pair.write_bytes(other.read_bytes())
    with pytest.raises(WeightsError, match="does not match the sha256 of its card; it was altered or cut"):
        build(pair)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: {k: v for k, v in list(t.items())[1:]},
        lambda t: {**t, "more": torch.zeros(2)},
        lambda t: {k: v[:1].clone() if v.ndim else v for k, v in t.items()},
    ],
)
def test_tensors_of_another_network_are_refused_with_one_of_them(
    pair: Path, tensors: Tensors, change: Callable[[Tensors], Tensors]
) -> None:
    forge(pair, change(tensors))
    with pytest.raises(
        WeightsError, match=r"not of the architecture and classes of its card .* tensors do not"
    ):
        build(pair)


def test_a_card_of_other_classes_is_refused(pair: Path) -> None:
    forge(pair, classes=["a", "b", "c"])
    with pytest.raises(WeightsError, match="take the card that was written with it"):
        build(pair)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(pair: Path, tensors: Tensors, value: float) -> None:
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    spoilt = tensors[name].clone()
    spoilt.view(-1)[0] = value
    forge(pair, {**tensors, name: spoilt})
    with pytest.raises(WeightsError, match=rf"{name} has values that are no finite numbers; .* train again"):
        build(pair)


@pytest.mark.parametrize("architecture", ["../../x", "timm:hf-hub:someone/net", "os.system", "resnet18;ls"])
def test_an_architecture_is_a_known_word(pair: Path, architecture: str) -> None:
    forge(pair, architecture=architecture)
    with pytest.raises(WeightsError, match="architecture"):
        build(pair)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../../evil"),
        ("name", "a\\b"),
        ("name", "two\nlines"),
        ("name", "\x1b[2J"),
        ("name", ""),
        ("name", "x" * 300),
        ("architecture", "a\x00b"),
        ("classes", ["healthy", "blast\n"]),
        ("classes", ["blast", "blast"]),
        ("classes", []),
        ("crop_um", float("inf")),
        ("mean", [float("nan"), 0.5, 0.5]),
        ("std", [0.0, 0.5, 0.5]),
        ("crop_px", 1_000_000),
        ("sha256", "../x"),
        ("temperature", float("nan")),
    ],
)
def test_what_a_card_says_is_within_its_limits(pair: Path, key: str, value: object) -> None:
    forge(pair, **{key: value})
    with pytest.raises(WeightsError, match=rf"small\.yaml: is no ClassifierCard \({key}"):
        load_card(pair, ClassifierCard)


def test_the_detector_s_classes_are_in_their_order() -> None:
    told = load_card(shipped("detector"), DetectorCard).model_dump()
    with pytest.raises(ValidationError, match="leukocyte, red_cell, platelet, in this order"):
        DetectorCard.model_validate(told | {"classes": ("red_cell", "leukocyte", "platelet")})


def test_a_detector_of_another_size_is_refused(tmp_path: Path) -> None:
    told = load_card(shipped("detector"), DetectorCard).model_copy(update={"architecture": "yolov8s"})
    save_weights(tmp_path / "cells", told, {"model.0.conv.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="not of the architecture"):
        detector.network_spec(tmp_path / "cells")[1].build()


@pytest.mark.parametrize("kind", [DetectorTraining, ClassifierTraining])
def test_a_training_writes_into_its_folder_alone(kind: type[Any]) -> None:
    with pytest.raises(ValidationError, match="must be without / and"):
        kind.model_validate({"name": "../up", "sites": []})


def test_a_calibration_leads_nowhere_and_is_finite(tmp_path: Path) -> None:
    for key, value in {"name": "../up", "variation": float("nan")}.items():
        told = yaml.safe_load(shipped_calibration().read_text()) | {key: value}
        (tmp_path / "card.yaml").write_text(yaml.safe_dump(told))
        with pytest.raises(WeightsError, match=rf"card\.yaml: is no calibration card \({key}"):
            load_calibration(tmp_path / "card.yaml")


# ---------------------------------------------------------------- YAML

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('!!python/object/apply:os.system ["touch harmed"]', "could not determine a constructor"),
        ("name: !!python/name:os.system", "could not determine a constructor"),
        ("sha256: a\nname: b\nsha256: c", "the key 'sha256' stands twice"),
        (BOMB, "stand for more than 1,000,000 values"),
        ("a: &a [*a]", "stand for more than 1,000,000 values"),
        ("[" * 20_000, "is not YAML"),
        ("made: 2024-13-45", "is not YAML"),
        ("count: !!int abc", "is not YAML"),
    ],
)
def test_yaml_makes_plain_values_and_no_more_than_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "card.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=reason) as error:
        read_yaml(file)
    assert str(file) in str(error.value)
    assert not (tmp_path / "harmed").exists()


def test_references_of_an_ordinary_file_are_followed(tmp_path: Path) -> None:
    file = tmp_path / "card.yaml"
    file.write_text("usual: &usual {a: 1}\nsite: *usual\nother: {<<: *usual, a: 2, b: 3}\n")
    assert read_yaml(file) == {"usual": {"a": 1}, "site": {"a": 1}, "other": {"a": 2, "b": 3}}
