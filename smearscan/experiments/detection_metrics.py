"""How well boxes are found: average precision, recall, false positives a field."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes

IOU_THRESHOLDS = np.arange(0.5, 1.0, 0.05)
"""The ten thresholds of COCO's AP50-95."""


@dataclass(frozen=True, slots=True)
class Matched:
    """One field's boxes of one class against the truth.

    Attributes
    ----------
    correct : ndarray, (P, 10) bool
        Whether each found box is a true one at each of :data:`IOU_THRESHOLDS`.
    scores : ndarray, (P,) float32
    n_true : int
    """

    correct: NDArray[np.bool_]
    scores: NDArray[np.float32]
    n_true: int


def match(xyxy: NDArray[np.float32], scores: NDArray[np.float32], true_xyxy: NDArray[np.float32]) -> Matched:
    """Pair found boxes, best score first, each with the best true box that is still free."""
    order = np.argsort(-scores, kind="stable")
    overlap = boxes.iou(xyxy[order], true_xyxy)
    correct = np.zeros((len(order), len(IOU_THRESHOLDS)), bool)
    for t, limit in enumerate(IOU_THRESHOLDS):
        free = np.ones(len(true_xyxy), bool)
        for i, row in enumerate(overlap):
            if not free.any():
                break
            best = int(np.argmax(np.where(free, row, -1)))
            if row[best] >= limit:
                correct[i, t], free[best] = True, False
    return Matched(correct, scores[order], len(true_xyxy))


def average_precision(fields: Iterable[Matched]) -> NDArray[np.float64]:
    """Average precision at each IoU threshold, COCO's 101-point interpolation, shape (10,)."""
    fields = list(fields)
    if not fields:
        return np.zeros(len(IOU_THRESHOLDS))
    n_true = sum(f.n_true for f in fields)
    scores = np.concatenate([f.scores for f in fields])
    correct = np.concatenate([f.correct for f in fields])[np.argsort(-scores, kind="stable")]
    hits = correct.cumsum(axis=0)
    recall = hits / max(n_true, 1)
    precision = hits / np.arange(1, len(hits) + 1)[:, None]
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    points = np.linspace(0, 1, 101)
    result = np.zeros(len(IOU_THRESHOLDS))
    for t in range(len(IOU_THRESHOLDS)):
        at = np.searchsorted(recall[:, t], points, side="left")
        result[t] = (
            np.where(at < len(recall), envelope[np.minimum(at, len(recall) - 1), t], 0).mean()
            if len(recall)
            else 0
        )
    return result


def at_threshold(fields: Iterable[Matched], threshold: float) -> tuple[int, int, int]:
    """Count at IoU 0.5 and a score threshold: true boxes found, true boxes, false boxes."""
    found = true = false = 0
    for f in fields:
        keep = f.scores >= threshold
        hits = int(f.correct[keep, 0].sum())
        found, true, false = found + hits, true + f.n_true, false + int(keep.sum()) - hits
    return found, true, false
