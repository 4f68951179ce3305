"""Training canvases for the detector: fields at the working scale, alone or four to a canvas.

A canvas is square; fields are brought to the working scale (a red cell of a given size), jittered in scale,
mirrored, turned by quarter turns (a smear has no upright) and recolored. Four-field canvases (mosaic, after
Bochkovskiy et al., arXiv:2004.10934) show many cells for little work; canvases of one field, padded as when
scanning, close the training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.training.annotated_fields import UNKNOWN, BoxedImage
from smearscan.training.clumps import CutOut, paste_clumps
from smearscan.training.stain import recolored

PAD = 114
"""Grey of the padding, the value YOLO networks are trained with."""

_MIN_VISIBLE = 0.3  # share of a box that a cut must leave for the box to stay
_Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class ScaledField:
    """A field kept in memory at no more than twice the working scale."""

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    labeled: NDArray[np.float32]
    red_cell_px: float


@dataclass(frozen=True, slots=True)
class Canvas:
    """One training example.

    Attributes
    ----------
    image : ndarray, (S, S, 3) uint8, RGB
    xyxy : ndarray, (N, 4) float32, canvas px
    labels : ndarray, (N,) int64
    labeled : ndarray, (S/8, S/8, 3) float32
        1 where the class is annotated; on an area of a set that does not annotate it, or that is unknown, 0.
    """

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    labeled: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clumps:
    """Cut-out cells to paste (red cells of `red_cell_px` beside them) and the share of fields with some."""

    cells: Sequence[CutOut]
    red_cell_px: float
    share: float


def scaled_field(item: BoxedImage, image: NDArray[np.uint8], working_px: float) -> ScaledField:
    """Shrink a field that is far above the working scale, so that a whole training set fits in memory."""
    factor = min(1.0, 2 * working_px / item.red_cell_px)
    if factor < 1:
        image = _resized(image, factor)
    return ScaledField(
        image,
        item.xyxy * np.float32(factor),
        item.labels,
        np.array(item.labeled, np.float32),
        item.red_cell_px * factor,
    )


def scale_jitter(rng: _Rng, wide_share: float) -> float:
    """Draw a factor: mostly within 15 % of the working scale, at times an octave off (for the ruler)."""
    spread = 1.0 if rng.random() < wide_share else 0.2
    return float(2.0 ** rng.uniform(-spread, spread))


def place(
    field: ScaledField,
    height: int,
    width: int,
    factor: float,
    rng: _Rng,
    clumps: Clumps,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """Resize, turn, recolor and cut (or pad) a field to exactly `height` x `width`; at times paste clumps.

    Returns
    -------
    image : ndarray, (height, width, 3) uint8
    xyxy : ndarray, (N, 4) float32, px of the returned image
    labels : ndarray, (N,) int64
    """
    image, xyxy = _turned(
        _resized(field.image, factor), field.xyxy * np.float32(factor), int(rng.integers(8))
    )
    h, w = image.shape[:2]
    # where the field's corner comes to lie in the window; negative = the field is cut
    y = int(rng.integers(min(0, height - h), max(0, height - h) + 1))
    x = int(rng.integers(min(0, width - w), max(0, width - w) + 1))
    out = np.full((height, width, 3), PAD, np.uint8)
    ys, xs = slice(max(y, 0), min(y + h, height)), slice(max(x, 0), min(x + w, width))
    out[ys, xs] = image[ys.start - y : ys.stop - y, xs.start - x : xs.stop - x]
    moved = xyxy + np.array([x, y, x, y], np.float32)
    seen = boxes.clip(moved, height, width)
    keep = boxes.areas(seen) >= np.maximum(_MIN_VISIBLE * boxes.areas(moved), 9)
    if clumps.cells and rng.random() < clumps.share:
        relative = factor * field.red_cell_px / clumps.red_cell_px
        pasted = paste_clumps(out, seen[keep], field.labels[keep], clumps.cells, relative, rng)
        return recolored(pasted[0], rng), *pasted[1:]
    return recolored(out, rng), seen[keep], field.labels[keep]


def mosaic(fields: list[ScaledField], size: int, factors: list[float], rng: _Rng, clumps: Clumps) -> Canvas:
    """Join four fields around a random middle."""
    cy, cx = (int(v) // 8 * 8 for v in rng.uniform(0.35 * size, 0.65 * size, 2))
    windows = [(0, cy, 0, cx), (0, cy, cx, size), (cy, size, 0, cx), (cy, size, cx, size)]
    image = np.empty((size, size, 3), np.uint8)
    labeled = np.zeros((size // 8, size // 8, 3), np.float32)
    every_xyxy, every_label = [], []
    for field, factor, (y0, y1, x0, x1) in zip(fields, factors, windows, strict=True):
        part, xyxy, labels = place(field, y1 - y0, x1 - x0, factor, rng, clumps)
        image[y0:y1, x0:x1] = part
        labeled[y0 // 8 : y1 // 8, x0 // 8 : x1 // 8] = field.labeled
        every_xyxy.append(xyxy + np.array([x0, y0, x0, y0], np.float32))
        every_label.append(labels)
    return _of_known(image, np.concatenate(every_xyxy), np.concatenate(every_label), labeled)


def single(field: ScaledField, size: int, factor: float, rng: _Rng, clumps: Clumps) -> Canvas:
    """Show one field, padded or cut to a square."""
    image, xyxy, labels = place(field, size, size, factor, rng, clumps)
    labeled = np.broadcast_to(field.labeled, (size // 8, size // 8, 3)).copy()
    return _of_known(image, xyxy, labels, labeled)


def _of_known(
    image: NDArray[np.uint8], xyxy: NDArray[np.float32], labels: NDArray[np.int64],
    labeled: NDArray[np.float32],
) -> Canvas:  # fmt: skip
    """Take unknown areas out of what is annotated."""
    known = labels != UNKNOWN
    for x0, y0, x1, y1 in xyxy[~known] / 8:
        labeled[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = 0
    return Canvas(image, xyxy[known], labels[known], labeled)


def _resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    height, width = (max(1, round(s * factor)) for s in image.shape[:2])
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def _turned(
    image: NDArray[np.uint8], xyxy: NDArray[np.float32], turn: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Apply one of the eight symmetries of a square to a picture and its boxes."""
    if turn & 1:
        image, width = image[:, ::-1], image.shape[1]
        xyxy = np.stack([width - xyxy[:, 2], xyxy[:, 1], width - xyxy[:, 0], xyxy[:, 3]], axis=1)
    if turn & 2:
        image, height = image[::-1], image.shape[0]
        xyxy = np.stack([xyxy[:, 0], height - xyxy[:, 3], xyxy[:, 2], height - xyxy[:, 1]], axis=1)
    if turn & 4:
        image, xyxy = image.transpose(1, 0, 2), xyxy[:, [1, 0, 3, 2]]
    return np.ascontiguousarray(image), np.ascontiguousarray(xyxy)
