"""Where cells lie: apart, in clumps that touch, red cells in rouleaux. All positions in micrometers."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from smearscan.synthetic.cells import Cell

NEAREST: Final = 0.78
"""Two leukocytes' centers are never nearer than this part of the sum of their mean radii (promised: 0.75)."""

_TRIES: Final = 60
Point = NDArray[np.float64]


def clump_offsets(rng: np.random.Generator, cells: list[Cell]) -> Point | None:
    """Lay cells so that each touches at least one other, compactly.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    cells : list of Cell
        The members of the clump.

    Returns
    -------
    ndarray, (len(cells), 2) float64, or None
        Centers, x and y, about a common middle of (0, 0); None where no place was found for a member.
    """
    placed = [np.zeros(2)]
    for k in range(1, len(cells)):
        best: Point | None = None
        middle = np.mean(placed, axis=0)
        wanted = 6 if len(cells) > 2 else 1
        found = 0
        for _ in range(_TRIES):
            host = int(rng.integers(k))
            angle = float(rng.uniform(0.0, 2.0 * np.pi))
            reach = cells[host].reach_um(angle) + cells[k].reach_um(angle + np.pi)
            reach = max(reach * float(rng.uniform(0.88, 0.98)), NEAREST * _both(cells[host], cells[k]))
            point = placed[host] + reach * np.array([np.cos(angle), np.sin(angle)])
            if not all(
                np.hypot(*(point - q)) >= NEAREST * 1.1 * _both(cells[j], cells[k])
                for j, q in enumerate(placed)
                if j != host
            ):
                continue
            found += 1
            if best is None or np.hypot(*(point - middle)) < np.hypot(*(best - middle)):
                best = point
            if found == wanted:
                break
        if best is None:
            return None
        placed.append(best)
    points: Point = np.asarray(placed)
    points -= (points.min(axis=0) + points.max(axis=0)) / 2.0
    return points


def _both(a: Cell, b: Cell) -> float:
    return a.radius_um + b.radius_um


def place_groups(
    rng: np.random.Generator, groups: list[list[Cell]], size_um: tuple[float, float]
) -> list[tuple[Cell, Point]]:
    """Place groups of leukocytes in a field, clear of each other.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    groups : list of list of Cell
        A clump each; single cells are groups of one.
    size_um : tuple of float
        ``(width, height)`` of the field.

    Returns
    -------
    list of (Cell, ndarray (2,))
        Cells and centers, all centers inside the field. A cell for which a crowded field has no room is left
        out.
    """
    placed: list[tuple[Cell, Point]] = []
    for group in groups:
        if not _place_group(rng, group, size_um, placed):
            for cell in group:  # no room for the clump as it is: its members one by one
                _place_group(rng, [cell], size_um, placed)
    return placed


def _place_group(
    rng: np.random.Generator,
    group: list[Cell],
    size_um: tuple[float, float],
    placed: list[tuple[Cell, Point]],
) -> bool:
    offsets: Point | None = None
    for attempt in range(_TRIES):
        if attempt % 20 == 0:
            offsets = clump_offsets(rng, group)
        if offsets is None:
            continue
        points = offsets + rng.uniform((0.0, 0.0), size_um)
        clear = 1.04 if attempt < _TRIES // 2 else NEAREST
        if all(_fits(c, p, size_um, placed, clear) for c, p in zip(group, points, strict=True)):
            placed.extend(zip(group, points, strict=True))
            return True
    return False


def _fits(
    cell: Cell, point: Point, size_um: tuple[float, float], placed: list[tuple[Cell, Point]], clear: float
) -> bool:
    # A center this far inside leaves more than a quarter of the cell in view, even in a corner.
    inset = np.minimum(0.2 * cell.radius_um, np.asarray(size_um) * 0.5)
    if np.any(point < inset) or np.any(point > np.asarray(size_um) - inset):
        return False
    return all(np.hypot(*(point - q)) >= clear * _both(cell, other) for other, q in placed)


def scatter(
    rng: np.random.Generator,
    count: int,
    size_um: tuple[float, float],
    radius_um: float,
    keep_clear: list[tuple[float, Point]],
    rouleaux: float,
) -> Point:
    """Lay red cells or platelets: mostly apart, some overlapping, some stacked in rouleaux.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    count : int
        How many to lay; fewer come back where the field is full.
    size_um : tuple of float
        ``(width, height)`` of the field; centers lie up to one radius outside.
    radius_um : float
        Their radius.
    keep_clear : list of (float, ndarray (2,))
        Radius and center of what they must not lie under.
    rouleaux : float
        Part of them that joins a stack, 0 to 1.

    Returns
    -------
    ndarray, (M, 2) float64
        Centers, x and y.
    """
    points = np.empty((count, 2))
    total = 0
    heading = 0.0
    low, high = np.full(2, -radius_um), np.asarray(size_um) + radius_um
    avoid = np.array([q for _, q in keep_clear]).reshape(-1, 2)
    limits = np.array([r + 0.6 * radius_um for r, _ in keep_clear])
    for _ in range(count):
        stacked = total > 0 and rng.random() < rouleaux
        # Lying on a neighbor is the exception; how much of it is allowed is drawn cell by cell.
        gap = radius_um * (2.05 if rng.random() < 0.75 else rng.uniform(1.1, 1.9))
        heading += float(rng.normal(0.0, 0.45)) if stacked else float(rng.uniform(0, 6.3))
        for attempt in range(14):
            if stacked and attempt < 4:
                step = radius_um * rng.uniform(0.55, 1.5)
                point = points[total - 1] + step * np.array([np.cos(heading), np.sin(heading)])
                gap_here = 0.45 * radius_um
            else:
                point = rng.uniform(low, high)
                gap_here = gap if attempt < 10 else 0.75 * gap
            if np.any(point < low) or np.any(point > high):
                continue
            if np.any(np.hypot(*(avoid - point).T) < limits):
                continue
            if np.any(np.hypot(*(points[:total] - point).T) < gap_here):
                continue
            points[total] = point
            total += 1
            break
    return points[:total]
