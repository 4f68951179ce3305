"""Exact intervals: as published, as scipy's, and the same for one slide as for many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from smearscan.differential.statistics.intervals import clopper_pearson, exact_interval, upper_limit

LEVELS = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    totals = draw(st.lists(st.integers(1, 400), min_size=1, max_size=6))
    return [draw(st.integers(0, n)) for n in totals], totals


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 100, 0.0, 3.6), (20, 100, 12.7, 29.2), (40, 200, 14.7, 26.2), (200, 1000, 17.6, 22.6)],
)
def test_interval_is_the_published_one(count: int, total: int, low: float, high: float) -> None:
    found = exact_interval(count, total)
    assert tuple(round(v, 1) for v in found) == (low, high)


@settings(max_examples=50)
@given(table=tables(), level=LEVELS)
def test_many_at_once_are_one_by_one_are_scipys(table: tuple[list[int], list[int]], level: float) -> None:
    low, high = clopper_pearson(*table, level)
    up = upper_limit(*table, level)
    for i, (k, n) in enumerate(zip(*table, strict=True)):
        assert (low[i], high[i]) == exact_interval(k, n, level)
        own = binomtest(k, n).proportion_ci(level, "exact")
        assert (low[i], high[i]) == pytest.approx((100 * own.low, 100 * own.high), abs=1e-6)
        one_sided = binomtest(k, n, alternative="less").proportion_ci(level, "exact")
        assert up[i] == pytest.approx(100 * one_sided.high, abs=1e-6)


def test_counts_and_totals_are_broadcast() -> None:
    low, high = clopper_pearson(np.arange(6).reshape(2, 3), np.array([[10], [20]]))
    assert low.shape == high.shape == (2, 3)
    assert (low[1, 2], high[1, 2]) == exact_interval(5, 20)
    assert upper_limit([0, 1], 50).shape == (2,)


@given(total=st.integers(1, 400), share=st.floats(0, 1), level=LEVELS)
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


@given(total=st.integers(1, 400), level=LEVELS)
def test_limits_rise_with_the_count(total: int, level: float) -> None:
    low, high = clopper_pearson(np.arange(total + 1), total, level)
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()
    assert (np.diff(upper_limit(np.arange(total + 1), total, level)) > 0).all()


@given(table=tables())
def test_more_confidence_is_wider(table: tuple[list[int], list[int]]) -> None:
    narrow, wide = clopper_pearson(*table, 0.9), clopper_pearson(*table, 0.99)
    assert (wide[0] <= narrow[0]).all()
    assert (wide[1] >= narrow[1]).all()


@given(count=st.integers(0, 50), more=st.integers(1, 50))
def test_more_cells_of_the_same_share_narrow_the_interval(count: int, more: int) -> None:
    def width(k: int) -> float:
        low, high = exact_interval(count * k, 50 * k)
        return high - low

    assert width(more + 1) < width(1)


@given(table=tables(), level=LEVELS)
def test_the_interval_of_the_others_is_the_mirror(table: tuple[list[int], list[int]], level: float) -> None:
    counts, totals = (np.array(v) for v in table)
    low, high = clopper_pearson(counts, totals, level)
    mirrored = clopper_pearson(totals - counts, totals, level)
    np.testing.assert_allclose(mirrored, (100 - high, 100 - low), atol=1e-9)


def test_nothing_counted_leaves_everything_possible() -> None:
    assert exact_interval(0, 0) == (0.0, 100.0)
    low, high = clopper_pearson([0, 5], [0, 10])
    assert (low[0], high[0]) == (0, 100)
    assert upper_limit(0, 0) == 100


@given(total=st.integers(1, 20_000))
def test_no_blast_in_n_cells_leaves_what_the_formula_says(total: int) -> None:
    assert float(upper_limit(0, total)) == pytest.approx(100 * (1 - 0.05 ** (1 / total)), rel=1e-6)


def test_no_blast_in_214_cells() -> None:
    assert round(float(upper_limit(0, 214)), 1) == 1.4
    assert float(upper_limit(10, 10)) == 100
