"""The limit of the unclassified keeps its promise to the next patient."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smearscan.differential.statistics.conformal import unclassified_limit

Cells = tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]


def drawn(rng: np.random.Generator, patients: int) -> Cells:
    """Patients of very different difficulty; a name is wrong the more often the less sure it is."""
    parts = []
    for group in range(patients):
        n = int(rng.integers(5, 60))
        confidence = rng.uniform(0.3, 1, n)
        wrong = rng.random(n) < np.minimum(rng.gamma(1.5, 0.7) * (1 - confidence), 1)
        parts.append((confidence, wrong, np.full(n, group)))
    joined = [np.concatenate(values) for values in zip(*parts, strict=True)]
    return joined[0], joined[1], joined[2]


def loss(cells: Cells, limit: float) -> float:
    """Mean over patients of the share of cells that get a wrong name."""
    confidence, wrong, group = cells
    named = wrong & (confidence >= limit)
    return float(np.mean([named[group == g].mean() for g in np.unique(group)]))


@st.composite
def tables(draw: st.DrawFn) -> Cells:
    n = draw(st.integers(1, 60))
    hundredths = draw(st.lists(st.integers(0, 100), min_size=n, max_size=n))
    wrong = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    group = draw(st.lists(st.integers(0, 14), min_size=n, max_size=n))
    return np.array(hundredths) / 100, np.array(wrong), np.array(group)


def test_the_next_patient_gets_wrong_names_at_the_rate_or_less() -> None:
    rng, losses = np.random.default_rng(0), []
    for _ in range(400):
        limit = unclassified_limit(*drawn(rng, 30), rate=0.1)
        losses.append(1.0 if limit is None else loss(drawn(rng, 1), limit))
    assert np.mean(losses) <= 0.1
    assert np.mean(losses) > 0.04  # not by leaving everything unclassified


@given(cells=tables(), rate=st.sampled_from([0.05, 0.1, 0.2, 0.3]))
def test_the_promise_holds_at_the_limit_that_is_returned(cells: Cells, rate: float) -> None:
    limit = unclassified_limit(*cells, rate)
    groups = len(np.unique(cells[2]))
    if limit is None:
        assert (groups * loss(cells, 1.0) + 1) / (groups + 1) > rate
        return
    assert (groups * loss(cells, limit) + 1) / (groups + 1) <= rate + 1e-12
    if limit > 0:  # and it is the least such limit
        assert (groups * loss(cells, round(limit - 0.01, 2)) + 1) / (groups + 1) > rate


@given(cells=tables(), rates=st.tuples(st.floats(0.01, 0.9), st.floats(0.01, 0.9)))
def test_a_larger_rate_never_gives_a_higher_limit(cells: Cells, rates: tuple[float, float]) -> None:
    strict, loose = (unclassified_limit(*cells, rate) for rate in sorted(rates))
    if strict is not None:
        assert loose is not None
        assert loose <= strict


@pytest.mark.parametrize(
    ("groups", "rate", "limit"), [(8, 0.1, None), (9, 0.1, 0.0), (18, 0.05, None), (19, 0.05, 0.0)]
)
def test_so_many_groups_are_needed(groups: int, rate: float, limit: float | None) -> None:
    never = np.zeros(groups, bool)
    assert unclassified_limit(np.full(groups, 0.9), never, np.arange(groups), rate) == limit


def test_the_limit_lies_just_above_the_wrong_names() -> None:
    confidence = np.array([0.6, 0.9] * 50)
    wrong = np.array([True, False] * 50)
    assert unclassified_limit(confidence, wrong, np.repeat(np.arange(50), 2), 0.1) == pytest.approx(0.61)


def test_groups_may_be_named() -> None:
    cells = drawn(np.random.default_rng(1), 20)
    by_name = np.array([f"patient {g}" for g in cells[2]])
    assert unclassified_limit(cells[0], cells[1], by_name, 0.2) == unclassified_limit(*cells, 0.2)
