"""Geometry of axis-aligned boxes, ``xyxy`` half-open: ``x0 <= x < x1``, ``y0 <= y < y1``, float32 pixels."""

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]


def as_boxes(values: object) -> Boxes:
    """Bring anything box-like to an (N, 4) float32 array; an empty input gives (0, 4).

    Raises
    ------
    ValueError
        If the values do not form rows of four.
    """
    return np.asarray(values, np.float32).reshape(-1, 4)


def areas(xyxy: Boxes) -> NDArray[np.float32]:
    """Area of each box in square pixels, shape (N,); an inverted box has area 0."""
    sides = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def mean_sides(xyxy: Boxes) -> NDArray[np.float32]:
    """Geometric mean of the two sides of each box in pixels, shape (N,)."""
    return np.asarray(np.sqrt(areas(xyxy)), np.float32)


def centers(xyxy: Boxes) -> NDArray[np.float32]:
    """Center ``(x, y)`` of each box, shape (N, 2)."""
    return np.asarray((xyxy[:, :2] + xyxy[:, 2:]) / 2, np.float32)


def intersections(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Area shared by each pair, shape (len(a), len(b)), square pixels."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Intersection over union of each pair, shape (len(a), len(b)), in [0, 1]."""
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float32)


def clip(xyxy: Boxes, height: int, width: int) -> Boxes:
    """Cut boxes to an image of `height` x `width` pixels; a box outside becomes empty, none is removed."""
    limit = np.array([width, height, width, height], np.float32)
    return np.asarray(np.clip(xyxy, 0, limit), np.float32)


def touches_border(xyxy: Boxes, height: int, width: int, margin_px: float = 1.0) -> NDArray[np.bool_]:
    """Tell which boxes come within `margin_px` of the image's edge, shape (N,)."""
    low = (xyxy[:, :2] <= margin_px).any(axis=1)
    high = (xyxy[:, 2:] >= np.array([width, height]) - margin_px).any(axis=1)
    return np.asarray(low | high)
