"""Every branch of the flag: the test, and the rule by percentage that stands in for it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import CLASSES, COUNTED, errors

from smearscan.differential.count import DifferentialCount
from smearscan.differential.flag import ANY_EXCESS, Flag, FlagRule, decide
from smearscan.differential.statistics.blast_excess import BlastExcessTest, blast_excess
from smearscan.differential.statistics.correction import CorrectedDifferential, correct_differential
from smearscan.differential.statistics.intervals import exact_interval
from smearscan.differential.statistics.misclassification import MisclassificationModel

# ---------------------------------------------------------------- by percentage


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
    assert "; how often these nets err is not known; " in found.reason
    assert found.tier == (">= 20 %" if state == "flagged" else "")
    assert math.isnan(found.p_value)


def test_the_few_cells_of_the_table_lie_on_both_sides_of_the_limit() -> None:
    assert exact_interval(9, 20)[0] > 20 > exact_interval(8, 20)[0]


def test_the_reason_tells_share_and_interval() -> None:
    assert "20.0 % (95 % interval 12.7 to 29.2 %)" in flag(20, 100).reason


def test_no_cell_and_no_blast_net_are_insufficient() -> None:
    without = DifferentialCount.of(["neutrophil"] * 500, ("neutrophil",))
    for found, why in (
        (flag(0, 0), "no leukocyte was counted"),
        (decide(without, FlagRule()), "the blast net did not run"),
    ):
        assert (found.state, found.reason, found.tier) == ("insufficient", why, "")


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


# ---------------------------------------------------------------- by the test

OWN = errors(variation=0.2)


def judged(
    blasts: int, total: int, own: MisclassificationModel = OWN, **rule: object
) -> tuple[DifferentialCount, FlagRule, BlastExcessTest, CorrectedDifferential]:
    """Count of a slide of neutrophils and blasts, with its test."""
    levels = FlagRule(**rule)
    slide = np.array([[total - blasts, 0, 0, blasts]], np.int64)
    count = DifferentialCount(COUNTED, slide[0, [0, 1, 3]])
    test = blast_excess(slide, own, COUNTED, levels.level, levels.power)[0]
    return count, levels, test, correct_differential(slide, own, COUNTED, limits=levels.tiers)[0]


def by_test(blasts: int, total: int, own: MisclassificationModel = OWN, **rule: object) -> Flag:
    return decide(*judged(blasts, total, own, **rule))


@pytest.mark.parametrize(
    ("blasts", "total", "state", "tier", "words"),
    [
        (0, 200, "not flagged", "", ": no excess"),
        (3, 200, "not flagged", "", ": no excess"),
        (12, 200, "flagged", ANY_EXCESS, "10 % or more: "),
        (30, 200, "flagged", ">= 10 %", ", 20 % or more: "),
        (120, 200, "flagged", ">= 20 %", "10 % or more: above 0.999, 20 % or more: above 0.999"),
        (12, 30, "flagged", ">= 20 %", "; only 30 cells, count more"),
        (0, 99, "insufficient", "", "; 99 cells are fewer than 100"),
        (0, 3, "insufficient", "", "; 3 cells are fewer than 100"),
    ],
)
def test_state_tier_and_words(blasts: int, total: int, state: str, tier: str, words: str) -> None:
    found = by_test(blasts, total)
    assert (found.state, found.tier) == (state, tier)
    assert words in found.reason
    assert f"{blasts} of {total} leukocytes look like blasts: " in found.reason
    assert " are expected in such a slide without blasts (p " in found.reason
    assert "not known" not in found.reason
    assert (found.p_value <= 0.01) == (state == "flagged")


def test_the_words_are_those_of_the_numbers() -> None:
    count, rule, test, corrected = judged(30, 200)
    reason = decide(count, rule, test, corrected).reason
    assert "15.0 % (95 % interval 10.4 to 20.7 %)" in reason
    assert f"; {test.expected:.1f} are expected" in reason
    low, high, percent = (values[3] for values in (corrected.low, corrected.high, corrected.percent))
    assert f": an excess; corrected {percent:.1f} % ({low:.1f} to {high:.1f} %); 10 % or more" in reason
    assert "p < 0.0001" in decide(count, rule, replace(test, p_value=9e-5), corrected).reason
    assert "p = 0.0012" in decide(count, rule, replace(test, p_value=0.00123), corrected).reason


def test_a_slide_is_cleared_only_where_blasts_would_have_been_found() -> None:
    count, rule, test, corrected = judged(0, 200)
    for share, state, words in (
        (
            5.0,
            "not flagged",
            "; 5.0 % blasts or more would be found in 95 of 100 slides like this one: no excess",
        ),
        (20.0, "not flagged", ": no excess"),
        (
            20.1,
            "insufficient",
            "; 20.1 % blasts or more would be found in 95 of 100 slides like this one, "
            "too few cells to rule out 20 %: count more",
        ),
        (np.nan, "insufficient", "; no share of blasts would be found in"),
    ):
        found = decide(count, rule, replace(test, detectable_percent=share), corrected)
        assert found.state == state
        assert words in found.reason
    assert by_test(0, 200, min_detectable_percent=0.5).state == "insufficient"


def test_nets_too_uncertain_never_clear_a_slide() -> None:
    found = by_test(0, 200, errors(variation=200.0))
    assert found.state == "insufficient"
    assert "no share of blasts would be found in 95 of 100 slides like this one, too few" in found.reason


def test_blasts_that_cannot_be_corrected_for_are_still_an_excess() -> None:
    few = errors(variation=0.2)
    few.counts[3] = [0, 0, 0, 9, 0]
    found = by_test(60, 200, few)
    assert (found.state, found.tier) == ("flagged", ANY_EXCESS)
    assert found.reason.endswith("an excess; the nets' errors do not allow to say how large")


def test_the_levels_of_the_test_are_the_rules() -> None:
    at = judged(9, 200)[2].p_value
    assert by_test(9, 200, level=at * 1.01).state == "flagged"
    assert by_test(9, 200, level=at * 0.99).state != "flagged"
    assert by_test(30, 200, tiers=(5.0, 30.0)).tier == ">= 5 %"
    assert by_test(30, 200, tier_probability=0.999).tier == ANY_EXCESS
    assert by_test(0, 99, min_cells=99).state == "not flagged"
    assert by_test(60, 200, blast_percent=90).state == "flagged"  # the percentage plays no part


def test_no_cell_and_no_blast_net_are_insufficient_with_a_test_too() -> None:
    count, rule, test, corrected = judged(0, 0)
    assert decide(count, rule, test, corrected).reason == "no leukocyte was counted"
    without = DifferentialCount(("neutrophil",), np.array([200]))
    assert decide(without, rule, test, corrected).reason == "the blast net did not run"


def test_half_of_a_test_is_none() -> None:
    count, rule, test, corrected = judged(60, 200)
    assert "not known" in decide(count, rule, test, None).reason
    assert "not known" in decide(count, rule, None, corrected).reason


@settings(max_examples=50)
@given(total=st.integers(1, 300), data=st.data())
def test_one_more_blast_never_takes_a_tested_flag_back(total: int, data: st.DataObject) -> None:
    blasts = data.draw(st.integers(0, total - 1))
    one, more = by_test(blasts, total), by_test(blasts + 1, total)
    assert more.p_value <= one.p_value + 1e-9
    assert (one.state, more.state) != ("flagged", "not flagged")
    assert (one.state, more.state) != ("flagged", "insufficient")
    if more.state == "not flagged":
        assert total >= 100


def test_a_slide_of_monocytes_is_judged_by_the_errors_of_monocytes() -> None:
    """Nine of 200 are too many among neutrophils and what is expected among monocytes."""

    def found(slide: list[int]) -> Flag:
        counts = np.array([slide], np.int64)
        test = blast_excess(counts, OWN, COUNTED)[0]
        corrected = correct_differential(counts, OWN, COUNTED, limits=FlagRule().tiers)[0]
        return decide(DifferentialCount(CLASSES, counts[0]), FlagRule(), test, corrected)

    assert found([191, 0, 0, 9]).state == "flagged"
    assert found([0, 191, 0, 9]).state != "flagged"


# ---------------------------------------------------------------- the guide


@pytest.mark.parametrize(
    ("possible", "asked", "share", "flagged"),
    [
        (60, 300, 1.0, True),  # exactly a fifth
        (59, 300, 1.0, False),
        (19, 90, 1.0, False),  # fewer cells than decide anything
        (60, 300, 0.5, False),  # looked at several times: the whole interval is to lie above
        (90, 300, 0.5, True),
    ],
)
def test_many_possible_blasts_flag_a_slide_without_an_excess(
    possible: int, asked: int, share: float, flagged: bool
) -> None:
    seen = np.array([[250, 30, 0, 0]])
    test = blast_excess(seen, OWN, COUNTED, 0.01, 0.95)[0]
    corrected = correct_differential(seen, OWN, COUNTED, limits=(10.0, 20.0))[0]
    count = DifferentialCount(COUNTED, np.array([250, 30, 0]))
    without = decide(count, FlagRule(), test, corrected, share)
    found = decide(count, FlagRule(), test, corrected, share, possible=(possible, asked))
    assert without.state != "flagged"
    assert (found.state == "flagged") == flagged
    if flagged:
        assert found.tier == "possible blasts"
        assert f"but {possible} of {asked} may be blasts, 20 % or more" in found.reason
        assert found.p_value == without.p_value
    else:
        assert found == without


def test_an_excess_goes_before_the_guide() -> None:
    found = by_test(60, 200)
    assert found.state == "flagged"
    assert found.tier != "possible blasts"


@pytest.mark.parametrize(
    ("asked", "state"), [(200, "not flagged"), (298, "not flagged"), (299, "insufficient")]
)
def test_a_slide_with_many_nameless_cells_is_never_cleared(asked: int, state: str) -> None:
    found = decide(*judged(0, 200), possible=(0, asked))
    assert found.state == state
    assert ("have no name" in found.reason) == (state == "insufficient")


def test_nameless_cells_take_no_flag_back() -> None:
    found = decide(*judged(120, 200), possible=(0, 1000))
    assert (found.state, found.tier) == ("flagged", ">= 20 %")
    assert found.reason.endswith(
        "80 % of the leukocytes have no name: the nets do not know such slides, "
        "calibrate with more cells of it or retrain"
    )
