"""Fields that overlap, and fields of two magnifications: laws on cells scattered over a slide."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smearscan.results import Detections, FieldResult, Scale
from smearscan.results.doubts import MAGNIFICATION, OVERLAP, SCALE
from smearscan.rulers import overlap
from smearscan.rulers.magnification import doubts_of_scale, red_cell_um
from smearscan.rulers.overlap import Overlap, doubts_of_overlap, find_overlaps
from smearscan.taxonomy import RED_CELL_UM

PX = 30.0
SCALE_OF_SLIDE = Scale(RED_CELL_UM / PX, "red cells", 50)
HEIGHT, WIDTH = 400, 500


def scattered(rng: np.random.Generator, height: float, width: float, n: int) -> NDArray[np.float64]:
    """Middles of cells that lie at least a diameter apart."""
    found = np.empty((0, 2))
    for at in rng.uniform((0, 0), (width, height), (6 * n, 2)):
        if len(found) < n and not (((found - at) ** 2).sum(axis=1) < PX**2).any():
            found = np.vstack([found, at])
    return found


def slide(seed: int, height: float = 900, width: float = 1200, n: int = 250) -> NDArray[np.float64]:
    """Cells of a part of a slide, (N, 4): middle, size, whether a leukocyte."""
    rng = np.random.default_rng(seed)
    at = scattered(rng, height, width, n)
    white = rng.random(len(at)) < 0.12
    size = np.where(white, rng.uniform(1.6, 2.2, len(at)), rng.uniform(0.9, 1.1, len(at))) * PX
    return np.column_stack([at, size, white])


def photograph(
    cells: NDArray[np.float64], x: float, y: float, name: str = "f", rng: np.random.Generator | None = None
) -> FieldResult:
    """The field whose corner is at x, y; boxes cut at its border, shaken by the detector's jitter."""
    at = cells[:, :2] - (x, y)
    seen = ((at > 0) & (at < (WIDTH, HEIGHT))).all(axis=1)
    at, size, white = at[seen], cells[seen, 2:3], cells[seen, 3] > 0
    if rng is not None:
        at = at + rng.normal(0, 0.03 * PX, at.shape)
    xyxy = np.clip(np.hstack([at - size / 2, at + size / 2]), 0, [WIDTH, HEIGHT] * 2).astype(np.float32)
    n = int(white.sum())
    found = Detections(xyxy[white], np.ones(n, np.float32), np.zeros(n, np.int64))
    return FieldResult(
        "s", Path(name), (HEIGHT, WIDTH), found, np.empty((n, 0), np.float32), (), np.zeros(n, np.float32),
        ("neutrophil",) * n, SCALE_OF_SLIDE, red_cell_xyxy=xyxy[~white],
    )  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(-60, 60), st.integers(120, 260))
def test_fields_that_share_a_half_are_found_and_their_common_leukocytes_counted(
    seed: int, up: int, along: int
) -> None:
    cells, rng = slide(seed), np.random.default_rng(seed)
    a = photograph(cells, 100, 200, "a", rng)
    b = photograph(cells, 100 + along, 200 + up, "b", rng)
    x, y = cells[cells[:, 3] > 0, :2].T - np.array([[100], [200]])
    # whole in both, with room for the jitter
    common = int(
        ((x > along + 40) & (x < WIDTH - 40) & (y > max(up, 0) + 40) & (y < HEIGHT + min(up, 0) - 40)).sum()
    )
    found = find_overlaps([a, b])
    assert found == find_overlaps([a, b])
    if common >= 2:
        assert [(o.first, o.second) for o in found] == [(0, 1)]
        assert found[0].n_leukocytes >= common
    assert all(o.n_leukocytes <= min(len(a), len(b)) for o in found)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10_000))
def test_fields_of_different_places_are_not_taken_for_one(seed: int) -> None:
    fields = [photograph(slide(1000 * seed + i, n=300), 0, 0, str(i)) for i in range(6)]
    assert find_overlaps(fields) == []
    assert doubts_of_overlap(fields) == ()


def test_the_doubt_names_pairs_and_cells_and_what_to_do() -> None:
    cells = slide(1)
    fields = [photograph(cells, 0, 0, "a"), photograph(slide(2), 0, 0, "b"), photograph(cells, 200, 0, "c")]
    assert find_overlaps(fields) == [Overlap(0, 2, 1)]
    (doubt,) = doubts_of_overlap(fields)
    assert doubt.name == OVERLAP
    assert doubt.paths == (Path("a"), Path("c"))
    assert doubt.reason == (
        "1 pair of fields overlap, 1 leukocyte is counted twice: a and c; leave out one of each pair"
    )


