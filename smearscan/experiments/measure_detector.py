"""Measures stage one: boxed fields, other magnifications, fields without leukocytes, drawn clumps."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.detection.detector import Detector, resized
from smearscan.differential.statistics.estimates import share
from smearscan.experiments.detection_metrics import Matched, at_threshold, average_precision, match
from smearscan.io.decode import read_image
from smearscan.results import Detections, Scale
from smearscan.rulers.scale import measure_scale
from smearscan.synthetic import LEUKEMIC, draw_clump
from smearscan.taxonomy import LEUKOCYTE, RED_CELL_UM
from smearscan.training.annotated_fields import UNKNOWN, BoxedImage, read_site
from smearscan.training.config import DetectorTraining

_LOWEST = 0.01  # average precision needs the weak detections too


def measure_fields(
    detector: Detector, items: Sequence[BoxedImage], known_scale: bool, factor: float = 1.0
) -> dict[str, Any]:
    """Measure leukocytes on annotated fields.

    Parameters
    ----------
    detector : Detector
    items : sequence of BoxedImage
    known_scale : bool
        Give the scale of the annotated red cells; False lets the ruler measure each field alone, as a user's
        single field is.
    factor : float
        The field is resized by it first: another magnification.

    Returns
    -------
    dict
        Figures with intervals, ready for a card.
    """
    permissive = _with_leukocyte_threshold(detector, _LOWEST)
    leukocytes: list[Matched] = []
    ratio = []
    for item in items:
        image = resized(read_image(item.path), factor) if factor != 1 else read_image(item.path)
        truth = item.xyxy * np.float32(factor)
        scale = (
            Scale(RED_CELL_UM / (item.red_cell_px * factor), "given")
            if known_scale
            else measure_scale(detector, [image])
        )
        ratio.append(scale.red_cell_px / (item.red_cell_px * factor))
        found = permissive.detect(image, scale)
        leukocytes.append(_matched(found, LEUKOCYTE, truth, item))
    figures = _figures(leukocytes, detector.card.thresholds[LEUKOCYTE])
    if not known_scale:
        figures["ruler_to_true"] = [round(float(v), 3) for v in np.percentile(ratio, [5, 50, 95])]
    return figures


def measure_sites(
    detector: Detector, config: DetectorTraining, data: Path, split: str, sites: Collection[str] = (),
    factors: Sequence[float] = (),
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Measure leukocytes on the annotated fields of each data set.

    Parameters
    ----------
    detector : Detector
    config : DetectorTraining
        Names the data sets and their splits.
    data : Path
        What its paths are relative to.
    split : str
    sites : collection of str
        Only these sets; all by default.
    factors : sequence of float
        Other magnifications, see :func:`measure_fields`.

    Returns
    -------
    dict
        Of each set that has fields in the split: figures by ``scale given``, ``scale measured`` and
        ``resized FACTORx``.
    """
    figures = {}
    for site in config.sites:
        items = read_site(site, data, split) if not sites or site.name in sites else []
        if items:
            figures[site.name] = {
                "scale given": measure_fields(detector, items, known_scale=True),
                "scale measured": measure_fields(detector, items, known_scale=False),
            } | {f"resized {f:g}x": measure_fields(detector, items, False, f) for f in factors}
    return figures


def read_points(table: Path, folder: Path) -> dict[Path, NDArray[np.float32]]:
    """Read leukocytes counted by eye.

    Parameters
    ----------
    table : Path
        CSV with the columns ``image``, ``x`` and ``y``.
    folder : Path
        Of the pictures.

    Returns
    -------
    dict
        Picture to points, (N, 2) float32 field pixels, for :func:`measure_points`.
    """
    return {
        folder / str(name): rows[["x", "y"]].to_numpy("float32")
        for name, rows in pd.read_csv(table).groupby("image")
    }


def measure_empty(detector: Detector, paths: Iterable[Path]) -> dict[str, Any]:
    """Count leukocytes found in fields that hold none; the ruler measures each field."""
    false, fields = 0, 0
    for path in paths:
        image = read_image(path)
        found = detector.detect(image, measure_scale(detector, [image]))
        false, fields = false + found.count("leukocyte"), fields + 1
    return {"fields": fields, "false": false, "false_per_field": round(false / max(fields, 1), 4)}


