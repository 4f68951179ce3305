"""Takes away what surrounds a leukocyte in its crop, so that a network sees the cell alone.

The cell is in the middle of its crop, so its outline is sought as one closed curve around the middle: a
radius for each of 64 directions. Two things are done in turn, three times: what colors are inside and outside
is counted (two histograms of optical density; the way of Boykov and Jolly, ICCV 2001), and the curve of least
cost for these colors is found by dynamic programming. It starts from what holds for any stain: leukocytes are
darker than the plasma, bluer than red cells, and about 13 um wide.

Chosen on annotated crops of two stains (``smearscan evaluate background``); lengths are micrometers.
"""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.classification.crops import BACKGROUND
from smearscan.numeric import special

_DIRECTIONS, _RADII = 64, 48
_LARGEST_UM, _LEAST_UM, _USUAL_UM = 14.0, 2.0, 6.5
"""Radii of a cell: the largest that fits, to a corner of the crop, the least, and the usual one."""
_VIEW_UM = 20.0
"""Side of the square about the middle that is looked at: room around a crop must not change the answer."""
_BLUR_UM = 0.125
_TURNS = 3
_BINS = (20, 16)
"""Of darkness and of hue."""
_UNSEEN = 1.0
"""Added to each color's count: what was hardly seen tells nothing."""
_BEND = 0.5
"""Cost of a step in or out from one direction to the next; a path makes at most one."""

_DENSITY = -np.log(np.clip(np.arange(256) / (BACKGROUND + 3), 0.03, 1.05)).astype(np.float32)


class _Polar(NamedTuple):
    """Where a crop is sampled; arrays are (directions, radii) but for `radius`, (radii,) um."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    radius: NDArray[np.float64]
    area: NDArray[np.float64]


def leukocyte_mask(crop: NDArray[np.uint8], side_um: float = 20.0) -> NDArray[np.bool_]:
    """Find the pixels of the leukocyte in the middle of a crop.

    Parameters
    ----------
    crop : ndarray, (S, S, 3) uint8 RGB
        Cut by :func:`smearscan.classification.crops.cut_crops`: its background has the gray level
        ``BACKGROUND``.
    side_um : float
        Side of the crop on the slide, micrometers.

    Returns
    -------
    ndarray, (S, S) bool
        One piece without holes; seen from the middle of the crop, each direction leaves it once.
    """
    side = crop.shape[0]
    polar = _polar(side, side_um)
    blurred = cv2.GaussianBlur(crop, (0, 0), _BLUR_UM * side / side_um)
    gray = (BACKGROUND, BACKGROUND, BACKGROUND)
    seen = cv2.remap(blurred, polar.x, polar.y, cv2.INTER_LINEAR, borderValue=gray)
    color, known, inside = _colors(np.asarray(seen, np.uint8), polar.radius)
    for _ in range(_TURNS):
        odds = _odds(color, inside * polar.area, (1 - inside) * polar.area)
        cost = -np.cumsum((odds + known) * polar.area, axis=1)
        cost[:, polar.radius < _LEAST_UM] = np.inf
        edge = polar.radius[_closed_path(cost)]
        inside = special().expit((edge[:, None] - polar.radius) / 0.3)
    return _filled(edge * side / side_um, side)


def without_background(crop: NDArray[np.uint8], side_um: float = 20.0) -> NDArray[np.uint8]:
    """Fill what is not the leukocyte in the middle with the background's gray.

    Parameters
    ----------
    crop : ndarray, (S, S, 3) uint8 RGB
    side_um : float
        Side of the crop on the slide, micrometers.

    Returns
    -------
    ndarray, (S, S, 3) uint8 RGB
        A new array.
    """
    return np.where(leukocyte_mask(crop, side_um)[..., None], crop, np.uint8(BACKGROUND))


@cache
def _polar(side: int, side_um: float) -> _Polar:
    angle = np.arange(_DIRECTIONS)[:, None] * (2 * np.pi / _DIRECTIONS)
    radius = np.linspace(0, _LARGEST_UM, _RADII, endpoint=False) + _LARGEST_UM / _RADII / 2
    x, y = np.cos(angle) * radius, np.sin(angle) * radius
    within = np.maximum(abs(x), abs(y)) <= min(side_um, _VIEW_UM) / 2
    scale, middle = side / side_um, (side - 1) / 2
    at = [(middle + v * scale).astype(np.float32) for v in (x, y)]
    return _Polar(at[0], at[1], radius, np.asarray(within * radius / radius.mean(), np.float64))


def _colors(
    seen: NDArray[np.uint8], radius: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each point: number of its color, log odds of being cell for any stain, chance to start from."""
    density = cv2.LUT(seen, _DENSITY)
    dark = np.maximum(density.mean(axis=2), 0)
    blue = density[..., 0] - density[..., 2]  # what looks blue absorbs red
    first = np.minimum(np.sqrt(dark / 1.8) * _BINS[0], _BINS[0] - 1).astype(np.int64)
    second = (np.arcsinh(blue / 0.15) / np.arcsinh(0.8 / 0.15) + 0.6) / 1.6 * _BINS[1]
    color = first * _BINS[1] + np.clip(second, 0, _BINS[1] - 1).astype(np.int64)
    known = np.clip((dark - 0.06) / 0.06, -1, 1) + 0.2 * (_USUAL_UM - radius)
    known += 0.3 * np.clip(blue / 0.1, -1, 1) * (dark > 0.1)
    start = np.clip((dark - 0.02) / 0.06, 0.05, 1) * special().expit((_USUAL_UM - radius) / 1.5)
    return color, known, start


def _odds(
    color: NDArray[np.int64], inside: NDArray[np.float64], outside: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Log odds of each point by how often its color is inside and outside."""
    counts = [_histogram(color, weight) + _UNSEEN for weight in (inside, outside)]
    return np.asarray(np.log(counts[0] / counts[1]).ravel()[color], np.float64)


def _histogram(color: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    counts = np.bincount(color.ravel(), weight.ravel(), _BINS[0] * _BINS[1]).reshape(_BINS)
    return np.asarray(cv2.GaussianBlur(counts, (3, 3), 0.85, borderType=cv2.BORDER_CONSTANT), np.float64)


def _closed_path(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Radius of each direction, (directions,), such that the sum of `cost` is least and steps are small.

    Goes round once and a half; the middle of that way has forgotten its ends, so that it closes.
    """
    n = _DIRECTIONS + _DIRECTIONS // 2
    best = cost[np.arange(n) % _DIRECTIONS]
    for before, here in pairwise(best):  # views: each row becomes the least cost of a way to it
        least = before.copy()
        least[1:] = np.minimum(least[1:], before[:-1] + _BEND)
        least[:-1] = np.minimum(least[:-1], before[1:] + _BEND)
        here += least
    path = [int(best[-1].argmin())]
    for row in best[-2::-1].tolist():
        near = range(max(path[-1] - 1, 0), min(path[-1] + 2, _RADII))
        path.append(min(near, key=lambda i: row[i] + _BEND * (i != path[-1])))
    quarter = _DIRECTIONS // 4
    return np.roll(path[::-1][quarter : quarter + _DIRECTIONS], quarter)


def _filled(edge: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    """Mask of the curve with these radii, pixels."""
    angle = np.arange(_DIRECTIONS) * (2 * np.pi / _DIRECTIONS)
    points = (side - 1) / 2 + np.column_stack([np.cos(angle) * edge, np.sin(angle) * edge])
    mask = np.zeros((side, side), np.uint8)
    cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], 1, shift=4)
    return mask.astype(bool)
