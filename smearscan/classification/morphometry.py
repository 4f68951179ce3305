"""A cell measured as a morphologist describes it: nucleus, cytoplasm, texture, and stain beside the nucleus.

A network learns the looks of its sites. Size and shape of a nucleus, how much cytoplasm is around it, how
coarse its chromatin is, and each dye beside that of the same cell's nucleus change less between laboratories.
What is the camera's and the lens's is left out: how deep the nucleus is stained as such, its blue light, and
the finest grain (docs/experiments.md).
"""

from zlib import crc32

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.classification.crops import BACKGROUND, Geometry

Floats = NDArray[np.float32]
Mask = NDArray[np.uint8]

SIDE_UM, _SIDE = 20.0, 80
_UM = SIDE_UM / _SIDE
_CHANNELS, _BLURS = "rg", (0.8, 1.6, 3.2)
_OCTAVES = range(1, len(_BLURS))
_SHELLS_UM = (0.0, 0.75, 1.5, 2.5, 3.5)
"""Borders of what is looked at around the hull of the nucleus."""
_BORDERS = np.array(_SHELLS_UM, np.float32)
_FAR_UM, _NEAR_UM = 4.5, 2.0
_STAINED, _RED_CELL = 0.12, 0.1
"""Density of green light from which on a pixel is no background; that of a neighbor, a red cell mostly."""
_LEAST_LOBE, _LEAST_PIXELS, _LEAST_FAR = 24, 8, 60
_FAINT = np.float32(0.03)
"""Added to densities before a ratio is taken: of less the camera's noise decides."""

_DENSITY = np.maximum(-np.log(np.maximum(np.arange(256), 12) / BACKGROUND), 0).astype(np.float32)
_ACROSS = np.arange(_SIDE) - (_SIDE - 1) / 2
_FROM_MIDDLE = np.hypot(*np.meshgrid(_ACROSS, _ACROSS)) * _UM
_SEARCHED = np.flatnonzero(_FROM_MIDDLE < 7.5)
_MIDDLE, _WITHIN = ((radius > _FROM_MIDDLE).astype(np.uint8) for radius in (3.0, 9.5))
_CENTRAL = np.flatnonzero(_MIDDLE)
_ROUND = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_ZONES = ("gap", *(f"shell{k}" for k in range(len(_SHELLS_UM) - 1)))

NAMES: tuple[str, ...] = (
    "area", "lobes", "solidity", "roundness", "axis_ratio", "spread", "long_axis", "off_center", "thickness",
    "relative_thickness", "mean_thickness", "holes",
    *(f"nucleus_variation_{c}" for c in _CHANNELS), "nucleus_rg",
    *(f"{zone}_{what}" for zone in _ZONES for what in ("r", "g", "b", "stained", "rg", "gb")),
    *(f"{of}_{c}{k}" for c in _CHANNELS for k in _OCTAVES for of in ("chromatin", "skewness", "granules")),
    *(f"nucleus_over_red_{c}" for c in _CHANNELS), "red_rg",
)  # fmt: skip
"""What is measured, in the order of the columns. Lengths are micrometers; stain is optical density, around
the nucleus relative to it; ``rg`` and ``gb`` are logarithms of the ratio of two densities. Grain ``1`` is
what a blur of 0.2 um leaves and one of 0.4 um takes, grain ``2`` is of 0.4 and 0.8 um."""

MEASURES = crc32(" ".join(NAMES).encode())
"""Tells trees that go by these measures from such as go by others."""


def measure(crops: NDArray[np.uint8], how: Geometry) -> Floats:
    """Measure the cell in the middle of each crop.

    Parameters
    ----------
    crops : ndarray, (N, S, S, 3) uint8 RGB
        From the crop function: the background has the gray level ``BACKGROUND``.
    how : Geometry
        How they were cut.

    Returns
    -------
    ndarray, (N, len(NAMES)) float32
        NaN where there is nothing to measure: no gap between lobes, no red cell in sight.
    """
    told = [_measured(_standard(crop, how.um)) for crop in crops]
    return np.array(told, np.float32).reshape(-1, len(NAMES))


