"""Leukocytes told from red cells by what only they have: a nucleus, darker than any red cell of the field.

A detector learns how red cells look on its sites. On another stain it takes blue, gray or dark ones for
leukocytes, and leukocytes for red cells. On every stain of the Romanowsky kind a nucleus (azure B bound to
DNA, with eosin) absorbs more green light than hemoglobin with eosin does, or far more red light. How much red
cells absorb depends on stain and camera, so those of the same field are the measure.

How much darker is one half of it, of what color the other. By the law of Beer and Lambert a red cell that is
only thicker, or lies on another, has the densities of all colors scaled alike; a nucleus holds another dye.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.numeric import level_percentile, median
from smearscan.results import Detections
from smearscan.taxonomy import LEUKOCYTE, RED_CELL

LEAST_DENSITY = (1.5, 1.2)
"""Density of a leukocyte over that of its field's red cells, for red or for green light, at least.

Found on LLD, a laboratory that no network has learned, and on malaria films. No leukocyte of the validation
fields of four sites, which the detector finds otherwise, is lost by it: see the experiments page.
"""
THICK_DENSITY, SAME_COLOR = (1.8, 1.5), 1.15
"""What is no darker than this and has the two densities in nearly the ratio of red cells is a thick one."""
OTHER_COLOR, LEAST_VIOLET = 1.25, 1.1
"""Of so much more green than red light a small excess of density is enough."""
LARGE, TOO_LARGE = 1.3, 2.5
"""Smaller side, in those of red cells, that hardly a red cell has; larger one that two cells have."""
DOUBTED = 0.1
"""Score of a large, dark box of another color than red cells from which on it is a leukocyte."""
EVIDENT = 0.5
"""Score that such a box gets where its own is lower."""
_LEAST_RED_CELLS, _MOST_RED_CELLS = 5, 24
_TOUCHED, _APART, _SAME = 0.1, 0.2, 0.5
_ADVANTAGE = 2.0
_ACROSS, _DARKEST = 12, 0.4
_WHITE_PERCENTILE = 90
_BORDER_PX = 2.0
_NO_DENSITY = 1e-6

_STEPS = (np.arange(_ACROSS) + 0.5) / _ACROSS
_GRID = np.stack(np.meshgrid(_STEPS, _STEPS), axis=-1).reshape(-1, 2)
_INSIDE = _GRID[((_GRID - 0.5) ** 2).sum(axis=1) < 0.25]
"""Points of a box's ellipse: x and y as shares of its sides, (P, 2)."""

_LEVELS = np.arange(256).clip(1)[:, None]


