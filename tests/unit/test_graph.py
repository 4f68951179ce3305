"""Graphs: a network's constants computed from its weights file, and the engine made without torch."""

import io
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from small_nets import logits
from torch import nn

from smearscan.classification.classifier import Pair, joint_network_spec
from smearscan.detection.detector import network_spec
from smearscan.errors import EngineError, WeightsError
from smearscan.runtime import engine as module
from smearscan.runtime.graph import constant, gain, read
from smearscan.runtime.network import NetworkSpec
from smearscan.runtime.openvino_engine import to_openvino
from smearscan.weights.pairs import shipped, shipped_folder
from smearscan.weights.tensors import graph_file

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
TENSORS = {
    "conv.weight": RNG.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "bn.weight": RNG.normal(size=4).astype(np.float32),
    "bn.bias": RNG.normal(size=4).astype(np.float32),
    "bn.running_mean": RNG.normal(size=4).astype(np.float32),
    "bn.running_var": RNG.uniform(0.5, 2, 4).astype(np.float32),
}


def stored(place: Path, identity: str, constants: list[dict[str, object]], literals: bytes = b"") -> Path:
    about = {"identity": identity, "constants": constants, "answers": 1}
    buffer = io.BytesIO()
    np.savez(
        buffer, xml=np.frombuffer(b"<net/>", np.uint8), literals=np.frombuffer(literals, np.uint8),
        about=np.frombuffer(json.dumps(about).encode(), np.uint8), answers0=np.zeros((1, 2), np.float32),
    )  # fmt: skip
    place.write_bytes(buffer.getvalue())
    return place


@pytest.mark.parametrize("way", ["quotient", "product"])
def test_a_folded_normalization_is_that_of_torch(way: str) -> None:
    norm = nn.BatchNorm2d(4, eps=1e-3)
    norm.load_state_dict(
        {k[3:]: torch.from_numpy(v) for k, v in TENSORS.items() if k[:3] == "bn."}, strict=False
    )
    conv = nn.Conv2d(3, 4, 3, bias=False)
    conv.load_state_dict({"weight": torch.from_numpy(TENSORS["conv.weight"])})
    image = torch.rand(1, 3, 8, 8)
    how = {"of": 0, "norm": "bn.", "eps": 1e-3, "way": way}
    kernel = np.frombuffer(constant({**how, "tensor": "conv.weight"}, b"", [TENSORS]), np.float32)
    offset = np.frombuffer(constant(how, b"", [TENSORS]), np.float32)
    with torch.no_grad():
        expected = norm.eval()(conv(image))
        folded = nn.functional.conv2d(image, torch.tensor(kernel).view(4, 3, 3, 3), torch.tensor(offset))
    assert torch.allclose(folded, expected, atol=1e-5)
    assert gain(TENSORS, "bn.", 1e-3, way).dtype == np.float32


def test_a_tensor_and_a_literal_are_given_as_they_are(tmp_path: Path) -> None:
    how = [{"literal": [1, 3]}, {"of": 0, "tensor": "bn.bias"}]
    graph = read(stored(tmp_path / "g.npz", "mine", how, b"abcd"), "mine", [TENSORS])
    assert graph is not None
    assert graph.constants == b"bc" + TENSORS["bn.bias"].tobytes()
    assert graph.xml == b"<net/>"


def test_none_is_read_where_there_is_none_or_another_networks(tmp_path: Path) -> None:
    assert read(tmp_path / "none.npz", "mine", []) is None
    assert read(stored(tmp_path / "g.npz", "other", []), "mine", []) is None


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    file = stored(tmp_path / "g.npz", "mine", [{"of": 0, "tensor": "gone"}])
    with pytest.raises(WeightsError, match=r"g\.npz: is damaged .*delete it"):
        read(file, "mine", [TENSORS])
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(WeightsError, match="is damaged"):
        read(file, "mine", [TENSORS])


def test_weights_without_a_graph_ask_for_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "installed", lambda name: name != "torch")
    with pytest.raises(EngineError, match=r"openvino needs torch to compile these weights.*pip install"):
        module.make(logits(), "cpu", "openvino")


def shipped_networks() -> list[tuple[Path, NetworkSpec]]:
    detector = shipped("detector")
    made = [(graph_file(detector), network_spec(detector)[1])]
    every = ["differential", "blast", "cells"]
    unlike = [f"{task}_unlike" for task in every]
    for names in (every[:1], every[1:2], every[:2], every, unlike[:1], unlike[1:2], unlike):
        pairs = [Pair.read(shipped(name)) for name in names]
        made.append((graph_file(*(pair.path for pair in pairs)), joint_network_spec(pairs)))
    return made


@pytest.mark.weights
def test_every_shipped_network_has_a_graph_of_its_weights() -> None:
    for file, spec in shipped_networks():
        graph = spec.graph()
        assert graph is not None, f"{file.name} is not of the shipped weights: make graphs"
        assert len(graph.answers) == len(module.check.pictures(spec))
    assert {file for file, _ in shipped_networks()} == set((shipped_folder("weights") / "graphs").iterdir())


@pytest.mark.weights
def test_a_graph_answers_as_what_torch_converts_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    _, spec = shipped_networks()[2]
    images = RNG.integers(0, 256, (spec.batch, *spec.example, 3), np.uint8)
    from smearscan.runtime.openvino_engine import OpenVinoEngine, blob_of

    direct = OpenVinoEngine(blob_of(to_openvino(spec.build(), spec, spec.batch), "f32"), spec.batch, "f32")
    monkeypatch.setattr(module.cache, "file_of", lambda *_: None)
    monkeypatch.setattr(module, "installed", lambda name: name != "torch")
    assert np.array_equal(module.make(spec, "cpu", "openvino").engine.run(images), direct.run(images))


def test_the_scan_only_requirements_are_those_of_the_package() -> None:
    every = set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    )
    lines = (ROOT / "requirements" / "scan.txt").read_text(encoding="utf-8").splitlines()
    asked = {line for line in lines if line and not line.startswith("#")}
    assert asked < every
    left_out = {re.split(r"[><=]", line)[0] for line in every - asked}
    assert left_out == {"torch", "torchvision", "ultralytics", "scikit-learn", "matplotlib"}
