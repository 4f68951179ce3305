"""Networks run by OpenVINO on the CPU: the default there."""

import importlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np

from smearscan.runtime.batches import Answers, Batched, Pictures, usable_cores
from smearscan.runtime.network import NetworkSpec, Precision
from smearscan.runtime.process import check_process

if TYPE_CHECKING:
    from torch import nn

    from smearscan.runtime.graph import Graph


_making, _importing = threading.Lock(), threading.Lock()
_core: tuple[Any, int] | None = None
"""The core, and the process that made it."""


class OpenVinoEngine(Batched):
    """Runs a compiled network, each batch on one core; for networks this small that is also the quickest.

    Parameters
    ----------
    payload : bytes or memoryview
        See :meth:`OpenVino.compiled`.
    batch, at_once : int
        See :class:`smearscan.runtime.batches.Batched`.
    precision : str
        What it was compiled for.
    """

    def __init__(
        self, payload: bytes | memoryview, batch: int, precision: Precision, at_once: int | None = None
    ) -> None:
        super().__init__("openvino cpu" + (" bf16" if precision == "bf16" else ""), batch, at_once)
        if isinstance(payload, memoryview):  # is computed with where it lies: no copy of a file in memory
            self._lies_in = np.frombuffer(payload, np.uint8)
            blob = import_openvino().Tensor(self._lies_in, shared_memory=True)
        else:
            blob = payload
        compiled = core().import_model(blob, "CPU", _options(precision, self.at_once))
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.at_once):
            self._requests.put(compiled.create_infer_request())

    def _infer(self, batch: Pictures) -> Answers:
        request = self._requests.get()
        try:
            request.infer([batch], share_inputs=True)
            out: Answers = request.get_output_tensor(0).data.copy()
        finally:
            self._requests.put(request)
        return out


class OpenVino:
    """Compiles networks for the CPU (a :class:`smearscan.runtime.network.Backend`)."""

    name = "openvino"
    made_with: tuple[str, ...] = ("openvino", "torch")

    def __init__(self) -> None:
        if _core is not None:  # told before torch, too, would wait for threads that a fork left behind
            check_process(_core[1], "OpenVINO")

    def compiled(self, network: "nn.Module", spec: NetworkSpec, precision: Precision) -> bytes:
        """Compile once, for pictures of any size: slides differ in scale, and each shape costs half a second.

        The compiled network loads three times as quickly as OpenVINO's own file format.
        """
        return blob_of(to_openvino(network, spec, spec.batch), precision)

    def compiled_graph(self, graph: "Graph", precision: Precision) -> bytes:
        """Compile what was converted before: the same network, to the bit."""
        constants = np.frombuffer(graph.constants, np.uint8)
        tensor = import_openvino().Tensor(constants)
        return blob_of(core().read_model(graph.xml, tensor), precision)

    def loaded(self, payload: bytes | memoryview, spec: NetworkSpec, precision: Precision) -> Batched:
        """Make an engine of what :meth:`compiled` gave."""
        return OpenVinoEngine(payload, spec.batch, precision)

    def has_bf16(self) -> bool:
        """Tell whether the processor computes in bfloat16 of its own."""
        return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def core() -> Any:
    """Give the one ``openvino.Core`` of this process, whichever of its threads asks first.

    Its CPU plugin gives the thread that loads it a stack for signals. Two that go in the order they came
    leave the thread a stack whose memory is gone: the next signal with a handler (Ctrl-C, the end of a child)
    would end the process.

    Raises
    ------
    EngineError
        In a process that was forked off one that had it: the threads of its plugin are gone there.
    """
    global _core
    if _core is not None:  # before the lock, which may have been held when this process was forked off
        check_process(_core[1], "OpenVINO")
        return _core[0]
    with _making:
        if _core is None:
            ov = import_openvino()
            # Its bindings look up numpy's types at the first need, in a way (pybind11's) that lets two
            # threads wait for each other for ever: so once here, before any thread computes.
            ov.Type.u8.to_dtype()
            _core = ov.Core(), os.getpid()
        return _core[0]


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry, which sends usage data at the import and at each conversion.

    Where the package ``openvino_telemetry`` cannot be imported, OpenVINO takes a stub of its own that sends
    nothing. Its converter, which is two thirds of the time of the import, is imported when it is first
    called: compiled networks need none.
    """
    with _importing:
        if "openvino" not in sys.modules:
            with _hidden("openvino_telemetry"), _hidden("openvino.tools.ovc"):
                importlib.import_module("openvino")
        import openvino
    vars(openvino).setdefault("convert_model", _convert_model)
    return openvino


def _convert_model(*given: Any, **named: Any) -> Any:
    """Stand for ``openvino.convert_model`` until somebody calls it."""
    with _importing, _hidden("openvino_telemetry"):  # bound to the stub here, wherever it is first used
        from openvino.tools.ovc import convert_model
    vars(sys.modules["openvino"])["convert_model"] = convert_model
    return convert_model(*given, **named)


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Let imports of a module fail meanwhile."""
    there = {name: sys.modules[name] for name in (module,) if name in sys.modules}
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        sys.modules.update(there)


def to_openvino(network: "nn.Module", spec: NetworkSpec, batch: int) -> Any:
    """Convert to an ``openvino.Model`` of open height and width.

    Parameters
    ----------
    network : nn.Module
    spec : NetworkSpec
    batch : int
        Pictures a batch; -1 leaves it open.
    """
    import torch

    ov = import_openvino()
    example = torch.zeros(max(batch, 1), *spec.example, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the converter's own ways; its outcome is tested
        model = ov.convert_model(network.eval(), example_input=example)
    model.reshape([batch, -1, -1, 3])
    return model


def blob_of(model: Any, precision: Precision) -> bytes:
    """Compile an ``openvino.Model`` to bytes that :class:`OpenVinoEngine` loads."""
    compiled = core().compile_model(model, "CPU", _options(precision, usable_cores()))
    blob = compiled.export_model()
    return bytes(blob if isinstance(blob, bytes) else blob.getvalue())


def _options(precision: Precision, at_once: int) -> dict[str, object]:
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": at_once,
        "INFERENCE_NUM_THREADS": at_once,
        "ENABLE_HYPER_THREADING": True,  # else a stream may be left without a thread of its own
        "ENABLE_CPU_PINNING": False,
    }
