"""Either stage is retrained by one command, and its pair is used at once; small and from random weights."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from PIL import Image

from smearscan.cli import main, rich_console
from smearscan.io.decode import write_image
from smearscan.synthetic import BEIGE, DrawnField, SmearSpec, draw_slide, write_slides
from smearscan.taxonomy import DETECTOR_CLASSES
from smearscan.weights.pairs import ClassifierCard, DetectorCard, load_any_card, load_weights

pytestmark = pytest.mark.slow

SPEC = SmearSpec(height=150, width=190, um_per_px=0.225, leukocytes=2, min_leukocytes=2, stain=BEIGE)
NAMES = {"leukocyte": "WBC", "red_cell": "RBC", "platelet": "PLT"}


def ask(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


# ---------------------------------------------------------------- annotated fields


def voc(field: DrawnField, name: str, folder: Path) -> None:
    objects = "".join(
        f"<object><name>{NAMES[DETECTOR_CLASSES[k]]}</name><bndbox><xmin>{x0:.0f}</xmin><ymin>{y0:.0f}</ymin>"
        f"<xmax>{x1:.0f}</xmax><ymax>{y1:.0f}</ymax></bndbox></object>"
        for k, (x0, y0, x1, y1) in zip(field.labels, field.xyxy, strict=True)
    )
    (folder / f"{name}.xml").write_text(f"<annotation>{objects}</annotation>")


def yolo(field: DrawnField, name: str, folder: Path) -> None:
    height, width = field.image.shape[:2]
    lines = [
        f"{k} {(x0 + x1) / 2 / width} {(y0 + y1) / 2 / height} {(x1 - x0) / width} {(y1 - y0) / height}"
        for k, (x0, y0, x1, y1) in zip(field.labels, field.xyxy, strict=True)
    ]
    (folder / f"{name}.txt").write_text("\n".join(lines))


def coco(fields: dict[str, DrawnField]) -> str:
    rows = [
        {"image_id": i, "category_id": int(k), "bbox": [float(v) for v in (x0, y0, x1 - x0, y1 - y0)]}
        for i, field in enumerate(fields.values())
        for k, (x0, y0, x1, y1) in zip(field.labels, field.xyxy, strict=True)
    ]
    images = [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(fields)]
    categories = [{"id": i, "name": NAMES[name]} for i, name in enumerate(DETECTOR_CLASSES)]
    return json.dumps({"images": images, "annotations": rows, "categories": categories})


@pytest.fixture(scope="module")
def boxed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four fields in each of three formats, and the configuration that trains on all of them."""
    root = tmp_path_factory.mktemp("boxed")
    sites = []
    for number, kind in enumerate(("voc", "yolo", "coco")):
        images, boxes = root / kind / "images", root / kind / "boxes"
        images.mkdir(parents=True)
        boxes.mkdir()
        fields = {f"{kind}_{i}": f for i, f in enumerate(draw_slide(SPEC, 4, number))}
        for name, field in fields.items():
            write_image(images / f"{name}.png", field.image)
            if kind != "coco":
                {"voc": voc, "yolo": yolo}[kind](field, name, boxes)
        if kind == "coco":
            (boxes / "all.json").write_text(coco(fields))
        own = (
            {str(i): c for i, c in enumerate(DETECTOR_CLASSES)}
            if kind == "yolo"
            else {v: k for k, v in NAMES.items()}
        )
        annotations = f"{kind}/boxes/all.json" if kind == "coco" else f"{kind}/boxes"
        sites.append(
            {
                "name": kind,
                "format": kind,
                "images": f"{kind}/images",
                "annotations": annotations,
                "classes": own,
            }
            | {"splits": {"train": "*"}}
        )
    config = {
        "name": "small", "sites": sites, "epochs": 2, "final_epochs": 1, "canvas_px": 96,
        "final_canvas_px": 64, "canvases_per_epoch": 4, "batch": 2, "warmup_steps": 1,
    }  # fmt: skip
    (root / "config.yaml").write_text(yaml.safe_dump(config))
    return root


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Make the next training stop as if killed after an epoch, 0: not at all; returns the epochs seen."""

    def set_stop(epoch: int) -> list[int]:
        seen: list[int] = []

        @contextmanager
        def training(_: int) -> Iterator[Callable[[dict[str, float]], None]]:
            def report(row: dict[str, float]) -> None:
                seen.append(int(row["epoch"]))
                if row["epoch"] == epoch:
                    raise KeyboardInterrupt

            yield report

        monkeypatch.setattr(rich_console, "training", training)
        return seen

    return set_stop


def assert_run_is_complete(out: Path, name: str, epochs: int) -> None:
    curves = pd.read_csv(out / "curves.csv")
    assert curves["epoch"].tolist() == list(range(1, epochs + 1))
    assert curves.notna().all(axis=None)
    with Image.open(out / "curves.png") as picture:
        assert min(picture.size) > 200
    assert sorted(p.name for p in out.iterdir()) == [
        "curves.csv",
        "curves.png",
        f"{name}.safetensors",
        f"{name}.yaml",
    ]


def test_the_detector_is_retrained_resumed_and_used(
    boxed: Path, tmp_path: Path, stop_after: Callable[[int], list[int]]
) -> None:
    out = tmp_path / "run"
    command = ["train", "detector", "--config", boxed / "config.yaml", "--data", boxed, "--out", out]
    stop_after(1)
    stopped = ask(*command)
    assert stopped.exit_code == 1
    assert (out / "checkpoint.pt").is_file()
    assert not list(out.glob("*.safetensors"))

    other = ask(*command, "--epochs", 3)
    assert other.exit_code == 2
    assert "another configuration" in " ".join(other.output.split())

    seen = stop_after(0)
    done = ask(*command)
    assert done.exit_code == 0, done.output
    assert seen == [2]
    assert_run_is_complete(out, "small", 2)

    card, _ = load_weights(out / "small.yaml", DetectorCard)
    assert card.training["fields"] == {"voc": 4, "yolo": 4, "coco": 4}
    assert card.training["start"] == "random"
    # each format tells of the same kind of field: two or more leukocytes and many red cells
    for counts in card.training["boxes"].values():
        assert counts[0] >= 8
        assert counts[1] > 4 * counts[0]


@pytest.mark.weights
def test_a_retrained_detector_is_accepted_by_a_scan(
    boxed: Path, tmp_path: Path, stop_after: Callable[[int], list[int]]
) -> None:
    stop_after(0)
    out = tmp_path / "run"
    config = ["--config", boxed / "config.yaml", "--data", boxed, "--epochs", 1]
    done = ask("train", "detector", *config, "--exclude-site", "coco", "--out", out)
    assert done.exit_code == 0, done.output
    card = load_any_card(out / "small.safetensors")
    assert card.training["fields"] == {"voc": 4, "yolo": 4}
    scanned = ask(
        "run", boxed / "voc" / "images", "--out", tmp_path / "r.csv", "--weights", out / "small.safetensors"
    )
    assert scanned.exit_code == 0, scanned.output
    assert f"small:{card.short_hash}" in pd.read_csv(tmp_path / "r.csv")["weights"][0]


# ---------------------------------------------------------------- single cells


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders of about thirty pictures with one drawn cell each."""
    root = tmp_path_factory.mktemp("tree")
    for number, kind in enumerate(("blast", "neutrophil")):
        spec = SmearSpec(
            height=160,
            width=160,
            um_per_px=0.2,
            leukocytes=0,
            min_leukocytes=1,
            composition={kind: 1.0},
            stain=BEIGE,
        )
        (root / kind).mkdir()
        for i, field in enumerate(draw_slide(spec, 30, number)):
            write_image(root / kind / f"{kind}_{i}.png", field.image)
    return root


