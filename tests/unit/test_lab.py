"""Runs of a protocol: each once, gone on with after an interruption, summed up and written."""

import json
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_up_lab import CLASSES, CONFIG, Tiny, Trainer, manifest

from smearscan.errors import ConfigError, DatasetError, LeakError
from smearscan.experiments import cross_validation as lab
from smearscan.experiments.cross_validation import (
    Results,
    epochs_left,
    guard,
    joined,
    run,
    run_folder,
    scored_groups,
)
from smearscan.experiments.cross_validation_plots import pictures
from smearscan.experiments.cross_validation_report import (
    LEAKED,
    lab_page,
    markdown,
    results_table,
    write_results,
)
from smearscan.experiments.cross_validation_summary import card_figures, summarize
from smearscan.experiments.leak_guard import Finding, Leaks
from smearscan.experiments.protocols import assign_folds, kfold, lodo, with_classes
from smearscan.experiments.scores import METRICS
from smearscan.taxonomy import NOTICE
from smearscan.training.config import ClassifierTraining
from smearscan.weights.pairs import ClassifierCard, load_weights


@pytest.fixture
def cells() -> pd.DataFrame:
    return with_classes(manifest(), CONFIG)[0]


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    return Trainer().put(monkeypatch)


def silent(_: dict[str, float]) -> None:
    """Hear nothing."""


def run_folds(
    cells: pd.DataFrame, out: Path, config: ClassifierTraining = CONFIG, start: Path | None = None,
    folds: int = 3, seeds: tuple[int, ...] | None = None,
) -> Results:  # fmt: skip
    return run(config, cells, CLASSES, kfold(cells, folds, 0, "a"), Path(), start, out, silent, seeds)


# ---------------------------------------------------------------- runs


