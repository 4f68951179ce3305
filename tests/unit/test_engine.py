"""Engines agree with each other, and no picture's answer hangs on its batch."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from smearscan import yolo
from smearscan.errors import EngineError
from smearscan.runtime import Engine, make_engine
from smearscan.runtime import engine as module
from smearscan.runtime.engine import FromPixels, OpenVinoEngine, TorchEngine, choose_device

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def network() -> FromPixels:
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 4, 3),
        nn.AdaptiveAvgPool2d(1),
    )
    return FromPixels(nn.Sequential(layers, nn.Flatten(), nn.Linear(4, 5)), MEAN, STD)


def pictures(n: int, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, height, width, 3), np.uint8)


@pytest.fixture(scope="module", params=["torch", "openvino"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return make_engine(network(), "cpu", request.param, 4, 64)


def test_pixels_are_normalized_per_channel() -> None:
    images = pictures(2, 5, 7)
    out = FromPixels(nn.Identity(), MEAN, STD)(torch.from_numpy(images)).numpy()
    by_hand = ((images / 255 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(out, by_hand, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (96, 64), (40, 120)])
def test_engines_agree(shape: tuple[int, int]) -> None:
    one = make_engine(network(), "cpu", "torch", 4, 64)
    other = make_engine(network(), "cpu", "openvino", 4, 64)
    assert isinstance(one, TorchEngine)
    assert isinstance(other, OpenVinoEngine)
    images = pictures(6, *shape)
    np.testing.assert_allclose(one.run(images), other.run(images), atol=1e-4)
    assert np.ptp(one.run(images), axis=0).max() > 1e-3  # the answers do differ between pictures


def test_engines_agree_on_the_detection_network_at_every_size() -> None:
    torch.manual_seed(0)
    whole = FromPixels(yolo.fused(yolo.build("yolov8n", 3)))
    one = make_engine(whole, "cpu", "torch", 1, 64)
    other = make_engine(whole, "cpu", "openvino", 1, 64)
    for height, width in ((64, 64), (96, 160), (128, 32)):
        image = pictures(1, height, width)
        found = other.run(image)
        assert found.shape == (1, 7, height * width * 21 // 1024)
        np.testing.assert_allclose(found, one.run(image), atol=1e-2)  # boxes are in pixels
        np.testing.assert_allclose(found[:, 4:], one.run(image)[:, 4:], atol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 9])
def test_a_picture_s_answer_is_the_same_bits_in_every_batch(engine: Engine, n: int) -> None:
    images = pictures(9)
    alone = np.concatenate([engine.run(images[i : i + 1]) for i in range(9)])
    assert np.array_equal(engine.run(images[:n]), alone[:n])
    assert np.array_equal(engine.run(images[::-1]), alone[::-1])
    assert alone.dtype == np.float32


def test_no_pictures_give_no_answers_of_the_right_shape(engine: Engine) -> None:
    out = engine.run(np.zeros((0, 64, 64, 3), np.uint8))
    assert out.shape == (0, 5)
    assert out.dtype == np.float32


def test_an_answer_is_not_overwritten_by_the_next(engine: Engine) -> None:
    first = engine.run(pictures(4))
    kept = first.copy()
    engine.run(pictures(3))
    assert np.array_equal(first, kept)


def test_pictures_of_another_shape_in_between_change_nothing(engine: Engine) -> None:
    shapes = [(64, 64), (32, 96), (128, 48), (64, 64), (32, 96)]
    answers = [engine.run(pictures(5, *shape)) for shape in shapes]
    assert np.array_equal(answers[0], answers[3])
    assert np.array_equal(answers[1], answers[4])
    assert not np.array_equal(answers[0], answers[1])


def test_auto_takes_openvino_on_the_cpu() -> None:
    assert make_engine(network(), "cpu", "auto", 2, 64).name == "openvino cpu"
    assert make_engine(network(), "cpu", "torch", 2, 64).name == "torch cpu"


@pytest.mark.parametrize(
    ("device", "engine_name", "told"),
    [
        ("cpu", "tensorrt", "'tensorrt' is not one of auto, openvino, torch"),
        ("toaster", "torch", "'toaster' is not available"),
        ("cuda:99", "torch", "'cuda:99' is not available"),
        ("meta", "openvino", "runs on the CPU"),
    ],
)
def test_what_is_not_there_is_named_with_the_cure(device: str, engine_name: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        make_engine(network(), device, engine_name, 2, 64)


def test_openvino_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineError, match="pip install openvino"):
        make_engine(network(), "cpu", "openvino", 2, 64)
    assert make_engine(network(), "cpu", "auto", 2, 64).name == "torch cpu"


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu").type == "cpu"
    assert choose_device("auto").type in ("cpu", "cuda")


def test_building_a_detector_leaves_picture_reading_alone() -> None:
    opened = Image.open
    yolo.build("yolov8n", 3)
    assert Image.open is opened
    assert opened.__module__ == "PIL.Image"
