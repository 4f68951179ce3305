"""Overlays: every label can be read, tells its cell, and colors are told apart with any color vision."""

from itertools import combinations

import numpy as np
import pytest
from color_vision import VISION, seen
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smearscan.report.label_placement import place_labels
from smearscan.report.overlay import draw_overlay
from smearscan.results import Detections, FieldResult, Scale
from smearscan.taxonomy import BLAST, HEALTHY, UNCLASSIFIED
from smearscan.taxonomy.cell_names import LEAVE_OUT, standard_name
from smearscan.taxonomy.palette import LOOKS, look


def result(
    xyxy: list[list[float]], types: tuple[str, ...], shape: tuple[int, int], um_per_px: float = 0.1
) -> FieldResult:
    n = len(types)
    found = Detections(
        np.array(xyxy, np.float32).reshape(n, 4), np.ones(n, np.float32), np.zeros(n, np.int64)
    )
    return FieldResult(
        "s", None, shape, found, np.empty((n, 0), np.float32), (), np.full(n, 0.5, np.float32), types,
        Scale(um_per_px, "given"),
    )  # fmt: skip


def overlap(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0)))


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 40),
    side=st.integers(20, 90),
    shape=st.tuples(st.integers(500, 900), st.integers(640, 1200)),
)
@settings(max_examples=40, deadline=None)
def test_labels_lie_in_the_field_and_never_on_each_other(
    seed: int, n: int, side: int, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    middle = rng.uniform(0, 1, (n, 2)) * (shape[1], shape[0])
    if seed % 2:  # a crowd
        middle = np.array([shape[1] / 2, shape[0] / 2]) + rng.normal(0, 2 * side, (n, 2))
    boxes = np.clip(np.concatenate([middle - side / 2, middle + side / 2], axis=1), 0, [*shape[::-1]] * 2)
    sizes = np.column_stack([rng.uniform(40, 90, n), np.full(n, 16.0)])
    corners = place_labels(boxes, sizes, shape)
    np.testing.assert_array_equal(corners, place_labels(boxes, sizes, shape))
    rects = np.concatenate([corners, corners + sizes], axis=1)
    assert (rects[:, :2] >= 0).all()
    assert (rects[:, 2:] <= np.array([*shape[::-1]]) + 1e-9).all()
    assert all(overlap(a, b) == 0 for a, b in combinations(rects, 2))


def test_a_lone_cell_s_label_stands_right_above_it() -> None:
    assert place_labels(np.array([[100, 100, 150, 150]]), np.array([[40, 12]]), (300, 300)).tolist() == [
        [100, 88]
    ]


def test_a_label_larger_than_the_field_begins_in_its_corner() -> None:
    assert place_labels(np.array([[2, 2, 8, 8]]), np.array([[40, 12]]), (10, 10)).tolist() == [[0, 0]]


@pytest.mark.parametrize("shape", [(480, 640), (1944, 2592), (32, 32)])
def test_the_field_stays_above_its_legend(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 230, np.uint8)
    drawn = draw_overlay(image, result([], (), shape))
    assert (image == 230).all()
    np.testing.assert_array_equal(drawn[: shape[0]], image)
    assert drawn.shape[1:] == image.shape[1:]
    assert drawn.shape[0] > shape[0]


def test_letters_grow_with_the_field() -> None:
    heights = []
    for shape in ((480, 640), (1944, 2592)):
        image = np.full((*shape, 3), 230, np.uint8)
        box = [[shape[1] / 2, shape[0] / 2, shape[1] / 2 + 60, shape[0] / 2 + 60]]
        drawn = draw_overlay(image, result(box, ("neutrophil",), shape))[: shape[0]]
        above = (drawn[: shape[0] // 2 - 3] != 230).any(axis=(1, 2))
        heights.append(int(above.sum()))
    assert heights[0] >= 12
    assert heights[1] >= 2 * heights[0]


@pytest.mark.parametrize("shape", [(240, 300), (1200, 1600), (3750, 5000)])
@pytest.mark.parametrize("cell", [0.013, 0.05])
def test_labels_are_read_on_a_screen_and_never_hide_the_cell(shape: tuple[int, int], cell: float) -> None:
    side = max(25, round(cell * shape[1]))
    x, y = shape[1] // 2, shape[0] // 2
    image = np.full((*shape, 3), 230, np.uint8)
    drawn = draw_overlay(image, result([[x, y, x + side, y + side]], (BLAST,), shape))
    above = int((drawn[: y - 4] != 230).any(axis=(1, 2)).sum())
    assert above >= max(11, shape[1] / 125)  # 1,250 px of a screen show the whole field: 10 px a letter
    inner = drawn[y : y + side, x : x + side]
    assert (inner == 230).all(axis=2).mean() > 0.45


def test_a_label_at_the_upper_edge_does_not_hide_its_own_cell() -> None:
    x, y = place_labels(np.array([[100, 3, 150, 53]]), np.array([[40, 12]]), (300, 300))[0]
    assert overlap(np.array([x, y, x + 40, y + 12]), np.array([100.0, 3, 150, 53])) == 0


def test_each_cell_is_boxed_in_its_color_and_blasts_twice_as_wide() -> None:
    image = np.full((600, 600, 3), 230, np.uint8)
    boxes = [[100.0, 300, 160, 360], [300.0, 300, 360, 360]]
    drawn = draw_overlay(image, result(boxes, (BLAST, "monocyte"), (600, 600)))
    for (x0, *_), kind, wide in zip(boxes, (BLAST, "monocyte"), (2, 1), strict=True):
        row = drawn[330, int(x0) : int(x0) + 10]
        assert (row == look(kind).rgb).all(axis=1).sum() == wide


def test_the_scale_bar_has_the_length_that_it_states() -> None:
    image = np.full((500, 1000, 3), 230, np.uint8)
    strip = draw_overlay(image, result([], (), (500, 1000), um_per_px=0.1))[500:]
    rows = (strip[:, 700:] == 0).all(axis=2).sum(axis=1)
    assert rows.max() == 201  # 20 um of .1 um, both ends drawn


def test_what_labels_say_is_understood_as_a_label() -> None:
    for kind, (short, _) in LOOKS.items():
        assert standard_name(short) == (LEAVE_OUT if kind == UNCLASSIFIED else kind)


@pytest.mark.parametrize("vision", list(VISION))
def test_colors_are_told_apart_and_blasts_most_of_all(vision: str) -> None:
    kinds = [kind for kind in LOOKS if kind != HEALTHY]  # never beside the types of the differential
    for a, b in combinations(kinds, 2):
        apart = float(np.linalg.norm(seen(LOOKS[a].rgb, vision) - seen(LOOKS[b].rgb, vision)))
        assert apart >= (30 if BLAST in (a, b) else 10), (a, b, apart)
