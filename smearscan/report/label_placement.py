"""Where the labels of a field's cells stand: near their cells, and never one on another."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_RINGS = (0.0, 0.6, 1.3, 2.2, 3.4, 5.0, 7.0, 9.5, 13.0)
"""How far a label may stand off its cell, in heights of a label."""
_ANGLES = 16


def place_labels(xyxy: NDArray[np.floating], sizes: NDArray[np.floating], shape: tuple[int, int]) -> Floats:
    """Place a label beside each box.

    The cells with the closest neighbors choose first. A label takes the nearest place that is free of other
    labels and covers the least of boxes, its own among them; where no place is free, the one that covers
    least of all.

    Parameters
    ----------
    xyxy : ndarray, (N, 4)
        Boxes of the cells, pixels.
    sizes : ndarray, (N, 2)
        Width and height of each label, pixels.
    shape : tuple of int
        ``(height, width)`` of the picture; labels lie within it, as far as they fit.

    Returns
    -------
    ndarray, (N, 2) float64
        Upper left corner, ``(x, y)``, of each label.
    """
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
    corners, placed = np.zeros((len(boxes), 2)), np.empty((0, 4))
    for i in _closest_first(boxes):
        spots, distance = _candidates(boxes[i], float(sizes[i][0]), float(sizes[i][1]), shape)
        rects = np.concatenate([spots, spots + sizes[i]], axis=1)
        area = float(np.prod(sizes[i]))
        on_labels = _overlaps(rects, placed) / area
        on_boxes = _overlaps(rects, boxes) / area
        # a label on a label cannot be read; one on a cell hides a part of it; a far one is hard to follow
        best = int(np.argmin(1000 * on_labels + on_boxes + 0.12 * distance))
        corners[i], placed = spots[best], np.concatenate([placed, rects[best : best + 1]])
    return corners


def _closest_first(boxes: Floats) -> NDArray[np.int64]:
    """Order of the boxes, those with the nearest neighbors first."""
    if len(boxes) < 2:
        return np.arange(len(boxes))
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    apart = np.hypot(*(middle[:, None] - middle[None]).transpose(2, 0, 1))
    nearest = np.sort(apart, axis=1)[:, 1 : min(4, len(boxes))].mean(axis=1)
    return np.argsort(nearest, kind="stable")


def _candidates(box: Floats, width: float, height: float, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Corners (M, 2) of places around a box, within the picture, and how far off it they are, in heights."""
    x0, y0, x1, y1 = box
    spots, off = [], []
    for k, ring in enumerate(_RINGS):
        gap = ring * height
        left, right, top, bottom = x0 - width - gap, x1 + gap, y0 - height - gap, y1 + gap
        if not k:
            own = [(x0, top), (x1 - width, top), (x0, bottom), (x1 - width, bottom)]
            own += [(right, y0), (left, y0), (right, y1 - height), (left, y1 - height)]
        else:
            angle = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
            x = (left + right) / 2 + (right - left) / 2 * np.cos(angle)
            y = (top + bottom) / 2 + (bottom - top) / 2 * np.sin(angle)
            own = list(zip(x, y, strict=True))
        spots += own
        # above and below, along the cell, a label is found soonest
        off += [ring + (0.3 * (i >= 2) + 0.3 * (i >= 4) if not k else 1.0) for i in range(len(own))]
    limit = np.maximum([shape[1] - width, shape[0] - height], 0)
    corners = np.asarray(spots, np.float64)
    inside = np.clip(corners, 0, limit)
    moved = np.abs(inside - corners).max(axis=1) / height
    return inside, np.asarray(off) + moved


def _overlaps(rects: Floats, others: Floats) -> Floats:
    """Area of each rectangle, (M, 4), that others, (N, 4), cover, counted for each of them, (M,)."""
    low = np.maximum(rects[:, None, :2], others[None, :, :2])
    high = np.minimum(rects[:, None, 2:], others[None, :, 2:])
    covered: Floats = np.prod(np.maximum(high - low, 0), axis=2).sum(axis=1)
    return covered
