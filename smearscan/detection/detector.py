"""Stage one: finds leukocytes, red cells and platelets in whole fields, answers in field pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes, tiles
from smearscan.detection.nuclei import DOUBTED, one_name_each
from smearscan.results import Detections, Scale
from smearscan.runtime import Engine, NetworkSpec, make_engine
from smearscan.runtime.graph import Graph
from smearscan.runtime.graph import read as read_graph
from smearscan.taxonomy import LEUKOCYTE, RED_CELL_UM
from smearscan.weights.pairs import DetectorCard, content_of, shipped, verified_card
from smearscan.weights.tensors import arrays_of, fill, graph_file, tensors_of

if TYPE_CHECKING:
    from smearscan.runtime.torch_engine import FromPixels

PAD = 114
"""Gray of the padding, as in training."""

STRIDE = 32
"""Sides of the network's input are multiples of this, pixels."""

_LARGEST_LEUKOCYTE_UM = 30.0  # with its neighbor's touch; a large monocyte or promyelocyte is 20-25 um
_LEEWAY = 0.03  # of the working scale
_SEAM_MARGIN_PX = 4.0  # how far a cut cell's box may end before the seam


@dataclass(frozen=True, slots=True)
class Raw:
    """Network output of one picture, before thresholds: xyxy (A, 4) px of that picture, probs (A, 3)."""

    xyxy: NDArray[np.float32]
    probs: NDArray[np.float32]


class Detector:
    """Finds cells in fields of any size at any magnification, given their scale.

    Parameters
    ----------
    engine : Engine
        Maps (B, H, W, 3) uint8, sides multiples of 32, to (B, 7, A): center xywh and three probabilities.
    card : DetectorCard
        Working scale and thresholds.
    """

    def __init__(self, engine: Engine, card: DetectorCard) -> None:
        self.engine, self.card = engine, card

    @classmethod
    def load(cls, weights: Path | None = None, device: str = "auto", engine: str = "auto") -> "Detector":
        """Load a weights pair; the shipped one by default.

        Raises
        ------
        WeightsError
            If the pair is missing, altered or no detector's.
        EngineError
            If the device or engine is not available.
        """
        card, network = network_spec(weights or shipped("detector"))
        return cls(make_engine(network, device, engine), card)

    def detect(self, image: NDArray[np.uint8], scale: Scale) -> Detections:
        """Find cells.

        Parameters
        ----------
        image : ndarray, (H, W, 3) uint8 RGB
            A field of any size.
        scale : Scale
            Its physical scale.

        Returns
        -------
        Detections
            In field pixels, sorted by score.
        """
        shrink = self.card.working_red_cell_px / scale.red_cell_px
        working = resized(image, _fitting(image.shape[:2], shrink))
        height, width = working.shape[:2]
        overlap = int(_LARGEST_LEUKOCYTE_UM / RED_CELL_UM * self.card.working_red_cell_px)
        parts = []
        for tile in tiles.cut(height, width, self.card.tile_px, overlap):
            raw = self.raw(working[tile.y0 : tile.y1, tile.x0 : tile.x1])
            keep = tiles.off_seams(tile, raw.xyxy, _SEAM_MARGIN_PX)
            shift = np.array([tile.x0, tile.y0, tile.x0, tile.y0], np.float32)
            parts.append(Raw(raw.xyxy[keep] + shift, raw.probs[keep]))
        xyxy = np.concatenate([p.xyxy for p in parts])
        found = self.select(Raw(xyxy, np.concatenate([p.probs for p in parts])), working)
        factor = np.array([image.shape[1] / width, image.shape[0] / height] * 2, np.float32)
        return replace(found, xyxy=boxes.clip(found.xyxy * factor, *image.shape[:2]))

    def with_least_score(self, least: float) -> "Detector":
        """Return the detector with a higher threshold of leukocytes; its card's stays where it is higher."""
        thresholds = list(self.card.thresholds)
        thresholds[LEUKOCYTE] = max(thresholds[LEUKOCYTE], least)
        return Detector(self.engine, self.card.model_copy(update={"thresholds": tuple(thresholds)}))

    def raw(self, image: NDArray[np.uint8]) -> Raw:
        """Run the network on one picture, padded to multiples of the stride; boxes clipped to the picture."""
        height, width = image.shape[:2]
        down, right = -height % STRIDE, -width % STRIDE
        padded = cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(PAD, PAD, PAD))
        out = self.engine.run(np.asarray(padded, np.uint8)[None])[0].T
        out = out[out[:, 4:].max(axis=1) >= self.card.lowest_threshold]
        half = out[:, 2:4] / 2
        xyxy = np.concatenate([out[:, :2] - half, out[:, :2] + half], axis=1)
        return Raw(boxes.clip(xyxy, height, width), np.ascontiguousarray(out[:, 4:]))

    def select(
        self, raw: Raw, picture: NDArray[np.uint8], thresholds: Sequence[float] | None = None
    ) -> Detections:
        """Apply the score threshold of each class, then non-maximum suppression within each class.

        What is boxed both as leukocyte and as red cell of `picture` gets one name:
        :func:`smearscan.detection.nuclei.one_name_each`.
        """
        limit = np.array(thresholds if thresholds is not None else self.card.thresholds, np.float32)
        threshold = limit[LEUKOCYTE].copy()
        if thresholds is None:
            limit[LEUKOCYTE] = min(threshold, DOUBTED)
        anchor, label = np.nonzero(raw.probs >= limit)
        doubted = (label == LEUKOCYTE) & (raw.probs[anchor, label] < threshold)
        side = (raw.xyxy[anchor, 2:] - raw.xyxy[anchor, :2]).min(axis=1)
        keep = (boxes.areas(raw.xyxy[anchor]) > 1) & ~(doubted & (side < self.card.working_red_cell_px))
        anchor, label = anchor[keep], label[keep]
        xyxy, scores = raw.xyxy[anchor], raw.probs[anchor, label]
        xywh = np.concatenate([xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2]], axis=1)
        # each class by itself, best first; OpenCV's, as torchvision's would cost a scan the import of torch
        kept = cv2.dnn.NMSBoxesBatched(xywh.tolist(), scores.tolist(), label.tolist(), 0.0, self.card.nms_iou)
        order = np.asarray(kept, np.int64).reshape(-1)
        found = Detections(xyxy[order], scores[order], label[order].astype(np.int64))
        return one_name_each(_without_nested(found), picture, float(threshold))


