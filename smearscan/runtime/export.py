"""A network as a file of its own, for other programs: written, read back, and compared with torch."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smearscan.errors import ConfigError, EngineError
from smearscan.runtime import self_check as check
from smearscan.runtime.engine import CURES, installed
from smearscan.runtime.network import Engine, NetworkSpec

if TYPE_CHECKING:
    from torch import nn

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".pt"}
"""File name suffix of each format; OpenVINO writes a second file, ``.bin``."""


def export(spec: NetworkSpec, form: str, out: Path) -> check.Difference:
    """Write a network that maps (B, H, W, 3) uint8 RGB to what the spec says; B, H and W stay open.

    Parameters
    ----------
    spec : NetworkSpec
    form : str
        A key of :data:`SUFFIXES`.
    out : Path
        The file, with the format's suffix.

    Returns
    -------
    Difference
        Between the file, read back and run with another batch size, and torch.

    Raises
    ------
    ConfigError
        If the suffix is another, or the file cannot be written.
    EngineError
        If the format's packages are not installed, or the file's answers are too far from torch's (it is
        removed then).
    """
    if out.suffix != SUFFIXES[form]:
        raise ConfigError(f"{out}: the format {form} has files named *{SUFFIXES[form]}; name it so")
    needed = {"onnx": "onnxruntime", "openvino": "openvino"}.get(form, "torch")
    if not installed(needed):
        raise EngineError(f"the format {form} needs {needed}, which is not installed; {CURES[needed]}")
    from smearscan.runtime.torch_engine import TorchEngine

    network = spec.build().eval()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        read_back = _WAYS[form](network, spec, out)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror}); give another place") from error
    apart = check.difference(TorchEngine(network, "cpu", spec.batch), read_back, spec)
    if not apart.holds:
        for file in (out, out.with_suffix(".bin")):
            file.unlink(missing_ok=True)
        raise EngineError(f"{out}: its answers are too far from torch's ({apart}); it was removed")
    return apart


def _onnx(network: "nn.Module", spec: NetworkSpec, out: Path) -> Engine:
    from smearscan.runtime.onnx_engine import OnnxEngine, to_onnx

    out.write_bytes(to_onnx(network, spec))
    return OnnxEngine("onnx", out.read_bytes(), spec.batch + 1, ["CPUExecutionProvider"])


def _openvino(network: "nn.Module", spec: NetworkSpec, out: Path) -> Engine:
    from smearscan.runtime.openvino_engine import (
        OpenVinoEngine,
        blob_of,
        core,
        import_openvino,
        to_openvino,
    )

    ov = import_openvino()
    ov.save_model(to_openvino(network, spec, -1), out, compress_to_fp16=False)
    return OpenVinoEngine(blob_of(core().read_model(out), "f32"), spec.batch + 1, "f32")


def _torchscript(network: "nn.Module", spec: NetworkSpec, out: Path) -> Engine:
    import torch

    from smearscan.runtime.torch_engine import TorchEngine

    example = torch.zeros(spec.batch, *spec.example, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing; its outcome is tested
        script: Any = torch.jit
        script.trace(network, example, check_trace=False).save(str(out))
        return TorchEngine(script.load(str(out)), "cpu", spec.batch + 1)


_WAYS: "dict[str, Callable[[nn.Module, NetworkSpec, Path], Engine]]" = {
    "onnx": _onnx,
    "openvino": _openvino,
    "torchscript": _torchscript,
}