def _standard(crop: NDArray[np.uint8], side_um: float) -> NDArray[np.uint8]:
    """Bring a crop to 80 px and 20 um a side."""
    if len(crop) == _SIDE and side_um == SIDE_UM:
        return crop
    side = round(len(crop) * SIDE_UM / side_um)
    edge = max(0, (side - len(crop) + 1) // 2)
    if edge:
        crop = cv2.copyMakeBorder(crop, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(BACKGROUND,) * 3)
    low = (len(crop) - side) // 2
    part = np.ascontiguousarray(crop[low : low + side, low : low + side])
    shrinks = cv2.INTER_AREA if side > _SIDE else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (_SIDE, _SIDE), interpolation=shrinks), np.uint8)


def _measured(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    density = cv2.split(cv2.LUT(crop, _DENSITY))
    textured = density[: len(_CHANNELS)]
    # by blur and channel: sums run along memory
    blurred = np.array([[cv2.GaussianBlur(channel, (0, 0), blur) for channel in textured] for blur in _BLURS])
    nucleus = _nucleus(blurred[0])
    shape, hull, depth = _shape(nucleus)
    outside = cv2.distanceTransform(1 - hull, cv2.DIST_L2, 3).ravel() * _UM
    core = np.flatnonzero(depth.ravel() > 1.2 * _UM)
    if len(core) < 12:
        core = np.flatnonzero(nucleus)
    planes = np.array(density).reshape(3, -1)
    inside = planes.take(core, axis=1)
    own = inside.mean(axis=1)
    beside = own + _FAINT
    beyond = cv2.dilate(nucleus, _ROUND).ravel() == 0
    zone = np.where(beyond, np.searchsorted(_BORDERS, outside), len(_ZONES))
    near = np.flatnonzero((outside <= _NEAR_UM) & beyond)
    stained = near[planes[1, near] > 0.08]
    cytoplasm = stained if len(stained) >= 20 else near if len(near) else core
    far = np.flatnonzero((outside > _FAR_UM) & (planes[1] > _RED_CELL))
    return np.concatenate(
        [
            shape, inside[:2].std(axis=1) / beside[:2], _hues(own)[:1],
            _zones(planes, zone, beside).ravel(), _texture(blurred, core, cytoplasm, beside[:2]).ravel(),
            _red_cells(planes[:2].take(far, axis=1), beside[:2]),
        ]
    )  # fmt: skip


def _nucleus(blurred: Floats) -> Mask:
    """Find the nucleus, (80, 80) of 0 and 1: Otsu's threshold; parts that reach the crop's middle."""
    dark = blurred[0] + 0.5 * blurred[1]
    seen = dark.ravel()[_SEARCHED]
    rank = int(0.98 * len(seen))
    top = float(np.partition(seen, rank)[rank]) + 1e-3
    levels = np.clip(seen * (255 / top), 0, 255).astype(np.uint8)
    limit, _ = cv2.threshold(levels.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    parts = cv2.morphologyEx((dark > limit / 255 * top) * _WITHIN, cv2.MORPH_OPEN, _ROUND)
    n, labels, about, _ = cv2.connectedComponentsWithStats(parts, connectivity=4)
    sizes = about[:, cv2.CC_STAT_AREA]
    keep = (sizes > _LEAST_LOBE) & (np.bincount(labels.take(_CENTRAL), minlength=n) > 0)
    keep[0] = False
    if not keep.any() and n > 1:
        keep[1 + int(sizes[1:].argmax())] = True
    found: Mask = keep.astype(np.uint8).take(labels)
    return found if found.any() else _MIDDLE


def _shape(nucleus: Mask) -> tuple[list[float], Mask, Floats]:
    """Measure a nucleus; return its hull and how deep each pixel lies in it, micrometers, too."""
    contours, _ = cv2.findContours(nucleus, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    around = cv2.convexHull(np.vstack(contours))
    hull, whole = np.zeros_like(nucleus), np.zeros_like(nucleus)
    cv2.fillConvexPoly(hull, around, 1)
    cv2.drawContours(whole, contours, -1, 1, -1)
    moments = cv2.moments(nucleus, binaryImage=True)
    n = moments["m00"]
    area = n * _UM**2
    xx, yy, xy = moments["mu20"] / n, moments["mu02"] / n, moments["mu11"] / n
    apart = float(np.sqrt((xx - yy) ** 2 + 4 * xy**2))
    length = sum(cv2.arcLength(contour, closed=True) for contour in contours) * _UM
    depth = np.asarray(cv2.distanceTransform(nucleus, cv2.DIST_L2, 3) * _UM, np.float32)
    radius = float(np.sqrt(area / np.pi + 0.01))
    middle = (_SIDE - 1) / 2
    told = [
        area,
        len(contours),
        min(area / (cv2.contourArea(around) * _UM**2 + 0.1), 1.3),
        4 * np.pi * area / (length**2 + 0.1),
        float(np.sqrt(max(xx + yy - apart, 0) / (xx + yy + apart + 1e-6))),
        (xx + yy) * 2 * np.pi * _UM**2 / (area + 0.1),  # 1 for a disc
        4 * _UM * float(np.sqrt((xx + yy + apart) / 2)),
        _UM * float(np.hypot(moments["m10"] / n - middle, moments["m01"] / n - middle)),
        float(depth.max()),
        float(depth.max()) / radius,
        float(depth.sum()) / n / radius,
        (float(whole.sum()) - n) / n,
    ]
    return told, hull, depth


def _hues(density: NDArray[np.floating]) -> NDArray[np.floating]:
    """Each channel over the next, (..., C - 1), of densities (..., C)."""
    logs = np.log(density + _FAINT)
    return np.asarray(logs[..., :-1] - logs[..., 1:])


def _zones(planes: Floats, zone: NDArray[np.intp], beside: Floats) -> NDArray[np.float64]:
    """Mean densities, share of stained pixels and hues of the gap between lobes and of each shell."""
    n = len(_ZONES)
    sizes = np.bincount(zone, minlength=n)[:n].astype(float)
    sizes[sizes < _LEAST_PIXELS] = np.nan
    about = np.flatnonzero(zone < n)
    own, seen = zone.take(about), planes.take(about, axis=1)
    told = [*seen, seen[1] > _STAINED]
    means = np.stack([np.bincount(own, values, minlength=n) / sizes for values in told], axis=1)
    return np.column_stack([means[:, :3] / beside, means[:, 3], _hues(means[:, :3])])


def _texture(
    blurred: Floats, core: NDArray[np.intp], cytoplasm: NDArray[np.intp], beside: Floats
) -> NDArray[np.float64]:
    """Grain of chromatin and cytoplasm in two octaves, for red and green light, (2, 2, 3)."""
    bands = (blurred[:-1] - blurred[1:]).reshape(len(_OCTAVES), len(_CHANNELS), -1)
    grain = bands.take(core, axis=2)
    grain -= grain.mean(axis=2, keepdims=True)
    square = grain * grain
    width = np.sqrt(square.mean(axis=2))
    skewness = (square * grain).mean(axis=2) / (width**3 + 1e-5)
    granules = bands.take(cytoplasm, axis=2).std(axis=2)
    return np.stack([width / beside, skewness, granules / beside], axis=-1).swapaxes(0, 1)


def _red_cells(planes: Floats, beside: Floats) -> NDArray[np.floating]:
    """Compare the nucleus with what else is stained in the crop, red cells mostly."""
    if planes.shape[1] < _LEAST_FAR:
        return np.full(len(_CHANNELS) + 1, np.nan)
    theirs = np.median(planes, axis=1)
    return np.concatenate([np.log(beside / (theirs + _FAINT)), _hues(theirs)])
