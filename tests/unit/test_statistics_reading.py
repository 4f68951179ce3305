"""Looks at a growing count: all of them together err no more often than one look may."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.differential.statistics.group_sequential import LookSchedule


def taken(first: int, counts: list[int]) -> list[tuple[int, LookSchedule]]:
    """Counts at which a look was taken, each with the looks after it."""
    looks, found = LookSchedule(first), []
    for counted in counts:
        if looks.due(counted):
            looks = looks.next(counted)
            found.append((counted, looks))
    return found


growth = st.lists(st.integers(0, 700), min_size=1, max_size=60)


@given(first=st.integers(20, 300), fields=growth, whole=st.floats(0.001, 0.5))
def test_errors_of_all_looks_sum_to_at_most_the_whole(first: int, fields: list[int], whole: float) -> None:
    counts = [sum(fields[: i + 1]) for i in range(len(fields))]
    made = taken(first, counts)
    last = made[-1][1] if made else LookSchedule(first)
    spent = sum(looks.error(whole) for _, looks in made)
    if not last.fresh(counts[-1]):  # when every field was read, one more look at cells that came since
        spent += last.next(counts[-1]).error(whole)
    assert spent <= whole * (1 + 1e-12)


@given(first=st.integers(20, 300), fields=growth)
def test_each_next_look_comes_at_twice_as_many(first: int, fields: list[int]) -> None:
    counts = [sum(fields[: i + 1]) for i in range(len(fields))]
    made = taken(first, counts)
    for (_, before), (later, after) in pairwise(made):
        assert later >= first * 2**before.taken
        assert after.taken > before.taken
    for counted, looks in made:
        assert not looks.due(counted)  # never twice at the same count
        assert looks.due(first * 2**looks.taken)
        assert not looks.due(first * 2**looks.taken - 1)


def test_cell_by_cell_looks_double() -> None:
    made = taken(100, list(range(1, 2000)))
    assert [counted for counted, _ in made] == [100, 200, 400, 800, 1600]
    assert [looks.error(0.05) for _, looks in made] == pytest.approx([0.05 / 2**k for k in range(1, 6)])


@pytest.mark.parametrize(("counted", "looks"), [(100, 1), (199, 1), (200, 2), (399, 2), (400, 3), (5000, 6)])
def test_a_count_that_jumps_over_several_looks_takes_one(counted: int, looks: int) -> None:
    made = taken(100, [counted, counted])
    assert [one.taken for _, one in made] == [looks]
    assert made[0][1].error(1.0) == 0.5**looks


def test_before_any_look_the_first_share_is_spent() -> None:
    assert LookSchedule().error(1.0) == 0.5
    assert not LookSchedule().due(99)


def test_a_count_already_looked_at_is_not_fresh_news() -> None:
    looks = LookSchedule()
    assert not looks.fresh(0)
    looks = looks.next(150)
    assert looks.fresh(150)
    assert not looks.fresh(151)
