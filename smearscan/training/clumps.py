"""Composed clumps: cut-out leukocytes pasted, touching and overlapping, into training fields.

The boxed sets show one leukocyte a field; a leukemic field holds dozens that touch. Pasting is the usual cure
(Ghiasi et al., Simple Copy-Paste, arXiv:2012.07177); here cells grow into clumps of 1 to 14.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.taxonomy import LEUKOCYTE
from smearscan.training.stain import recolored

_Rng = np.random.Generator
_LARGEST_CLUMP = 14
_NEAREST = (0.6, 0.95)  # how near cells of a clump may come, share of the sum of their radii
_HALO = (0.05, 0.4)  # optical density of the plasma around a clump
_COVERED = 0.5  # a cell is no longer labeled once so much of its box lies under pasted cells
_KIN = 24  # cells of one clump come from so many neighbors in the list: one site, one stain


@dataclass(frozen=True, slots=True)
class CutOut:
    """A leukocyte, (h, w, 4) uint8 RGBA, at the working scale."""

    rgba: NDArray[np.uint8]


def paste_clumps(
    image: NDArray[np.uint8],
    xyxy: NDArray[np.float32],
    labels: NDArray[np.int64],
    cells: Sequence[CutOut],
    factor: float,
    rng: _Rng,
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]:
    """Paste one to three clumps into a field.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
        Changed in place.
    xyxy, labels : ndarray, (N, 4) float32 and (N,) int64
        Its boxes.
    cells : sequence of CutOut
        At the working scale, cells of one site side by side.
    factor : float
        The field's scale relative to the working scale.
    rng : numpy Generator

    Returns
    -------
    image, xyxy, labels
        With the pasted leukocytes, and without what they cover.
    """
    height, width = image.shape[:2]
    pasted: list[list[float]] = []
    for _ in range(int(rng.integers(1, 4))):
        n = 1 + int(_LARGEST_CLUMP * rng.random() ** 1.5)
        nearest = rng.uniform(*_NEAREST)
        density = rng.uniform(*_HALO) if rng.random() < 0.5 else 0.0
        first = int(rng.integers(len(cells)))
        kin = [cells[(first + int(k)) % len(cells)] for k in rng.integers(0, _KIN, n)]
        tint = int(rng.integers(2**31))  # one stain a clump
        placed: list[tuple[float, float, float]] = []
        ready = []
        for cell in kin:
            rgba = _varied(cell, factor, rng)
            rgba[:, :, :3] = recolored(rgba[:, :, :3], np.random.default_rng(tint))
            radius = (rgba.shape[0] + rgba.shape[1]) / 4
            x, y = _beside(placed, radius, nearest, height, width, rng)
            placed.append((x, y, radius))
            ready.append((rgba, x, y))
        _shade(image, placed, density)
        pasted += [box for box in (_paste(image, *of_cell) for of_cell in ready) if box is not None]
    if not pasted:
        return image, xyxy, labels
    new = boxes.as_boxes(pasted)
    covered = boxes.intersections(xyxy, new).max(axis=1, initial=0) / np.maximum(boxes.areas(xyxy), 1)
    keep = covered < _COVERED
    return (
        image,
        np.concatenate([xyxy[keep], new]),
        np.concatenate([labels[keep], np.full(len(new), LEUKOCYTE, np.int64)]),
    )


def _varied(cell: CutOut, factor: float, rng: _Rng) -> NDArray[np.uint8]:
    """Turn by any angle, mirror, resize; cut to the cell again."""
    angle, size = rng.uniform(0, 360), factor * 2.0 ** rng.normal(0, 0.12)
    rgba = cell.rgba[:, ::-1] if rng.random() < 0.5 else cell.rgba
    h, w = rgba.shape[:2]
    side = int(np.hypot(h, w) * size) + 3
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), angle, size)
    turn[:, 2] += side / 2 - np.array([w, h]) / 2
    turned = cv2.warpAffine(np.ascontiguousarray(rgba), turn, (side, side), flags=cv2.INTER_AREA)
    solid = turned[:, :, 3] > 127
    ys, xs = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if not len(ys):
        return np.asarray(turned, np.uint8)
    return np.array(turned[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1], np.uint8)


def _beside(
    placed: list[tuple[float, float, float]],
    radius: float,
    nearest: float,
    height: int,
    width: int,
    rng: _Rng,
) -> tuple[float, float]:
    """Choose a center: free for a clump's first cell, else touching one of it and overlapping none much."""
    if not placed:
        return float(rng.uniform(0, width)), float(rng.uniform(0, height))
    x = y = 0.0
    for _ in range(12):
        near = placed[int(rng.integers(len(placed)))]
        angle, reach = rng.uniform(0, 2 * np.pi), (near[2] + radius) * rng.uniform(nearest, 1.03)
        x, y = near[0] + reach * np.cos(angle), near[1] + reach * np.sin(angle)
        if all(np.hypot(x - px, y - py) >= nearest * (r + radius) - 1 for px, py, r in placed):
            break
    return float(x), float(y)


def _shade(image: NDArray[np.uint8], placed: list[tuple[float, float, float]], density: float) -> None:
    """Darken the plasma between and around the cells of a clump, as a thick part of a smear is."""
    if not density:
        return
    cover = np.zeros(image.shape[:2], np.float32)
    for x, y, radius in placed:
        cv2.circle(cover, (round(x), round(y)), round(1.35 * radius), 1.0, cv2.FILLED)
    cover = cv2.GaussianBlur(cover, (0, 0), max(1.0, placed[0][2] / 3))
    image[:] = (image * np.exp(-density * cover)[:, :, None]).astype(np.uint8)


def _paste(image: NDArray[np.uint8], rgba: NDArray[np.uint8], x: float, y: float) -> list[float] | None:
    """Blend a cell in, centered at (x, y); return its box if at least a third of it is inside the field."""
    h, w = rgba.shape[:2]
    left, top = round(x - w / 2), round(y - h / 2)
    height, width = image.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + w, width), min(top + h, height)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return None
    part = rgba[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = part[:, :, 3:].astype(np.float32) / 255
    under = image[y0:y1, x0:x1]
    image[y0:y1, x0:x1] = (part[:, :, :3] * alpha + under * (1 - alpha)).astype(np.uint8)
    return [x0, y0, x1, y1] if (x1 - x0) * (y1 - y0) > 0.33 * w * h else None
