"""A weights pair says what it is, and is refused where it is not."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.special import softmax

from smearscan.errors import WeightsError
from smearscan.weights.pairs import (
    ClassifierCard,
    DetectorCard,
    load_card,
    load_weights,
    save_card,
    save_weights,
    shipped,
)

CARD = ClassifierCard(
    name="types",
    architecture="resnet18_stage3",
    classes=("neutrophil", "lymphocyte", "monocyte"),
    task="differential",
    crop_um=20,
    crop_px=112,
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.2),
    temperature=1.3,
    confusion=[[5, 1, 0], [0, 7, 1], [0, 0, 9]],
    training={"sites": ["bccd"], "note": "Müller"},
)
DETECTOR = DetectorCard(
    name="cells",
    architecture="yolov8n",
    classes=("leukocyte", "red_cell", "platelet"),
    working_red_cell_px=32,
    thresholds=(0.4, 0.3, 0.2),
)


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "conv.weight": torch.randn(4, 3, 3, 3),
        "conv.turned": torch.randn(5, 7).T,  # not contiguous
        "norm.seen": torch.tensor(12),
    }


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "types.safetensors"
    save_weights(path, CARD, tensors())
    return path


@pytest.mark.parametrize("name", ["types.safetensors", "types.yaml", "types"])
def test_what_is_saved_is_loaded(pair: Path, name: str) -> None:
    card, loaded = load_weights(pair.with_name(name), ClassifierCard)
    assert card == CARD.model_copy(update={"sha256": card.sha256})
    assert len(card.sha256) == 64
    assert card.short_hash == card.sha256[:12]
    for key, value in tensors().items():
        assert loaded[key].dtype == (torch.float32 if value.is_floating_point() else value.dtype)
        assert torch.equal(loaded[key], value.half().float() if value.is_floating_point() else value)


def test_saving_again_gives_the_same_file(pair: Path, tmp_path: Path) -> None:
    again = save_weights(tmp_path / "again.safetensors", CARD, tensors())
    assert again.sha256 == load_card(pair, ClassifierCard).sha256


def test_names_with_a_dot_do_not_meet(tmp_path: Path) -> None:
    first = save_weights(tmp_path / "blast-0.1", CARD, tensors())
    save_weights(tmp_path / "blast-0.2", CARD, {k: v + 1 for k, v in tensors().items()})
    assert load_card(tmp_path / "blast-0.1", ClassifierCard).sha256 == first.sha256
    assert (tmp_path / "blast-0.2.safetensors").is_file()


def test_a_detector_s_card(tmp_path: Path) -> None:
    save_card(tmp_path / "cells.safetensors", DETECTOR)
    assert load_card(tmp_path / "cells.safetensors", DetectorCard) == DETECTOR


@pytest.mark.parametrize("where", [0, 100, -1])
def test_an_altered_file_is_refused(pair: Path, where: int) -> None:
    data = bytearray(pair.read_bytes())
    data[where] ^= 1
    pair.write_bytes(data)
    with pytest.raises(WeightsError, match="does not match the sha256") as error:
        load_weights(pair, ClassifierCard)
    assert str(pair) in str(error.value)


def test_a_file_cut_short_is_refused(pair: Path) -> None:
    pair.write_bytes(pair.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="does not match the sha256"):
        load_weights(pair, ClassifierCard)


@pytest.mark.parametrize(
    ("gone", "reason"), [(".yaml", "card is missing"), (".safetensors", "file is missing")]
)
def test_a_missing_half_is_named(pair: Path, gone: str, reason: str) -> None:
    pair.with_suffix(gone).unlink()
    with pytest.raises(WeightsError, match=reason) as error:
        load_weights(pair, ClassifierCard)
    assert str(pair.with_suffix(gone)) in str(error.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stage": "detector"}, "stage"),
        ({"crop_um": -1}, "crop_um"),
        ({"classes": None}, "classes"),
        ({"surprise": 1}, "surprise"),
        ({"temperature": 0}, "temperature"),
        ({"confusion": [[1, 2], [3, 4]]}, "square"),
        ({"confusion": [[1, 2, 3], [4, 5, 6]]}, "square"),
        ({"threshold": 1.5}, "threshold"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_by_its_key(
    pair: Path, change: dict[str, object], reason: str
) -> None:
    card = pair.with_suffix(".yaml")
    content = yaml.safe_load(card.read_text(encoding="utf-8"))
    card.write_text(yaml.safe_dump(content | change), encoding="utf-8")
    with pytest.raises(WeightsError, match=reason) as error:
        load_weights(pair, ClassifierCard)
    assert str(card) in str(error.value)


def test_the_other_stage_s_card_is_refused(pair: Path) -> None:
    with pytest.raises(WeightsError, match="is no DetectorCard") as error:
        load_weights(pair, DetectorCard)
    assert str(pair.with_suffix(".yaml")) in str(error.value)


@pytest.mark.parametrize("content", [b"a: [1, 2", b"\x80\x81 not text", b"", b"- 1\n- 2\n"])
def test_a_card_that_is_no_card_is_refused(pair: Path, content: bytes) -> None:
    card = pair.with_suffix(".yaml")
    card.write_bytes(content)
    with pytest.raises(WeightsError) as error:
        load_weights(pair, ClassifierCard)
    assert str(card) in str(error.value)


def test_a_signed_file_of_another_kind_is_refused(pair: Path) -> None:
    import hashlib

    pair.write_bytes(b"no tensors at all")
    card = load_card(pair, ClassifierCard)
    save_card(pair, card.model_copy(update={"sha256": hashlib.sha256(b"no tensors at all").hexdigest()}))
    with pytest.raises(WeightsError, match="no safetensors file") as error:
        load_weights(pair, ClassifierCard)
    assert str(pair) in str(error.value)


def test_probabilities_are_those_of_the_temperature_to_the_bit() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    found = CARD.probabilities(logits)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, softmax(logits / CARD.temperature, axis=1))


def test_shipped_weights_have_a_place() -> None:
    assert shipped("detector").name == "detector.safetensors"
    assert shipped("detector").parent.name == "weights"