def _without_nested(found: Detections, share: float = 0.85) -> Detections:
    """Drop a leukocyte whose box lies almost whole inside that of a better one (a nucleus seen as a cell)."""
    cells = np.flatnonzero(found.labels == LEUKOCYTE)
    xyxy = found.xyxy[cells]
    inside = boxes.intersections(xyxy, xyxy) / np.maximum(boxes.areas(xyxy), 1)[:, None]
    # sorted by score: columns left of the diagonal are better
    nested = np.tril(inside >= share, k=-1).any(axis=1)
    keep = np.ones(len(found), bool)
    keep[cells[nested]] = False
    return found.where(keep)


def _fitting(shape: tuple[int, ...], factor: float) -> float:
    """Shrink a field a little more where its sides then fill the network's input with less padding.

    By 3 % at most, the order to which a scale is known; boxes are brought back to field pixels all the same.
    Tiles play no part in it, so that a field cut into tiles is still answered as the whole one. A field that
    is not shrunk anyway is left as it is.
    """
    if factor >= 1:
        return factor
    tight = [math.floor(side * factor / STRIDE) * STRIDE / side for side in shape]
    allowed = [factor, *(f for f in tight if (1 - _LEEWAY) * factor <= f < factor)]

    def computed(f: float) -> tuple[int, float]:
        return math.prod(math.ceil(round(side * f) / STRIDE) for side in shape), -f

    return min(allowed, key=computed)


def resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Resize a picture by a factor, averaging when it shrinks."""
    height, width = (max(1, round(s * factor)) for s in image.shape[:2])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def network_spec(weights: Path) -> tuple[DetectorCard, NetworkSpec]:
    """Read a weights pair; tell how its network is made, without making it.

    Raises
    ------
    WeightsError
        As :meth:`Detector.load`.
    """
    card = verified_card(weights, DetectorCard)

    def build() -> "FromPixels":
        from smearscan.detection import yolo
        from smearscan.runtime.torch_engine import FromPixels

        network = yolo.build(card.architecture, len(card.classes))
        fill(network, tensors_of(content_of(weights, card), weights), weights)
        return FromPixels(yolo.fused(network))

    identity = f"{card.sha256} {card.architecture} {len(card.classes)}"

    def graph() -> Graph | None:
        return read_graph(graph_file(weights), identity, [arrays_of(content_of(weights, card), weights)])

    return card, NetworkSpec(identity, "boxes", 1, (STRIDE, card.tile_px), build, graph=graph)
