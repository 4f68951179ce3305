"""Small networks with the shapes of the real ones, for tests of engines."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smearscan.runtime import NetworkSpec, engine
from smearscan.runtime.batches import Batched
from smearscan.runtime.graph import Graph
from smearscan.runtime.network import Precision
from smearscan.runtime.torch_engine import FromPixels, TorchEngine

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def network(seed: int = 0) -> FromPixels:
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Conv2d(8, 4, 3),
        nn.AdaptiveAvgPool2d(1),
    )
    return FromPixels(nn.Sequential(layers, nn.Flatten(), nn.Linear(4, 5)), MEAN, STD).eval()


class Boxes(nn.Module):
    """Maps pictures to (B, 4 + 3, A), as the detector does, for anchors 8 px apart."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 8, stride=8), nn.SiLU(), nn.Conv2d(16, 7, 1))

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.layers(images).flatten(2)
        return torch.cat([64 * out[:, :4], out[:, 4:].sigmoid()], dim=1)


def logits(identity: str = "", seed: int = 0) -> NetworkSpec:
    return NetworkSpec(identity, "logits", 4, (32, 128), lambda: network(seed))


def boxes(identity: str = "") -> NetworkSpec:
    return NetworkSpec(identity, "boxes", 1, (32, 128), lambda: FromPixels(Boxes()).eval())


def pictures(n: int, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, height, width, 3), np.uint8)


class Shifted(Batched):
    """Torch's answers, moved."""

    def __init__(self, network_spec: NetworkSpec, by: float) -> None:
        super().__init__("shifted", network_spec.batch)
        self._true, self._by = TorchEngine(network_spec.build(), "cpu", network_spec.batch), by

    def _infer(self, batch: NDArray[Any]) -> NDArray[Any]:
        out = self._true._infer(batch)
        out[:, 1] += self._by  # y of a box, or one logit
        return out


class Backend:
    """Compiles to nothing; moves answers by a number for each precision."""

    name = "openvino"
    made_with: tuple[str, ...] = ()

    def __init__(self, f32: float = 0.0, bf16: float = 0.0, native: bool = True) -> None:
        self._by, self._native = {"f32": f32, "bf16": bf16}, native

    def compiled(self, network: FromPixels, network_spec: NetworkSpec, precision: Precision) -> bytes:
        return precision.encode()

    def compiled_graph(self, graph: Graph, precision: Precision) -> None:
        return None

    def loaded(self, payload: bytes, network_spec: NetworkSpec, precision: Precision) -> Batched:
        assert payload == precision.encode()
        return Shifted(network_spec, self._by[precision])

    def has_bf16(self) -> bool:
        return self._native


def use(monkeypatch: pytest.MonkeyPatch, backend: Backend) -> None:
    """Let every engine that is not torch be made by a backend."""
    monkeypatch.setattr(engine, "_backend", lambda *_: backend)
