"""What an engine is and what it is told of a network; every engine's module imports this and nothing back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

    from smearscan.runtime.graph import Graph

Precision = Literal["f32", "bf16"]


class Engine(Protocol):
    """Runs a network on pictures; safe to call from several threads."""

    name: str

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map (B, H, W, 3) uint8 RGB to the network's output, (B, ...) float32; B may be 0."""
        ...


def no_graph() -> None:
    """Tell that a network has none made of it."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
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
    graph : callable
        Reads what was made of the network to do without torch, see :mod:`smearscan.runtime.graph`; or None.
    """

    identity: str
    answers: Literal["boxes", "logits"]
    batch: int
    sides: tuple[int, int]
    build: "Callable[[], nn.Module]"
    heads: tuple[int, ...] = ()
    graph: "Callable[[], Graph | None]" = no_graph

    @property
    def example(self) -> tuple[int, int]:
        """Height and width of a picture the network takes."""
        low, high = self.sides
        return (min(high, max(low, 256)),) * 2


class Backend(Protocol):
    """Compiles networks and loads what was compiled."""

    name: str
    made_with: tuple[str, ...]

    def compiled(self, network: "nn.Module", spec: NetworkSpec, precision: Precision) -> bytes:
        """Compile a network to what can be kept in a file."""
        ...

    def compiled_graph(self, graph: "Graph", precision: Precision) -> bytes | None:
        """Compile a network that was converted before; None where this engine takes none."""
        ...

    def loaded(self, payload: bytes | memoryview, spec: NetworkSpec, precision: Precision) -> Engine:
        """Make an engine of it."""
        ...

    def has_bf16(self) -> bool:
        """Tell whether the hardware computes in bfloat16 of its own."""
        ...
