"""A network as a file of its own, for other programs: written, read back, and compared with torch."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smearscan.errors import ConfigError, EngineError
from smearscan.runtime import check
from smearscan.runtime.engine import CURES, Blueprint, Engine, installed

if TYPE_CHECKING:
    from smearscan.runtime.torch_engine import FromPixels

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".pt"}
"""File name suffix of each format; OpenVINO writes a second file, ``.bin``."""


def export(blueprint: Blueprint, form: str, out: Path) -> check.Difference:
    """Write a network that maps (B, H, W, 3) uint8 RGB to what the blueprint says; B, H and W stay open.

    Parameters
    ----------
    blueprint : Blueprint
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

    network = blueprint.build().eval()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        read_back = _WAYS[form](network, blueprint, out)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written ({error.strerror}); give another place") from error
    apart = check.difference(TorchEngine(network, "cpu", blueprint.batch), read_back, blueprint)
    if not apart.holds:
        for file in (out, out.with_suffix(".bin")):
            file.unlink(missing_ok=True)
        raise EngineError(f"{out}: its answers are too far from torch's ({apart}); it was removed")
    return apart


def _onnx(network: "FromPixels", blueprint: Blueprint, out: Path) -> Engine:
    from smearscan.runtime.onnx_engine import OnnxEngine, to_onnx

    out.write_bytes(to_onnx(network, blueprint))
    return OnnxEngine("onnx", out.read_bytes(), blueprint.batch + 1, ["CPUExecutionProvider"])


def _openvino(network: "FromPixels", blueprint: Blueprint, out: Path) -> Engine:
    import openvino as ov

    from smearscan.runtime.openvino_engine import OpenVinoEngine, blob_of, core, to_openvino

    ov.save_model(to_openvino(network, blueprint, -1), out, compress_to_fp16=False)
    return OpenVinoEngine(blob_of(core().read_model(out), "f32"), blueprint.batch + 1, "f32")


def _torchscript(network: "FromPixels", blueprint: Blueprint, out: Path) -> Engine:
    import torch

    from smearscan.runtime.torch_engine import TorchEngine

    example = torch.zeros(blueprint.batch, *blueprint.example, 3, dtype=torch.uint8)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing; its outcome is tested
        script: Any = torch.jit
        script.trace(network, example, check_trace=False).save(str(out))
        return TorchEngine(script.load(str(out)), "cpu", blueprint.batch + 1)


_WAYS: "dict[str, Callable[[FromPixels, Blueprint, Path], Engine]]" = {
    "onnx": _onnx,
    "openvino": _openvino,
    "torchscript": _torchscript,
}
