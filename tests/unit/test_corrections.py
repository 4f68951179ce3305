"""From a corrections file to training sets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import drawn_run
import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from references.correction_loop import corrections_table
from references.correction_training import training_table
from smearscan.calibration.labeled_cells import read_labeled
from smearscan.cli import main
from smearscan.errors import DatasetError
from smearscan.report.review.parts import Doubtful, spool
from smearscan.training.annotated_fields import read_site
from smearscan.training.cells import read_cells
from smearscan.training.config import ClassifierTraining, DetectorTraining, load_config
from smearscan.training.corrections import apply_corrections
from smearscan.training.corrections_file import CorrectionsFile, read_corrections
from smearscan.training.train_classifier import prepared
from smearscan.weights.pairs import ClassifierCard, load_card, shipped

AT = "2026-01-02T00:00:00.000Z"


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_run.draw(tmp_path_factory.mktemp("drawn"), 6)


@pytest.fixture(scope="module")
def numbers(slides: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The leukemic slide as the page holds it."""
    report, results = drawn_run.run(slides)[1]
    return spool(0, report, results, slides, tmp_path_factory.mktemp("spool"), Doubtful()).numbers


def file_of(numbers: dict[str, Any], *readings: dict[str, Any]) -> CorrectionsFile:
    cells = {k: v for k, v in numbers["cells"].items() if k != "teach"}
    fields = [{"field": f["name"], "height": f["height"], "width": f["width"]} for f in numbers["fields"]]
    empty = {"reader": "AB", "signed": None, "checked": [], "decisions": [], "added": []}
    slide = {
        "slide": "leukemic", "um_per_px": 0.09, "fields": fields, "cells": cells,
        "readings": [empty | reading for reading in readings],
    }  # fmt: skip
    content = {
        "schema": "smearscan.corrections/1", "notice": "", "run": {"id": "x"}, "saved": AT,
        "classes": list(drawn_run.facts().classes), "slides": [slide],
    }  # fmt: skip
    return CorrectionsFile.model_validate(content)


def named(*pairs: tuple[int, str | None]) -> list[dict[str, Any]]:
    return [{"cell": cell, "name": name, "at": AT} for cell, name in pairs]


def test_only_what_a_person_decided_is_learned(numbers: Any, slides: Path, tmp_path: Path) -> None:
    file = file_of(
        numbers, {"decisions": named((0, "monocyte"), (1, "blast"), (2, None), (3, "unclassified"))}
    )
    done = apply_corrections(file, slides, tmp_path / "set")
    assert done.classes == {"monocyte": 1, "blast": 1, "none": 1}
    assert done.whole_fields == 0
    table = pd.read_csv(tmp_path / "set/manifest.csv")
    assert table["class"].tolist() == ["monocyte", "blast"]
    np.testing.assert_allclose(
        table[["x0", "y0", "x1", "y1"]].to_numpy().ravel(), numbers["cells"]["xyxy"][:8]
    )
    assert len(list((tmp_path / "set/crops/monocyte").glob("*.png"))) == 1
    cells = read_cells(
        tmp_path / "set", tmp_path / "set", None, None, 0
    )  # no detector is asked: all is there
    assert len(cells) == 2


def test_each_net_that_learns_goes_on_with_its_names(numbers: Any, slides: Path, tmp_path: Path) -> None:
    shown = ("monocyte", "blast", "neutrophil", "other")
    done = apply_corrections(
        file_of(numbers, {"decisions": named(*enumerate(shown))}), slides, tmp_path / "set"
    )
    assert done.nets == ("differential", "blast")
    for task in done.nets:
        config = load_config(tmp_path / f"set/{task}.yaml", ClassifierTraining)
        card = load_card(shipped(task), ClassifierCard)
        assert (config.task, config.classes, config.held) == (task, card.classes, card.trunk)
        assert config.last_layer == "kept"
        table = read_cells(tmp_path / "set", tmp_path / "set", None, None, 0)
        cells, _ = prepared(table, config)
        learned = ["monocyte", "neutrophil"] if task == "differential" else list(shown)
        assert cells["class"].tolist() == learned
    one = apply_corrections(file_of(numbers, {"decisions": named((0, "monocyte"))}), slides, tmp_path / "one")
    assert one.nets == ()
    assert not (tmp_path / "one/differential.yaml").exists()


@pytest.mark.parametrize(
    ("kept", "table"), [("correction_loop", corrections_table), ("correction_training", training_table)]
)
def test_the_page_shows_the_figures_that_were_kept(kept: str, table: Callable[[dict[str, Any]], str]) -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    figures = json.loads((docs / f"results/{kept}.json").read_text(encoding="utf-8"))
    assert table(figures) in (docs / "review.md").read_text(encoding="utf-8")


