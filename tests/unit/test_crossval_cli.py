"""``smearscan crossval``: what is asked for is run; what is wrong or leaked is refused before training."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from made_up_lab import CLASSES, Trainer, manifest, put

from smearscan.cli import main
from smearscan.experiments import cross_validation as lab
from smearscan.experiments import cross_validation_report as report
from smearscan.experiments.cross_validation_report import LEAKED
from smearscan.experiments.leak_guard import Finding, Leaks, require_clean
from smearscan.taxonomy import NOTICE

LEAK = Leaks((Finding("same cell", "leak", 3, "3 pictures are on both sides"),))


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    monkeypatch.setattr(lab, "guard", lambda *_: [Leaks(())])
    monkeypatch.setattr(report, "pictures", lambda _: [])  # the report has tests of its own
    return Trainer().put(monkeypatch)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    put(manifest(), tmp_path)
    settings = {"name": "small", "classes": CLASSES, "synonyms": {"smudge_cell": None}, "epochs": 1}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump({**settings, "classes": list(CLASSES)}))
    return tmp_path


def ask(files: Path, *more: object) -> Result:
    given = [
        "crossval",
        files / "cells.csv",
        "--config",
        files / "small.yaml",
        "--runs",
        files / "runs",
        *more,
    ]
    return CliRunner().invoke(main, [str(a) for a in given])


@pytest.mark.parametrize(
    ("options", "folders"),
    [
        ([], {f"seed0/fold{i}" for i in range(5)}),
        (["--protocol", "holdout", "--repeats", 2], {"seed0/holdout", "seed1/holdout"}),
        (["--protocol", "kfold", "--folds", 2, "--site", "b"], {"seed0/fold0", "seed0/fold1"}),
        (["--protocol", "lodo"], {"seed0/a", "seed0/b", "seed0/c"}),
        (["--protocol", "lodo", "--site", "a", "--site", "c"], {"seed0/a", "seed0/c"}),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_a_protocol_makes_its_runs_and_prints_its_table(
    files: Path, trainer: Trainer, options: list[Any], folders: set[str]
) -> None:
    done = ask(files, *options)
    assert done.exit_code == 0, done.output
    made = {str(p.parent.relative_to(files / "runs")) for p in (files / "runs").glob("*/*/run.json")}
    assert made == folders
    assert len(trainer.given) == len(folders)
    assert NOTICE in done.stdout
    assert "| cells | groups | Accuracy |" in done.stdout
    kept = {"results.csv", "results.json", "results.md", "results.html", "out_of_fold.csv", "plots"}
    assert kept < {p.name for p in (files / "runs").iterdir()}


def test_cells_scored_out_of_fold_are_kept_in_one_table(files: Path, trainer: Trainer) -> None:
    done = ask(files, "--site", "b", "--folds", 3, "--out", files / "report")
    assert done.exit_code == 0, done.output
    found = pd.read_csv(files / "runs" / "out_of_fold.csv")
    own = manifest().query("site == 'b'")
    assert found["image"].tolist() == own["image"].tolist()
    assert found[[f"p_{name}" for name in CLASSES]].sum(axis=1).between(0.999, 1.001).all()
    assert (files / "report" / "results.html").is_file()
    assert not (files / "runs" / "results.html").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--site", "nowhere"], "--site nowhere is not in the manifest; it has a, b, c"),
        (["--site", "a", "--site", "b"], "folds one --site"),
        (["--protocol", "holdout", "--site", "a"], "--site means nothing to --protocol holdout"),
        (["--folds", 30, "--site", "a"], "site 'a' has 20 groups, fewer than 30 folds"),
        (["--protocol", "lodo", "--min-cells", 999], "no site has two classes with 999 cells"),
        (["--protocol", "bootstrap"], "'bootstrap' is not one of"),
        (["--repeats", 0], "0 is not in the range"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    files: Path, trainer: Trainer, options: list[Any], message: str
) -> None:
    refused = ask(files, *options)
    assert refused.exit_code == 2
    assert message in " ".join(refused.output.split())
    assert not trainer.given


def test_leaked_folds_are_refused_before_training_and_marked_where_allowed(
    files: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guard(_: object, __: object, ___: object, allow: bool, ____: object) -> list[Leaks]:
        require_clean(LEAK, allow)
        return [LEAK]

    monkeypatch.setattr(lab, "guard", guard)
    refused = ask(files, "--folds", 2)
    assert refused.exit_code == 2
    assert "3 pictures are on both sides" in refused.output
    assert not trainer.given
    assert not (files / "runs").exists()
    allowed = ask(files, "--folds", 2, "--allow-leaks")
    assert allowed.exit_code == 0, allowed.output
    assert LEAKED in allowed.stdout
    for name in ("results.md", "results.html"):
        assert LEAKED in (files / "runs" / name).read_text(encoding="utf-8")
    assert pd.read_csv(files / "runs" / "results.csv")["leaked"].all()
