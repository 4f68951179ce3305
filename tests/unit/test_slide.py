"""Tallies add up; the report says what the tally holds."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.flag import FlagRule
from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.slide import COUNTED, SlideReport, SlideTally, report_slide
from smearscan.taxonomy import DIFFERENTIAL_CLASSES

SCALE = Scale(0.07, "red cells", 30)
ALL = (*DIFFERENTIAL_CLASSES, "blast", "unclassified")


def field(types: Sequence[str], n_red_cells: int = 0) -> FieldResult:
    n = len(types)
    found = Detections(np.zeros((n, 4), np.float32), np.ones(n, np.float32), np.zeros(n, np.int64))
    nothing = np.full(n, np.nan, np.float32)
    return FieldResult(
        "s", None, (9, 9), found, np.empty((n, 0), np.float32), (), nothing, tuple(types), SCALE, n_red_cells
    )


def failed(name: str) -> FieldFailure:
    return FieldFailure("s", Path(name), f"{name}: is no picture")


def report(types: Sequence[str], task: str = "both", **more: object) -> SlideReport:
    return report_slide(SlideTally.of("s", [field(types)]), task, SCALE, FlagRule(), ("net:0",), **more)


fields = st.lists(
    st.one_of(
        st.builds(field, st.lists(st.sampled_from(ALL), max_size=6), st.integers(0, 9)),
        st.builds(failed, st.sampled_from("abc")),
    ),
    max_size=12,
)


def content(tally: SlideTally) -> tuple[object, ...]:
    """Everything of a tally that the order of fields must not change."""
    failures = sorted(str(f) for f in tally.failures)
    return tally.slide_id, tally.n_fields, tally.n_failed, dict(tally.types), tally.n_red_cells, failures


@given(items=fields, data=st.data())
def test_tallies_of_parts_add_up_to_the_tally_of_the_whole(
    items: list[FieldResult | FieldFailure], data: st.DataObject
) -> None:
    whole = SlideTally.of("s", items)
    shuffled = data.draw(st.permutations(items))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(items)), max_size=4)))
    total = SlideTally("s")
    for start, stop in zip([0, *cuts], [*cuts, len(items)], strict=True):
        total = total + SlideTally.of("s", shuffled[start:stop])
    assert content(total) == content(whole)
    assert content(SlideTally("s") + whole) == content(whole)


@given(items=fields)
def test_nothing_is_lost(items: list[FieldResult | FieldFailure]) -> None:
    tally = SlideTally.of("s", items)
    assert tally.n_fields + tally.n_failed == len(items)
    assert len(tally.failures) == tally.n_failed
    scanned = [i for i in items if isinstance(i, FieldResult)]
    assert sum(tally.types.values()) == sum(map(len, scanned))
    assert tally.n_red_cells == sum(i.n_red_cells for i in scanned)


def test_adding_changes_neither_part() -> None:
    a, b = SlideTally.of("s", [field(["blast"])]), SlideTally.of("s", [field(["monocyte"]), failed("x")])
    before = content(a), content(b)
    a.with_field(field(["blast"]))
    assert (a + b).n_failed == 1
    assert (content(a), content(b)) == before


def test_failed_fields_are_counted_and_kept_in_order() -> None:
    tally = SlideTally.of("s", [failed("b.png"), field(["monocyte"]), failed("a.png")])
    assert (tally.n_fields, tally.n_failed) == (1, 2)
    assert [f.path.name for f in tally.failures if f.path] == ["b.png", "a.png"]


@given(types=st.lists(st.sampled_from(ALL), max_size=40))
def test_percentages_sum_to_100_of_the_counted_cells(types: list[str]) -> None:
    made = report(types)
    outside = types.count("other") + types.count("unclassified")
    assert made.n_leukocytes == len(types)
    assert made.differential.total == len(types) - outside
    assert (made.n_other, made.n_unclassified) == (types.count("other"), types.count("unclassified"))
    if made.differential.total:
        assert made.differential.percent.sum() == pytest.approx(100)
        low, high = made.blast_interval
        assert low <= made.blast_percent <= high


def test_both_nets() -> None:
    made = report(
        ["neutrophil"] * 60 + ["lymphocyte"] * 20 + ["blast"] * 20 + ["other"] * 7 + ["unclassified"] * 3
    )
    assert made.differential.classes == (*COUNTED, "blast")
    assert made.n_leukocytes == 110
    assert made.differential.percent[0] == pytest.approx(60)
    assert made.blast_percent == pytest.approx(20)
    assert [round(v, 1) for v in made.blast_interval] == [12.7, 29.2]
    assert made.flag.state == "flagged"
    assert made.weights == ("net:0",)
    assert made.scale is SCALE
    assert "never a diagnosis" in made.notice


def test_blast_net_alone() -> None:
    made = report(["healthy"] * 90 + ["blast"] * 10, "blast")
    assert made.differential.classes == ("healthy", "blast")
    assert made.blast_percent == pytest.approx(10)
    assert made.flag.state == "not flagged"


def test_differential_alone_says_nothing_of_blasts() -> None:
    made = report(["neutrophil"] * 150 + ["monocyte"] * 50, "differential")
    assert made.differential.classes == COUNTED
    assert math.isnan(made.blast_percent)
    assert all(map(math.isnan, made.blast_interval))
    assert made.flag.state == "insufficient"
    assert made.flag.reason == "the blast net did not run"


@pytest.mark.parametrize("task", ["both", "blast", "differential"])
def test_a_slide_without_cells(task: str) -> None:
    made = report([], task)
    assert made.n_leukocytes == 0
    assert math.isnan(made.blast_percent)
    assert np.isnan(made.differential.percent).all()
    assert made.flag.state == "insufficient"


def test_a_slide_of_failures_alone_is_insufficient() -> None:
    tally = SlideTally.of("s", [failed("a"), failed("b")])
    made = report_slide(tally, "both", SCALE, FlagRule(), ())
    assert made.tally.n_failed == 2
    assert made.flag.state == "insufficient"


def test_classes_of_a_net_of_ones_own_are_in_the_denominator() -> None:
    """Else four blasts among two hundred cells would be four of four."""
    made = report(
        ["reactive"] * 100 + ["resting"] * 96 + ["blast"] * 4, names=("reactive", "resting", "other")
    )
    assert made.differential.classes == ("reactive", "resting", "blast")
    assert made.differential.total == 200
    assert made.blast_percent == pytest.approx(2)
    assert made.flag.state == "not flagged"


def test_the_rule_is_passed_on() -> None:
    tally = SlideTally.of("s", [field(["blast"] * 5 + ["neutrophil"] * 95)])
    assert report_slide(tally, "both", SCALE, FlagRule(blast_percent=5), ()).flag.state == "flagged"
    assert report_slide(tally, "both", SCALE, FlagRule(min_cells=200), ()).flag.state == "insufficient"
