"""Before and after of a classifier, on the same cells."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import classifier
from numpy.typing import NDArray

from smearscan.cli import rich_console as console
from smearscan.errors import ConfigError
from smearscan.experiments import measure_classifier
from smearscan.experiments.measure_classifier import compare_classifiers, measure_cells

KINDS, MORE = ("neutrophil", "monocyte"), ("monocyte", "eosinophil", "neutrophil")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Cells whose crops are tinted at random; both networks read names off the tint."""
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (60, 1, 1, 3)).repeat(32, 1).repeat(32, 2).astype(np.uint8)

    def load(cells: pd.DataFrame, root: Path, um: float, px: int) -> NDArray[np.uint8]:
        return crops[cells["cell"].to_numpy()]

    monkeypatch.setattr(measure_classifier, "load_crops", load)
    target = rng.integers(2, size=60)
    return pd.DataFrame({"cell": range(60), "target": target, "group": [f"g{i % 9}" for i in range(60)],
                         "site": "here"})  # fmt: skip


def test_a_network_beside_itself_differs_by_nothing(table: pd.DataFrame) -> None:
    net = classifier("differential", KINDS)
    for row in compare_classifiers(net, net, table, Path()).values():
        assert row["before"] == row["after"]
        assert (row["difference"]["value"], row["difference"]["interval_95"]) == (0, [0, 0])


def test_each_is_measured_as_alone_and_the_difference_is_theirs(table: pd.DataFrame) -> None:
    before, after = classifier("differential", MORE), classifier("differential", KINDS)
    found = compare_classifiers(before, after, table, Path())
    for name in ("accuracy", "balanced_accuracy", "auroc"):
        alone = measure_cells(after, table, Path())["all"][name]
        assert found[name]["after"] == alone
    of_before = table.assign(target=[MORE.index(KINDS[k]) for k in table["target"]])
    assert found["accuracy"]["before"] == measure_cells(before, of_before, Path())["all"]["accuracy"]
    change = found["accuracy"]["after"]["value"] - found["accuracy"]["before"]["value"]
    assert found["accuracy"]["difference"]["value"] == pytest.approx(change, abs=1e-4)


def test_pairing_narrows_the_interval(table: pd.DataFrame) -> None:
    """Groups that are hard for both are hard in the same draw: almost the same network, almost no spread."""
    before, after = (classifier("differential", KINDS) for _ in range(2))
    after.engine.mix = after.engine.mix + np.random.default_rng(1).normal(0, 0.01, after.engine.mix.shape)  # type: ignore[attr-defined]
    accuracy = compare_classifiers(before, after, table, Path())["accuracy"]
    width = {column: np.ptp(accuracy[column]["interval_95"]) for column in accuracy}
    assert width["difference"] < 0.5 * min(width["before"], width["after"])


def test_a_class_without_a_name_before_is_refused(table: pd.DataFrame) -> None:
    before, after = classifier("blast", ("neutrophil", "basophil")), classifier("differential", KINDS)
    with pytest.raises(ConfigError, match="blast has no name for monocyte; leave these cells out"):
        compare_classifiers(before, after, table, Path())


def test_the_table_has_signs_and_says_what_they_mean(
    table: pd.DataFrame, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console.out, "width", 80)
    net = classifier("differential", KINDS)
    console.comparison_table(compare_classifiers(net, net, table, Path()))
    told = capsys.readouterr()
    assert "+0.000 (+0.000 to" in told.out
    assert max(map(len, told.out.splitlines())) <= 80
    assert "60 cells of 9 groups" in told.err