def one_name_each(found: Detections, picture: NDArray[np.uint8], threshold: float) -> Detections:
    """Drop leukocytes that are no darker than red cells, and red cells where a leukocyte stands.

    A large box that is whole, dark, not in the color of red cells, and apart from others is a leukocyte
    from a score of :data:`DOUBTED` on, whatever red cell the network sees there: its score is raised to
    :data:`EVIDENT`.

    The measure are red cells without a likelier leukocyte at their place. Where there are fewer than five, a
    leukocyte stands against a red cell at the same place with twice its score: it is hardly ever taken for a
    red cell, but a dark red cell without pallor may be taken for a leukocyte.

    Parameters
    ----------
    found : Detections
        Boxes in pixels of `picture`.
    picture : ndarray, (H, W, 3) uint8 RGB
    threshold : float
        Score that a leukocyte must have in the end.

    Returns
    -------
    Detections
        What is left, best first, and how many leukocytes of that score were dropped for being pale.
    """
    cells, red = np.flatnonzero(found.labels == LEUKOCYTE), np.flatnonzero(found.labels == RED_CELL)
    if not len(cells):
        return found
    overlap = boxes.iou(found.xyxy[cells], found.xyxy[red])
    likelier = found.scores[cells][:, None] > found.scores[red][None, :]
    sure = red[~((overlap >= _APART) & likelier).any(axis=0)][:_MOST_RED_CELLS]
    if len(sure) >= _LEAST_RED_CELLS:
        both = found.xyxy[np.concatenate([cells, sure])]
        density, sides = densities(picture, both), both[:, 2:] - both[:, :2]
        n = len(cells)
        beside = density[:n] / np.maximum(median(density[n:]), _NO_DENSITY)
        stands, evident = _by_nucleus(beside, sides[:n] / float(np.median(sides[n:].min(axis=1))))
        others = stands & (found.scores[cells] >= EVIDENT) & ~np.eye(n, dtype=bool)
        touched = ((boxes.iou(found.xyxy[cells], found.xyxy[cells]) >= _TOUCHED) & others).any(axis=1)
        cut = boxes.touches_border(found.xyxy[cells], picture.shape[0], picture.shape[1], _BORDER_PX)
        raised = evident & ~touched & ~cut & (found.scores[cells] >= DOUBTED)
        scores = found.scores.copy()
        scores[cells[raised]] = np.maximum(scores[cells[raised]], EVIDENT)
    else:
        against = np.where(overlap > _SAME, found.scores[red], 0).max(axis=1, initial=0)
        stands, scores = found.scores[cells] >= _ADVANTAGE * against, found.scores
    enough = scores[cells] >= threshold
    keep = np.ones(len(found), bool)
    keep[cells] = stands & enough
    keep[red] = ~(overlap[stands & enough] > _SAME).any(axis=0)
    order = np.argsort(-scores, kind="stable")
    order = order[keep[order]]
    left = Detections(found.xyxy[order], scores[order], found.labels[order])
    return replace(left, n_pale=int((~stands & enough).sum()))


def _by_nucleus(
    density: NDArray[np.float64], sides: NDArray[np.float32]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell which boxes, measured in their field's red cells, are leukocytes, and which evidently so, (N,).

    Parameters
    ----------
    density : ndarray, (N, 2) float64
        For red and for green light.
    sides : ndarray, (N, 2)
    """
    (red, green), least = density.T, sides.min(axis=1)
    color = np.log(np.maximum(green, _NO_DENSITY) / np.maximum(red, _NO_DENSITY))
    dark = (density >= LEAST_DENSITY).any(axis=1)
    violet = color >= np.log(OTHER_COLOR)
    thick = (density < THICK_DENSITY).all(axis=1) & (np.abs(color) < np.log(SAME_COLOR)) & (least < LARGE)
    size = (least >= LARGE) & (sides.max(axis=1) < TOO_LARGE)
    evident = violet & (green >= LEAST_DENSITY[1]) & size
    return (dark & ~thick) | (violet & (green >= LEAST_VIOLET)), evident


def densities(picture: NDArray[np.uint8], xyxy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure the optical density of the darkest two fifths of each box's ellipse.

    Parameters
    ----------
    picture : ndarray, (H, W, 3) uint8 RGB
        Its background is the 90th percentile of each channel.
    xyxy : ndarray, (N, 4) float32
        Boxes, pixels; 12 x 12 points of each are looked at.

    Returns
    -------
    ndarray, (N, 2) float64
        For red and for green light: natural logarithm of background over light, mean over points; 0 where
        these are as bright as the background.
    """
    low, sides = xyxy[:, None, :2], xyxy[:, None, 2:] - xyxy[:, None, :2]
    at = (low + sides * _INSIDE).astype(np.int64)
    columns, rows = at[..., 0].clip(0, picture.shape[1] - 1), at[..., 1].clip(0, picture.shape[0] - 1)
    points = picture[rows, columns, :2]
    # of whole numbers this is the way by counting, three times as quick
    darkest = np.sort(points, axis=1, kind="stable")[:, : round(_DARKEST * points.shape[1])]
    of_level = np.log(level_percentile(picture[::3, ::3, :2], _WHITE_PERCENTILE).clip(1) / _LEVELS).clip(0)
    density: NDArray[np.float64] = of_level[darkest, [0, 1]].mean(axis=1)
    return density
