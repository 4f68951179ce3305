"""The doctor tells of each stage's engine and why, and does not die of what is missing."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from smearscan.classification.backbones import build
from smearscan.cli import main
from smearscan.detection import yolo
from smearscan.scan import cell_classifier, unlike_nets
from smearscan.taxonomy import DETECTOR_CLASSES
from smearscan.weights import pairs as weights
from smearscan.weights.pairs import ClassifierCard, DetectorCard, save_weights


def ask(*args: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *args])


@pytest.fixture(autouse=True)
def _small_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let untrained networks take the place of the shipped ones."""
    torch.manual_seed(0)
    card = DetectorCard(
        name="detector", architecture="yolov8n", classes=DETECTOR_CLASSES, working_red_cell_px=32,
        tile_px=64, thresholds=(0.5, 0.5, 0.5),
    )  # fmt: skip
    save_weights(tmp_path / "detector", card, yolo.build("yolov8n", 3).state_dict())
    for name in ("blast", "differential", "blast_unlike"):
        net = ClassifierCard(
            name=name, architecture="soto_ayala_32", classes=("healthy", "blast"),
            task=name.removesuffix("_unlike"), crop_um=20, crop_px=32, mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5), head="own", only_unlike=name.endswith("_unlike"),
        )  # fmt: skip
        save_weights(tmp_path / name, net, build("soto_ayala_32", 2, "own", "frozen").state_dict())
    for module in (weights, cell_classifier, unlike_nets):
        monkeypatch.setattr(module, "shipped", lambda name: tmp_path / f"{name}.safetensors")
    monkeypatch.setenv("SMEARSCAN_CACHE", str(tmp_path / "cache"))


def test_each_stage_s_engine_is_told_with_its_check(tmp_path: Path) -> None:
    exact = ("--engine", "onnxruntime", "--precision", "f32")
    first, again = ask(*exact), ask(*exact)
    assert first.exit_code == again.exit_code == 0, first.output
    for stage in ("detector", "differential", "blast", "blast_unlike"):
        line = next(told for told in first.output.splitlines() if told.startswith(f"{stage}: "))
        assert "onnxruntime cpu (was asked for); made in" in line
        assert "self-check: differs from torch in" in line
        assert f"{stage}: onnxruntime cpu (was asked for); loaded from the cache in" in again.output
    assert f"cache: {tmp_path / 'cache'}, 0 compiled networks" in first.output
    assert f"cache: {tmp_path / 'cache'}, 4 compiled networks" in again.output
    assert "was made with other nets" in first.output  # the shipped calibration


def test_torch_is_the_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMEARSCAN_CACHE", "off")
    told = ask("--engine", "torch", "--precision", "f32")
    assert told.exit_code == 0, told.output
    assert told.output.count("torch cpu (was asked for)") == 4
    assert "cache: off" in told.output
    assert "is itself the measure" in told.output


def test_an_engine_that_is_not_there_is_told_and_the_rest_all_the_same() -> None:
    told = ask("--engine", "openvino", "--device", "meta")
    assert told.exit_code == 1
    assert told.output.count("no engine: engine openvino runs on the CPU") == 4
    assert "weights: intact: detector:" in told.output
    assert "Traceback" not in told.output