def test_fields_without_cells_or_red_cells_are_no_pairs() -> None:
    empty = photograph(np.empty((0, 4)), 0, 0)
    whites = photograph(np.array([[50, 50, 60, 1], [200, 90, 55, 1.0]]), 0, 0)
    assert find_overlaps([]) == find_overlaps([empty, empty]) == find_overlaps([whites, whites]) == []


def magnified(factor: float, name: str, n: int = 12) -> FieldResult:
    rng = np.random.default_rng(len(name))
    at = scattered(rng, HEIGHT - 120, WIDTH - 120, n) + 60
    size = factor * PX * rng.uniform(0.95, 1.05, (len(at), 1))
    return photograph(np.hstack([at, size, np.zeros_like(size)]), 0, 0, name)


@pytest.mark.parametrize(("factors", "odd"), [
    ([1, 1, 1, 2, 1], ["d"]), ([1, 0.5, 1, 0.5], ["a", "b", "c"]), ([1, 1.1, 0.95, 1.05], []), ([1], []),
])  # fmt: skip
def test_fields_of_two_magnifications_are_told_apart(factors: list[float], odd: list[str]) -> None:
    fields = [magnified(f, name) for f, name in zip(factors, "abcdef", strict=False)]
    doubts = doubts_of_scale(SCALE_OF_SLIDE, fields)
    assert [d.name for d in doubts] == [MAGNIFICATION] * bool(odd)
    assert [str(p) for d in doubts for p in d.paths] == odd
    np.testing.assert_allclose(red_cell_um(fields) / RED_CELL_UM, factors, rtol=0.05)


def test_a_scale_that_does_not_hold_or_is_assumed_is_in_doubt() -> None:
    fields = [magnified(1.4, name) for name in "ab"]
    (doubt,) = doubts_of_scale(SCALE_OF_SLIDE, fields)
    assert doubt.name == SCALE
    assert "measure 10." in doubt.reason
    (doubt,) = doubts_of_scale(Scale(0.1, "assumed"), [magnified(1.0, "a", n=0)])
    assert "no cell could be measured" in doubt.reason
    assert doubts_of_scale(SCALE_OF_SLIDE, [magnified(2.0, "a", n=4)]) == ()  # too few cells to tell


def test_fields_of_thousands_of_cells_are_compared_in_little_memory() -> None:
    rng = np.random.default_rng(0)
    at = rng.uniform(1, 12, (4_000, 2))
    there = photograph(slide(0), 0, 0)
    overlap._hits(at[:1], at[:1], there)  # what it imports is not counted
    tracemalloc.start()
    hits = overlap._hits(at, np.concatenate([at[:100] + 0.1, at[100:200] + 0.2]), there)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000  # a table of all pairs takes 13 MB, of 4,000 to 4,000 a quarter of a gigabyte
    assert (hits[:100] == 1).all()


def test_a_slide_of_copies_is_compared_in_little_memory() -> None:
    """Its pairs of fields grow by the square; what is kept of each is three numbers."""
    fields = [photograph(slide(1), 0, 0, f"field_{i:05d}") for i in range(120)]
    doubts_of_overlap(fields[:2])  # what it imports is not counted
    tracemalloc.start()
    (doubt,) = doubts_of_overlap(fields)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert doubt.reason.startswith("7140 pairs of fields overlap")
    assert (
        peak < 3_000_000
    )  # lists of pairs and their words took 3.6 MB of 120 fields, and grew by the square


@pytest.mark.parametrize("n", [4, 200])
def test_few_and_many_cells_are_compared_alike(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, there = np.random.default_rng(n), photograph(slide(0), 0, 0)
    at = rng.uniform(0, 16, (n, 2))
    moved = np.concatenate([at[::2] + rng.normal(0, 0.1, at[::2].shape), at[:1] + np.array([0.15, 0])])
    by_table = overlap._hits(moved, at, there)
    monkeypatch.setattr(overlap, "_FEW_PAIRS", -1)
    np.testing.assert_array_equal(by_table, overlap._hits(moved, at, there))
