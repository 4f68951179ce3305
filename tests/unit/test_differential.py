"""Counts, percentages and exact intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from smearscan.differential import NOT_COUNTED, DifferentialCount, exact_interval
from smearscan.slide import COUNTED
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, UNCLASSIFIED

CLASSES = ("neutrophil", "lymphocyte", "blast")
names = st.lists(st.sampled_from([*CLASSES, "other", "unclassified"]), max_size=60)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 100, 0.0, 3.6), (20, 100, 12.7, 29.2), (40, 200, 14.7, 26.2), (200, 1000, 17.6, 22.6)],
)
def test_interval_is_the_published_one(count: int, total: int, low: float, high: float) -> None:
    found = exact_interval(count, total)
    assert tuple(round(v, 1) for v in found) == (low, high)


@given(total=st.integers(1, 400), share=st.floats(0, 1), level=st.sampled_from([0.9, 0.95, 0.99]))
def test_each_limit_leaves_half_of_the_error_beyond(total: int, share: float, level: float) -> None:
    count = round(share * total)
    low, high = (v / 100 for v in exact_interval(count, total, level))
    assert low <= count / total <= high
    tail = (1 - level) / 2
    if count:
        assert binom.sf(count - 1, total, low) == pytest.approx(tail, rel=1e-3)
    else:
        assert low == 0
    if count < total:
        assert binom.cdf(count, total, high) == pytest.approx(tail, rel=1e-3)
    else:
        assert high == 1


@given(count=st.integers(0, 50), more=st.integers(1, 50))
def test_more_cells_of_the_same_share_narrow_the_interval(count: int, more: int) -> None:
    def width(k: int) -> float:
        low, high = exact_interval(count * k, 50 * k)
        return high - low

    assert width(more + 1) < width(1)


def test_nothing_counted_leaves_everything_possible() -> None:
    assert exact_interval(0, 0) == (0.0, 100.0)
    none = DifferentialCount.of([], CLASSES)
    assert none.total == 0
    assert np.isnan(none.percent).all()
    assert none.interval("blast") == (0.0, 100.0)


@given(names, names, names)
def test_counts_of_parts_add_up_to_the_whole(a: list[str], b: list[str], c: list[str]) -> None:
    whole = DifferentialCount.of(a + b + c, CLASSES)
    parts = [DifferentialCount.of(part, CLASSES) for part in (c, a, b)]
    merged = parts[0] + parts[1] + parts[2]
    assert merged.counts.tolist() == whole.counts.tolist()
    assert merged.classes == whole.classes


@given(names)
def test_percentages_are_of_the_counted_cells_and_sum_to_100(types: list[str]) -> None:
    count = DifferentialCount.of(types, CLASSES)
    assert count.total == sum(t in CLASSES for t in types)
    if count.total:
        assert count.percent.sum() == pytest.approx(100)
        assert count.percent[2] == pytest.approx(100 * types.count("blast") / count.total)


def test_other_and_unclassified_are_outside_the_denominator() -> None:
    assert set(NOT_COUNTED) == {"other", UNCLASSIFIED}
    assert set(COUNTED) == set(DIFFERENTIAL_CLASSES) - {"other"}
    types = ["neutrophil"] * 3 + ["monocyte"] + ["other"] * 50 + ["unclassified"] * 50
    count = DifferentialCount.of(types, COUNTED)
    assert count.total == 4
    assert dict(zip(count.classes, count.percent, strict=True))["neutrophil"] == 75
    assert count.count("other") == 0
    assert count.interval("monocyte") == exact_interval(1, 4)


def test_counts_of_other_classes_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        DifferentialCount.of([], CLASSES) + DifferentialCount.of([], COUNTED)


@pytest.mark.parametrize("counts", [[1, 2], [1, 2, -1]])
def test_wrong_counts_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="3 classes need"):
        DifferentialCount(CLASSES, np.array(counts, np.int64))