def test_a_signed_slide_teaches_the_detector(numbers: Any, slides: Path, tmp_path: Path) -> None:
    n = len(numbers["cells"]["type"])
    box = [10.0, 20.0, 110.0, 120.0]
    decisions = named(
        *((i, "lymphocyte") for i, t in enumerate(numbers["cells"]["type"]) if t == "unclassified"), (0, None)
    )
    added = [{"field": 0, "xyxy": box, "name": "neutrophil", "at": AT}]
    file = file_of(numbers, {"signed": AT, "decisions": decisions, "added": added})
    done = apply_corrections(file, slides, tmp_path / "set")
    assert sum(done.classes.values()) == n + 1
    assert done.whole_fields == len(numbers["fields"])
    config = load_config(tmp_path / "set/detector.yaml", DetectorTraining)
    read = {
        part: [i for site in config.sites for i in read_site(site, tmp_path / "set", part)]
        for part in ("train", "val")
    }
    assert len(read["val"]) == 1
    images = read["train"] + read["val"]
    assert sum(len(image.xyxy) for image in images) == n  # one removed, one added
    assert any((image.xyxy == np.array(box)).all(axis=1).any() for image in images)
    coco = json.loads((tmp_path / "set/coco.json").read_text(encoding="utf-8"))
    lines = [
        line for file in (tmp_path / "set/labels").glob("*.txt") for line in file.read_text().splitlines()
    ]
    assert len(coco["annotations"]) == len(lines) == n


def test_the_table_can_be_calibrated_on(numbers: Any, slides: Path, tmp_path: Path) -> None:
    added = [{"field": 0, "xyxy": [10, 20, 110, 120], "name": "neutrophil", "at": AT}]
    file = file_of(numbers, {"decisions": named((0, "monocyte"), (1, "blast"), (2, None)), "added": added})
    apply_corrections(file, slides, tmp_path / "set")
    labeled = read_labeled(tmp_path / "set/truth.csv", drawn_run.facts().classes)
    assert sorted(labeled.truth.tolist()) == ["blast", "monocyte", "neutrophil"]


def test_readers_who_differ_teach_nothing_there(numbers: Any, slides: Path, tmp_path: Path) -> None:
    first = {"decisions": named((0, "monocyte"), (1, "blast"))}
    second = {"reader": "CD", "decisions": named((0, "monocyte"), (1, "lymphocyte"), (2, "blast"))}
    file = file_of(numbers, first, second)
    done = apply_corrections(file, slides, tmp_path / "both")
    assert done.classes == {"monocyte": 1, "blast": 1}
    assert done.differing == 1
    alone = apply_corrections(file, slides, tmp_path / "one", "CD")
    assert alone.classes == {"monocyte": 1, "lymphocyte": 1, "blast": 1}


def test_what_cannot_be_is_refused(numbers: Any, slides: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="nothing to learn"):
        apply_corrections(file_of(numbers, {}), slides, tmp_path / "a")
    file = file_of(numbers, {"decisions": named((0, "monocyte"))})
    with pytest.raises(DatasetError, match="--pictures"):
        apply_corrections(file, tmp_path, tmp_path / "b")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/old").touch()
    with pytest.raises(DatasetError, match="not empty"):
        apply_corrections(file, slides, tmp_path / "c")
    (tmp_path / "bad.json").write_text('{"schema": "other"}', encoding="utf-8")
    with pytest.raises(DatasetError, match="no corrections file"):
        read_corrections(tmp_path / "bad.json")


def test_a_field_outside_the_folder_is_refused(numbers: Any, slides: Path, tmp_path: Path) -> None:
    file = file_of(numbers, {"decisions": named((0, "monocyte"))})
    content = file.model_dump(by_alias=True)
    content["slides"][0]["fields"][0]["field"] = "../../secret.jpg"
    with pytest.raises(DatasetError, match="outside"):
        apply_corrections(CorrectionsFile.model_validate(content), slides, tmp_path / "set")


def test_the_command(numbers: Any, slides: Path, tmp_path: Path) -> None:
    file = tmp_path / "review.json"
    decisions = named((0, "monocyte"), (1, "neutrophil"))
    file.write_text(file_of(numbers, {"decisions": decisions}).model_dump_json(by_alias=True))
    command = ["corrections", "apply", str(file), "--pictures", str(slides), "--to", str(tmp_path / "set")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "monocyte 1" in done.output
    folder = tmp_path / "set"
    start = shipped("differential")
    assert f"train classifier {folder} --config {folder}/differential.yaml --start {start}" in done.stderr
    assert "blast.yaml" not in done.stderr
    assert yaml.safe_load((tmp_path / "set/detector.yaml").read_text())["sites"] == []
