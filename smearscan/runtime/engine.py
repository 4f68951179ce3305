"""One network, ready to run: torch on any device, OpenVINO on the CPU.

A network is run in batches of one fixed size, the last one filled up. Numeric libraries choose their kernels
by shape, so only a fixed shape makes an image's answer independent of what else happens to be in its batch.
An engine may be called from several threads at once; on the CPU OpenVINO gives each batch one core, so that
the number of cores and what else they do changes no answer either.
"""

import importlib.util
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smearscan.errors import EngineError

ENGINES = ("auto", "openvino", "torch")


class Engine(Protocol):
    """Runs a network on pictures; safe to call from several threads."""

    name: str

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map (B, H, W, 3) uint8 RGB to the network's output, (B, ...) float32; B may be 0."""
        ...


class FromPixels(nn.Module):
    """Puts the way from camera pixels, (B, H, W, 3) uint8, to normalized NCHW in front of a network."""

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: tuple[float, float, float] = (0, 0, 0),
        std: tuple[float, float, float] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", (1 / (255 * torch.tensor(std))).view(1, 3, 1, 1))
        self.register_buffer("shift", (-torch.tensor(mean) / torch.tensor(std)).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalize and run."""
        out: Tensor = self.network(images.permute(0, 3, 1, 2).float() * self.scale + self.shift)
        return out


class TorchEngine:
    """Runs a network with torch on the CPU or a GPU, float32."""

    def __init__(self, network: FromPixels, device: torch.device, batch: int) -> None:
        self.name = f"torch {device}"
        self._network = network.eval().to(device).to(memory_format=torch.channels_last)
        self._device, self._batch = device, batch

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :class:`Engine`."""
        return _in_fixed_batches(self._run, images, self._batch)

    @torch.inference_mode()
    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        out: NDArray[np.float32] = (
            self._network(torch.from_numpy(images).to(self._device)).float().cpu().numpy()
        )
        return out


class OpenVinoEngine:
    """Runs a network with OpenVINO on the CPU, float32; compiled once, for pictures of any shape.

    As many batches run at once as there are cores, each on one: for networks this small that is quicker than
    all cores on one batch, and leaves no order of additions to chance.
    """

    def __init__(self, network: FromPixels, batch: int, example_side: int) -> None:
        import openvino as ov

        self.name = "openvino cpu"
        self._batch = batch
        example = torch.zeros(batch, example_side, example_side, 3, dtype=torch.uint8)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the converter's own ways; its outcome is tested
            model = ov.convert_model(network.eval(), example_input=example)
        # height and width stay open: slides differ in scale, compiling for a new shape takes half a second
        model.reshape([batch, -1, -1, 3])
        cores = usable_cores()
        # f32: the answers of all engines agree to rounding; bf16 would move boxes and probabilities
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": cores,
            "INFERENCE_NUM_THREADS": cores,
            "ENABLE_CPU_PINNING": False,
        }
        compiled = ov.Core().compile_model(model, "CPU", options)
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(cores):
            self._requests.put(compiled.create_infer_request())
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="smearscan-infer")

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :class:`Engine`."""
        return _in_fixed_batches(self._run, images, self._batch, self._pool)

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = self._requests.get()  # waits until a core is free
        try:
            request.infer([images], share_inputs=True)
            out: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
        finally:
            self._requests.put(request)
        return out


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(device: str) -> torch.device:
    """Resolve ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Raises
    ------
    EngineError
        If the device is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(f"device {device!r} is not available on this machine; use --device cpu") from error
    return chosen


def make_engine(network: FromPixels, device: str, engine: str, batch: int, example_side: int) -> Engine:
    """Make a network ready to run.

    Parameters
    ----------
    network : FromPixels
        Takes camera pixels.
    device : str
        See :func:`choose_device`.
    engine : str
        ``auto`` (OpenVINO on the CPU, torch elsewhere), ``openvino`` or ``torch``.
    batch : int
        Pictures of one fixed batch.
    example_side : int
        Side of a picture the network accepts, pixels.

    Raises
    ------
    EngineError
        If the device or the engine is not available, or they exclude each other.
    """
    if engine not in ENGINES:
        raise EngineError(f"engine {engine!r} is not one of {', '.join(ENGINES)}")
    chosen = choose_device(device)
    with_openvino = importlib.util.find_spec("openvino") is not None
    if engine == "openvino" and not with_openvino:
        raise EngineError("engine openvino is not installed; pip install openvino, or use --engine torch")
    if engine == "openvino" and chosen.type != "cpu":
        raise EngineError(
            f"engine openvino runs on the CPU, not on {chosen}; use --device cpu or --engine torch"
        )
    if chosen.type == "cpu" and with_openvino and engine != "torch":
        return OpenVinoEngine(network, batch, example_side)
    return TorchEngine(network, chosen, batch)


def _in_fixed_batches(
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]], images: NDArray[np.uint8], batch: int,
    pool: ThreadPoolExecutor | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Run pictures in batches of one size, several at once where there is a pool."""
    if not len(images):  # the output's shape is only known from the network: ask it for one blank
        blank = np.zeros((batch, *images.shape[1:]), np.uint8)
        return np.asarray(run(blank)[:0], np.float32)

    def filled(start: int) -> NDArray[np.float32]:
        part = images[start : start + batch]
        missing = batch - len(part)
        if missing:
            part = np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.uint8)])
        return run(np.ascontiguousarray(part))[: batch - missing]

    starts = range(0, len(images), batch)
    at_once = pool.map if pool and len(starts) > 1 else map
    return np.concatenate(list(at_once(filled, starts)))
