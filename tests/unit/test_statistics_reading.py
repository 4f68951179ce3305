"""Looks at a growing count: all of them together err no more often than one look may."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.differential.statistics.group_sequential import FLAG_KEPT, KEPT, LookSchedule


def taken(first: int, counts: list[int]) -> list[tuple[int, LookSchedule]]:
    """Counts at which a look was taken, each with the looks after it."""
    looks, found = LookSchedule(first), []
    for counted in counts:
        if looks.due(counted):
            looks = looks.next(counted)
            found.append((counted, looks))
    return found


growth = st.lists(st.integers(0, 700), min_size=1, max_size=60)


@pytest.mark.parametrize(("spent", "kept"), [("share", KEPT), ("flag_share", FLAG_KEPT)])
@given(first=st.integers(20, 300), fields=growth)
def test_errors_of_all_looks_sum_to_the_whole(spent: str, kept: float, first: int, fields: list[int]) -> None:
    counts = [sum(fields[: i + 1]) for i in range(len(fields))]
    made = [looks for _, looks in taken(first, counts)]
    last = (made[-1] if made else LookSchedule(first)).last()
    shares = [getattr(looks, spent) for looks in (*made, last)]
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert min(shares) > 0
    assert shares[-1] >= kept


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
    assert [looks.share for _, looks in made] == pytest.approx([0.75 / 2**k for k in range(1, 6)])
    assert [looks.flag_share for _, looks in made] == pytest.approx([0.1 / 2**k for k in range(1, 6)])


@pytest.mark.parametrize(("counted", "looks"), [(100, 1), (199, 1), (200, 2), (399, 2), (400, 3), (5000, 6)])
def test_a_count_that_jumps_over_several_looks_takes_one(counted: int, looks: int) -> None:
    made = taken(100, [counted, counted])
    assert [one.taken for _, one in made] == [looks]
    assert made[0][1].share == 0.75 * 0.5**looks


def test_a_slide_too_small_for_a_look_loses_nothing_by_reading_until_settled() -> None:
    assert not LookSchedule().due(99)
    last = LookSchedule().last()
    assert (last.share, last.flag_share) == (1, 1)


def test_what_jumped_looks_did_not_spend_is_left_for_the_last() -> None:
    assert LookSchedule().next(5000).last().share == 1 - 0.75 * 0.5**6
