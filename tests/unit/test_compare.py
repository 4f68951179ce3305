"""The comparison of systems, by made-up trainings: one row each, whatever happens to the others."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from made_up_lab import put

from smearscan.cli import main
from smearscan.cli.options import replace_section
from smearscan.errors import ConfigError
from smearscan.experiments import system_comparison as compare
from smearscan.experiments.cross_validation import Results, Run
from smearscan.experiments.protocols import Split, holdout
from smearscan.experiments.system_comparison import Shorter, plan, row, systems_of
from smearscan.experiments.system_comparison_report import columns, markdown, write_comparison
from smearscan.training.config import ClassifierTraining, Published

WORK = Published(work="Someone, 1999", result="99 %", schedule="SGD", start="ImageNet", beware="one patient")


def config(name: str = "a", **more: Any) -> ClassifierTraining:
    told = {"name": name, "task": "blast", "architecture": "soto_ayala_32", "epochs": 7, "epoch_cells": 900}
    return ClassifierTraining(**{**told, **more})


def cells(groups: int = 40) -> pd.DataFrame:
    rows = [
        (f"{k}{g}_{i}.png", k, f"{k}{g}")
        for k in ("healthy", "blast")
        for g in range(groups)
        for i in range(3)
    ]
    table = pd.DataFrame(rows, columns=["image", "class", "group"])
    return table.assign(site="x", split="train", um_per_px=0.1, x0=0, y0=0, x1=9, y1=9)


class Trainings:
    """In place of the lab: scores that are right for most cells; remembers what it was asked for."""

    def __init__(self, fails: Sequence[str] = ()) -> None:
        self.fails, self.asked = fails, dict[str, tuple[Any, ...]]()

    def __call__(
        self, config: ClassifierTraining, table: pd.DataFrame, classes: tuple[str, ...],
        splits: Sequence[Split], root: Path, start: Path | None, out: Path, report: Any,
    ) -> Results:  # fmt: skip
        self.asked[config.name] = (config, start, out)
        if config.name in self.fails:
            raise RuntimeError("Given input size: (3x1x1)\nat some line")
        test = table.iloc[splits[0].test].reset_index(drop=True)
        blast = np.where(np.arange(len(test)) % 5, test["target"], 1 - test["target"]) * 0.8 + 0.1
        scores = test.assign(threshold=0.5, p_healthy=1 - blast, p_blast=blast)
        facts = {
            "split": splits[0].name, "seed": 0, "training_seconds": 90.0, "inference_ms": 3.21,
            "parameters": 61326, "device": "here",
        }  # fmt: skip
        made = Run(splits[0].name, 0, facts, scores, pd.DataFrame({"epoch": [1], "loss": [1.0]}))
        return Results(config, classes, "random", (made,))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    made = Trainings(fails=["broken"])
    monkeypatch.setattr(compare, "run", made)
    monkeypatch.setattr(compare, "guard", lambda *_: [])
    return made


def protocol(table: pd.DataFrame) -> list[Split]:
    return holdout(table, 0)


def rows(
    lab: Trainings, *configs: ClassifierTraining, shorter: Shorter | None = None
) -> list[dict[str, Any]]:
    systems = systems_of(configs, shorter or Shorter(), {})
    planned = plan(systems, cells(), protocol, Path())
    return [row(one, Path(), Path("runs"), "holdout", lambda _: None) for one in planned]


# ---------------------------------------------------------------- schedules and starts


def test_a_shorter_schedule_is_told_beside_the_file_s() -> None:
    (system,) = systems_of([config(architecture="resnet18")], Shorter(2, 64, 80), {})
    assert (system.ran.epochs, system.ran.epoch_cells, system.ran.crop_px) == (2, 64, 80)
    assert system.schedule == "2 epochs of 64 cells, 80 px (its file: 7 epochs of 900 cells, 224 px)"
    (same,) = systems_of([config()], Shorter(), {})
    assert same.schedule == "7 epochs of 900 cells, 32 px, as in its file"


def test_nets_of_one_size_and_cached_features_keep_what_is_theirs() -> None:
    small, cached = config(), config("b", architecture="resnet18", regime="features")
    shorter = Shorter(epochs=2, epoch_cells=64, crop_px=80, cached_epochs=5)
    assert shorter.of(small).crop_px == 32
    assert (shorter.of(cached).epochs, shorter.of(cached).epoch_cells) == (5, 900)
    assert Shorter(epochs=2).of(cached).epochs == 7
    deep = config("c", architecture="inception_v3")
    assert [Shorter(crop_px=px).of(deep).crop_px for px in (64, 96)] == [75, 96]


def test_what_a_work_published_does_not_make_another_run() -> None:
    (told,) = systems_of([config(published=WORK)], Shorter(), {})
    (bare,) = systems_of([config()], Shorter(), {})
    assert told.ran == bare.ran
    assert told.config.published == WORK


def test_starts_are_given_by_architecture(tmp_path: Path) -> None:
    weights = tmp_path / "resnet18_imagenet.safetensors"
    full, fresh = config("a", architecture="resnet18"), config("b", architecture="resnet18", regime="scratch")
    frozen = config("c", architecture="vgg16", regime="SFT")
    systems = systems_of([full, fresh, frozen], Shorter(), {"resnet18": weights})
    assert [s.begins for s in systems[:2]] == [weights.name, "random"]
    assert systems[2].begins.startswith("random; the body stays so")
    with pytest.raises(ConfigError, match="none of the systems"):
        systems_of([full], Shorter(), {"vgg19": weights})
    with pytest.raises(ConfigError, match="two configurations are named 'a'"):
        systems_of([full, full], Shorter(), {})


def test_other_sites_are_used_where_told(lab: Trainings) -> None:
    (system,) = systems_of([config(sites=["elsewhere"])], Shorter(), {}, ["x"])
    assert plan([system], cells(), protocol, Path())[0].failed == ""


# ---------------------------------------------------------------- planning


def test_systems_of_the_same_question_share_split_and_search(
    lab: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[int] = []
    monkeypatch.setattr(compare, "guard", lambda table, *_: searched.append(len(table)) or [])
    other = config("c", synonyms={"healthy": None}, classes=("blast", "healthy"))
    planned = plan(systems_of([config("a"), config("b"), other], Shorter(), {}), cells(), protocol, Path())
    assert searched == [240, 120]
    np.testing.assert_array_equal(planned[0].splits[0].test, planned[1].splits[0].test)
    assert len(planned[2].table) == 120


def test_a_leak_stops_everything_before_anything_is_trained(
    lab: Trainings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaking(*_: object) -> None:
        raise ConfigError("folds leak")

    monkeypatch.setattr(compare, "guard", leaking)
    with pytest.raises(ConfigError, match="folds leak"):
        rows(lab, config())
    assert not lab.asked


def test_fewer_cells_are_drawn_by_kind(lab: Trainings) -> None:
    planned = plan(systems_of([config()], Shorter(), {}), cells(), protocol, Path(), most=30)
    assert planned[0].table["target"].value_counts().to_dict() == {0: 30, 1: 30}


# ---------------------------------------------------------------- rows


def test_a_system_that_fails_has_its_reason_in_its_row_and_the_rest_goes_on(lab: Trainings) -> None:
    unknown = config("unknown", task="custom", classes=("healthy",), synonyms={})
    made = rows(lab, config("a"), config("broken"), unknown, config("z"))
    assert [one["failed"] for one in made][::3] == ["", ""]
    assert made[1]["failed"] == "RuntimeError: Given input size: (3x1x1)"
    assert "'blast' is not known" in made[2]["failed"]
    assert list(lab.asked) == ["a", "broken", "z"]


def test_a_row_holds_figures_costs_and_schedule(lab: Trainings) -> None:
    (made,) = rows(lab, config(published=WORK), shorter=Shorter(epochs=2))
    assert lab.asked["a"][0].epochs == 2
    assert lab.asked["a"][2] == Path("runs/a")
    assert 0.7 < made["figures"]["accuracy"]["value"] < 0.9
    low, high = made["figures"]["recall"]["interval_95"]
    assert low < made["figures"]["recall"]["value"] < high
    assert (made["training_seconds"], made["inference_ms"], made["parameters"]) == (90.0, 3.21, 61326)
    assert made["published"]["result"] == "99 %"
    assert made["start"] == "random"
    json.dumps(made, allow_nan=False)


def test_the_three_files_tell_the_same(lab: Trainings, tmp_path: Path) -> None:
    four = config("types", task="custom", classes=("healthy", "blast", "else"))
    made = rows(lab, config(published=WORK), config("broken"), four)
    files = write_comparison(made, "holdout", tmp_path / "deep" / "here")
    table, told, text = pd.read_csv(files[0]), json.loads(files[1].read_text()), files[2].read_text()
    assert table["system"].tolist() == ["a", "broken", "types"]
    assert table.loc[0, "published_work"] == WORK.work
    assert table.loc[0, "accuracy_low"] < table.loc[0, "accuracy"] < table.loc[0, "accuracy_high"]
    assert np.isnan(table.loc[1, "accuracy"])
    assert told["systems"][0]["figures"]["accuracy"]["value"] == table.loc[0, "accuracy"]
    lines = {line.split(" | ")[0]: line for line in text.splitlines()}
    assert f"{table.loc[0, 'accuracy']:.3f} (" in lines["| a"]
    assert "90 s | 3.2 ms | 0.06 M" in lines["| a"]
    assert "SGD; start ImageNet | 99 %" in lines["| a"]
    assert "failed: RuntimeError" in lines["| broken"]
    # another question has a table of its own
    assert text.count("| System |") == 2
    assert "- Someone, 1999. Beware: one patient." in text
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert len(widths) == 1


def test_leaked_rows_are_marked(lab: Trainings) -> None:
    (made,) = rows(lab, config())
    text = markdown([{**made, "leaked": True}], "holdout")
    assert "| LEAKED a |" in text
    assert "> **LEAKED" in text
    assert columns([{**made, "leaked": True}])["leaked"].tolist() == [True]


def test_a_folder_that_cannot_be_written_is_refused(lab: Trainings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="give --out a folder"):
        write_comparison(rows(lab, config()), "holdout", tmp_path / "file")


# ---------------------------------------------------------------- command


def ask(folder: Path, *names: str, more: Sequence[object] = ()) -> Result:
    put(cells(), folder)
    files = [folder / f"{name}.yaml" for name in names]
    for file in files:
        file.write_text(yaml.safe_dump({"name": file.stem, "task": "blast", "architecture": "soto_ayala_32"}))
    given = [*files, folder / "cells.csv", "--runs", folder / "runs", *more]
    return CliRunner().invoke(main, ["compare", *map(str, given)])


def test_the_command_prints_the_table_and_answers_with_1_if_a_system_failed(
    lab: Trainings, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- compare all -->\nold\n\n## Next\n")
    done = ask(tmp_path, "a", "b", more=["--into", page, "--epochs", 3])
    assert done.exit_code == 0, done.output
    assert "| a |" in done.output
    assert "old" not in page.read_text()
    assert page.read_text().endswith("## Next\n")
    assert "| b |" in page.read_text()
    assert lab.asked["b"][0].epochs == 3
    failed = ask(tmp_path, "a", "broken", "c")
    assert failed.exit_code == 1
    assert "failed: broken: RuntimeError" in failed.stderr.replace("\n", " ")
    assert pd.read_csv(tmp_path / "runs" / "comparison.csv")["system"].tolist() == ["a", "broken", "c"]


def test_a_start_is_an_architecture_and_a_file(lab: Trainings, tmp_path: Path) -> None:
    for given, told in (
        ("resnet18", "is not ARCHITECTURE=FILE"),
        ("resnet18=none.safetensors", "is not there"),
    ):
        refused = ask(tmp_path, "a", more=["--start", given])
        assert refused.exit_code == 2
        assert told in refused.output


def test_a_section_is_replaced_up_to_the_next_heading_or_marker(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- one -->\nold\n\n<!-- two -->\nkept\n")
    replace_section(page, "<!-- one -->", "new\n")
    assert page.read_text() == "a\n<!-- one -->\n\nnew\n\n<!-- two -->\nkept\n"
    replace_section(page, "<!-- one -->", "new\n")
    assert page.read_text() == "a\n<!-- one -->\n\nnew\n\n<!-- two -->\nkept\n"
    with pytest.raises(ConfigError, match="has no line"):
        replace_section(page, "<!-- three -->", "")
    with pytest.raises(ConfigError, match="cannot be read"):
        replace_section(tmp_path / "no.md", "<!-- one -->", "")