def measure_clumps(detector: Detector, sizes: Iterable[int], per_size: int, seed: int) -> dict[str, Any]:
    """Measure drawn clumps of touching leukocytes of each size."""
    spec = replace(LEUKEMIC, height=640, width=800)  # room for the largest clump
    every: list[Matched] = []
    by_size: dict[int, float] = {}
    threshold = detector.card.thresholds[LEUKOCYTE]
    for n in sizes:
        matched = []
        for k in range(per_size):
            drawn = draw_clump(n, np.random.SeedSequence([seed, n, k]), spec)
            found = detector.detect(drawn.image, Scale(drawn.um_per_px, "given")).leukocytes
            matched.append(match(found.xyxy, found.scores, drawn.xyxy[drawn.labels == LEUKOCYTE]))
        hits, true, _ = at_threshold(matched, threshold)
        by_size[n] = round(hits / true, 4)
        every += matched
    hits, true, false = at_threshold(every, threshold)
    return {"recall": share(hits, true), "false": false, "recall_by_size": by_size}


def measure_points(detector: Detector, images: dict[Path, np.ndarray[Any, Any]]) -> dict[str, int]:
    """Compare boxes with leukocyte centers counted by eye, all fields of one slide.

    Parameters
    ----------
    detector : Detector
    images : dict
        Path -> centers, (M, 2) field px.

    Returns
    -------
    dict
        ``cells`` counted by eye; ``missed``: in no box; ``merged``: in a box, but one paired with another
        cell; ``false``: boxes paired with no cell.
    """
    pictures = {path: read_image(path) for path in images}
    scale = measure_scale(detector, list(pictures.values()))
    total = {"cells": 0, "found_boxes": 0, "missed": 0, "merged": 0, "false": 0}
    for path, points in images.items():
        xyxy = detector.detect(pictures[path], scale).leukocytes.xyxy
        for name, n in point_errors(xyxy, points).items():
            total[name] += n
    return total


def point_errors(xyxy: np.ndarray[Any, Any], points: np.ndarray[Any, Any]) -> dict[str, int]:
    """Pair each cell, (M, 2) centers, with one box, (N, 4), that holds it; count what is left over."""
    from scipy.optimize import linear_sum_assignment

    reached = (points[:, None] >= xyxy[None, :, :2]) & (points[:, None] < xyxy[None, :, 2:])
    inside: NDArray[np.bool_] = np.asarray(reached.all(axis=2))
    middle = (xyxy[:, :2] + xyxy[:, 2:]) / 2
    away = np.hypot(*np.moveaxis(points[:, None] - middle[None], 2, 0))
    rows, columns = linear_sum_assignment(np.where(inside, away, 1e6))
    paired = inside[rows, columns]
    alone = np.setdiff1d(np.arange(len(points)), rows[paired])
    merged = int(inside[alone].any(axis=1).sum())
    return {
        "cells": len(points),
        "found_boxes": len(xyxy),
        "missed": len(alone) - merged,
        "merged": merged,
        "false": len(xyxy) - int(paired.sum()),
    }


def _with_leukocyte_threshold(detector: Detector, threshold: float) -> Detector:
    limits = (threshold, *detector.card.thresholds[1:])  # all else as when scanning
    return Detector(detector.engine, detector.card.model_copy(update={"thresholds": limits}))


def _matched(found: Detections, label: int, truth: np.ndarray[Any, Any], item: BoxedImage) -> Matched:
    """Match boxes; one that lies mostly in an unknown area, on no true box, is neither right nor false."""
    own = found.where(found.labels == label)
    true, unknown = truth[item.labels == label], truth[item.labels == UNKNOWN]
    inside = boxes.intersections(own.xyxy, unknown).max(axis=1, initial=0) > 0.5 * boxes.areas(own.xyxy)
    counted = own.where(~inside | (boxes.iou(own.xyxy, true).max(axis=1, initial=0) >= 0.5))
    return match(counted.xyxy, counted.scores, true)


def _figures(fields: list[Matched], threshold: float) -> dict[str, Any]:
    precision = average_precision(fields)
    hits, true, false = at_threshold(fields, threshold)
    return {
        "fields": len(fields),
        "leukocytes": true,
        "ap50": round(float(precision[0]), 4),
        "ap50_95": round(float(precision.mean()), 4),
        "threshold": threshold,
        "recall": share(hits, true),
        "false_per_field": round(false / max(len(fields), 1), 4),
    }
