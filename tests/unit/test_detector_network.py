"""The detection network itself: one answer a picture, whatever another thread asks."""

import copy

import torch
from torch import Tensor, nn

from benchmarks.smaller_detector import grid_of_anchors, without_coarsest
from smearscan.detection import yolo
from smearscan.runtime.torch_engine import FromPixels


def built() -> nn.Module:
    torch.manual_seed(0)
    return yolo.build("yolov8n", 3).eval()


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


@torch.inference_mode()
def test_without_its_coarsest_grid_a_network_gives_the_other_anchors_unchanged() -> None:
    whole, picture = FromPixels(yolo.fused(built())), torch.randint(0, 256, (1, 64, 96, 3), dtype=torch.uint8)
    answer = whole(picture)
    cut = without_coarsest(whole)
    grid = torch.from_numpy(grid_of_anchors(64, 96))
    assert torch.equal(cut(picture), answer[..., grid < 32])
    assert sum(p.numel() for p in cut.parameters()) < 0.75 * sum(p.numel() for p in built().parameters())
