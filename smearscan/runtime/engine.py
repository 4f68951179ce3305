"""What an engine is, which one is taken, and how it is made of a network: torch is the measure of all others.

torch itself is imported only where it is needed: with an engine that is already compiled, a scan starts
without.
"""

import ctypes
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import EngineError
from smearscan.runtime import cache, check
from smearscan.runtime.sure import Sure

if TYPE_CHECKING:
    from smearscan.runtime.torch_engine import FromPixels

ENGINES = ("auto", "openvino", "onnxruntime", "tensorrt", "torch")
Precision = Literal["f32", "bf16"]

CURES = {
    "openvino": "pip install openvino",
    "onnxruntime": "pip install 'smearscan[onnx]'",
    "tensorrt": "pip install 'smearscan[tensorrt]' on a machine with a GPU of NVIDIA",
}
"""How to get an engine that is not installed."""

NO_BF16 = "; f32, because it has no bf16 on this device"
FAR_BF16 = "; f32, because bf16 is too far from torch"


class Engine(Protocol):
    """Runs a network on pictures; safe to call from several threads."""

    name: str

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map (B, H, W, 3) uint8 RGB to the network's output, (B, ...) float32; B may be 0."""
        ...


@dataclass(frozen=True, slots=True)
class Blueprint:
    """How a network is made, and what tells it from all others.

    Attributes
    ----------
    identity : str
        Differs wherever the network does (hash of the weights, architecture); empty: is not to be kept.
    answers : str
        ``boxes``, (B, 4 + K, A): center xywh in pixels and K probabilities of each anchor, or ``logits``,
        (B, K).
    batch : int
        Pictures of one fixed batch.
    sides : tuple of int
        Smallest and largest side of a picture, pixels.
    build : callable
        Makes the torch network.
    heads : tuple of int
        How many of the logits, in their order, belong to each question that the network answers; they add up
        to K. Empty: all to one.
    """

    identity: str
    answers: Literal["boxes", "logits"]
    batch: int
    sides: tuple[int, int]
    build: "Callable[[], FromPixels]"
    heads: tuple[int, ...] = ()

    @property
    def example(self) -> tuple[int, int]:
        """Height and width of a picture the network takes."""
        low, high = self.sides
        return (min(high, max(low, 256)),) * 2


class Backend(Protocol):
    """Compiles networks and loads what was compiled."""

    name: str
    made_with: tuple[str, ...]

    def compiled(self, network: "FromPixels", blueprint: Blueprint, precision: Precision) -> bytes:
        """Compile a network to what can be kept in a file."""
        ...

    def loaded(self, payload: bytes, blueprint: Blueprint, precision: Precision) -> Engine:
        """Make an engine of it."""
        ...

    def has_bf16(self) -> bool:
        """Tell whether the hardware computes in bfloat16 of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Made:
    """An engine and how it came about.

    Attributes
    ----------
    engine : Engine
    why : str
        Why this one, in words.
    apart : Difference or None
        Outcome of the self-check; None of torch itself, which is the measure.
    from_cache : bool
        Whether it was compiled before.
    """

    engine: Engine
    why: str
    apart: check.Difference | None = None
    from_cache: bool = False


def make_engine(
    blueprint: Blueprint, device: str = "auto", engine: str = "auto", precision: Precision = "f32"
) -> Engine:
    """Make a network ready to run; see :func:`make`."""
    return make(blueprint, device, engine, precision).engine


def make(
    blueprint: Blueprint, device: str = "auto", engine: str = "auto", precision: Precision = "f32"
) -> Made:
    """Make a network ready to run.

    What is compiled is compared with torch on drawn pictures (:mod:`smearscan.runtime.check`) and kept
    (:mod:`smearscan.runtime.cache`), and is neither compiled nor compared the next time.

    Parameters
    ----------
    blueprint : Blueprint
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    engine : str
        One of :data:`ENGINES`; ``auto`` is OpenVINO on the CPU, torch elsewhere.
    precision : str
        ``bf16`` lets logits be computed in bfloat16 where the hardware does so of its own and the self-check
        holds, and anew in float32 where they leave doubt (:mod:`smearscan.runtime.sure`): alone, bfloat16
        was seen to move a real cell's probability by more than :data:`smearscan.runtime.check.PROBABILITY`.
        Boxes stay float32, bfloat16 moves them by more than a pixel.

    Raises
    ------
    EngineError
        If the device or the engine is not available, they exclude each other, or the answers are too far
        from torch's.
    """
    device, engine, why = choose(device, engine)
    half = precision == "bf16" and blueprint.answers == "logits"
    if engine == "torch":
        return _made_by_torch(blueprint, device, half, why)
    backend = _backend(engine, device)
    if half and not backend.has_bf16():
        why += NO_BF16
        half = False
    exact = _compiled(backend, blueprint, device, "f32", why)
    assert exact is not None
    if not half:
        return exact
    made = _compiled(
        backend, blueprint, device, "bf16", why, lambda quick: Sure(quick, exact.engine, blueprint.heads)
    )
    if made is None:
        return replace(exact, why=why + FAR_BF16)
    return replace(made, from_cache=made.from_cache and exact.from_cache)


def choose(device: str, engine: str) -> tuple[str, str, str]:
    """Settle device and engine.

    Returns
    -------
    device, engine, why : str
        The last one in words.

    Raises
    ------
    EngineError
        As :func:`make`.
    """
    if engine not in ENGINES:
        raise EngineError(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
    if engine == "auto":
        chosen = choose_device(device)
        if chosen != "cpu":
            return chosen, "torch", f"torch runs on {chosen}"
        if installed("openvino"):
            return chosen, "openvino", "the quickest on a CPU"
        return chosen, "torch", f"openvino, quicker on a CPU, is not installed ({CURES['openvino']})"
    if not installed(engine):
        raise EngineError(f"engine {engine} is not installed; {CURES[engine]}, or use --engine torch")
    if engine in ("openvino", "onnxruntime"):
        chosen = choose_device("cpu" if device == "auto" else device)
        if chosen != "cpu":
            raise EngineError(
                f"engine {engine} runs on the CPU, not on {chosen}; use --device cpu or --engine torch"
            )
        return chosen, engine, "was asked for"
    chosen = choose_device(device)
    if engine == "tensorrt" and not chosen.startswith("cuda"):
        raise EngineError(f"engine tensorrt runs on a GPU of NVIDIA, not on {chosen}; use --engine auto")
    return chosen, engine, "was asked for"


def installed(engine: str) -> bool:
    """Tell whether an engine's packages are there."""
    needed = {"openvino": ("openvino",), "torch": ()}.get(engine, ("onnx", "onnxruntime"))
    if any(importlib.util.find_spec(package) is None for package in needed):
        return False
    if engine != "tensorrt":
        return True
    import onnxruntime

    return "TensorrtExecutionProvider" in onnxruntime.get_available_providers()


