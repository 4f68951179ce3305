"""Retraining at the first try: schedules suit small sets, a start's scale is kept, exports are read."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smearscan.errors import ConfigError, WeightsError
from smearscan.io.decode import write_image
from smearscan.training.annotated_fields import read_site
from smearscan.training.config import ClassifierTraining, DetectorTraining
from smearscan.training.exported_sets import kind_of, load_detector_training
from smearscan.training.first_try import (
    classifier_schedule,
    detector_schedule,
    fingerprint,
    finished,
    first_configuration,
    from_start,
)
from smearscan.training.train_classifier import validation_figures
from smearscan.weights.pairs import ClassifierCard, DetectorCard, load_card, save_weights


@given(n=st.integers(1, 30_000))
def test_an_epoch_suits_the_number_of_cells(n: int) -> None:
    made = classifier_schedule(ClassifierTraining(name="c"), n)
    assert made.epoch_cells == min(8000, max(320, 4 * n))
    steps = made.epochs * (made.epoch_cells // made.batch)
    assert made.warmup_steps <= max(1, steps // 10)
    fields = detector_schedule(DetectorTraining(name="d", sites=[]), n)
    assert 64 <= fields.canvases_per_epoch <= 640


def test_what_a_configuration_states_stays() -> None:
    own = ClassifierTraining(name="c", epoch_cells=8000, warmup_steps=100)
    assert classifier_schedule(own, 10) == own
    fields = DetectorTraining(name="d", sites=[], canvases_per_epoch=640, warmup_steps=60)
    assert detector_schedule(fields, 10) == fields


def detector_pair(folder: Path) -> Path:
    card = DetectorCard(
        name="mine", architecture="yolov8n-p4", classes=("leukocyte", "red_cell", "platelet"),
        working_red_cell_px=21, thresholds=(0.5, 0.4, 0.4), training={"fingerprint": "abc"},
    )  # fmt: skip
    save_weights(folder / "mine.safetensors", card, {"a": torch.zeros(1)})
    return folder / "mine.safetensors"


def test_fine_tuning_keeps_scale_and_thresholds_of_its_start(tmp_path: Path) -> None:
    start = detector_pair(tmp_path)
    made, told = from_start(DetectorTraining(name="d", sites=[]), start)
    assert (made.working_red_cell_px, made.thresholds) == (21, (0.5, 0.4, 0.4))
    assert made.architecture == load_card(start, DetectorCard).architecture == "yolov8n-p4"
    assert "architecture yolov8n-p4, working_red_cell_px 21" in told
    own = DetectorTraining(
        name="d", sites=[], architecture="yolov8n", working_red_cell_px=32, thresholds=(0.1, 0.1, 0.1)
    )
    assert from_start(own, start) == (own, "")
    plain = DetectorTraining(name="d", sites=[])
    assert from_start(plain, None) == from_start(plain, tmp_path / "yolov8n.safetensors") == (plain, "")


def test_a_start_with_a_broken_card_is_refused_and_one_without_a_card_is_not(tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    start.write_bytes(b"weights")
    assert from_start(DetectorTraining(name="d", sites=[]), start)[1] == ""
    start.with_suffix(".yaml").write_text("stage: detector\nsurprise: 1\n")
    with pytest.raises(WeightsError, match="surprise"):
        from_start(DetectorTraining(name="d", sites=[]), start)


def test_a_classifier_keeps_the_crops_of_its_start(tmp_path: Path) -> None:
    card = ClassifierCard(
        name="s", task="custom", architecture="resnet18_stage3", classes=("a", "b"), crop_um=18, crop_px=80,
        mean=(0, 0, 0), std=(1, 1, 1),
    )  # fmt: skip
    save_weights(tmp_path / "s.safetensors", card, {"a": torch.zeros(1)})
    made = first_configuration(tmp_path / "s.safetensors")
    assert (made.architecture, made.crop_um, made.crop_px) == ("resnet18_stage3", 18, 80)
    assert first_configuration(None) == ClassifierTraining(name="classifier")


def test_the_same_training_is_finished_and_another_is_not(tmp_path: Path) -> None:
    pair = detector_pair(tmp_path)
    assert finished(pair, DetectorCard, "abc") is not None
    assert finished(pair, DetectorCard, "abd") is None
    assert finished(pair, ClassifierCard, "abc") is None
    pair.unlink()
    assert finished(pair, DetectorCard, "abc") is None


def test_a_fingerprint_hangs_on_every_part_and_on_the_content_of_files(tmp_path: Path) -> None:
    start = tmp_path / "w"
    start.write_bytes(b"1")
    marks = {fingerprint("a", "b", start), fingerprint("ab", "", start), fingerprint("a", "c", start)}
    start.write_bytes(b"2")
    assert len(marks | {fingerprint("a", "b", start)}) == 4


def test_validation_figures_are_exact() -> None:
    import pandas as pd

    target, named = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    figures = validation_figures(target, named, pd.DataFrame({"group": list("aabb")}))["accuracy"]
    assert figures == {"value": 0.75, "interval_95": [0.1941, 0.9937], "cells": 4, "groups": 2}


# ---------------------------------------------------------------- exports


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, np.full((100, 200, 3), 230, np.uint8))


def yolo_export(root: Path, yaml_text: str) -> Path:
    for split in ("train", "valid", "test"):
        picture(root / split / "images" / f"{split}.png")
        labels = root / split / "labels"
        labels.mkdir()
        (labels / f"{split}.txt").write_text("1 0.5 0.5 0.2 0.4\n0 0.2 0.2 0.1 0.2\n")
    (root / "data.yaml").write_text(yaml_text)
    return root / "data.yaml"


@pytest.mark.parametrize(
    "names",
    ["[RBC, WBC]", "{0: Red Blood Cells, 1: Lymphoblasts}", "\n  0: rbc\n  1: Segs", "['rbc', 'leukocytes']"],
)
def test_a_yolo_export_is_read_as_it_comes(tmp_path: Path, names: str) -> None:
    text = f"train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\nnames: {names}\n"
    config, root = load_detector_training(yolo_export(tmp_path / "export", text), Path("elsewhere"))
    for split, file in (("train", "train.png"), ("val", "valid.png"), ("test", "test.png")):
        (found,) = [item for site in config.sites for item in read_site(site, root, split)]
        assert found.path.name == file
        assert found.labels.tolist() == [0, 1]
        np.testing.assert_allclose(found.xyxy[0], [80, 30, 120, 70], atol=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: train/images\nnames: [rbc, unicorn]\n", ["'unicorn'", "leukocyte, red_cell or platelet"]),
        ("train: nowhere\nnames: [rbc, wbc]\n", ["'nowhere'", "train pictures"]),
        ("val: valid/images\nnames: [rbc, wbc]\n", ["no folder of training pictures"]),
    ],
)
def test_an_export_that_cannot_be_read_is_refused_with_the_cure(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    path = yolo_export(tmp_path / "export", text)
    with pytest.raises(ConfigError) as caught:
        load_detector_training(path, Path())
    for word in (str(path), *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("place", "file_name"),
    [
        ("annotations/instances_default.json", "one.png"),
        ("result.json", "images/one.png"),
        ("result.json", "images\\one.png"),
    ],
)
def test_coco_exports_of_cvat_and_label_studio_are_read_as_they_come(
    tmp_path: Path, place: str, file_name: str
) -> None:
    picture(tmp_path / "images" / "one.png")
    content = {
        "images": [{"id": 7, "file_name": file_name, "width": 200, "height": 100}],
        "categories": [{"id": 0, "name": "WBC"}, {"id": 3, "name": "RBC"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 0, "bbox": [10, 20, 30, 40], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [100, 20, 20, 20], "iscrowd": 0},
        ],
    }
    source = tmp_path / place
    source.parent.mkdir(exist_ok=True)
    source.write_text(json.dumps(content))
    config, root = load_detector_training(source, Path("elsewhere"))
    (found,) = [item for site in config.sites for item in read_site(site, root, "train")]
    assert found.labels.tolist() == [0, 1]
    assert found.xyxy[0].tolist() == [10, 20, 40, 60]


@pytest.mark.parametrize(
    ("names", "images", "labels"),
    [("classes.txt", "images", "labels"), ("obj.names", "obj_train_data", "obj_train_data")],
)
def test_yolo_exports_without_a_data_yaml_are_read_by_their_names(
    tmp_path: Path, names: str, images: str, labels: str
) -> None:
    picture(tmp_path / images / "one.png")
    (tmp_path / labels).mkdir(exist_ok=True)
    (tmp_path / labels / "one.txt").write_text("1 0.5 0.5 0.2 0.4\n0 0.2 0.2 0.1 0.2\n")
    (tmp_path / names).write_text("RBC\nLymphocyte\n")
    config, root = load_detector_training(tmp_path / names, Path("elsewhere"))
    (found,) = [item for site in config.sites for item in read_site(site, root, "train")]
    assert found.labels.tolist() == [0, 1]
    bare = tmp_path / "bare" / names
    bare.parent.mkdir()
    bare.write_text("WBC\n")
    with pytest.raises(ConfigError, match=f"no folder '{images}' lies beside it; export the pictures, too"):
        load_detector_training(bare, Path())


@pytest.mark.parametrize("written", ["data/images/train/one.png", "images/train/one.png"])
def test_a_yolo_export_of_cvat_lists_its_pictures(tmp_path: Path, written: str) -> None:
    for name in ("one", "two"):  # of these, one is of the split
        picture(tmp_path / "images/train" / f"{name}.png")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/one.txt").write_text("1 0.5 0.5 0.2 0.4\n0 0.2 0.2 0.1 0.2\n")
    (tmp_path / "train.txt").write_text(f"{written}\n")
    source = tmp_path / "data.yaml"
    source.write_text("names: {0: RBC, 1: WBC}\npath: .\ntrain: train.txt\n")
    config, root = load_detector_training(source, Path("elsewhere"))
    (found,) = [item for site in config.sites for item in read_site(site, root, "train")]
    assert (found.path.name, found.labels.tolist()) == ("one.png", [0, 1])
    (tmp_path / "train.txt").write_text("images/train/gone.png\n")
    with pytest.raises(ConfigError, match=r"train.txt: names images.train.gone.png, which is not at"):
        load_detector_training(source, Path())


def test_a_coco_category_without_boxes_needs_no_name_that_is_known(tmp_path: Path) -> None:
    """Roboflow's first category is the name of the set."""
    picture(tmp_path / "train" / "one.png")
    content = {
        "images": [{"id": 0, "file_name": "one.png", "width": 200, "height": 100}],
        "categories": [{"id": 0, "name": "smears-x7"}, {"id": 1, "name": "WBC"}, {"id": 2, "name": "RBC"}],
        "annotations": [
            {"id": k, "image_id": 0, "category_id": k, "bbox": [20 * k, 20, 20, 20], "iscrowd": 0}
            for k in (1, 2)
        ],
    }
    source = tmp_path / "train" / "_annotations.coco.json"
    source.write_text(json.dumps(content))
    config, root = load_detector_training(source, Path("elsewhere"))
    (found,) = [item for site in config.sites for item in read_site(site, root, "train")]
    assert found.labels.tolist() == [0, 1]


def test_class_numbers_need_no_quotes(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(
        "name: d\nsites:\n- {name: s, format: yolo, images: i, annotations: l, classes: {0: leukocyte}, "
        "splits: {train: '*'}}\n"
    )
    config, root = load_detector_training(tmp_path / "d.yaml", tmp_path)
    assert (config.sites[0].classes, root) == ({"0": "leukocyte"}, tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("WBC", "leukocyte"), ("White Blood Cells", "leukocyte"), ("blasts", "leukocyte"),
        ("Platelets", "platelet"), ("RBCs", "red_cell"), ("erythrocyte", "red_cell"), ("artifact", None),
        ("background", None), ("x", None),
    ],
)  # fmt: skip
def test_classes_of_boxes_are_known_by_the_usual_names(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind
