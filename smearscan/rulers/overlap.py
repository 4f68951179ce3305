"""Fields of one slide that show the same place: their leukocytes are counted twice.

A microscope's stage is moved, not turned, so two such fields differ by a shift. Two leukocytes of one size
whose nearest red cells lie alike propose a shift; it stands if most cells of either field that it brings into
the other lie on a cell there. Chance brings few cells onto others: they cover a small part of a field.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.results import FieldResult
from smearscan.results.doubts import OVERLAP, Doubt, counted, first_of

Points = NDArray[np.float64]
_Cell = list[int]  # index of a field, and of a leukocyte within it

_ALIKE = 0.15
"""In diameters of a red cell: so far may a cell lie from where the other field shows it."""

_SAME_SIZE = 0.1  # logarithm of width and height
_NEIGHBORS, _ALIKE_NEIGHBORS = 3, 2
"""Of so many nearest red cells so many must lie alike for two leukocytes to be compared further."""
_FEW_PAIRS = 10_000
_FEWEST, _SHARE = 7, 0.7
"""So many cells, and such a share of those in the common part, must lie on each other."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two fields that show one place, by their index, and how many leukocytes both show."""

    first: int
    second: int
    n_leukocytes: int


def find_overlaps(fields: Sequence[FieldResult]) -> list[Overlap]:
    """Find pairs of a slide's fields that show a leukocyte both.

    Parameters
    ----------
    fields : sequence of FieldResult
        Of one slide; their red cells are what tells.

    Returns
    -------
    list of Overlap
        In the order of the fields. A common part of fewer than seven cells is not noticed.
    """
    return [Overlap(first, second, n) for first, second, n in _overlaps(fields).tolist()]


def doubts_of_overlap(fields: Sequence[FieldResult]) -> tuple[Doubt, ...]:
    """Tell of fields that overlap, and how many leukocytes are counted twice for it."""
    found = _overlaps(fields)
    if not len(found):
        return ()
    paths = [field.path for field in fields]
    has_path = np.array([path is not None for path in paths])
    named = found[has_path[found[:, :2]].all(axis=1), :2]
    twice = counted(int(found[:, 2].sum()), "leukocyte is", "leukocytes are")
    which = first_of(range(len(named)), lambda i: " and ".join(str(paths[field]) for field in named[i]))
    told = f"{counted(len(found), 'pair', 'pairs')} of fields overlap, {twice} counted twice: {which}"
    shown = tuple(path for i in named[:3].ravel().tolist() if (path := paths[i]) is not None)
    return (Doubt(OVERLAP, f"{told}; leave out one of each pair", shown),)


def _overlaps(fields: Sequence[FieldResult]) -> NDArray[np.int64]:
    """Pairs of fields and how many leukocytes both show, (N, 3): an array, for of copies there are many."""
    cells = [_all_cells(field) for field in fields]
    owner, sizes, offsets = _leukocytes(fields, cells)

    def found() -> Iterator[tuple[int, int, int]]:
        for first, pairs in groupby(_alike(owner, sizes, offsets), lambda pair: pair[0][0]):
            common: dict[int, int] = {}  # leukocytes that the field has in common with others
            for (_, i), (second, j) in pairs:
                if second not in common:
                    a, b = cells[first], cells[second]
                    if n := _confirmed(a, b, b[j] - a[i], fields[first], fields[second]):
                        common[second] = n
            yield from ((first, second, common[second]) for second in sorted(common))

    return np.fromiter(found(), np.dtype((np.int64, 3)))


def _all_cells(field: FieldResult) -> Points:
    """Middles of a field's leukocytes, then of its red cells, in diameters of a red cell, (N, 2)."""
    xyxy = np.concatenate([field.detections.xyxy, field.red_cell_xyxy])
    return boxes.centers(xyxy).astype(np.float64) / field.scale.red_cell_px


