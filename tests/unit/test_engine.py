"""Engines agree with each other, and no picture's answer hangs on its company, on threads or on load."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from small_nets import MEAN, STD, logits, network, pictures
from torch import Tensor, nn

from smearscan.detection import yolo
from smearscan.runtime import Engine, NetworkSpec, make_engine
from smearscan.runtime.batches import usable_cores
from smearscan.runtime.onnx_engine import OnnxEngine, to_onnx
from smearscan.runtime.openvino_engine import OpenVino, OpenVinoEngine
from smearscan.runtime.torch_engine import FromPixels, TorchEngine

ON_CPU = ("torch", "openvino", "onnxruntime")


def with_threads(name: str) -> Callable[[int], Engine]:
    """Make the engine of one network for a number of batches in flight."""
    if name == "torch":
        return lambda at_once: TorchEngine(network(), "cpu", 4, at_once)
    if name == "openvino":
        payload = OpenVino().compiled(network(), logits(), "f32")
        return lambda at_once: OpenVinoEngine(payload, 4, "f32", at_once)
    file = to_onnx(network(), logits())
    return lambda at_once: OnnxEngine("onnx", file, 4, ["CPUExecutionProvider"], at_once)


@pytest.fixture(scope="module", params=ON_CPU)
def make(request: pytest.FixtureRequest) -> Callable[[int], Engine]:
    return with_threads(request.param)


@pytest.fixture(scope="module")
def engine(make: Callable[[int], Engine]) -> Engine:
    return make(2)


def test_pixels_are_normalized_per_channel() -> None:
    images = pictures(2, 5, 7)
    out = FromPixels(nn.Identity(), MEAN, STD)(torch.from_numpy(images)).numpy()
    by_hand = ((images / 255 - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(out, by_hand, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (96, 64), (40, 120)])
def test_engines_agree_with_torch(engine: Engine, shape: tuple[int, int]) -> None:
    images = pictures(6, *shape)
    with torch.inference_mode():
        wanted = network()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(engine.run(images), wanted, atol=1e-4)
    assert np.ptp(wanted, axis=0).max() > 1e-3  # the answers do differ between pictures


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_engines_agree_on_the_detection_network_at_every_size(name: str) -> None:
    torch.manual_seed(0)
    whole = FromPixels(yolo.fused(yolo.build("yolov8n", 3)))
    plan = NetworkSpec("", "boxes", 1, (32, 128), lambda: whole)
    one, other = make_engine(plan, "cpu", "torch"), make_engine(plan, "cpu", name)
    for height, width in ((64, 64), (96, 160), (128, 32)):
        image = pictures(1, height, width)
        found = other.run(image)
        assert found.shape == (1, 7, height * width * 21 // 1024)
        np.testing.assert_allclose(found, one.run(image), atol=1e-2)  # boxes are in pixels
        np.testing.assert_allclose(found[:, 4:], one.run(image)[:, 4:], atol=1e-4)


# ---------------------------------------------------------------- one answer a picture


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 9])
def test_a_picture_s_answer_is_the_same_bits_in_every_batch(engine: Engine, n: int) -> None:
    images = pictures(9)
    alone = np.concatenate([engine.run(images[i : i + 1]) for i in range(9)])
    assert np.array_equal(engine.run(images[:n]), alone[:n])
    assert np.array_equal(engine.run(images[::-1]), alone[::-1])
    assert alone.dtype == np.float32


def test_one_thread_and_several_give_the_same_bits(make: Callable[[int], Engine]) -> None:
    images = pictures(41, 80, 48)
    answers = [make(at_once).run(images) for at_once in (1, 2, 3)]
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])


def test_callers_on_other_threads_change_nothing(engine: Engine) -> None:
    shapes = [(64, 64), (32, 96), (128, 48), (96, 96)]
    wanted = [engine.run(pictures(9, *shape)) for shape in shapes]
    together = threading.Barrier(8)

    def ask(caller: int) -> list[NDArray[np.float32]]:
        together.wait()
        order = np.random.default_rng(caller).permutation(len(shapes) * 3) % len(shapes)
        asked = [(k, engine.run(pictures(9, *shapes[k]))) for k in order]
        return [answer - wanted[k] for k, answer in asked]

    with ThreadPoolExecutor(8) as callers:
        found = list(callers.map(ask, range(8)))
    assert all(not difference.any() for each in found for difference in each)


def test_two_engines_at_work_do_not_disturb_each_other(make: Callable[[int], Engine]) -> None:
    first, second = make(2), TorchEngine(network(seed=1), "cpu", 4, 2)
    images = pictures(30)
    wanted = first.run(images), second.run(images)
    assert not np.allclose(*wanted)
    with ThreadPoolExecutor(2) as callers:
        answers = [callers.submit(e.run, images) for _ in range(4) for e in (first, second)]
    assert all(np.array_equal(a.result(), wanted[i % 2]) for i, a in enumerate(answers))


def test_no_pictures_give_no_answers_of_the_right_shape(engine: Engine) -> None:
    out = engine.run(np.zeros((0, 64, 64, 3), np.uint8))
    assert out.shape == (0, 5)
    assert out.dtype == np.float32


def test_views_are_taken_as_they_are(engine: Engine) -> None:
    whole = pictures(8, 70, 80)
    for view in (whole[::-1][:1], whole[:4, 3:67, ::-1][:, :, 5:69], whole[::2, ::2]):
        assert np.array_equal(engine.run(view), engine.run(view.copy()))


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


def test_an_error_in_one_batch_reaches_the_caller_and_spoils_no_later_one(engine: Engine) -> None:
    wanted = engine.run(pictures(9))
    with pytest.raises(Exception, match=r"\S"):
        engine.run(np.zeros((9, 64, 64, 4), np.uint8))  # RGBA
    assert np.array_equal(engine.run(pictures(9)), wanted)


# ---------------------------------------------------------------- torch's threads


class Spy(nn.Module):
    """Answers how many threads torch would use."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))[:, None] * 0 + torch.get_num_threads()


