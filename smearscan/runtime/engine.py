"""What an engine is, which one is taken, and how it is made of a network: torch is the measure of all others.

torch itself is imported only where it is needed: with an engine that is already compiled, a scan starts
without.
"""

import ctypes
import importlib.util
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from smearscan.errors import EngineError
from smearscan.runtime import cache
from smearscan.runtime import self_check as check
from smearscan.runtime.mixed_precision import Bf16WithFallback
from smearscan.runtime.network import Backend, Engine, NetworkSpec, Precision

if TYPE_CHECKING:
    pass

ENGINES = ("auto", "openvino", "onnxruntime", "tensorrt", "torch")
CURES = {
    "torch": "install all that smearscan asks for (pip install -e . in its checkout, or its wheel with pip)",
    "openvino": "pip install openvino",
    "onnxruntime": "pip install onnx onnxruntime",
    "tensorrt": "pip install onnx onnxruntime-gpu tensorrt-cu12 on a machine with a GPU of NVIDIA",
}
"""How to get an engine that is not installed."""

_making = threading.Lock()
"""Networks are built and converted one at a time: the libraries that do it were not made for threads."""

NO_BF16 = "; f32, because it has no bf16 on this device"
FAR_BF16 = "; f32, because bf16 is too far from torch"


@dataclass(frozen=True, slots=True)
class EngineInfo:
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
    spec: NetworkSpec, device: str = "auto", engine: str = "auto", precision: Precision = "f32"
) -> Engine:
    """Make a network ready to run; see :func:`make`."""
    return make(spec, device, engine, precision).engine


def make(
    spec: NetworkSpec, device: str = "auto", engine: str = "auto", precision: Precision = "f32"
) -> EngineInfo:
    """Make a network ready to run.

    What is compiled is compared with torch on drawn pictures (:mod:`smearscan.runtime.self_check`) and kept
    (:mod:`smearscan.runtime.cache`), and is neither compiled nor compared the next time.

    Parameters
    ----------
    spec : NetworkSpec
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    engine : str
        One of :data:`ENGINES`; ``auto`` is OpenVINO on the CPU, torch elsewhere.
    precision : str
        ``bf16`` lets logits be computed in bfloat16 where the hardware does so of its own and the self-check
        holds, and anew in float32 where they leave doubt (:mod:`smearscan.runtime.mixed_precision`): alone,
        bfloat16 was seen to move a real cell's probability by more than
        :data:`smearscan.runtime.self_check.PROBABILITY`. Boxes stay float32, bfloat16 moves them by more
        than a pixel.

    Raises
    ------
    EngineError
        If the device or the engine is not available, they exclude each other, or the answers are too far
        from torch's.
    """
    device, engine, why = resolve_engine(device, engine)
    half = precision == "bf16" and spec.answers == "logits"
    if engine == "torch":
        return _made_by_torch(spec, device, half, why)
    backend = _backend(engine, device)
    if half and not backend.has_bf16():
        why += NO_BF16
        half = False
    exact = _compiled(backend, spec, device, "f32", why)
    assert exact is not None
    if not half:
        return exact
    made = _compiled(
        backend,
        spec,
        device,
        "bf16",
        why,
        lambda quick: Bf16WithFallback(quick, exact.engine, spec.heads),
    )
    if made is None:
        return replace(exact, why=why + FAR_BF16)
    return replace(made, from_cache=made.from_cache and exact.from_cache)


def resolve_engine(device: str, engine: str) -> tuple[str, str, str]:
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
        chosen = resolve_device(device)
        if chosen != "cpu":
            return chosen, "torch", f"torch runs on {chosen}"
        if installed("openvino"):
            return chosen, "openvino", "the quickest on a CPU"
        return chosen, "torch", f"openvino, quicker on a CPU, is not installed ({CURES['openvino']})"
    if not installed(engine):
        other = "openvino" if engine == "torch" else "torch"
        raise EngineError(f"engine {engine} is not installed; {CURES[engine]}, or use --engine {other}")
    if engine in ("openvino", "onnxruntime"):
        chosen = resolve_device("cpu" if device == "auto" else device)
        if chosen != "cpu":
            raise EngineError(
                f"engine {engine} runs on the CPU, not on {chosen}; use --device cpu or --engine torch"
            )
        return chosen, engine, "was asked for"
    chosen = resolve_device(device)
    if engine == "tensorrt" and not chosen.startswith("cuda"):
        raise EngineError(f"engine tensorrt runs on a GPU of NVIDIA, not on {chosen}; use --engine auto")
    return chosen, engine, "was asked for"


