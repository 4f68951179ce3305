"""A network that finds drawn discs exactly: what the detector does around a network is tested with it."""

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.detector import Detector
from smearscan.weights import DetectorCard

WHITE = 240
COLORS = {0: (120, 40, 160), 1: (220, 90, 90), 2: (60, 160, 60)}
"""Of leukocytes, red cells and platelets as drawn here."""


class DiscEngine:
    """Finds each connected disc of a class color; its score depends on nothing but the class."""

    name = "fake"

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert images.dtype == np.uint8
        assert images.shape[1] % 32 == 0
        assert images.shape[2] % 32 == 0
        self.shapes.append((images.shape[1], images.shape[2]))
        rows = [self._row(c, box) for c, color in COLORS.items() for box in _found(images[0], color)]
        return np.array(rows, np.float32).reshape(-1, 7).T[None]

    def _row(self, c: int, box: tuple[int, int, int, int]) -> list[float]:
        x, y, w, h = box
        probs = [0.9 - 0.1 * k if k == c else 0.0 for k in range(3)]
        return [x + w / 2, y + h / 2, w, h, *probs]


def _found(image: NDArray[np.uint8], color: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    # midway to the background: a resized disc keeps its size
    toward = np.array(color, np.float32) - WHITE
    share = (image.astype(np.float32) - WHITE) @ toward / (toward @ toward)
    off = np.abs(image.astype(np.float32) - WHITE - share[..., None] * toward).max(axis=2)
    mask = ((share > 0.5) & (off < 30)).astype(np.uint8)
    stats = cv2.connectedComponentsWithStats(mask)[2][1:]
    return [tuple(int(v) for v in row[:4]) for row in stats if row[4] > 3]


def detector(working_red_cell_px: float = 32.0, tile_px: int = 640, **card: object) -> Detector:
    return Detector(
        DiscEngine(),
        DetectorCard(
            name="fake",
            architecture="yolov8n",
            classes=("leukocyte", "red_cell", "platelet"),
            working_red_cell_px=working_red_cell_px,
            tile_px=tile_px,
            thresholds=(0.5, 0.5, 0.5),
            **card,
        ),
    )


def draw(
    height: int, width: int, discs: list[tuple[int, float, float, float]]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Draw discs (class, center x, center y, diameter); return the picture and the visible boxes."""
    image = np.full((height, width, 3), WHITE, np.uint8)
    y, x = np.mgrid[:height, :width] + 0.5
    found = []
    for c, cx, cy, diameter in discs:
        mask = (x - cx) ** 2 + (y - cy) ** 2 <= diameter**2 / 4
        image[mask] = COLORS[c]
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        found.append([xs[0], ys[0], xs[-1] + 1, ys[-1] + 1])
    return image, np.array(found, np.float32).reshape(-1, 4)


def scattered(
    rng: np.random.Generator, height: int, width: int, wanted: list[tuple[int, float]]
) -> list[tuple[int, float, float, float]]:
    """Place discs (class, diameter) at random so that none touch; those without room are left out."""
    placed: list[tuple[int, float, float, float]] = []
    for c, diameter in wanted:
        for _ in range(60):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            if all(np.hypot(x - px, y - py) > (diameter + d) / 2 + 3 for _, px, py, d in placed):
                placed.append((c, float(x), float(y), diameter))
                break
    return placed


def in_order(xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
    return xyxy[np.lexsort(xyxy.T)]
