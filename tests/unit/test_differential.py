"""Counts and percentages; what is outside the denominator; intervals of a count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.differential.count import COUNTED, EXCLUDED_FROM_DIFFERENTIAL, DifferentialCount
from smearscan.differential.statistics.intervals import exact_interval, upper_limit
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, NON_LEUKOCYTES, UNCLASSIFIED

CLASSES = ("neutrophil", "lymphocyte", "blast")
names = st.lists(st.sampled_from([*CLASSES, "smudge_cell", "other", "unclassified"]), max_size=60)


def test_nothing_counted_leaves_everything_possible() -> None:
    none = DifferentialCount.of([], CLASSES)
    assert none.total == 0
    assert np.isnan(none.percent).all()
    assert none.interval("blast") == (0.0, 100.0)
    assert none.not_excluded("blast") == 100


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


def test_what_is_no_leukocyte_and_what_has_no_name_are_outside_the_denominator() -> None:
    assert NON_LEUKOCYTES == ("erythroblast", "smudge_cell", "platelet", "other")
    assert set(EXCLUDED_FROM_DIFFERENTIAL) == {*NON_LEUKOCYTES, UNCLASSIFIED}
    assert set(COUNTED) == set(DIFFERENTIAL_CLASSES) - set(NON_LEUKOCYTES)
    types = (
        ["neutrophil"] * 3 + ["monocyte"] + [name for name in EXCLUDED_FROM_DIFFERENTIAL for _ in range(50)]
    )
    count = DifferentialCount.of(types, COUNTED)
    assert count.total == 4
    assert dict(zip(count.classes, count.percent, strict=True))["neutrophil"] == 75
    assert [count.count(name) for name in EXCLUDED_FROM_DIFFERENTIAL] == [0] * 5
    assert count.interval("monocyte") == exact_interval(1, 4)


@given(names, st.sampled_from([0.9, 0.95, 0.99]))
def test_intervals_and_limits_are_those_of_the_count(types: list[str], level: float) -> None:
    count = DifferentialCount.of(types, CLASSES)
    for name in CLASSES:
        assert count.interval(name, level) == exact_interval(types.count(name), count.total, level)
        assert count.not_excluded(name, level) == float(upper_limit(types.count(name), count.total, level))
        assert count.interval(name, level)[1] >= count.not_excluded(name, level)


def test_counts_of_other_classes_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="do not add up"):
        DifferentialCount.of([], CLASSES) + DifferentialCount.of([], COUNTED)


@pytest.mark.parametrize("counts", [[1, 2], [1, 2, -1]])
def test_wrong_counts_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="3 classes need"):
        DifferentialCount(CLASSES, np.array(counts, np.int64))