class Elsewhere(ThreadPoolExecutor):
    """Stands for other processes: what is given and handed back crosses as bytes."""

    def __init__(self, jobs: int, _: object, **more: Callable[[], None]) -> None:
        super().__init__(jobs, **more)  # type: ignore[arg-type]

    def submit(self, work: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        sent = pickle.dumps((work, args))

        def do() -> Any:
            received, given = pickle.loads(sent)
            return pickle.loads(pickle.dumps(received(*given)))

        return super().submit(do)


def test_trainings_at_once_give_what_one_after_the_other_gives(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    alone = run(CONFIG, cells, CLASSES, lodo(cells), Path(), None, tmp_path / "1", heard[1].append)
    monkeypatch.setattr(lab, "ProcessPoolExecutor", Elsewhere)
    monkeypatch.setattr(trainer, "_seed", 0)
    rows = lodo(cells)
    several = run(CONFIG, cells, CLASSES, rows, Path(), None, tmp_path / "2", heard[2].append, jobs=2)
    pd.testing.assert_frame_equal(several.scores(), alone.scores())
    assert len(heard[1]) == len(heard[2]) == CONFIG.epochs * len(rows)
    again = run(CONFIG, cells, CLASSES, rows, Path(), None, tmp_path / "2", heard[2].append, jobs=2)
    assert len(heard[2]) == CONFIG.epochs * len(rows)  # what is finished is read
    assert [one.facts["fingerprint"] for one in again.runs] == [r.facts["fingerprint"] for r in alone.runs]


def test_each_split_is_trained_with_each_seed_in_a_folder_of_its_own(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path
) -> None:
    results = run_folds(cells, tmp_path, seeds=(4, 5))
    assert [(one.seed, one.split) for one in results.runs] == [
        (s, f"fold{i}") for s in (4, 5) for i in range(3)
    ]
    assert [config.seed for config, _, _ in trainer.given] == [4, 4, 4, 5, 5, 5]
    for one in results.runs:
        place = run_folder(tmp_path, one.seed, one.split)
        assert sorted(p.name for p in place.iterdir()) == ["curves.csv", "run.json", "scores.csv"]
        facts = json.loads((place / "run.json").read_text())
        assert facts["training_seconds"] == 3.0
        assert facts["inference_ms"] > 0
        assert facts["parameters"] == 12
        assert (facts["temperature"], facts["start"]) == (2.0, "random")
        assert ClassifierTraining(**facts["config"]) == CONFIG.model_copy(update={"seed": one.seed})
        assert facts["cells"]["test"] == len(one.scores)


def test_nets_are_kept_where_told(cells: pd.DataFrame, trainer: Trainer, tmp_path: Path) -> None:
    splits = kfold(cells, 3, 0, "a")[:1]
    run(CONFIG, cells, CLASSES, splits, Path(), None, tmp_path, silent, keep_nets=True)
    card, tensors = load_weights(run_folder(tmp_path, 0, "fold0") / "small.safetensors", ClassifierCard)
    assert card.classes == CLASSES
    assert set(tensors) == set(Tiny().state_dict())


def test_runs_go_on_from_the_same_runs_of_another_configuration_in_the_same_folds(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path
) -> None:
    splits = kfold(cells, 3, 7, "a")
    before = run(CONFIG, cells, CLASSES, splits, Path(), None, tmp_path / "body", silent, keep_nets=True)
    scored = scored_groups(tmp_path / "body", CONFIG.seed)
    assert scored == [set(cells["group"].iloc[split.test]) for split in splits]
    again = kfold(cells, 2, 0, "a", scored)
    run(CONFIG, cells, CLASSES, again, Path(), tmp_path / "body", tmp_path / "head", silent)
    nets = [tmp_path / "body" / "seed0" / f"fold{i}" / "small.safetensors" for i in range(3)]
    assert trainer.starts[-3:] == nets
    for old, new in zip(splits, again, strict=True):
        assert sorted(new.test) == sorted(old.test)
        assert not set(cells["group"].iloc[new.train]) & set(cells["group"].iloc[old.test])
    assert len(before.runs) == 3
    with pytest.raises(DatasetError, match=r"groups would never be scored; take the same cells and --site"):
        kfold(cells, 2, 0, "b", scored)


def test_runs_that_kept_no_net_are_no_start(cells: pd.DataFrame, trainer: Trainer, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no folds"):
        scored_groups(tmp_path, 0)
    run_folds(cells, tmp_path / "body")
    with pytest.raises(ConfigError, match=r"fold0: holds 0 nets.*--keep-nets"):
        run_folds(cells, tmp_path / "head", start=tmp_path / "body")


def test_scores_tell_what_training_had(cells: pd.DataFrame, trainer: Trainer, tmp_path: Path) -> None:
    split = replace(kfold(cells, 3, 0, "a")[0], taught=np.array([0, 2]))
    results = run(CONFIG, cells, CLASSES, [split], Path(), None, tmp_path, silent)
    scores = results.runs[0].scores
    assert (scores["taught"] == scores["target"].isin([0, 2])).all()
    untaught = int((scores["target"] == 1).sum())
    found = summary(results)
    assert found["sets"]["a"]["untaught"] == {"monocyte": untaught}
    assert f"a {untaught} of class monocyte" in markdown(found)
    assert f"a {untaught} of class monocyte" in lab_page(found, pictures(found))


def test_scores_say_of_every_test_cell_what_the_net_said(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path
) -> None:
    scores = run_folds(cells, tmp_path).scores()
    own = cells[cells["site"] == "a"]
    assert scores["cell"].tolist() == own["cell"].tolist()
    assert scores["class"].tolist() == own["class"].tolist()
    assert (scores["target"].isna() == (scores["class"] == "smudge_cell")).all()
    logits = trainer.logits_of(Tiny(), own[["cell", "target"]].to_numpy(), None) / 2
    wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores[[f"p_{c}" for c in CLASSES]], wanted, rtol=1e-6)


def test_what_is_finished_is_not_run_again_and_reads_the_same(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path
) -> None:
    splits = kfold(cells, 3, 0, "a")
    assert epochs_left(CONFIG, splits, tmp_path, 0) == 6
    trainer.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        run_folds(cells, tmp_path)
    assert epochs_left(CONFIG, splits, tmp_path, 0) == 4
    trainer.given.clear()
    trainer.stop_at = -1
    again = run_folds(cells, tmp_path)
    assert len(trainer.given) == 2
    assert epochs_left(CONFIG, splits, tmp_path, 0) == 0
    whole = run_folds(cells, tmp_path / "other")
    for one, other in zip(again.runs, whole.runs, strict=True):
        pd.testing.assert_frame_equal(one.scores, other.scores)


@pytest.mark.parametrize(
    "change",
    [
        {"config": CONFIG.model_copy(update={"epochs": 3})},
        {"start": Path("resnet.safetensors")},
        {"folds": 4},
    ],
    ids=["configuration", "start", "folds"],
)
def test_a_run_of_something_else_is_refused(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path, change: dict[str, Any]
) -> None:
    run_folds(cells, tmp_path)
    trainer.given.clear()
    with pytest.raises(ConfigError, match=r"run.json: is of another configuration.*--runs"):
        run_folds(cells, tmp_path, **change)
    with pytest.raises(ConfigError, match=r"run.json: is of another configuration.*--runs"):
        run_folds(cells.assign(x1=cells["x1"] + 1), tmp_path)
    assert not trainer.given


def test_words_for_the_card_change_no_run(cells: pd.DataFrame, trainer: Trainer, tmp_path: Path) -> None:
    run_folds(cells, tmp_path)
    trainer.given.clear()
    run_folds(cells, tmp_path, CONFIG.model_copy(update={"limits": ["knows three classes"]}))
    assert not trainer.given


# ---------------------------------------------------------------- the guard in front of them


def leak(words: str = "") -> Leaks:
    return Leaks((Finding("same cell", "leak", 1, words),) if words else ())


def test_the_guard_looks_at_the_folds_of_each_seed_once(
    cells: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[pd.DataFrame] = []
    monkeypatch.setattr(lab, "find_leaks", lambda table, *_, **__: seen.append(table) or leak())
    plans = [kfold(cells, 3, seed, "a") for seed in (0, 1, 0)]
    assert len(guard(cells, plans, Path(), allow=False)) == 2
    for plan, told in zip(plans, seen, strict=False):
        pd.testing.assert_frame_equal(told, assign_folds(cells, plan))


def test_leaks_of_any_seed_are_refused_unless_allowed(
    cells: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = [kfold(cells, 3, seed, "a") for seed in (0, 1)]
    for allow in (False, True):
        answers = iter([leak(), leak("1.png = 2.png")])
        monkeypatch.setattr(lab, "find_leaks", lambda *_, a=answers, **__: next(a))
        if allow:
            assert [one.leaked for one in guard(cells, plans, Path(), allow)] == [False, True]
        else:
            with pytest.raises(LeakError, match=r"1\.png = 2\.png"):
                guard(cells, plans, Path(), allow)


# ---------------------------------------------------------------- what they add up to


def summary(results: Results, protocol: str = "kfold", leaked: bool = False) -> dict[str, Any]:
    found = leak("the same picture is on both sides" if leaked else "")
    return summarize(results, protocol, [found], "a" if protocol == "kfold" else "")


@pytest.fixture(scope="module")
def left_out(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Three data sets, each left out, with two seeds."""
    cells = with_classes(manifest(), CONFIG)[0]
    with pytest.MonkeyPatch.context() as patch:
        Trainer().put(patch)
        out = tmp_path_factory.mktemp("runs")
        results = run(CONFIG, cells, CLASSES, lodo(cells), Path(), None, out, silent, (0, 1))
        yield summary(results, "lodo")


def test_a_summary_tells_sets_their_mean_and_repeats(left_out: dict[str, Any]) -> None:
    assert list(left_out["sets"]) == ["a", "b", "c"]
    assert left_out["notice"] == NOTICE
    each = [left_out["sets"][name]["accuracy"]["value"] for name in "abc"]
    assert left_out["mean_over_sets"]["accuracy"]["value"] == pytest.approx(np.mean(each), abs=1e-4)
    assert (left_out["folds"], left_out["seeds"]) == (3, [0, 1])
    runs = [one["figures"]["accuracy"]["value"] for one in left_out["each"]]
    assert left_out["over_runs"]["accuracy"]["n"] == 6
    assert left_out["over_runs"]["accuracy"]["sd"] == pytest.approx(np.std(runs, ddof=1), abs=1e-4)
    assert left_out["over_seeds"]["accuracy"]["n"] == 2
    assert left_out["all"]["cells"] == 324  # each cell once, though two nets named it
    assert left_out["each"][0]["curves"] == {"epoch": [1, 2], "loss": [2.0, 1.5]}
    json.dumps(left_out, allow_nan=False)


def test_one_site_and_one_seed_have_no_mean(cells: pd.DataFrame, trainer: Trainer, tmp_path: Path) -> None:
    found = summary(run_folds(cells, tmp_path))
    assert found["mean_over_sets"] is None
    assert found["over_seeds"] is None
    assert found["all"]["cells"] == 108


def test_seeds_with_folds_of_their_own_are_joined(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path
) -> None:
    parts = [
        run(CONFIG, cells, CLASSES, kfold(cells, 3, seed, "a"), Path(), None, tmp_path, silent, (seed,))
        for seed in (0, 1)
    ]
    both = joined(parts)
    assert len(both.runs) == 6
    assert len(both.scores()) == 120  # of the first seed


def test_a_card_takes_figures_without_curves(left_out: dict[str, Any]) -> None:
    figures = card_figures(left_out)
    assert len(figures["each"]) == 6
    assert set(METRICS) < set(figures["all"])
    assert not {"roc", "reliability"} & set(figures["all"])


# ---------------------------------------------------------------- what is written


def test_files_hold_every_figure_and_the_notice(left_out: dict[str, Any], tmp_path: Path) -> None:
    files = write_results(left_out, tmp_path / "out")
    assert [path.name for path in files] == ["results.csv", "results.json", "results.md", "results.html"]
    table = pd.read_csv(files[0])
    assert table["scope"].tolist() == ["set"] * 3 + ["mean over sets", "all"] + ["run"] * 6
    assert not table["leaked"].any()
    row = table.iloc[0]
    assert row["f1"] == left_out["sets"]["a"]["f1"]["value"]
    assert [row["f1_low"], row["f1_high"]] == left_out["sets"]["a"]["f1"]["interval_95"]
    assert json.loads(files[1].read_text()) == json.loads(json.dumps(left_out))
    for path in files[2:]:
        assert NOTICE in path.read_text(encoding="utf-8")
        assert LEAKED not in path.read_text(encoding="utf-8")
    text = files[2].read_text(encoding="utf-8")
    figure = left_out["mean_over_sets"]["auroc"]
    low, high = figure["interval_95"]
    assert f"{figure['value']:.3f} ({low:.3f} to {high:.3f})" in text
    for path in (tmp_path / "out" / "plots").iterdir():
        assert f"plots/{path.name}" in text
        assert path.stat().st_size > 5000
    assert len(list((tmp_path / "out" / "plots").iterdir())) == 5


def test_leaked_figures_are_marked_wherever_they_stand(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path
) -> None:
    found = summary(run_folds(cells, tmp_path), leaked=True)
    assert found["leaks"]["leaked"]
    assert results_table(found)["leaked"].all()
    lines = markdown(found).splitlines()
    assert f"> **{LEAKED}**" in lines
    figures = [line for line in lines if line.startswith("| ") and "cells | groups" not in line]
    assert figures
    assert all(line.startswith("| LEAKED ") for line in figures)
    page = lab_page(found, pictures(found))
    assert f'role="alert">{LEAKED}' in page
    assert "<title>LEAKED." in page
    assert "the same picture is on both sides" in page
    assert card_figures(found)["leaked"]


def test_a_page_stands_alone_and_escapes_names(cells: pd.DataFrame, trainer: Trainer, tmp_path: Path) -> None:
    odd = CONFIG.model_copy(update={"name": "<b>odd<b> & co"})
    found = summary(run_folds(cells, tmp_path, odd))
    page = lab_page(found, pictures(found))
    assert "<b>odd" not in page
    assert "&lt;b&gt;odd&lt;b&gt; &amp; co" in page
    assert page.count("<img") == page.count('src="data:image/svg+xml') == len(pictures(found))
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_results_give_the_same_page(left_out: dict[str, Any]) -> None:
    first, again = (lab_page(left_out, pictures(left_out)[:2]) for _ in range(2))
    assert first == again


def test_a_folder_that_cannot_be_written_is_named(left_out: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file: cannot be written"):
        write_results(left_out, tmp_path / "file")


def test_a_net_for_blasts_gets_its_own_pictures(
    cells: pd.DataFrame, trainer: Trainer, tmp_path: Path
) -> None:
    two = {"neutrophil": "healthy", "monocyte": "healthy", "eosinophil": "blast", "smudge_cell": "healthy"}
    config = CONFIG.model_copy(update={"classes": ("healthy", "blast"), "synonyms": two, "task": "blast"})
    table = with_classes(cells.drop(columns=["cell", "target"]), config)[0]
    scores = [
        lab.Run(
            split.name, 0, facts(split.name), as_scores(table.iloc[split.test]), pd.DataFrame({"epoch": [1]})
        )
        for split in kfold(table, 3, 0)
    ]
    found = summary(Results(config, ("healthy", "blast"), "random", tuple(scores)))
    assert [one.name for one in pictures(found)] == ["sets", "confusion", "roc", "reliability"]
    assert set(found["all"]["roc"]) == {"blast"}
    assert "recall of blasts" in pictures(found)[0].words
    assert found["all"]["recall"]["value"] == pytest.approx(2 / 3, abs=1e-4)  # one of three is called wrong


def facts(split: str) -> dict[str, Any]:
    numbers = dict.fromkeys(("training_seconds", "inference_ms", "parameters", "temperature", "threshold"), 1)
    parts = dict.fromkeys(("train", "val", "test"), 5)
    return {"split": split, "seed": 0, "device": "cpu", "cells": parts, "groups": parts, **numbers}


def as_scores(cells: pd.DataFrame) -> pd.DataFrame:
    blast = np.where(cells["cell"] % 5 == 0, 1 - cells["target"], cells["target"]) * 0.8 + 0.1
    return cells.assign(threshold=0.5, p_healthy=1 - blast, p_blast=blast)