def installed(engine: str) -> bool:
    """Tell whether an engine's packages are there."""
    needed = {"openvino": ("openvino",), "torch": ("torch",)}.get(engine, ("onnx", "onnxruntime"))
    if any(importlib.util.find_spec(package) is None for package in needed):
        return False
    if engine != "tensorrt":
        return True
    import onnxruntime

    return "TensorrtExecutionProvider" in onnxruntime.get_available_providers()


def resolve_device(device: str) -> str:
    """Resolve ``auto`` (a GPU of NVIDIA, else the CPU), and check any other device.

    Raises
    ------
    EngineError
        If the device is not there.
    """
    if device == "cpu" or (device == "auto" and not (_has_nvidia_driver() and installed("torch"))):
        return "cpu"
    if not installed("torch"):
        raise EngineError(f"device {device!r} needs torch, which is not installed; {CURES['torch']}")
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


def _made_by_torch(spec: NetworkSpec, device: str, half: bool, why: str) -> EngineInfo:
    from smearscan.runtime.torch_engine import TorchEngine

    with _making:
        network = spec.build()
    engine = TorchEngine(network, device, spec.batch)
    if half and device == "cpu":
        why += NO_BF16
    elif half:
        quick = TorchEngine(network, device, spec.batch, precision="bf16")
        both = Bf16WithFallback(quick, engine, spec.heads)
        apart = check.difference(engine, both, spec)
        if apart.holds:
            return EngineInfo(both, why, apart)
        why += FAR_BF16
    if device != "cpu":  # the first batch loads kernels
        engine.run(np.zeros((1, *spec.example, 3), np.uint8))
    return EngineInfo(engine, why)


def _compiled(
    backend: Backend,
    spec: NetworkSpec,
    device: str,
    precision: Precision,
    why: str,
    as_used: Callable[[Engine], Engine] = lambda engine: engine,
) -> EngineInfo | None:
    """Load what was compiled before, or compile, check as used, and keep it; None if bf16 does not hold."""
    made_from = (spec.identity, spec.batch, spec.sides, device, precision)
    file = cache.file_of(backend.name, backend.made_with, *made_from) if spec.identity else None
    entry = cache.read(file)
    if entry:
        try:
            known = backend.loaded(entry.payload, spec, precision) if entry.payload else None
            return EngineInfo(as_used(known), why, entry.apart, from_cache=True) if known else None
        except Exception:  # whatever a library says of a file it cannot use: it is made again
            pass
    with _making:
        payload, engine, apart = _of_graph(backend, spec, precision, as_used) or _of_torch(
            backend, spec, precision, as_used
        )
    if apart.holds:
        cache.write(file, cache.Entry(apart, payload))
        return EngineInfo(engine, why, apart)
    if precision == "bf16":
        cache.write(file, cache.Entry(apart, b""))
        return None
    raise EngineError(
        f"engine {engine.name} is too far from torch on the pictures of the self-check: {apart}; allowed are "
        f"{check.BOX_PX} px and {check.PROBABILITY}. Use --engine torch"
    )


_Made = tuple[bytes, Engine, check.Difference]


def _of_graph(
    backend: Backend, spec: NetworkSpec, precision: Precision, as_used: Callable[[Engine], Engine]
) -> _Made | None:
    """Compile without torch, and compare with the answers it once gave; None where that cannot be."""
    graph = spec.graph()
    payload = backend.compiled_graph(graph, precision) if graph else None
    if graph is None or payload is None:
        return None
    engine = as_used(backend.loaded(payload, spec, precision))
    return payload, engine, check.difference_from(graph.answers, engine, spec)


def _of_torch(
    backend: Backend, spec: NetworkSpec, precision: Precision, as_used: Callable[[Engine], Engine]
) -> _Made:
    if not installed("torch"):
        raise EngineError(
            f"engine {backend.name} needs torch to compile these weights, and it is not installed; "
            f"{CURES['torch']}"
        )
    from smearscan.runtime.torch_engine import TorchEngine

    network = spec.build()
    payload = backend.compiled(network, spec, precision)
    engine = as_used(backend.loaded(payload, spec, precision))
    return payload, engine, check.difference(TorchEngine(network, "cpu", spec.batch), engine, spec)
