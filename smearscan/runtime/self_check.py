"""The self-check: how far an engine's answers are from torch's, on fixed drawn pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.numeric import softmax

if TYPE_CHECKING:
    from smearscan.runtime.network import Engine, NetworkSpec

BOX_PX = 0.5
"""How far a box may be from torch's, pixels of the detector's working scale."""

PROBABILITY = 0.01
"""How far a probability may be from torch's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Largest differences between two engines: boxes in pixels, and probabilities."""

    box_px: float
    probability: float

    @property
    def holds(self) -> bool:
        """Whether both are within the tolerance; what is no number is not."""
        return self.box_px <= BOX_PX and self.probability <= PROBABILITY

    def __str__(self) -> str:
        boxes = f"boxes by {self.box_px:.2g} px, " if self.box_px else ""
        return f"{boxes}probabilities by {self.probability:.2g}"


def difference(one: "Engine", other: "Engine", spec: "NetworkSpec") -> Difference:
    """Compare two engines of one network on all pictures of :func:`pictures`."""
    return difference_from([one.run(images) for images in pictures(spec)], other, spec)


def difference_from(
    known: Sequence[NDArray[np.float32]], engine: "Engine", spec: "NetworkSpec"
) -> Difference:
    """Compare an engine's answers with those that are known, one array for each of :func:`pictures`."""
    both = zip(known, pictures(spec), strict=True)
    found = [_apart(answers, engine.run(images), spec) for answers, images in both]
    return Difference(*(float(np.max(each)) for each in zip(*found, strict=True)))


def probabilities(logits: NDArray[np.float32], heads: tuple[int, ...] = ()) -> list[NDArray[np.float32]]:
    """Probabilities (B, K) of the classes of each head, of logits (B, sum of K)."""
    return [softmax(part) for part in np.split(logits, np.cumsum(heads)[:-1].astype(int), axis=1)]


def _apart(a: NDArray[np.float32], b: NDArray[np.float32], spec: "NetworkSpec") -> tuple[float, float]:
    if spec.answers == "logits":
        both = zip(*(probabilities(logits, spec.heads) for logits in (a, b)), strict=True)
        return 0.0, max(float(np.abs(p - q).max()) for p, q in both)
    away = np.abs(a - b)
    return float(away[:, :4].max()), float(away[:, 4:].max())


def pictures(spec: "NetworkSpec") -> list[NDArray[np.uint8]]:
    """Draw pictures of cells, two batches of each of up to two shapes: [(2 B, H, W, 3) uint8 RGB].

    They are always the same for a network: the same numbers come out on every machine.
    """
    low, high = spec.sides
    long, short = min(high, max(low, 320)), min(high, max(low, 192))
    rng = np.random.default_rng(0)
    return [
        np.stack([_cells(rng, height, width) for _ in range(2 * spec.batch)])
        for height, width in dict.fromkeys([(short, long), (long, short)])
    ]


def _cells(rng: "np.random.Generator", height: int, width: int) -> NDArray[np.uint8]:
    """Draw red cells and, on top, one with a nucleus; not for the eye, but no noise to a network either."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = rng.integers(200, 245, 3)

    def disc(color: tuple[int, int, int], radius: int, near: tuple[int, int] | None = None) -> None:
        spread = (width, height) if near is None else (radius, radius)
        low = (0, 0) if near is None else (near[0] - radius // 2, near[1] - radius // 2)
        x, y = (int(c) for c in low + rng.integers(0, spread))
        tint = [int(c) for c in np.add(color, rng.integers(-15, 16, 3))]
        cv2.circle(image, (x, y), radius, tint, -1, cv2.LINE_AA)

    for _ in range(height * width // 3000):
        disc((205, 150, 160), int(rng.integers(13, 18)))
    middle = (width // 2, height // 2)
    disc((170, 150, 200), 30, middle)
    for _ in range(3):
        disc((90, 50, 140), int(rng.integers(10, 16)), middle)
    noisy = cv2.GaussianBlur(image, (0, 0), 1.2) + rng.normal(0, 3, image.shape)
    return np.asarray(np.clip(noisy, 0, 255), np.uint8)