def classifier_config(folder: Path, **more: Any) -> Path:
    path = folder / "classifier.yaml"
    settings = {
        "name": "own",
        "crop_px": 48,
        "epochs": 2,
        "epoch_cells": 64,
        "batch": 16,
        "warmup_steps": 2,
        **more,
    }
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.mark.weights
def test_a_classifier_is_retrained_resumed_and_used_at_once(
    tree: Path, tmp_path: Path, stop_after: Callable[[int], list[int]]
) -> None:
    out = tmp_path / "run"
    config = classifier_config(tmp_path, task="blast")
    command = ["train", "classifier", tree, "--config", config, "--um-per-px", 0.2, "--out", out]
    stop_after(1)
    assert ask(*command).exit_code == 1
    assert (out / "checkpoint.pt").is_file()
    seen = stop_after(0)
    done = ask(*command)
    assert done.exit_code == 0, done.output
    assert seen == [2]
    assert_run_is_complete(out, "own", 2)

    card, _ = load_weights(out / "own.safetensors", ClassifierCard)
    assert card.classes == ("healthy", "blast")
    assert sum(map(sum, card.confusion)) == card.training["data"][f"{tree.name}/val"]["cells"]

    slides = tmp_path / "slides"
    write_slides(slides, {"s": SPEC}, 2, seed=3)
    options = ["--out", tmp_path / "r.csv", "--cells", tmp_path / "c.csv", "--task", "blast"]
    scanned = ask("run", slides, *options, "--weights", out / "own.yaml")
    assert scanned.exit_code == 0, scanned.output
    cells = pd.read_csv(tmp_path / "c.csv")
    assert len(cells) >= 3
    assert cells["blast_probability"].between(0, 1).all()
    told = cells["blast_probability"] >= card.threshold
    sure = (cells["blast_probability"] - card.threshold).abs() > 1e-3  # the table is rounded
    assert (cells["type"][sure] == told[sure].map({True: "blast", False: "healthy"})).all()
    assert f"own:{card.short_hash}" in pd.read_csv(tmp_path / "r.csv")["weights"][0]