def _leukocytes(
    fields: Sequence[FieldResult], cells: Sequence[Points]
) -> tuple[NDArray[np.int64], Points, Points]:
    """Of each leukocyte and each of its nearest red cells: which it is, its sides, and where that lies."""
    owner, sizes, offsets = [], [], []
    for i, (field, points) in enumerate(zip(fields, cells, strict=True)):
        white, red = points[: len(field)], points[len(field) :]
        if not len(white) or len(red) < _FEWEST - 1:
            continue
        away = red[None] - white[:, None]
        nearest = np.argsort((away**2).sum(axis=2), axis=1)[:, :_NEIGHBORS]
        xyxy = field.detections.xyxy / field.scale.red_cell_px
        for k, near in enumerate(nearest):
            for n in near:
                owner.append((i, k))
                sizes.append(np.log(np.maximum(xyxy[k, 2:] - xyxy[k, :2], 1e-3)))
                offsets.append(away[k, n])
    return (
        np.array(owner, np.int64).reshape(-1, 2),
        np.array(sizes).reshape(-1, 2),
        np.array(offsets).reshape(-1, 2),
    )


def _alike(owner: NDArray[np.int64], sizes: Points, offsets: Points) -> Iterator[tuple[_Cell, _Cell]]:
    """Pairs of leukocytes, of two fields, that may be one, in order."""
    cells, cell = np.unique(owner, axis=0, return_inverse=True)
    order = np.argsort(offsets[:, 0], kind="stable")  # of each only those of a like offset are looked at
    across, cell = offsets[order, 0], cell.reshape(-1)[order]
    last = np.searchsorted(across, across + _ALIKE)
    traits = np.column_stack([offsets[order, 1] / _ALIKE, sizes[order] / _SAME_SIZE])
    found = [np.empty(0, np.int64)]  # a pair as one number: a slide of copies has millions of them
    for at, own in enumerate(cell):
        others = slice(at + 1, last[at])
        near = np.abs(traits[others] - traits[at]).max(axis=1, initial=0) < 1
        if near.any():
            other = cell[others][near]
            other = other[cells[other, 0] != cells[own, 0]]
            found.append(np.minimum(own, other) * len(cells) + np.maximum(own, other))
    pairs, more = np.sort(np.concatenate(found)), _ALIKE_NEIGHBORS - 1
    del found
    for pair in np.unique(pairs[more:][pairs[more:] == pairs[:-more]]):  # met as often as that
        one, other = divmod(int(pair), len(cells))
        yield cells[one].tolist(), cells[other].tolist()


def _confirmed(a: Points, b: Points, shift: Points, first: FieldResult, second: FieldResult) -> int:
    """How many leukocytes two fields have in common at a shift; 0 where the cells do not confirm it."""
    there = _hits(a + shift, b, second)
    if not _is_enough(there) or not _is_enough(_hits(b - shift, a, first)):
        return 0
    return int((there[: len(first)] > 0).sum())


def _is_enough(hits: NDArray[np.int8]) -> bool:
    n = int((hits > 0).sum())
    return n >= _FEWEST and n >= _SHARE * int((hits >= 0).sum())


def _hits(moved: Points, points: Points, field: FieldResult) -> NDArray[np.int8]:
    """Tell of cells brought into a field: 1 on a cell there, 0 on none, -1 outside or cut by its border."""
    from scipy.spatial import KDTree, distance  # not before a slide's end

    limit = np.array(field.shape[::-1]) / field.scale.red_cell_px
    inside = ((moved > 0.5) & (moved < limit - 0.5)).all(axis=1)
    on = np.zeros(len(moved), bool)
    if 0 < len(points) * len(moved) <= _FEW_PAIRS:  # four times as quick as a tree
        on = distance.cdist(moved, points, "sqeuclidean").min(axis=1) < _ALIKE**2
    elif len(points) and len(moved):
        on = np.isfinite(KDTree(points).query(moved, distance_upper_bound=_ALIKE)[0])
    return np.where(inside, on.astype(np.int8), np.int8(-1))
