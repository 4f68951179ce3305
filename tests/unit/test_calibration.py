"""The calibration card: written and read alike; what does not fit is refused in words."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from made_up import CLASSES, calibration, cards, errors
from pydantic import ValidationError

from smearscan.classification.naming import Recalibration
from smearscan.differential.calibration_card import (
    Calibration,
    RecalibrationParams,
    load_calibration,
    save_calibration,
)
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.errors import WeightsError
from smearscan.taxonomy import NOTICE


def same(one: MisclassificationModel, other: MisclassificationModel) -> bool:
    return one.classes == other.classes and all(
        np.allclose(getattr(one, name), getattr(other, name), atol=1e-6)
        for name in MisclassificationModel.__slots__
        if name != "classes"
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_calibration(tmp_path / "site" / "card.yaml", calibration())
    return tmp_path / "site" / "card.yaml"


def changed(path: Path, **more: object) -> str:
    """Write other values into a card and tell what reading it says."""
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, **more}))
    with pytest.raises(WeightsError) as error:
        load_calibration(path)
    assert str(path) in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- round trip


def test_a_card_is_read_as_it_was_written(tmp_path: Path) -> None:
    own = errors(spread=0.0123, groups=7, found=np.array([[9, 10], [0, 0], [5, 5], [1, 3]]), variation=0.25)
    card = calibration(
        own,
        scaling={"blast": RecalibrationParams(temperature=1.25, offsets={"blast": -0.5})},
        threshold=0.625, unclassified_below=0.5, unclassified_rate=0.1, made="2026-01-02",
        data={"cells": 120}, metrics={"before": {"value": 0.5}}, limits=["one microscope"],
    )  # fmt: skip
    save_calibration(tmp_path / "card.yaml", card)
    read = load_calibration(tmp_path / "card.yaml")
    assert read == card
    assert same(read.errors, own)
    assert read.notice == NOTICE


def test_a_card_that_was_cut_anywhere_is_refused_or_of_no_nets(path: Path) -> None:
    """Its measured figures may be long: without them it would still be a card."""
    card = calibration(metrics={"fitted": {f"figure {i}": i for i in range(100)}}, threshold=0.625)
    save_calibration(path, card)
    whole = path.read_text()
    for end in range(1, len(whole.rstrip()), 23):
        path.write_text(whole[:end])
        try:
            cut = load_calibration(path)
        except WeightsError:
            continue
        assert not cut.belongs_to(card.networks), end


def test_the_cells_of_a_site_are_kept_apart(tmp_path: Path) -> None:
    site = np.arange(20).reshape(4, 5)
    card = calibration().with_errors(errors(spread=0.05).updated(site, np.zeros((4, 2), np.int64)))
    save_calibration(tmp_path / "card.yaml", card)
    read = load_calibration(tmp_path / "card.yaml")
    assert read.site_confusion == site.tolist()
    assert read.confusion == calibration().confusion
    np.testing.assert_array_equal(read.errors.site, site)
    assert calibration().with_errors(errors()).site_confusion == []


def test_the_file_is_readable_yaml_without_tags(path: Path) -> None:
    text = path.read_text()
    assert "!!" not in text
    assert yaml.safe_load(text)["confusion"][0] == [1920, 40, 0, 20, 20]
    assert yaml.safe_load(text)["stage"] == "calibration"


def test_with_errors_changes_the_errors_alone() -> None:
    other = errors(labeled=50, spread=0.1234567, groups=3, variation=0.7654321, found=np.ones((4, 2), int))
    card = calibration(threshold=0.3).with_errors(other)
    assert same(card.errors, other)
    assert card.threshold == 0.3
    assert card.networks == calibration().networks
    assert Calibration.model_validate(card.model_dump()) == card


def test_a_scaling_follows_the_order_of_a_net() -> None:
    own = RecalibrationParams(temperature=2.0, offsets={"b": 0.5, "gone": 3.0})
    assert own.rescaling(("a", "b")) == Recalibration(2.0, (0.0, 0.5))
    assert own.rescaling(("b", "a")) == Recalibration(2.0, (0.5, 0.0))
    probs = np.array([[0.3, 0.7]], np.float32)
    np.testing.assert_allclose(RecalibrationParams().rescaling(("a", "b"))(probs), probs, rtol=1e-6)


def test_a_card_belongs_to_the_nets_it_names() -> None:
    networks = {task: card.sha256 for task, card in cards().items()}
    card = calibration()
    assert card.belongs_to(networks)
    assert not card.belongs_to({**networks, "blast": "0" * 64})
    assert not card.belongs_to({"blast": networks["blast"]})
    assert not card.belongs_to({**networks, "differential_unlike": "1" * 64})
    of_three = card.model_copy(update={"networks": {**networks, "differential_unlike": "1" * 64}})
    assert of_three.belongs_to({**networks, "differential_unlike": "1" * 64})
    assert of_three.belongs_to(networks)  # a scan without the reference stain has no use for the third
    assert not of_three.belongs_to({**networks, "differential_unlike": "2" * 64})


def test_a_card_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        calibration().name = "other"  # type: ignore[misc]


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"confusion": [[1, 2]]}, "4 classes need 4 rows of 5 counts"),
        ({"confusion": [[1] * 4] * 4}, "4 classes need 4 rows of 5 counts"),
        ({"spread": [0.1]}, "4 values of each list"),
        ({"found": [[1, 2]]}, "4 values of each list"),
        ({"classes": CLASSES[:3]}, "3 classes need 3 rows of 4 counts"),
        ({"found": [[3, 2], [0, 0], [0, 0], [0, 0]]}, "cells found and cells there were"),
        ({"site_confusion": [[0] * 5] * 3}, "site_confusion needs 4 rows of 5 counts"),
        ({"confusion": [[-1] * 5] * 4}, "confusion.0.0 = -1: Input should be greater than or equal to 0"),
        ({"spread": [1.5, 0, 0, 0]}, "spread.0 = 1.5: Input should be less than or equal to 1"),
        ({"threshold": 2}, "threshold = 2: Input should be less than or equal to 1"),
        ({"variation": -1}, "variation = -1: Input should be greater than or equal to 0"),
        (
            {"scaling": {"blast": {"temperature": 0}}},
            "scaling.blast.temperature = 0: Input should be greater",
        ),
        ({"scaling": {"blast": {"heat": 1}}}, "scaling.blast.heat = 1: is not known here"),
        ({"colour": "red"}, "colour = 'red': is not known here"),
        ({"stage": "detector"}, "stage = 'detector': Input should be 'calibration'"),
        ({"networks": None}, "networks = None: Input should be a valid dictionary"),
    ],
)
def test_what_does_not_fit_is_named(path: Path, wrong: dict[str, object], told: str) -> None:
    message = changed(path, **{k: list(v) if isinstance(v, tuple) else v for k, v in wrong.items()})
    assert "is no calibration card" in message
    assert told in message


def test_a_missing_key_is_named(path: Path) -> None:
    content = yaml.safe_load(path.read_text())
    del content["groups"]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(WeightsError, match="groups: Field required"):
        load_calibration(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"a: [", "is not YAML"), (b"\xff\xd8", "is not YAML"), (b"", "is no"), (b"- 1\n", "is no")],
)
def test_what_is_no_card_is_named(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "card.yaml").write_bytes(content)
    with pytest.raises(WeightsError, match=told) as error:
        load_calibration(tmp_path / "card.yaml")
    assert str(tmp_path / "card.yaml") in str(error.value)


def test_a_missing_card_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.yaml: the calibration card cannot be read"):
        load_calibration(tmp_path / "none.yaml")