def choose_device(device: str) -> str:
    """Resolve ``auto`` (a GPU of NVIDIA, else the CPU), and check any other device.

    Raises
    ------
    EngineError
        If the device is not there.
    """
    if device == "cpu" or (device == "auto" and not _has_nvidia_driver()):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"device {device!r} is not available on this machine; use --device cpu") from error
    return str(chosen)


def _has_nvidia_driver() -> bool:
    """Tell without torch, whose import takes longer than a scan's first field."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _backend(engine: str, device: str) -> Backend:
    if engine == "openvino":
        from smearscan.runtime.openvino_engine import OpenVino

        return OpenVino()
    from smearscan.runtime.onnx_engine import OnnxRuntime, TensorRt

    return OnnxRuntime() if engine == "onnxruntime" else TensorRt(device)


def _made_by_torch(blueprint: Blueprint, device: str, half: bool, why: str) -> Made:
    from smearscan.runtime.torch_engine import TorchEngine

    network = blueprint.build()
    engine = TorchEngine(network, device, blueprint.batch)
    if half and device == "cpu":
        why += NO_BF16
    elif half:
        quick = TorchEngine(network, device, blueprint.batch, precision="bf16")
        both = Sure(quick, engine, blueprint.heads)
        apart = check.difference(engine, both, blueprint)
        if apart.holds:
            return Made(both, why, apart)
        why += FAR_BF16
    if device != "cpu":  # the first batch loads kernels
        engine.run(np.zeros((1, *blueprint.example, 3), np.uint8))
    return Made(engine, why)


def _compiled(
    backend: Backend,
    blueprint: Blueprint,
    device: str,
    precision: Precision,
    why: str,
    as_used: Callable[[Engine], Engine] = lambda engine: engine,
) -> Made | None:
    """Load what was compiled before, or compile, check as used, and keep it; None if bf16 does not hold."""
    made_from = (blueprint.identity, blueprint.batch, blueprint.sides, device, precision)
    file = cache.file_of(backend.name, backend.made_with, *made_from) if blueprint.identity else None
    entry = cache.read(file)
    if entry:
        try:
            known = backend.loaded(entry.payload, blueprint, precision) if entry.payload else None
            return Made(as_used(known), why, entry.apart, from_cache=True) if known else None
        except Exception:  # whatever a library says of a file it cannot use: it is made again
            pass
    from smearscan.runtime.torch_engine import TorchEngine

    network = blueprint.build()
    payload = backend.compiled(network, blueprint, precision)
    engine = as_used(backend.loaded(payload, blueprint, precision))
    apart = check.difference(TorchEngine(network, "cpu", blueprint.batch), engine, blueprint)
    if apart.holds:
        cache.write(file, cache.Entry(apart, payload))
        return Made(engine, why, apart)
    if precision == "bf16":
        cache.write(file, cache.Entry(apart, b""))
        return None
    raise EngineError(
        f"engine {engine.name} is too far from torch on the pictures of the self-check: {apart}; allowed are "
        f"{check.BOX_PX} px and {check.PROBABILITY}. Use --engine torch"
    )
