"""Suspicions: tests of a slide's counts against reference ranges, and the share of false ones among all."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import COUNTED, KINDS, errors

from smearscan.calibration.coverage import measure_suspects
from smearscan.config import scan_config
from smearscan.differential.conclusions import report_slide
from smearscan.differential.count import DifferentialCount
from smearscan.differential.flag import FlagRule
from smearscan.differential.reference_ranges import KNOWN, SHIPPED, Range, ReferenceRanges, load_ranges
from smearscan.differential.slide_report import SlideReport
from smearscan.differential.statistics.correction import Corrector
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.differential.statistics.range_tests import holm, misnamed_range_p_value, range_p_value
from smearscan.differential.suspects import Suspect, SuspectRule, find_suspects
from smearscan.differential.tally import SlideTally
from smearscan.errors import ConfigError
from smearscan.results import Scale
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, FINE_CLASSES

RULE = SuspectRule(load_ranges())
NAMES = (
    "neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil", "immature_granulocyte", "promyelocyte",
    "abnormal_lymphocyte", "blast",
)  # fmt: skip
HEALTHY = {"neutrophil": 116, "lymphocyte": 60, "monocyte": 14, "eosinophil": 6, "basophil": 1}
"""A slide of healthy blood."""


def suspects(types: dict[str, int], rule: SuspectRule = RULE, **more: object) -> tuple[Suspect, ...]:
    count = DifferentialCount.of(Counter(types).elements(), NAMES)
    return find_suspects(count, types, rule, **more)  # type: ignore[arg-type]


def names(types: dict[str, int]) -> set[str]:
    return {suspect.name for suspect in suspects(types)}


# ---------------------------------------------------------------- each one


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, set()),
        ({"neutrophil": 20, "lymphocyte": 70, "monocyte": 15}, {"neutropenia", "lymphocytosis"}),
        ({"lymphocyte": 200}, {"lymphocytosis"}),
        ({"neutrophil": 900}, {"neutrophilia", "lymphopenia"}),
        ({"monocyte": 60}, {"monocytosis"}),
        ({"eosinophil": 50}, {"eosinophilia"}),
        ({"basophil": 20}, {"basophilia"}),
        ({"immature_granulocyte": 20}, {"left_shift"}),
        ({"promyelocyte": 60}, {"left_shift", "promyelocytes"}),
        ({"abnormal_lymphocyte": 50}, {"abnormal_lymphocytes"}),
        ({"erythroblast": 20}, {"erythroblasts"}),
        ({"smudge_cell": 80}, {"smudge_cells"}),
        ({"unclassified": 120}, {"unknown_cells"}),
        ({"unclassified": 90}, set()),  # 31 %
    ],
)
def test_each_suspicion_is_raised_by_what_it_means(change: dict[str, int], found: set[str]) -> None:
    assert names({**HEALTHY, **change}) >= found
    assert bool(names({**HEALTHY, **change})) == bool(found)


def test_a_slide_without_one_neutrophil_is_suspect() -> None:
    found = suspects({"lymphocyte": 138})
    assert {s.name for s in found} >= {"neutropenia", "neutrophils_nearly_absent", "one_type_alone"}
    first = next(s for s in found if s.name == "neutropenia")
    assert first.reason == "0.0 % neutrophils (0 cells, 95 % interval 0.0 to 2.6), below the limit of 40 %"


def test_reasons_read_as_sentences() -> None:
    few = suspects({"neutrophil": 1, "lymphocyte": 137, "erythroblast": 20})
    told = {s.name: s.reason for s in few}
    assert told["neutropenia"].startswith("0.7 % neutrophils (1 cell, 95 % interval")
    assert told["erythroblasts"].startswith("14.5 erythroblasts per 100 leukocytes (20 cells, 95 % interval")
    assert told["erythroblasts"].endswith("above the limit of 1 per 100 leukocytes")
    assert told["one_type_alone"].startswith("99.3 % of the counted leukocytes are of one type, lymphocyte (")


def test_a_slide_of_unknown_cells_says_so_first() -> None:
    found = suspects({"lymphocyte": 138, "unclassified": 200})
    assert found[0].name == "unknown_cells"
    assert found[0].reason == (
        "59 % of the leukocytes (200 of 338) have no name: most cells are unlike any known"
    )
    assert np.isnan(found[0].p_value)
    assert "many cells are" in suspects({"lymphocyte": 138, "unclassified": 100})[0].reason
    assert names({"unclassified": 19}) == set()  # too few to say anything
    assert names({"unclassified": 20}) == {"unknown_cells"}


def test_classes_that_a_net_does_not_know_are_not_looked_for() -> None:
    count = DifferentialCount.of(["lymphocyte"] * 150, ("lymphocyte", "blast"))
    found = {s.name for s in find_suspects(count, {"lymphocyte": 150}, RULE)}
    assert found == {"lymphocytosis", "one_type_alone"}  # no neutropenia: neutrophils were not asked for
    assert not find_suspects(DifferentialCount.of(["healthy"] * 150, ("healthy", "blast")), {}, RULE)
    assert not suspects({})


def test_fine_types_count_with_their_coarse_one() -> None:
    fine = ("segmented_neutrophil", "band_neutrophil", "lymphocyte", "myelocyte", "blast")
    types = {"segmented_neutrophil": 90, "band_neutrophil": 30, "lymphocyte": 60, "myelocyte": 20}
    count = DifferentialCount.of(Counter(types).elements(), fine)
    assert {s.name for s in find_suspects(count, types, RULE)} == {"left_shift"}


@pytest.mark.parametrize("own", [None, errors(variation=0.2)])
def test_fine_types_are_tested_whatever_the_cells_are_called(own: MisclassificationModel | None) -> None:
    """The differential calls abnormal promyelocytes blasts and others immature granulocytes."""
    types = {"neutrophil": 100, "lymphocyte": 60, "monocyte": 10, "blast": 15, "immature_granulocyte": 15}
    count = DifferentialCount.of(Counter(types).elements(), (*DIFFERENTIAL_CLASSES[:6], "blast"))
    fine = {"promyelocyte": 20, "abnormal_lymphocyte": 25}
    found = {s.name: s for s in find_suspects(count, types, RULE, own, fine=fine)}
    assert found.keys() >= {"promyelocytes", "abnormal_lymphocytes"}
    assert found["promyelocytes"].reason == (
        "10.0 % promyelocytes (20 cells, 95 % interval 6.2 to 15.0), above the limit of 1 %"
    )
    assert found["promyelocytes"].p_value == range_p_value(20, 200, 0.01, "above")
    for fewer in ({"promyelocyte": 3, "abnormal_lymphocyte": 10}, {}, None):
        named = {s.name for s in find_suspects(count, types, RULE, own, fine=fewer)}
        assert not named & {"promyelocytes", "abnormal_lymphocytes"}


@given(n=st.integers(0, 199))
def test_one_more_promyelocyte_never_takes_the_suspicion_of_them_back(n: int) -> None:
    types = {"neutrophil": 200}
    count = DifferentialCount.of(Counter(types).elements(), NAMES[:6])
    first, more = (
        {s.name for s in find_suspects(count, types, RULE, fine={"promyelocyte": k})} for k in (n, n + 1)
    )
    assert ("promyelocytes" in first) <= ("promyelocytes" in more)


@settings(max_examples=60)
@given(lymphocytes=st.integers(0, 400), own=st.sampled_from([None, 0.0, 0.05]))
def test_one_more_lymphocyte_never_takes_a_suspicion_of_them_back(
    lymphocytes: int, own: float | None
) -> None:
    def p_value(n: int) -> float:
        if own is None:
            return range_p_value(n, 100 + n, 0.4, "above")
        counts = np.array([100, n, 0, 0], np.int64)
        inside, target = np.array([True, True, False, True]), np.array([False, True, False, False])
        return misnamed_range_p_value(counts, errors(spread=own), inside, target, 0.4, "above")

    assert p_value(lymphocytes + 1) <= p_value(lymphocytes) + 1e-9


def test_the_test_without_naming_errors_is_the_binomial_one() -> None:
    inside, target = np.array([True, True, False, True]), np.array([False, True, False, False])
    sure = errors(np.eye(4, 5), 10_000_000, groups=10_000_000)
    for n in (5, 20, 40):
        counts = np.array([200 - n, n, 0, 0], np.int64)
        found = misnamed_range_p_value(counts, sure, inside, target, 0.1, "above")
        assert found == pytest.approx(range_p_value(n, 200, 0.1, "above"), rel=0.15)


def test_nets_that_err_are_suspected_less() -> None:
    """Of 200 cells 20 are called monocyte where a tenth of the neutrophils is: no reason for a suspicion."""
    shares = np.array([[0.9, 0.1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]])
    counts = np.array([178, 22, 0, 0], np.int64)
    inside, target = np.array([True, True, False, True]), np.array([False, True, False, False])
    careless = misnamed_range_p_value(counts, errors(shares), inside, target, 0.05, "above")
    careful = misnamed_range_p_value(counts, errors(np.eye(4, 5)), inside, target, 0.05, "above")
    assert careful < 0.001 < 0.05 < careless


# ---------------------------------------------------------------- many tests at once


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03], 0.05) == [False, True, False]
    assert holm([0.01, 0.02, 0.03], 0.05) == [True, True, True]
    assert holm([0.02, 0.02], 0.03) == [False, False]
    assert holm([], 0.05) == []


@given(p=st.lists(st.floats(0, 1), max_size=12), level=st.floats(0.001, 0.4))
def test_holm_rejects_no_less_than_bonferroni_and_no_more_than_each_alone(
    p: list[float], level: float
) -> None:
    for rejected, value in zip(holm(p, level), p, strict=True):
        assert rejected or value > level / len(p)
        assert not rejected or value <= level


def test_slides_inside_every_range_are_suspected_at_most_at_the_level() -> None:
    own = errors(spread=0.02, variation=0.2)
    ranges = ReferenceRanges({"neutrophil": Range(low=40, high=80), "monocyte": Range(high=60)})
    for percent in ({"neutrophil": 41, "monocyte": 59}, {"neutrophil": 79, "monocyte": 21}):
        found = measure_suspects(own, percent, 200, 400, SuspectRule(ranges, 0.05), seed=1)
        assert found["any"]["value"] <= 0.05
    ill = measure_suspects(own, {"neutrophil": 5, "monocyte": 95}, 200, 50, RULE, seed=1)
    assert ill["any"]["value"] == 1
    assert ill["by_name"]["neutropenia"] > 0.9


# ---------------------------------------------------------------- ranges of one's own


def test_the_shipped_ranges_name_all_that_can_be_ranged() -> None:
    assert set(load_ranges().of_class) == KNOWN
    assert "Dacie" in SHIPPED.read_text(encoding="utf-8")


def test_a_range_of_ones_own_is_used(tmp_path: Path) -> None:
    path = tmp_path / "ranges.yaml"
    path.write_text("lymphocyte: {high: 20}\n")
    rule = SuspectRule.of(scan_config(reference_ranges=path, suspect_level=0.1))
    assert rule.level == 0.1
    assert {s.name for s in suspects(HEALTHY, rule)} == {"lymphocytosis"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lymphocyte: {high: 120}", "lymphocyte.high = 120: Input should be less than 100"),
        ("lymphocyte: {low: 40, high: 20}", "low = 40 must be below high = 20"),
        ("lymphocyte: {}", "needs low, high or both"),
        ("lymphocyte: 20", "write ranges as 'monocyte: {low: 2, high: 10}'"),
        ("limphocyte: {high: 20}", "limphocyte is no range; use abnormal_lymphocyte, "),
        ("- a", "write ranges as"),
        ("a: [", "is not YAML"),
    ],
)
def test_wrong_ranges_are_refused_with_the_cure(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "ranges.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"ranges\.yaml") as refused:
        load_ranges(path)
    assert told in str(refused.value)


def test_a_missing_file_of_ranges_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read"):
        load_ranges(tmp_path / "none.yaml")


# ---------------------------------------------------------------- in the report


def report(types: dict[str, int], own: bool = True, **rule: float) -> SlideReport:
    tally = SlideTally("s", 1, 0, Counter(types))
    known = Corrector(errors(variation=0.2)) if own else None
    return report_slide(tally, "both", Scale(0.07, "red cells", 30), FlagRule(**rule), (), KINDS, known)


def test_the_report_tells_suspicions_at_its_end() -> None:
    made = report({"monocyte": 138})
    row = made.to_frame().iloc[0]
    columns = list(row.index)
    at = columns.index("suspect")
    assert columns[at : at + 5] == ["suspect", "suspect_reasons", "doubt", "doubt_reasons", "stain"]
    assert row["suspect"].split(";") == [s.name for s in made.suspects]
    assert "neutropenia" in row["suspect"].split(";")
    assert row["suspect_reasons"] == "; ".join(s.reason for s in made.suspects)
    assert report({"neutrophil": 8, "monocyte": 2}).to_frame().iloc[0]["suspect"] == ""


@pytest.mark.parametrize("own", [True, False])
def test_a_flagged_slide_is_suspected_of_blasts(own: bool) -> None:
    made = report({"neutrophil": 130, "monocyte": 8, "blast": 60}, own)
    assert made.flag.state == "flagged"
    blasts = made.suspects[0]
    assert blasts.name == "blasts"
    assert blasts.reason.startswith("30.3 % blasts (60 cells, 95 % interval 24.0 to 37.2)")


@pytest.mark.parametrize("own", [True, False])
def test_many_promyelocytes_with_a_raised_flag_are_an_emergency(own: bool) -> None:
    def told(blasts: int, promyelocytes: int) -> list[Suspect]:
        tally = SlideTally("s", 1, 0, Counter(neutrophil=60, monocyte=40, blast=blasts))
        tally = replace(tally, fine_types=Counter(promyelocyte=promyelocytes))
        known = Corrector(errors(variation=0.2)) if own else None
        scale = Scale(0.07, "red cells", 30)
        return list(
            report_slide(
                tally, "both", scale, FlagRule(), (), KINDS, known, fine_classes=FINE_CLASSES
            ).suspects
        )

    first, second = told(100, 90)[:2]
    assert (first.name, second.name) == ("blasts", "promyelocytes")
    assert "acute promyelocytic leukemia" in second.reason
    assert "emergency: show the slide to a hematologist now" in second.reason
    assert not any("emergency" in s.reason for s in told(100, 0))
    (unflagged,) = [s for s in told(0, 20) if s.name == "promyelocytes"]
    assert "emergency" not in unflagged.reason


def test_what_does_not_hold_for_a_slide_is_withheld() -> None:
    made = report({"neutrophil": 90, "monocyte": 5, "blast": 2, "unclassified": 100})
    assert made.corrected is not None
    assert np.isnan(made.corrected.percent).all()
    row = made.to_frame().iloc[0]
    assert np.isnan(row["blast_corrected_percent"])
    assert np.isnan(row["blast_at_least_20"])
    assert row["correction"].startswith("51 % of the leukocytes have no name")
    assert not made.is_like_labeled
    assert row["suspect"].startswith("unknown_cells")
    few = report({"neutrophil": 90, "monocyte": 5, "blast": 2, "unclassified": 10})
    assert few.is_like_labeled
    assert few.unclassified_percent == pytest.approx(100 * 10 / 107)
    assert few.to_frame().iloc[0]["correction"] == ""
    assert few.differential.classes == COUNTED


def test_ranges_are_checked_where_they_are_made() -> None:
    with pytest.raises(ValueError, match="below high"):
        Range(low=5, high=5)
    assert ReferenceRanges({}).get("neutrophil") is None
