"""The shipped networks as graphs that need no torch, see :mod:`smearscan.runtime.graph`."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import numpy as np

from smearscan.classification.classifier import Pair, joint_network_spec
from smearscan.detection.detector import network_spec
from smearscan.errors import EngineError
from smearscan.io.atomic import write_bytes
from smearscan.runtime import NetworkSpec
from smearscan.runtime import self_check as check
from smearscan.runtime.graph import Tensors, constant, read
from smearscan.runtime.openvino_engine import import_openvino, to_openvino
from smearscan.runtime.torch_engine import TorchEngine
from smearscan.weights.pairs import DetectorCard, read_pair, shipped
from smearscan.weights.tensors import arrays_of, graph_file

_NAMERS = (
    ("differential",),
    ("blast",),
    ("differential", "blast"),
    ("differential", "blast", "cells"),
    ("differential_unlike",),
    ("blast_unlike",),
    ("differential_unlike", "blast_unlike", "cells_unlike"),
)
_EPS = (1e-3, 1e-5)
"""Of the normalizations of YOLOv8 and of ResNet."""


def make_all() -> dict[Path, dict[str, int]]:
    """Make the graph of each network that a scan with shipped weights runs; tell what each holds, bytes."""
    detector = shipped("detector")
    _, data = read_pair(detector, DetectorCard)
    _, spec = network_spec(detector)
    told = {graph_file(detector): make(spec, [arrays_of(data, detector)], graph_file(detector))}
    for names in _NAMERS:
        pairs = [Pair.read(shipped(name)) for name in names]
        file = graph_file(*(pair.path for pair in pairs))
        told[file] = make(joint_network_spec(pairs), [arrays_of(p.data, p.path) for p in pairs], file)
    return told


def make(spec: NetworkSpec, tensors: list[Tensors], file: Path) -> dict[str, int]:
    """Write one graph, read it back and compare it with what was converted, to the byte.

    Raises
    ------
    EngineError
        If what is read back is anything else.
    """
    network = spec.build().eval()
    with TemporaryDirectory() as folder:
        xml = Path(folder) / "graph.xml"
        import_openvino().save_model(to_openvino(network, spec, spec.batch), xml, compress_to_fp16=False)
        text, stored = xml.read_bytes(), xml.with_suffix(".bin").read_bytes()
    known = {constant(how, b"", tensors): how for how in _computable(tensors)}
    constants, literals = [], b""
    for piece in _pieces(text, stored):
        how = known.get(piece)
        if how is None:
            how = {"literal": [len(literals), len(literals) + len(piece)]}
            literals += piece
        constants.append(how)
    torch = TorchEngine(network, "cpu", spec.batch)
    answers = [torch.run(images) for images in check.pictures(spec)]
    about = {"identity": spec.identity, "constants": constants, "answers": len(answers)}
    buffer = io.BytesIO()
    np.savez(
        buffer, xml=np.frombuffer(text, np.uint8), literals=np.frombuffer(literals, np.uint8),
        about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        **{f"answers{i}": answer for i, answer in enumerate(answers)},
    )  # fmt: skip
    write_bytes(file, buffer.getvalue())
    back = read(file, spec.identity, tensors)
    if back is None or (back.xml, back.constants) != (text, stored):
        file.unlink()
        raise EngineError(f"{file}: is not what was converted; it was removed")
    return {"topology": len(text), "computed": len(stored) - len(literals), "kept": len(literals)}


def _pieces(xml: bytes, stored: bytes) -> Iterator[bytes]:
    """Cut the constants apart; those that several layers share stand once, gaps are pieces of their own."""
    spans = set()
    for layer in ElementTree.fromstring(xml).iter("layer"):
        data = layer.find("data")
        if layer.get("type") == "Const" and data is not None:
            start = int(data.attrib["offset"])
            spans.add((start, start + int(data.attrib["size"])))
    at = 0
    for start, end in sorted(spans):
        if start < at:
            raise EngineError("constants of the converted network overlap")
        if start > at:
            yield stored[at:start]
        yield stored[start:end]
        at = end
    if at < len(stored):
        yield stored[at:]


def _computable(tensors: list[Tensors]) -> Iterator[dict[str, Any]]:
    """Every tensor, and every kernel with every normalization of as many channels folded into it."""
    for i, own in enumerate(tensors):
        kernels = {name: w for name, w in own.items() if w.ndim == 4}
        for name in own:
            yield {"of": i, "tensor": name}
            if not name.endswith("running_var"):
                continue
            for how in ({"eps": eps, "way": way} for eps in _EPS for way in ("quotient", "product")):
                norm = {"of": i, "norm": name.removesuffix("running_var"), **how}
                yield norm
                for kernel, weight in kernels.items():
                    if len(weight) == len(own[name]):
                        yield {**norm, "tensor": kernel}
