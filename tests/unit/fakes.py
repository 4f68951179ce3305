"""Networks that find drawn discs and name them by color; what is done around networks is tested with them."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier
from smearscan.detection.detector import Detector
from smearscan.results import FieldFailure, FieldResult
from smearscan.scan import cell_classifier
from smearscan.scan.scanner import SmearScanner
from smearscan.scan.unlike_nets import UnlikeNets
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, RED_CELL_UM
from smearscan.weights import KnownCells
from smearscan.weights.pairs import ClassifierCard, DetectorCard

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


class LogitEngine:
    """Reads its logits off each crop's mean color: a crop's answer depends on that crop alone."""

    name = "fake"

    def __init__(self, k: int) -> None:
        self.mix = np.random.default_rng(k).normal(0, 0.2, (3, k))
        self.batches: list[int] = []

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(images))
        color = images.astype(np.float64).mean(axis=(1, 2)) - (199, 171, 206)  # a usual crop
        return (color @ self.mix).astype(np.float32)


def classifier(task: str, classes: tuple[str, ...], **card: Any) -> Classifier:
    made = ClassifierCard(
        name=task, task=task, architecture="none", classes=classes, crop_um=20, crop_px=32,
        mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), **{"sha256": "ab" * 32, **card},
    )  # fmt: skip
    return Classifier(LogitEngine(len(classes)), made)


def field(seed: int, n_white: int = 2, red_px: float = 32.0) -> NDArray[np.uint8]:
    """A field of about 2 leukocytes and 12 red cells, the leukocytes tinted so that their names differ."""
    rng = np.random.default_rng(seed)
    factor = red_px / 32.0
    wanted = [(0, 1.85 * red_px)] * n_white
    wanted += [(1, red_px * rng.uniform(0.97, 1.03)) for _ in range(12)]
    height, width = round((200 + seed % 3) * factor), round(260 * factor)
    image, xyxy = draw(height, width, scattered(rng, height, width, wanted))
    for x0, y0, x1, y1 in xyxy[:n_white].astype(int):
        image[(y0 + y1) // 2 - 3 : (y0 + y1) // 2 + 3, (x0 + x1) // 2 - 3 : (x0 + x1) // 2 + 3] += (
            rng.integers(0, 25, 3, dtype=np.uint8)
        )
    return image


UM_PER_PX = RED_CELL_UM / 32.0
"""Scale of a field as drawn here."""


def use_fake_nets(
    monkeypatch: pytest.MonkeyPatch, classes: tuple[str, ...] = DIFFERENTIAL_CLASSES,
    fine_classes: tuple[str, ...] = (), known_cells: KnownCells | None = None,
    unlike: dict[str, Classifier] | None = None, **blast_card: Any,
) -> None:  # fmt: skip
    """Give every scanner networks of this file in place of the shipped ones, and no shipped calibration.

    `unlike` answer on slides of unknown stain.
    """
    nets = {"differential": classifier("differential", classes, known_cells=known_cells)}
    nets["blast"] = classifier("blast", ("healthy", "blast"), **{"known_cells": known_cells, **blast_card})
    if fine_classes:
        nets["cells"] = classifier("cells", fine_classes, sha256="ce" * 32)
    others = {task: net.card for task, net in (unlike or {}).items()}
    fine = Path("cells.safetensors") if fine_classes else None
    monkeypatch.setattr(cell_classifier, "fine_pair", lambda _: fine)
    monkeypatch.setattr(cell_classifier, "unlike_nets", lambda *_: UnlikeNets(others, lambda: unlike or {}))
    monkeypatch.setattr(Detector, "load", lambda *_: detector())
    monkeypatch.setattr(cell_classifier, "load_classifiers", lambda paths, *_: [nets[p.stem] for p in paths])
    monkeypatch.setattr(cell_classifier, "shipped_calibration", lambda: Path("no calibration here"))


def scanner(**settings: object) -> SmearScanner:
    return SmearScanner(**{"um_per_px": UM_PER_PX, "false_colors": "read", **settings})


def assert_same(a: list[FieldResult | FieldFailure], b: list[FieldResult | FieldFailure]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert type(one) is type(other)
        if isinstance(one, FieldFailure) or isinstance(other, FieldFailure):
            assert one == other
            continue
        assert (one.path, one.slide_id, one.shape, one.types) == (
            other.path,
            other.slide_id,
            other.shape,
            other.types,
        )
        assert (one.scale, one.n_red_cells, one.n_platelets) == (
            other.scale,
            other.n_red_cells,
            other.n_platelets,
        )
        assert (one.fine_classes, one.fine_types) == (other.fine_classes, other.fine_types)
        for name in ("probs", "blast_probs", "fine_probs"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        np.testing.assert_array_equal(one.detections.xyxy, other.detections.xyxy)
        pd.testing.assert_frame_equal(one.to_frame(), other.to_frame())
