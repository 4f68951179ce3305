"""From probabilities to names: the rule, and what a site changes of the probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smearscan.classification.naming import NamingRule, Recalibration, fine_names, probs_given_type
from smearscan.taxonomy import (
    BLAST_TYPES,
    DIFFERENTIAL_CLASSES,
    DIFFERENTIAL_SUMS,
    FINE_CLASSES,
    FINE_TYPES_OF,
    UNCLASSIFIED,
)

CLASSES = ("neutrophil", "monocyte", "other")
BOTH = NamingRule(CLASSES, 0.75, 0.5)
Floats = NDArray[np.float64]


@st.composite
def rows(draw: st.DrawFn) -> Floats:
    n = draw(st.integers(1, 5))
    weights = draw(st.lists(st.floats(0.001, 1), min_size=3 * n, max_size=3 * n))
    table = np.array(weights).reshape(n, 3)
    return table / table.sum(axis=1, keepdims=True)


def named(rule: NamingRule, probs: list[float], blast: float) -> str:
    table = np.array([probs], np.float32).reshape(1, -1)
    (name,) = rule.names(table, np.array([blast], np.float32))
    return name


# ---------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("probs", "blast", "name"),
    [
        ([0.6, 0.3, 0.1], 0.75, "blast"),  # exactly at the threshold
        ([0.6, 0.3, 0.1], 0.74, "neutrophil"),
        ([0.2, 0.7, 0.1], 0.0, "monocyte"),
        ([0.1, 0.1, 0.8], 0.0, "other"),
        ([0.1, 0.1, 0.8], 0.9, "blast"),  # the blast net goes before
        ([0.5, 0.3, 0.2], 0.0, "neutrophil"),  # exactly at the limit
        ([0.49, 0.31, 0.2], 0.0, "unclassified"),
        ([0.49, 0.31, 0.2], 0.8, "blast"),
        ([0.4, 0.4, 0.2], np.nan, "unclassified"),
    ],
)
def test_a_cell_is_named(probs: list[float], blast: float, name: str) -> None:
    assert named(BOTH, probs, blast) == name


@pytest.mark.parametrize(("blast", "name"), [(0.8, "blast"), (0.75, "blast"), (0.7, "healthy")])
def test_the_blast_net_alone_knows_two_names(blast: float, name: str) -> None:
    assert named(NamingRule((), 0.75, 0.0), [], blast) == name


def test_the_differential_alone_never_says_blast() -> None:
    rule = NamingRule(CLASSES, None, 0.5)
    assert named(rule, [0.6, 0.3, 0.1], np.nan) == "neutrophil"
    assert named(rule, [0.6, 0.3, 0.1], 1.0) == "neutrophil"
    assert named(rule, [0.4, 0.3, 0.3], np.nan) == "unclassified"


def test_a_threshold_that_float32_rounds_is_still_reached() -> None:
    """A card holds 0.7 in double precision, a net answers in single."""
    for threshold in (0.1, 0.7, 0.999, 1.0):
        assert named(NamingRule((), threshold, 0.0), [], np.float32(threshold)) == "blast"
        assert named(NamingRule(CLASSES, None, threshold), [threshold, 0, 0], 0.0) == "neutrophil"


@pytest.mark.parametrize("rule", [BOTH, NamingRule((), 0.5, 0.0), NamingRule(CLASSES, None, 0.0)])
def test_no_cells_have_no_names(rule: NamingRule) -> None:
    assert rule.names(np.empty((0, len(rule.classes)), np.float32), np.empty(0, np.float32)) == ()


@given(table=rows(), blast=st.floats(0, 1), limit=st.floats(0, 1), threshold=st.floats(0, 1))
def test_names_are_given_cell_by_cell(table: Floats, blast: float, limit: float, threshold: float) -> None:
    rule = NamingRule(CLASSES, threshold, limit)
    probs, blasts = table.astype(np.float32), np.linspace(blast, 1, len(table), dtype=np.float32)
    found = rule.names(probs, blasts)
    assert len(found) == len(table)
    assert set(found) <= {*CLASSES, "blast", "unclassified"}
    for i, name in enumerate(found):
        assert rule.names(probs[i : i + 1], blasts[i : i + 1]) == (name,)
        assert (name == "blast") == (blasts[i] >= np.float32(threshold))


# ---------------------------------------------------------------- fine types


@st.composite
def named_cells(draw: st.DrawFn) -> tuple[tuple[str, ...], Floats, tuple[str, ...]]:
    """Types of cells, probabilities of fine types with zeros among them, and the classes of that net."""
    types = draw(st.lists(st.sampled_from((*DIFFERENTIAL_CLASSES, "blast", UNCLASSIFIED)), max_size=8))
    known = draw(st.permutations(FINE_CLASSES))[: draw(st.integers(1, len(FINE_CLASSES)))]
    table = np.random.default_rng(draw(st.integers(0, 99))).dirichlet(np.full(len(known), 0.1), len(types))
    return tuple(types), np.where(table < 0.01, 0.0, table), tuple(known)


@given(cells=named_cells())
def test_a_fine_type_never_contradicts_the_type(
    cells: tuple[tuple[str, ...], Floats, tuple[str, ...]],
) -> None:
    types, probs, classes = cells
    within = probs_given_type(types, probs, classes)
    names, sure = fine_names(types, probs, classes)
    assert len(names) == len(types) == len(sure)
    assert sure.dtype == np.float32
    for kind, row, name, p in zip(types, within, names, sure, strict=True):
        members = [i for i, fine in enumerate(classes) if fine in FINE_TYPES_OF.get(kind, ())]
        assert not np.delete(row, members).any()
        if not members:
            assert name == ""
            assert np.isnan(p)
            continue
        assert row.sum() == pytest.approx(1)
        assert name in FINE_TYPES_OF[kind]
        assert p == np.float32(row.max()) == np.float32(row[classes.index(name)])
        if len(members) == 1:
            assert p == 1


@given(cells=named_cells())
def test_probabilities_within_a_type_keep_their_ratios(
    cells: tuple[tuple[str, ...], Floats, tuple[str, ...]],
) -> None:
    types, probs, classes = cells
    for row, own in zip(probs_given_type(types, probs, classes), probs, strict=True):
        inside = (row > 0) & (own > 0)
        if inside.any():
            np.testing.assert_allclose(row[inside] / row[inside].sum(), own[inside] / own[inside].sum())


def test_fine_types_by_hand() -> None:
    classes = ("segmented_neutrophil", "promyelocyte", "lymphoblast", "myelocyte")
    probs = np.array([[0.1, 0.6, 0.2, 0.1]] * 5 + [[0.4, 0, 0, 0.6]])
    names, sure = fine_names(
        ("neutrophil", "blast", "immature_granulocyte", "unclassified", "monocyte", "blast"), probs, classes
    )
    assert names == ("segmented_neutrophil", "promyelocyte", "promyelocyte", "", "", "promyelocyte")
    assert sure[:3].tolist() == pytest.approx([1, 0.75, 6 / 7])
    assert np.isnan(sure[3:5]).all()
    assert sure[5] == 0.5  # the fine net rules out all blasts: each is as likely


def test_every_type_of_the_differential_has_its_fine_types() -> None:
    assert {name: FINE_TYPES_OF[name] for name in DIFFERENTIAL_CLASSES} == DIFFERENTIAL_SUMS
    assert FINE_TYPES_OF["blast"] == BLAST_TYPES
    assert UNCLASSIFIED not in FINE_TYPES_OF
    assert FINE_TYPES_OF["band_neutrophil"] == ("band_neutrophil",)  # of a finer differential


def test_without_a_net_of_fine_types_there_are_none() -> None:
    names, sure = fine_names(("blast", "neutrophil"), np.empty((2, 0), np.float32), ())
    assert (names, sure.shape) == ((), (0,))


# ---------------------------------------------------------------- rescaling


@given(table=rows())
def test_no_change_is_no_change(table: Floats) -> None:
    np.testing.assert_array_equal(Recalibration()(table), table.astype(np.float32))
    np.testing.assert_allclose(Recalibration(1.0, (0.0, 0.0, 0.0))(table), table, rtol=1e-5)


@given(
    table=rows(),
    temperature=st.floats(0.1, 10),
    offsets=st.lists(st.floats(-5, 5), min_size=3, max_size=3),
)
def test_rows_sum_to_1_and_odds_shift_by_the_offsets(
    table: Floats, temperature: float, offsets: list[float]
) -> None:
    found = Recalibration(temperature, tuple(offsets))(table)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    plain = Recalibration(temperature)(table).astype(np.float64)
    sure = (found[:, :2] > 1e-20).all(axis=1) & (plain[:, :2] > 1e-20).all(axis=1)
    shift = np.log(found[sure, 0] / found[sure, 1]) - np.log(plain[sure, 0] / plain[sure, 1])
    np.testing.assert_allclose(shift, offsets[0] - offsets[1], atol=1e-4)


@given(table=rows(), temperature=st.floats(0.2, 5))
def test_a_temperature_divides_the_log_odds_and_keeps_the_order(table: Floats, temperature: float) -> None:
    found = Recalibration(temperature)(table).astype(np.float64)
    wanted = np.log(table[:, 0] / table[:, 1]) / temperature
    sure = (found > 1e-30).all(axis=1)
    np.testing.assert_allclose(np.log(found[sure, 0] / found[sure, 1]), wanted[sure], atol=1e-4)
    top = np.take_along_axis(found, table.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(top, found.max(axis=1))


def test_one_half_with_an_offset_is_known_by_hand() -> None:
    found = Recalibration(1.0, (0.0, float(np.log(3))))(np.array([[0.5, 0.5]]))
    assert found[0].tolist() == pytest.approx([0.25, 0.75])


def test_certainty_stays_a_probability() -> None:
    for rescale in (Recalibration(0.1), Recalibration(10.0, (-1.0, 1.0))):
        found = rescale(np.array([[0.0, 1.0], [1.0, 0.0]]))
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        assert (found[:, 1] > found[:, 0]).tolist() == [True, False]
    assert Recalibration(2.0)(np.empty((0, 4))).shape == (0, 4)
