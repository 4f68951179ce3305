"""Which engine is taken, what is refused, and that every refusal names its cure."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import small_nets
import torch
from numpy.typing import NDArray
from small_nets import Backend, boxes, logits, use
from torch import nn

from smearscan.errors import EngineError
from smearscan.runtime import engine as module
from smearscan.runtime import make_engine, onnx_engine
from smearscan.runtime import mixed_precision as sure
from smearscan.runtime.engine import resolve_device, resolve_engine
from smearscan.runtime.network import NetworkSpec
from smearscan.runtime.openvino_engine import OpenVino
from smearscan.runtime.self_check import Difference, difference, pictures
from smearscan.runtime.torch_engine import FromPixels, TorchEngine


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        module.importlib.util, "find_spec", lambda name: None if name in packages else found(name)
    )


def test_auto_takes_openvino_on_the_cpu() -> None:
    assert make_engine(boxes(), "cpu").name == "openvino cpu"
    assert make_engine(logits(), "cpu").name == "openvino cpu"
    assert make_engine(logits(), "cpu", "torch").name == "torch cpu"


def test_an_engine_of_the_cpu_takes_the_cpu_where_the_device_is_left_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    choose_really = module.resolve_device
    monkeypatch.setattr(module, "resolve_device", lambda d: "cuda" if d == "auto" else choose_really(d))
    assert resolve_engine("auto", "auto")[:2] == ("cuda", "torch")
    assert resolve_engine("auto", "torch")[:2] == ("cuda", "torch")
    assert resolve_engine("auto", "openvino")[:2] == ("cpu", "openvino")
    assert resolve_engine("auto", "onnxruntime")[:2] == ("cpu", "onnxruntime")


@pytest.mark.parametrize(
    ("device", "engine", "told"),
    [
        ("cpu", "abacus", "'abacus' is not one of auto, openvino, onnxruntime, tensorrt, torch"),
        ("toaster", "torch", "'toaster' is not available"),
        ("toaster", "auto", "'toaster' is not available"),
        ("cuda:99", "torch", "'cuda:99' is not available"),
        ("meta", "openvino", "runs on the CPU, not on meta; use --device cpu"),
        ("meta", "onnxruntime", "runs on the CPU, not on meta; use --device cpu"),
    ],
)
def test_what_is_not_there_is_named_with_the_cure(device: str, engine: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        make_engine(logits(), device, engine)


def test_what_is_not_installed_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "openvino", "onnxruntime")
    with pytest.raises(EngineError, match="pip install openvino"):
        make_engine(logits(), "cpu", "openvino")
    for name in ("onnxruntime", "tensorrt"):
        with pytest.raises(EngineError, match="pip install onnx onnxruntime"):
            make_engine(logits(), "cpu", name)
    assert make_engine(logits(), "cpu").name == "torch cpu"
    assert "pip install openvino" in resolve_engine("cpu", "auto")[2]


def test_tensorrt_wants_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed", lambda name: True)
    with pytest.raises(EngineError, match="a GPU of NVIDIA, not on cpu"):
        make_engine(logits(), "cpu", "tensorrt")


def test_what_tensorrt_leaves_to_cuda_is_computed_in_full_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, dict[str, object]]] = []
    monkeypatch.setattr(
        onnx_engine, "OnnxEngine", lambda name, payload, batch, asked, n: given.append(dict(asked))
    )
    onnx_engine.TensorRt("cuda:1").loaded(b"", logits(), "f32")
    assert given[0]["CUDAExecutionProvider"] == {"device_id": 1, "use_tf32": False}
    assert given[0]["TensorrtExecutionProvider"]["device_id"] == 1


def test_the_cpu_is_always_there() -> None:
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("auto") in ("cpu", "cuda")


def test_choosing_imports_no_torch() -> None:
    code = (
        "import sys; from smearscan.runtime.engine import resolve_engine; resolve_engine('cpu', 'auto');"
        "from smearscan.runtime import openvino_engine; from smearscan import classification, weights;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- the self-check


@pytest.mark.parametrize(("plan", "fine", "far"), [(boxes(), 0.4, 0.6), (logits(), 0.01, 0.2)])
def test_an_engine_too_far_from_torch_is_refused(
    monkeypatch: pytest.MonkeyPatch, plan: NetworkSpec, fine: float, far: float
) -> None:
    use(monkeypatch, Backend(f32=fine))
    made = module.make(plan, "cpu")
    assert made.apart is not None
    assert made.apart.holds
    assert made.apart.box_px == pytest.approx(fine if plan.answers == "boxes" else 0, rel=1e-3)
    for wrong in (far, float("nan")):
        use(monkeypatch, Backend(f32=wrong))
        with pytest.raises(EngineError, match=r"too far from torch .* 0.5 px and 0.01. Use --engine torch"):
            make_engine(plan, "cpu")


def test_bf16_is_taken_where_the_processor_has_it_and_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def moved(plan: NetworkSpec) -> tuple[float, str]:
        made = module.make(plan, "cpu", "auto", "bf16")
        images = small_nets.pictures(4)
        told = made.engine.run(images) - TorchEngine(plan.build(), "cpu", plan.batch).run(images)
        return round(float(told.max()), 3), made.why

    use(monkeypatch, Backend(bf16=0.01))
    assert moved(logits()) == (0, "the quickest on a CPU")  # a net that is never sure: anew in float32
    use(monkeypatch, Backend(bf16=0.5))
    assert moved(logits()) == (0, "the quickest on a CPU")  # the self-check sees just that
    use(monkeypatch, Backend(bf16=0.01))
    monkeypatch.setattr(sure, "CONFIDENT", 0)
    assert moved(logits()) == (0.01, "the quickest on a CPU")
    assert moved(boxes())[0] == 0  # a detector's boxes stay exact
    use(monkeypatch, Backend(bf16=0.01, native=False))
    assert moved(logits()) == (0, "the quickest on a CPU; f32, because it has no bf16 on this device")
    use(monkeypatch, Backend(bf16=0.5))
    assert moved(logits()) == (0, "the quickest on a CPU; f32, because bf16 is too far from torch")


@pytest.mark.skipif(not OpenVino().has_bf16(), reason="the processor has no bf16 of its own")
def test_bf16_of_openvino_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sure, "CONFIDENT", 0)
    half, whole = make_engine(logits(), "cpu", "openvino", "bf16"), make_engine(logits(), "cpu", "openvino")
    assert half.name == "openvino cpu bf16"
    images = small_nets.pictures(8)
    assert 0 < np.abs(half.run(images) - whole.run(images)).max() < 0.05


def test_what_leaves_doubt_is_computed_anew_and_nothing_else() -> None:
    class Fixed:
        def __init__(self, name: str, rows: list[list[float]]) -> None:
            self.name, self.rows, self.asked = name, np.array(rows, np.float32), 0

        def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
            self.asked += len(images)
            return self.rows[images[:, 0, 0, 0]].copy()

    quick = Fixed("quick", [[5, 0], [0, 0.5], [np.nan, 0], [-9, 9]])
    exact = Fixed("exact", [[7, 7], [0, 0.6], [1, 2], [7, 7]])
    engine = sure.Bf16WithFallback(quick, exact)
    images = np.zeros((4, 1, 1, 3), np.uint8)
    images[:, 0, 0, 0] = range(4)
    both = np.float32([[5, 0], [0, 0.6], [1, 2], [-9, 9]])
    np.testing.assert_array_equal(engine.run(images), both)
    assert exact.asked == 2
    np.testing.assert_array_equal(engine.run(images[::-1]), both[::-1])
    assert engine.run(images[:0]).shape == (0, 2)


def test_the_check_s_pictures_are_always_the_same_and_show_something() -> None:
    first, again = pictures(boxes()), pictures(boxes())
    assert [p.shape for p in first] == [(2, 128, 128, 3)]
    assert [p.shape for p in pictures(NetworkSpec("", "boxes", 1, (32, 640), boxes().build))] == [
        (2, 192, 320, 3),
        (2, 320, 192, 3),
    ]
    assert [p.shape for p in pictures(NetworkSpec("", "logits", 8, (112, 112), boxes().build))] == [
        (16, 112, 112, 3)
    ]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(picture.std() > 10 for picture in first[0])
    assert not np.array_equal(first[0][0], first[0][1])


def colors() -> NetworkSpec:
    """Plan a network that answers by the mean color."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    return NetworkSpec("", "logits", 4, (32, 32), lambda: FromPixels(layers, std=(0.2, 0.2, 0.2)))


@pytest.mark.parametrize("plan", [boxes(), colors()])
def test_the_check_finds_what_goes_wrong(plan: NetworkSpec) -> None:
    class Swapped(TorchEngine):
        def _infer(self, batch: np.ndarray) -> np.ndarray:
            return super()._infer(batch[..., ::-1].copy())

    true = TorchEngine(plan.build(), "cpu", plan.batch)
    assert difference(true, TorchEngine(plan.build(), "cpu", plan.batch), plan) == Difference(0.0, 0.0)
    assert not difference(true, Swapped(plan.build(), "cpu", plan.batch), plan).holds
