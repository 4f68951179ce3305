"""Laws of boxes, held against shapely, an independent implementation."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.detection import boxes

_SIDE = st.integers(0, 60)
_BOX = st.tuples(_SIDE, _SIDE, st.integers(1, 40), st.integers(1, 40)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
_BOXES = st.lists(_BOX, min_size=3, max_size=8).map(boxes.as_boxes)


def shapely_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    first, second = shapely.box(*a.T)[:, None], shapely.box(*b.T)[None]
    return shapely.area(shapely.intersection(first, second)) / shapely.area(shapely.union(first, second))


@settings(max_examples=40, deadline=None)
@given(_BOXES, _BOXES)
def test_iou_and_areas_equal_shapely(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(boxes.iou(a, b), shapely_iou(a, b), atol=1e-6)
    np.testing.assert_allclose(boxes.areas(a), shapely.area(shapely.box(*a.T)), rtol=1e-6)
    np.testing.assert_allclose(np.diag(boxes.iou(a, a)), 1, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(_BOXES, st.integers(32, 80), st.integers(32, 80))
def test_clip_equals_the_intersection_with_the_image(xyxy: np.ndarray, height: int, width: int) -> None:
    clipped = boxes.clip(xyxy, height, width)
    image = shapely.box(0, 0, width, height)
    assert len(clipped) == len(xyxy)
    np.testing.assert_allclose(
        boxes.areas(clipped), shapely.area(shapely.intersection(shapely.box(*xyxy.T), image)), atol=1e-4
    )


def test_clip_takes_height_before_width() -> None:
    assert boxes.clip(boxes.as_boxes([[-5, -5, 90, 90]]), 40, 80).tolist() == [[0, 0, 80, 40]]


@pytest.mark.parametrize(
    ("box", "touches"),
    [
        ((0, 20, 10, 30), True),
        ((20, 1, 30, 10), True),
        ((70, 10, 80, 20), True),
        ((20, 30, 30, 39), True),
        ((2, 2, 78, 38), False),
        ((2, 2, 79, 38), True),
        ((20, 10, 30, 38.5), False),
    ],
)
def test_touches_border_of_a_40_by_80_image(box: tuple[float, ...], touches: bool) -> None:
    assert boxes.touches_border(boxes.as_boxes([box]), 40, 80).tolist() == [touches]


def test_sizes_of_three_boxes() -> None:
    xyxy = boxes.as_boxes([[0, 0, 4, 9], [10, 10, 30, 15], [5, 5, 5, 5]])
    assert boxes.mean_sides(xyxy).tolist() == [6, 10, 0]
    assert boxes.centers(xyxy).tolist() == [[2, 4.5], [20, 12.5], [5, 5]]


def test_an_inverted_box_has_no_area() -> None:
    assert boxes.areas(boxes.as_boxes([[10, 10, 5, 5], [10, 10, 5, 20]])).tolist() == [0, 0]


def test_no_boxes_are_normal() -> None:
    none, three = boxes.as_boxes([]), boxes.as_boxes([[0, 0, 1, 1]] * 3)
    assert none.shape == (0, 4)
    assert none.dtype == np.float32
    assert boxes.iou(none, three).shape == (0, 3)
    assert boxes.iou(three, none).shape == (3, 0)
    for measure in (boxes.areas, boxes.mean_sides):
        assert measure(none).shape == (0,)
    assert boxes.centers(none).shape == (0, 2)
    assert boxes.clip(none, 10, 10).shape == (0, 4)
    assert boxes.touches_border(none, 10, 10).shape == (0,)


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        boxes.as_boxes([1, 2, 3])
