"""The examples that need the shipped networks."""

import runpy
from pathlib import Path

import pytest
from click.testing import CliRunner

from smearscan.cli import main
from smearscan.synthetic import LEUKEMIC, write_slides
from smearscan.weights import shipped

pytestmark = pytest.mark.weights
FOLDER = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("slides")
    write_slides(root, {"leukemic": LEUKEMIC}, 1, seed=7)
    return root


def test_a_network_exported_and_run_by_hand_reproduces_a_scan(slides: Path, tmp_path: Path) -> None:
    for words in (
        ("run", slides, "--out", tmp_path / "report.csv", "--cells", tmp_path / "cells.csv"),
        ("weights", "export", "--task", "blast", "--format", "onnx", "--out", tmp_path / "blast.onnx"),
    ):
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == 0, done.output
    by_hand = runpy.run_path(str(FOLDER / "onnx_by_hand.py"))["probabilities"]
    found = by_hand(tmp_path / "blast.onnx", slides, tmp_path / "cells.csv")
    assert len(found) > 3
    assert (found["scan"] - found["by_hand"]).abs().max() < 0.01


def test_pairs_go_where_their_cards_say(slides: Path) -> None:
    scanner_of = runpy.run_path(str(FOLDER / "own_weights.py"))["scanner_of"]
    scanner = scanner_of([shipped("differential"), shipped("detector")])
    assert scanner.config.differential == shipped("differential")
    assert scanner.config.detector == shipped("detector")
    assert scanner.config.blast is None
    assert len(scanner.analyze(next((slides / "leukemic").glob("*.*")))) > 3