@pytest.mark.weights
def test_classes_of_ones_own_reach_the_report(
    tree: Path, tmp_path: Path, stop_after: Callable[[int], list[int]]
) -> None:
    own = tmp_path / "cells"
    for kind, name in (("blast", "big"), ("neutrophil", "lobed")):
        (own / name).mkdir(parents=True)
        for path in sorted((tree / kind).glob("*.png")):
            (own / name / path.name).write_bytes(path.read_bytes())
    stop_after(0)
    config = classifier_config(tmp_path, unclassified_below=0.0)
    command = ["train", "classifier", own, "--config", config, "--um-per-px", 0.2, "--out", tmp_path / "run"]
    done = ask(*command, "--epochs", 1, "--name", "shapes")
    assert done.exit_code == 0, done.output
    assert f"use it: --weights {tmp_path}/run/shapes.safetensors".replace(" ", "") in "".join(
        done.stderr.split()
    )
    assert_run_is_complete(tmp_path / "run", "shapes", 1)
    slides = tmp_path / "slides"
    write_slides(slides, {"s": SPEC}, 2, seed=3)
    options = ["--out", tmp_path / "r.csv", "--cells", tmp_path / "c.csv", "--task", "differential"]
    scanned = ask("run", slides, *options, "--weights", tmp_path / "run" / "shapes.safetensors")
    assert scanned.exit_code == 0, scanned.output
    row, cells = pd.read_csv(tmp_path / "r.csv").iloc[0], pd.read_csv(tmp_path / "c.csv")
    assert set(cells["type"]) <= {"big", "lobed"}
    assert row["big"] + row["lobed"] == row["n_leukocytes"] == len(cells)
    assert {"p_big", "p_lobed"} <= set(cells)

    pair = ["--weights", tmp_path / "run" / "shapes.safetensors", "--um-per-px", 0.2]
    again = ask("classify", own, "--out", tmp_path / "o.csv", "--task", "differential", *pair)
    assert again.exit_code == 0, again.output
    table = pd.read_csv(tmp_path / "o.csv")
    assert table["truth"].value_counts().to_dict() == {"big": 30, "lobed": 30}
    right = int((table["truth"] == table["type"]).sum())
    assert f"named as their folder: {right} of 60 = " in " ".join(again.stdout.split())


@pytest.mark.weights
def test_a_protocol_is_run_resumed_and_reported(
    tree: Path, tmp_path: Path, stop_after: Callable[[int], list[int]]
) -> None:
    config = classifier_config(tmp_path, task="blast", epochs=1)
    runs = tmp_path / "runs"
    command = ["crossval", tree, "--config", config, "--um-per-px", 0.2, "--folds", 2, "--runs", runs]
    stop_after(1)
    assert ask(*command).exit_code == 1
    assert (runs / "seed0" / "fold0" / "checkpoint.pt").is_file()
    seen = stop_after(0)
    done = ask(*command)
    assert done.exit_code == 0, done.output
    assert seen == [1]  # the first fold's epoch was done
    summary = json.loads((runs / "results.json").read_text())
    assert [one["split"] for one in summary["each"]] == ["fold0", "fold1"]
    assert (summary["all"]["cells"], summary["all"]["groups"]) == (60, 60)
    assert not summary["leaks"]["leaked"]
    for one in summary["each"]:
        assert min(one["training_seconds"], one["inference_ms"], one["temperature"]) > 0
    scored = pd.read_csv(runs / "out_of_fold.csv")
    assert sorted(scored["image"]) == sorted(str(p.relative_to(tree)) for p in tree.rglob("*.png"))
    assert {p.name for p in (runs / "seed0" / "fold1").iterdir()} == {
        "curves.csv", "curves.png", "run.json", "scores.csv",
    }  # fmt: skip
