"""Networks run by ONNX Runtime: on the CPU, and with TensorRT on a GPU of NVIDIA."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from smearscan.errors import EngineError
from smearscan.io.kept import folder as cache_folder
from smearscan.runtime.batches import Answers, Batched, Pictures
from smearscan.runtime.network import NetworkSpec, Precision

if TYPE_CHECKING:
    from torch import nn

    from smearscan.runtime.graph import Graph

_OPSET = 17


class OnnxEngine(Batched):
    """Runs an ONNX network, each batch on one core (or on the GPU).

    Parameters
    ----------
    name : str
    payload : bytes or memoryview
        The network, see :func:`to_onnx`.
    batch, at_once : int
        See :class:`smearscan.runtime.batches.Batched`.
    providers : list
        What ONNX Runtime is to run it with, best first.
    """

    def __init__(
        self,
        name: str,
        payload: bytes | memoryview,
        batch: int,
        providers: list[Any],
        at_once: int | None = None,
    ) -> None:
        import onnxruntime

        super().__init__(name, batch, at_once)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(bytes(payload), options, providers=providers)
        wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if wanted not in self._session.get_providers():  # it would run on something slower, and not say so
            raise EngineError(f"engine {name}: ONNX Runtime cannot load its {wanted}; use --engine torch")

    def _infer(self, batch: Pictures) -> Answers:
        out: Answers = self._session.run(None, {"images": batch})[0]
        return out


class OnnxRuntime:
    """Prepares networks for ONNX Runtime on the CPU (a :class:`smearscan.runtime.network.Backend`)."""

    name = "onnxruntime"
    made_with: tuple[str, ...] = ("onnxruntime", "onnx", "torch")

    def compiled(self, network: "nn.Module", spec: NetworkSpec, precision: Precision) -> bytes:
        """Convert to ONNX; `precision` is float32."""
        return to_onnx(network, spec)

    def compiled_graph(self, graph: "Graph", precision: Precision) -> None:
        """ONNX Runtime reads no graph of OpenVINO's."""

    def loaded(self, payload: bytes | memoryview, spec: NetworkSpec, precision: Precision) -> Batched:
        """Make an engine of what :meth:`compiled` gave."""
        return OnnxEngine("onnxruntime cpu", payload, spec.batch, ["CPUExecutionProvider"])

    def has_bf16(self) -> bool:
        """Tell whether it computes in bfloat16: on the CPU it does not."""
        return False


class TensorRt(OnnxRuntime):
    """Prepares networks for TensorRT, by ONNX Runtime's provider, which keeps its engines in our cache."""

    name = "tensorrt"
    made_with = ("onnxruntime-gpu", "onnx", "torch", "tensorrt")

    def __init__(self, device: str) -> None:
        self._number = int(device.partition(":")[2] or 0)

    def loaded(self, payload: bytes | memoryview, spec: NetworkSpec, precision: Precision) -> Batched:
        """Make an engine of what :meth:`compiled` gave; the first time TensorRT takes minutes."""
        low, high = spec.sides
        shapes = {
            f"trt_profile_{name}_shapes": f"images:{spec.batch}x{side}x{side}x3"
            for name, side in (("min", low), ("opt", spec.example[0]), ("max", high))
        }
        folder = cache_folder()
        kept = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(folder)} if folder else {}
        tensorrt = {"device_id": self._number, "trt_bf16_enable": precision == "bf16", **shapes, **kept}
        providers = [
            ("TensorrtExecutionProvider", tensorrt),
            # TensorFloat-32, the default for convolutions, would move boxes
            ("CUDAExecutionProvider", {"device_id": self._number, "use_tf32": False}),
        ]
        name = f"tensorrt cuda:{self._number}" + (" bf16" if precision == "bf16" else "")
        return OnnxEngine(name, payload, spec.batch, providers, 1)

    def has_bf16(self) -> bool:
        """Tell whether it computes in bfloat16; the self-check tells whether that holds."""
        return True


def to_onnx(network: "nn.Module", spec: NetworkSpec) -> bytes:
    """Convert to ONNX: ``images`` (B, H, W, 3) uint8 RGB to ``answers`` (B, ...); B, H and W stay open."""
    import torch

    example = torch.zeros(spec.batch, *spec.example, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of the converter's own ways; its outcome is tested
        file = Path(folder) / "network.onnx"
        torch.onnx.export(
            network.eval(),
            (example,),
            str(file),
            input_names=["images"],
            output_names=["answers"],
            dynamic_axes={"images": {0: "batch", 1: "height", 2: "width"}, "answers": {0: "batch"}},
            opset_version=_OPSET,
            dynamo=False,  # the other converter needs onnxscript, and fixes sizes
        )
        return file.read_bytes()
