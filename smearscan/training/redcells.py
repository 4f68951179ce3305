"""Red cells without pallor: dark, solid discs, as of spherocytes or of a thick stain.

The boxed sets hold pale red cells, so a detector learns that a dark disc is a leukocyte. Here some of the
boxed red cells of a training canvas are filled with the color of their own rim, darkened.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.taxonomy import RED_CELL

_RIM_PERCENTILE = 30
_CLEAR = 0.02  # a red cell that shares more of its box with another cell is left as it is


def fill_red_cells(
    image: NDArray[np.uint8], xyxy: NDArray[np.float32], labels: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Fill some red cells of a canvas.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
        Not changed.
    xyxy, labels : ndarray, (N, 4) float32 and (N,) int64
    rng : numpy Generator
        Draws how many, how dark and of which shade: alike for all cells of a canvas.

    Returns
    -------
    ndarray, (H, W, 3) uint8
    """
    out = image.copy()
    red, rest = xyxy[labels == RED_CELL], xyxy[labels != RED_CELL]
    shared = boxes.intersections(red, rest).max(axis=1, initial=0) / np.maximum(boxes.areas(red), 1)
    share, dark = rng.uniform(0.3, 1.0), rng.uniform(1.0, 2.2) * rng.uniform(0.85, 1.15, 3)
    for x0, y0, x1, y1 in np.round(red[shared < _CLEAR]).astype(int):
        if rng.random() > share or min(x1 - x0, y1 - y0) < 6:
            continue
        part = out[y0:y1, x0:x1]
        height, width = part.shape[:2]
        rim = np.percentile(part.reshape(-1, 3), _RIM_PERCENTILE, axis=0)
        color = 255 * np.exp(dark * np.log(np.maximum(rim, 1) / 255) * rng.uniform(0.9, 1.1))
        mask = np.zeros((height, width), np.float32)
        axes = (max(1, round(0.46 * width)), max(1, round(0.46 * height)))
        cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, 1.0, cv2.FILLED)
        mask = cv2.GaussianBlur(mask, (0, 0), 1.0)[:, :, None] * rng.uniform(0.8, 1.0)
        grain = rng.normal(0, rng.uniform(0, 6), part.shape)
        out[y0:y1, x0:x1] = np.clip(part * (1 - mask) + (color + grain) * mask, 0, 255).astype(np.uint8)
    return out
