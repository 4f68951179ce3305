"""Removal of the background, scored against the published masks of two stains."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.classification.background import leukocyte_mask
from smearscan.classification.crops import cut_crops
from smearscan.differential.statistics.estimates import over_groups, share
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image
from smearscan.training.cells import load_crops

MASKED = ("jtsc", "cellavision")
"""Sets whose masks lie in ``SET/masks``: 0 is background, 128 cytoplasm, 255 nucleus."""
CROP_UM, CROP_PX = 20.0, 112
GOOD_IOU = 0.8


def measure_background(table: pd.DataFrame, data: Path) -> dict[str, Any]:
    """Score the masks that :func:`smearscan.classification.background.leukocyte_mask` makes.

    Parameters
    ----------
    table : DataFrame
        Located cells of the sets :data:`MASKED`, with ``split``.
    data : Path
        Folder of the data sets.

    Returns
    -------
    dict
        By site, then ``chosen on`` (train and val: what the method was chosen on) and ``test``: means of
        intersection over union and of Dice with intervals over the pictures, the share below 0.8 with the
        pictures' names, and the processor time that a crop took.

    Raises
    ------
    DatasetError
        If a mask is missing or does not fit its picture.
    """
    truth = np.stack([_cut_mask(row, data) for _, row in table.iterrows()])
    crops = load_crops(table, data, CROP_UM, CROP_PX)
    found, seconds = np.empty_like(truth), np.empty(len(table))
    for i, crop in enumerate(crops):
        began = time.thread_time()  # whatever else the machine does
        found[i] = leukocyte_mask(crop, CROP_UM)
        seconds[i] = time.thread_time() - began
    iou = overlap(found, truth)
    part = table["split"].map(lambda split: "test" if split == "test" else "chosen on")
    figures: dict[str, Any] = {}
    for site in table["site"].unique():
        for name in ("chosen on", "test"):
            rows = np.flatnonzero((table["site"] == site) & (part == name))
            if len(rows):
                own = _summary(table["image"].to_numpy()[rows], iou[rows])
                figures.setdefault(str(site), {})[name] = own
    return {**figures, "processor_ms_a_crop": round(1000 * float(np.median(seconds)), 2), "crop_px": CROP_PX}


def overlap(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Intersection over union, (N,), of masks (N, S, S); 1 where both are empty."""
    both = (found & truth).sum(axis=(1, 2))
    either = (found | truth).sum(axis=(1, 2))
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1.0), np.float64)


def _summary(images: NDArray[np.object_], iou: NDArray[np.float64]) -> dict[str, Any]:
    dice = 2 * iou / (1 + iou)
    poor = iou < GOOD_IOU
    return {
        "iou": over_groups(lambda i: float(iou[i].mean()), images),
        "dice": over_groups(lambda i: float(dice[i].mean()), images),
        f"iou_below_{GOOD_IOU:g}": share(int(poor.sum()), len(poor)),
        "poor": {str(images[i]): round(float(iou[i]), 2) for i in np.flatnonzero(poor)},
    }


def _cut_mask(row: "pd.Series[Any]", data: Path) -> NDArray[np.bool_]:
    """Mask of a cell in its crop: cut by the one crop function as a black cell on white paper."""
    picture = data / row["image"]
    path = picture.parents[1] / "masks" / f"{picture.stem}.png"
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) if path.is_file() else None
    if mask is None:
        raise DatasetError(f"{path}: the mask of {picture.name} is not there or cannot be read")
    if mask.shape != read_image(picture).shape[:2]:
        raise DatasetError(f"{path}: the mask is {mask.shape[1]}x{mask.shape[0]} px, unlike its picture")
    paper = np.where(mask[..., None] > 63, np.zeros(3, np.uint8), np.uint8(255))
    box = row[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)[None]
    return np.asarray(cut_crops(paper, box, row["um_per_px"], CROP_UM, CROP_PX)[0, ..., 0] < 118, bool)
