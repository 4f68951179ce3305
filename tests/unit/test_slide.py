"""Tallies add up; the report says what the tally holds."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import CLASSES, KINDS, errors

from smearscan.differential.conclusions import PROVISO, report_slide
from smearscan.differential.count import COUNTED, EXCLUDED_FROM_DIFFERENTIAL
from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import SlideReport, StopInfo
from smearscan.differential.statistics.correction import Corrector
from smearscan.differential.statistics.intervals import exact_interval, upper_limit
from smearscan.differential.tally import SlideTally
from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, NON_LEUKOCYTES

SCALE = Scale(0.07, "red cells", 30)
ALL = (*DIFFERENTIAL_CLASSES, "blast", "unclassified")


FINE = ("promyelocyte", "myeloblast", "band_neutrophil", "")


def field(types: Sequence[str], n_red_cells: int = 0) -> FieldResult:
    n = len(types)
    found = Detections(np.zeros((n, 4), np.float32), np.ones(n, np.float32), np.zeros(n, np.int64))
    nothing = np.full(n, np.nan, np.float32)
    return FieldResult(
        "s", None, (9, 9), found, np.empty((n, 0), np.float32), (), nothing, tuple(types), SCALE, n_red_cells,
        fine_classes=FINE[:-1], fine_types=tuple(FINE[len(name) % 4] for name in types), fine_probs=nothing,
    )  # fmt: skip


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
    counts = dict(tally.types), dict(tally.fine_types), tally.n_red_cells
    return tally.slide_id, tally.n_fields, tally.n_failed, *counts, failures


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
    assert sum(tally.fine_types.values()) == sum(name != "" for i in scanned for name in i.fine_types)
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
    outside = sum(types.count(name) for name in NON_LEUKOCYTES)
    assert made.n_leukocytes == len(types)
    assert made.differential.total == len(types) - outside - types.count("unclassified")
    assert made.tally.n_counted == made.differential.total
    assert (made.n_other, made.n_unclassified) == (outside, types.count("unclassified"))
    if made.differential.total:
        assert made.differential.percent.sum() == pytest.approx(100)
        low, high = made.blast_interval
        assert low <= made.blast_percent <= high


def test_both_nets() -> None:
    outside = ["erythroblast"] * 2 + ["smudge_cell"] * 3 + ["platelet", "other"] + ["unclassified"] * 3
    made = report(["neutrophil"] * 60 + ["lymphocyte"] * 20 + ["blast"] * 20 + outside)
    assert made.differential.classes == (*COUNTED, "blast")
    assert made.n_leukocytes == 110
    assert made.n_other == 7
    assert [made.per_100(name) for name in NON_LEUKOCYTES] == [2, 3, 1, 1]
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


# ---------------------------------------------------------------- with the nets' errors known

OWN = Corrector(errors(variation=0.2))


def slide_of(*counts: int, share: float = 1.0, **rule: object) -> SlideReport:
    """Report of a slide of so many neutrophils, monocytes, smudge cells and blasts."""
    types = [name for name, n in zip(CLASSES, counts, strict=True) for _ in range(n)]
    tally = SlideTally.of("s", [field(types)])
    return report_slide(tally, "both", SCALE, FlagRule(**rule), (), KINDS, OWN, StopInfo(9, "why", share))


def test_without_known_errors_nothing_is_corrected_or_slide_of() -> None:
    made = report(["neutrophil"] * 100)
    assert (made.corrected, made.test) == (None, None)
    assert "how often these nets err is not known" in made.flag.reason
    assert made.reading == StopInfo(0, "every field was read", 1.0)


def test_with_known_errors_the_flag_is_a_test() -> None:
    made = slide_of(140, 10, 7, 50)
    assert made.differential.classes == ("neutrophil", "monocyte", "blast")
    assert made.differential.total == 200
    assert (made.flag.state, made.flag.tier) == ("flagged", ">= 20 %")
    assert made.test is not None
    assert made.corrected is not None
    assert made.flag.p_value == made.test.p_value
    assert made.corrected.classes == CLASSES
    assert made.corrected.low[3] < made.corrected.percent[3] < made.corrected.high[3]
    assert slide_of(190, 10, 0, 0).flag.state == "not flagged"


def test_a_slide_that_is_not_flagged_says_on_what_that_rests_where_no_cell_of_its_site_is_known() -> None:
    made = slide_of(190, 10, 0, 0)
    assert made.flag_reason.endswith(f": no excess, {PROVISO}")
    labeled = np.full_like(OWN.errors.counts, 3)
    site = Corrector(replace(OWN.errors, site=labeled))
    tally = SlideTally.of("s", [field(["neutrophil"] * 190 + ["monocyte"] * 10)])
    known = report_slide(tally, "both", SCALE, FlagRule(), (), KINDS, site)
    assert PROVISO not in known.flag_reason
    assert PROVISO not in slide_of(140, 10, 7, 50).flag_reason
    assert slide_of(0, 0, 9, 0).flag.reason == "no leukocyte was counted"


@pytest.mark.parametrize("task", ["blast", "differential"])
def test_one_net_alone_is_not_judged_by_the_errors_of_both(task: str) -> None:
    tally = SlideTally.of("s", [field(["healthy", "neutrophil", "blast"] * 60)])
    made = report_slide(tally, task, SCALE, FlagRule(), (), KINDS, OWN)
    assert (made.corrected, made.test) == (None, None)


@settings(max_examples=25)
@given(types=st.lists(st.sampled_from([*CLASSES, "unclassified"]), max_size=60), data=st.data())
def test_a_report_does_not_depend_on_the_order_of_cells(types: list[str], data: st.DataObject) -> None:
    one, other = (
        report_slide(SlideTally.of("s", [field(t)]), "both", SCALE, FlagRule(), (), KINDS, OWN)
        for t in (types, data.draw(st.permutations(types)))
    )
    assert one.flag.state == other.flag.state
    assert one.flag.reason == other.flag.reason
    assert one.to_frame().to_csv() == other.to_frame().to_csv()


def test_each_look_may_err_less() -> None:
    """Half of the error is an interval at 97.5 % and half of the flag's level."""
    once, first, second = (slide_of(180, 10, 0, 10, share=share) for share in (1.0, 0.5, 0.25))
    assert [made.level for made in (once, first, second)] == pytest.approx([0.95, 0.975, 0.9875])
    assert [made.rule.level for made in (once, first, second)] == [0.01] * 3
    for one, later in ((once, first), (first, second)):
        assert later.blast_interval[0] < one.blast_interval[0]
        assert later.blast_interval[1] > one.blast_interval[1]
        assert one.corrected is not None
        assert later.corrected is not None
        assert later.corrected.high[3] > one.corrected.high[3]
        assert one.test is not None
        assert later.test is not None
        assert later.test.critical >= one.test.critical
        assert later.test.p_value == one.test.p_value
    assert second.blast_interval == exact_interval(10, 200, 0.9875)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((150, 64, 0, 0), "no blast in 214 cells: up to 1.4 % cannot be excluded"),
        ((99, 0, 50, 1), "1 blast in 100 cells: up to 4.7 % cannot be excluded"),
        ((90, 0, 0, 10), "10 blasts in 100 cells: up to 16.4 % cannot be excluded"),
        ((0, 0, 5, 0), "no blast in 0 cells: up to 100.0 % cannot be excluded"),
    ],
)
def test_the_detection_limit_in_words(counts: tuple[int, ...], told: str) -> None:
    assert slide_of(*counts).detection_limit == told


def test_the_detection_limit_follows_the_look_and_the_nets() -> None:
    words = slide_of(100, 0, 0, 0, share=0.5).detection_limit
    assert f"up to {float(upper_limit(0, 100, 0.975)):.1f} %" in words
    assert report(["neutrophil"] * 9, "differential").detection_limit == ""
    assert report(["healthy"] * 214, "blast").detection_limit.startswith("no blast in 214 cells: up to 1.4 %")


def test_what_is_outside_is_told_per_100_leukocytes() -> None:
    made = slide_of(40, 5, 30, 5)
    assert made.per_100("smudge_cell") == 60
    assert made.per_100("erythroblast") == 0
    assert math.isnan(slide_of(0, 0, 30, 0).per_100("smudge_cell"))
    assert set(EXCLUDED_FROM_DIFFERENTIAL).isdisjoint(made.differential.classes)
