"""Every branch of the flag."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.differential import DifferentialCount, exact_interval
from smearscan.flag import Flag, FlagRule, decide


def flag(blasts: int, total: int, **rule: float) -> Flag:
    types = ["blast"] * blasts + ["neutrophil"] * (total - blasts)
    return decide(DifferentialCount.of(types, ("neutrophil", "blast")), FlagRule(**rule))


@pytest.mark.parametrize(
    ("blasts", "total", "state", "why"),
    [
        (20, 100, "flagged", "; at or above 20 %"),  # exactly at the limit
        (19, 100, "not flagged", "; below 20 %"),
        (40, 200, "flagged", "; at or above 20 %"),
        (39, 200, "not flagged", "; below 20 %"),
        (0, 100, "not flagged", "; below 20 %"),
        (100, 100, "flagged", "the whole interval is at or above 20 %"),
        (19, 99, "insufficient", "99 cells are fewer than 100"),
        (20, 99, "insufficient", "99 cells are fewer than 100"),  # above 20 %, yet not surely so
        (0, 99, "insufficient", "99 cells are fewer than 100"),
        (9, 20, "flagged", "the whole interval is at or above 20 %"),  # few cells that leave no doubt
        (8, 20, "insufficient", "20 cells are fewer than 100"),
        (1, 1, "insufficient", "1 cells are fewer than 100"),
    ],
)
def test_state_and_reason(blasts: int, total: int, state: str, why: str) -> None:
    found = flag(blasts, total)
    assert found.state == state
    assert found.reason.endswith(why)
    assert found.reason.startswith(f"{blasts} of {total} leukocytes look like blasts")


def test_the_few_cells_of_the_table_lie_on_both_sides_of_the_limit() -> None:
    assert exact_interval(9, 20)[0] > 20 > exact_interval(8, 20)[0]


def test_the_reason_tells_share_and_interval() -> None:
    assert "20.0 % (95 % interval 12.7 to 29.2 %)" in flag(20, 100).reason


def test_no_cell_and_no_blast_net_are_insufficient() -> None:
    assert flag(0, 0) == Flag("insufficient", "no leukocyte was counted")
    without = DifferentialCount.of(["neutrophil"] * 500, ("neutrophil",))
    assert decide(without, FlagRule()) == Flag("insufficient", "the blast net did not run")


def test_the_limits_are_the_rules() -> None:
    assert flag(20, 100, blast_percent=21).state == "not flagged"
    assert flag(5, 100, blast_percent=5).state == "flagged"
    assert flag(0, 99, min_cells=99).state == "not flagged"
    assert flag(0, 100, min_cells=101).state == "insufficient"


@given(total=st.integers(1, 300), data=st.data())
def test_one_more_blast_never_takes_a_flag_back(total: int, data: st.DataObject) -> None:
    blasts = data.draw(st.integers(0, total - 1))
    order = ["not flagged", "insufficient", "flagged"]
    assert order.index(flag(blasts + 1, total).state) >= order.index(flag(blasts, total).state)


@given(total=st.integers(0, 99), data=st.data())
def test_few_cells_are_never_cleared(total: int, data: st.DataObject) -> None:
    assert flag(data.draw(st.integers(0, total)), total).state != "not flagged"