def test_torch_runs_on_one_thread_and_leaves_all_others_theirs() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        told = TorchEngine(FromPixels(Spy()), "cpu", 1, at_once=7).run(pictures(40, 8, 8))
        assert (told == 1).all()
        assert torch.get_num_threads() == 3
        with ThreadPoolExecutor(1) as born_later:
            assert born_later.submit(torch.get_num_threads).result() == 3
    finally:
        torch.set_num_threads(before)


def test_cores_are_counted() -> None:
    assert usable_cores() >= 1


# ---------------------------------------------------------------- on a GPU


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA sees")
@pytest.mark.parametrize("name", ["torch", "tensorrt"])
def test_a_gpu_agrees_with_the_cpu(name: str) -> None:
    if name == "tensorrt":
        pytest.importorskip("tensorrt", reason="needs TensorRT: pip install tensorrt-cu12")
    on_gpu = make_engine(logits(), "cuda", name)
    images = pictures(41)
    np.testing.assert_allclose(on_gpu.run(images), TorchEngine(network(), "cpu", 4).run(images), atol=1e-3)
    alone = np.concatenate([on_gpu.run(images[i : i + 1]) for i in range(9)])
    assert np.array_equal(on_gpu.run(images[:9]), alone)
    half = make_engine(logits(), "cuda", name, "bf16")
    np.testing.assert_allclose(half.run(images), on_gpu.run(images), atol=0.05)


def test_the_way_over_a_device_is_that_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only a GPU runs is run here with the CPU as the device."""
    plain = TorchEngine(network(), "cpu", 4)
    images = pictures(11)
    wanted = plain.run(images)
    monkeypatch.setattr(TorchEngine, "_answers", TorchEngine._on_device)
    np.testing.assert_allclose(TorchEngine(network(), "cpu", 4).run(images), wanted, atol=1e-6)
    half = TorchEngine(network(), "cpu", 4, precision="bf16")
    assert half.name == "torch cpu bf16"
    away = np.abs(half.run(images) - wanted).max()
    assert 0 < away < 0.05


def test_building_a_detector_leaves_picture_reading_alone() -> None:
    opened = Image.open
    yolo.build("yolov8n", 3)
    assert Image.open is opened
    assert opened.__module__ == "PIL.Image"
