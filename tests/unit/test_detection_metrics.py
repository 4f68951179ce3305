"""Average precision, held against examples worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.experiments.detection_metrics import (
    IOU_THRESHOLDS,
    Matched,
    at_threshold,
    average_precision,
    match,
)

TRUE = boxes.as_boxes([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]])


def scores(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def shifted(xyxy: NDArray[np.float32], by: float) -> NDArray[np.float32]:
    return xyxy + np.float32([by, 0, by, 0])


def ap_by_hand(right: list[bool], n_true: int) -> float:
    """101-point average precision from the definition: at each recall the best precision at it or beyond."""
    points = []
    for i in range(1, len(right) + 1):
        hits = sum(right[:i])
        points.append((hits / n_true, hits / i))
    return float(
        np.mean([max((p for r, p in points if r >= at), default=0.0) for at in np.linspace(0, 1, 101)])
    )


def test_the_ten_thresholds() -> None:
    assert pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]) == IOU_THRESHOLDS


def test_perfect_boxes_give_one_everywhere() -> None:
    field = match(TRUE, scores(0.9, 0.8, 0.7, 0.6), TRUE)
    assert average_precision([field, field]) == pytest.approx(np.ones(10))
    assert at_threshold([field, field], 0.65) == (6, 8, 0)


def test_half_found_gives_half() -> None:
    field = match(TRUE[:2], scores(0.9, 0.8), TRUE)
    # recall stops at 0.5, precision 1 up to it: 51 of 101 points
    assert average_precision([field]) == pytest.approx(np.full(10, 51 / 101))


def test_a_duplicate_is_a_false_positive() -> None:
    found = np.concatenate([TRUE, TRUE[:1]])
    field = match(found, scores(0.9, 0.8, 0.7, 0.6, 0.95), TRUE)
    assert field.correct[:, 0].tolist() == [True, False, True, True, True]
    assert at_threshold([field], 0) == (4, 4, 1)
    # right, wrong, right, right, right: the best precision at or beyond a recall is 1 up to 1/4, then 4/5
    assert average_precision([field])[0] == pytest.approx((26 * 1 + 75 * 0.8) / 101)


def test_a_duplicate_takes_no_neighbor_s_truth() -> None:
    field = match(np.concatenate([TRUE[:1], TRUE[:1]]), scores(0.9, 0.8), TRUE)
    assert field.correct[:, 0].tolist() == [True, False]


def test_the_better_score_chooses_first() -> None:
    found = np.concatenate([shifted(TRUE[:1], 2), TRUE[:1]])  # IoU 8/12 and 1
    field = match(found, scores(0.9, 0.5), TRUE[:1])
    # at 0.5 to 0.65 the better score takes the truth, beyond it fails and the exact box takes it
    assert field.scores == pytest.approx([0.9, 0.5])
    assert field.correct[0].tolist() == [True] * 4 + [False] * 6
    assert field.correct[1].tolist() == [False] * 4 + [True] * 6


def test_iou_decides_at_each_threshold() -> None:
    # shifted by 1 of 10: IoU 9/11 = 0.818
    field = match(shifted(TRUE, 1), scores(0.9, 0.8, 0.7, 0.6), TRUE)
    assert average_precision([field]) == pytest.approx([1] * 7 + [0] * 3)


def test_a_mixed_example() -> None:
    """Scores in order: right, wrong, right, wrong, right; six true boxes."""
    a = Matched(np.repeat([[True], [False], [True]], 10, axis=1), scores(0.9, 0.6, 0.5), 4)
    b = Matched(np.repeat([[False], [True]], 10, axis=1), scores(0.8, 0.7), 2)
    # precision 1 to recall 1/6 (points 0 to .16: 17), 2/3 to 2/6 (17), 3/5 to 3/6 (17), then 0
    expected = (17 * 1 + 17 * 2 / 3 + 17 * 3 / 5) / 101
    assert average_precision([a, b]) == pytest.approx(np.full(10, expected))
    assert at_threshold([a, b], 0.65) == (2, 6, 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=3, max_size=30), st.integers(0, 10), st.integers(0, 2**31))
def test_average_precision_equals_its_definition(right: list[bool], missed: int, seed: int) -> None:
    n_true = max(sum(right) + missed, 1)
    order = np.random.default_rng(seed).permutation(len(right))  # fields come in any order of scores
    ranked = np.linspace(0.9, 0.1, len(right), dtype=np.float32)
    correct = np.repeat(np.array(right)[:, None], 10, axis=1)
    one, other = order[: len(order) // 2], order[len(order) // 2 :]
    fields = [Matched(correct[np.sort(k)], ranked[np.sort(k)], n) for k, n in ((one, n_true), (other, 0))]
    assert average_precision(fields) == pytest.approx(np.full(10, ap_by_hand(right, n_true)))


def test_nothing_found_and_nothing_there() -> None:
    none = boxes.as_boxes([])
    assert average_precision([match(none, scores(), TRUE)]).tolist() == [0] * 10
    assert average_precision([match(TRUE, scores(0.9, 0.8, 0.7, 0.6), none)]).tolist() == [0] * 10
    assert at_threshold([match(TRUE, scores(0.9, 0.8, 0.7, 0.6), none)], 0.75) == (0, 0, 2)
    assert at_threshold([], 0.5) == (0, 0, 0)
    assert average_precision([]).tolist() == [0] * 10
