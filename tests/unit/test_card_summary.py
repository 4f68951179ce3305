"""Cards in words: the threshold in force and how crops are cut stand where a person looks."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from smearscan.classification.crops import BACKGROUND
from smearscan.cli import main
from smearscan.differential.calibration_card import load_calibration, shipped_calibration
from smearscan.weights.card_summary import CROPS


@pytest.mark.parametrize("name", ["blast", "differential", "detector"])
def test_a_shipped_card_is_told_in_words(name: str) -> None:
    done = CliRunner().invoke(main, ["weights", "show", name])
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) < 20
    for word in (f"{name}: a ", "trained on: ", "limit: ", "never a diagnosis"):
        assert word in done.output


def test_the_threshold_is_the_one_that_a_scan_uses() -> None:
    told = CliRunner().invoke(main, ["weights", "show", "blast"]).output
    assert f"blast from a probability of {load_calibration(shipped_calibration()).threshold:.3g} on" in told


def test_the_recipe_tells_the_crop_function_s_own_gray() -> None:
    assert CROPS.count(str(BACKGROUND)) == 2


def test_a_missing_pair_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["weights", "show", str(tmp_path / "x.yaml")])
    assert done.exit_code == 2
    assert "the card is missing" in done.output
