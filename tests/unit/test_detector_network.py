"""The detection network itself: one answer a picture, whatever another thread asks."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from references.coarsest_grid import write_without_coarsest_grid
from smearscan.detection import yolo
from smearscan.detection.detector import Detector, network_spec
from smearscan.errors import WeightsError
from smearscan.taxonomy import DETECTOR_CLASSES
from smearscan.weights.pairs import DetectorCard, load_card, save_weights, shipped


def built(architecture: str = "yolov8n") -> nn.Module:
    torch.manual_seed(0)
    return yolo.build(architecture, 3).eval()


def kept(network: nn.Module) -> dict[str, object]:
    """All that a network holds beside its tensors."""
    plain = (bool, int, float, str, torch.Size, Tensor, type(None))
    return {
        f"{name}.{key}": value
        for name, module in network.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, plain)
    }


@torch.inference_mode()
def test_the_folded_network_answers_as_ultralytics_does() -> None:
    network = built()
    pictures = torch.rand(2, 3, 96, 160)
    own, _ = copy.deepcopy(network)(pictures)
    folded = yolo.fused(network)(pictures)
    assert folded.shape == (2, 7, 12 * 20 + 6 * 10 + 3 * 5)
    torch.testing.assert_close(folded, own, rtol=1e-4, atol=1e-3)


@torch.inference_mode()
def test_a_picture_leaves_nothing_in_the_network() -> None:
    """Anchors that are kept would be taken by a thread with a picture of another size."""
    network = yolo.fused(built())
    before = kept(network)
    network(torch.rand(1, 3, 64, 128))
    after = kept(network)
    assert before.keys() == after.keys()
    assert all(value is before[key] or value == before[key] for key, value in after.items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair of a network with all three grids."""
    card = DetectorCard(
        name="whole", architecture="yolov8n", classes=DETECTOR_CLASSES, working_red_cell_px=21,
        thresholds=(0.1, 0.1, 0.1), training={"command": "train"},
    )  # fmt: skip
    pair = tmp_path_factory.mktemp("whole") / "whole.safetensors"
    save_weights(pair, card, built().state_dict())
    return pair


def test_without_its_coarsest_grid_a_network_gives_the_other_anchors_unchanged(
    whole: Path, tmp_path: Path
) -> None:
    card = write_without_coarsest_grid(whole, tmp_path / "cut.safetensors")
    assert card.architecture == "yolov8n-p4"
    assert card.training["command"] == "train"
    assert card.training["cut"]["from"] == load_card(whole, DetectorCard).sha256
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    all_anchors, anchors = (
        Detector.load(pair, "cpu", "torch").engine.run(pictures)
        for pair in (whole, tmp_path / "cut.safetensors")
    )
    n_finer = 8 * 12 + 4 * 6
    assert all_anchors.shape == (2, 7, n_finer + 2 * 3)
    assert anchors.tobytes() == np.ascontiguousarray(all_anchors[..., :n_finer]).tobytes()


def test_a_network_without_its_coarsest_grid_is_not_cut_again(whole: Path, tmp_path: Path) -> None:
    once = tmp_path / "cut.safetensors"
    write_without_coarsest_grid(whole, once)
    with pytest.raises(WeightsError, match=r"cut\.safetensors: a yolov8n-p4 has no grid of 32 px"):
        write_without_coarsest_grid(once, tmp_path / "again.safetensors")
    assert not (tmp_path / "again.safetensors").exists()


@pytest.mark.parametrize(("source", "target"), [("yolov8n", "yolov8n-p4"), ("yolov8n-p4", "yolov8n")])
def test_a_start_gives_its_head_to_a_network_with_other_grids(source: str, target: str) -> None:
    given, network = built(source).state_dict(), built(target)
    taken = yolo.fitting(given, network)
    assert len(taken) == min(len(given), len(network.state_dict()))
    ours, theirs = (f"model.{len(built(name).model) - 1}.cv2.1.0.conv.weight" for name in (target, source))
    assert taken[ours] is given[theirs]


def test_a_network_without_its_coarsest_grid_is_trained_on_its_own_anchors() -> None:
    network = built("yolov8n-p4").train()
    outputs = network(torch.rand(1, 3, 64, 64))
    targets = {
        "batch_idx": torch.zeros(1), "cls": torch.zeros(1), "bboxes": torch.tensor([[0.5, 0.5, 0.4, 0.4]])
    }  # fmt: skip
    loss_of, labeled = yolo.DetectionLoss(network), torch.ones(1, 3, 8, 8)
    everything = loss_of(outputs, targets, labeled)
    labeled[:, 1] = 0  # red cells are not annotated: their class term is left out
    part = loss_of(outputs, targets, labeled)
    assert torch.isfinite(everything).all()
    assert part[1] < everything[1]
    assert torch.equal(part[[0, 2]], everything[[0, 2]])


def test_the_shipped_detector_is_without_its_coarsest_grid() -> None:
    card, _ = network_spec(shipped("detector"))
    assert (card.architecture, card.training["cut"]["architecture"]) == ("yolov8n-p4", "yolov8n")
