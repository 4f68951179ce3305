"""The corrected differential: what is known by hand, what must not matter, and intervals that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import CLASSES, COUNTED, SHARES, errors, perfect
from numpy.typing import NDArray

from smearscan.differential.statistics.correction import (
    CorrectedDifferentials,
    Corrector,
    correct_differential,
    unidentified,
)
from smearscan.differential.statistics.intervals import clopper_pearson
from smearscan.differential.statistics.misclassification import MisclassificationModel

TWO = ("healthy", "blast")
INSIDE = np.array([name in COUNTED for name in CLASSES])
counts = st.lists(st.integers(0, 200), min_size=4, max_size=4).filter(lambda c: c[0] + c[1] + c[3] > 0)


def corrected(
    slides: object, own: MisclassificationModel, counted: tuple[str, ...] = COUNTED, **more: int
) -> CorrectedDifferentials:
    return correct_differential(np.array(slides, np.int64), own, counted, limits=(10, 20), **more)


def two(sensitivity: float, specificity: float, labeled: int = 1_000_000) -> MisclassificationModel:
    rows = np.array([[specificity, 1 - specificity, 0], [1 - sensitivity, sensitivity, 0]])
    return errors(rows, labeled, groups=labeled, classes=TWO)


# ---------------------------------------------------------------- known by hand


@settings(max_examples=30)
@given(slide=counts)
def test_without_errors_the_corrected_differential_is_the_raw_one(slide: list[int]) -> None:
    found = corrected([slide], perfect())
    total = np.array(slide)[INSIDE].sum()
    np.testing.assert_allclose(found.percent[0], 100 * np.array(slide) / total, atol=0.01)
    assert found.reasons == ("",)


@pytest.mark.parametrize("slide", [[100, 0, 0, 0], [80, 0, 5, 20], [120, 40, 0, 40], [700, 98, 7, 2]])
def test_without_errors_the_interval_is_nearly_the_exact_one(slide: list[int]) -> None:
    found = corrected([slide], perfect(), draws=8000)
    low, high = clopper_pearson(np.array(slide)[INSIDE], np.array(slide)[INSIDE].sum())
    np.testing.assert_allclose(found.low[0, INSIDE], low, atol=0.6)
    np.testing.assert_allclose(found.high[0, INSIDE], high, atol=0.6)


@given(sensitivity=st.floats(0.6, 1), specificity=st.floats(0.6, 1), blasts=st.integers(0, 500))
def test_two_classes_are_those_of_rogan_and_gladen(
    sensitivity: float, specificity: float, blasts: int
) -> None:
    found = corrected([[500 - blasts, blasts]], two(sensitivity, specificity), TWO, draws=50)
    by_hand = (blasts / 500 + specificity - 1) / (sensitivity + specificity - 1)
    assert found.percent[0, 1] == pytest.approx(100 * min(max(by_hand, 0), 1), abs=0.01)


def test_forty_of_two_hundred() -> None:
    """Called 20 %, of which 5 in 100 healthy cells are false and 1 in 10 blasts is missing: 15 / 0.85."""
    found = corrected([[160, 40]], two(0.9, 0.95), TWO)
    assert found.percent[0, 1] == pytest.approx(17.65, abs=0.01)
    assert found.low[0, 1] < 14 < 22 < found.high[0, 1]


def test_a_class_found_half_as_often_is_weighed_up() -> None:
    found = np.array([[1000, 1000], [1000, 1000], [1000, 1000], [5000, 10_000]]) * 1000
    seen = corrected([[100, 0, 0, 100]], errors(np.eye(4, 5), 1_000_000, found=found))
    assert seen.percent[0, 3] == pytest.approx(100 * 2 / 3, abs=0.1)
    reverse = corrected([[100, 0, 0, 100]], errors(np.eye(4, 5), 1_000_000, found=found[::-1].copy()))
    assert reverse.percent[0, 3] == pytest.approx(100 / 3, abs=0.1)


def test_a_class_that_often_gets_no_name_is_weighed_up() -> None:
    rows = np.eye(4, 5)
    rows[1] = [0, 0.6, 0, 0, 0.4]
    found = corrected([[100, 60, 0, 0]], errors(rows, 1_000_000))
    assert found.percent[0, :2].tolist() == pytest.approx([50, 50], abs=0.05)


def test_false_blasts_are_taken_off() -> None:
    """Exactly the cells that a slide without blasts is expected to show."""
    true = np.array([800, 200, 0, 0])
    found = corrected([np.rint(true @ SHARES[:, :4])], errors(labeled=1_000_000))
    assert found.percent[0].tolist() == pytest.approx([80, 20, 0, 0], abs=0.2)
    assert found.low[0, 3] == 0


def test_cells_outside_the_denominator_are_per_100_of_it() -> None:
    found = corrected([[60, 40, 50, 0], [10, 0, 90, 0]], perfect())
    assert found.percent[:, 2].tolist() == pytest.approx([50, 900], abs=0.1)
    assert found.low[0, 2] < 50 < found.high[0, 2]


# ---------------------------------------------------------------- laws


@settings(max_examples=30)
@given(slides=st.lists(counts, min_size=1, max_size=4))
def test_percentages_of_the_counted_classes_sum_to_100(slides: list[list[int]]) -> None:
    found = corrected(slides, errors(labeled=200, spread=0.02), draws=100)
    known = ~np.isnan(found.percent[:, 0])
    np.testing.assert_allclose(found.percent[known][:, INSIDE].sum(axis=1), 100)
    assert (found.low[known] <= found.percent[known]).all()
    assert (found.percent[known] <= found.high[known]).all()
    assert (found.low[known] >= 0).all()
    assert (found.high[known][:, INSIDE] <= 100 + 1e-4).all()
    assert ((found.exceedance_prob[known] >= 0) & (found.exceedance_prob[known] <= 1)).all()
    assert (found.exceedance_prob[known, 0] >= found.exceedance_prob[known, 1]).all()


SLIDES = np.array([[120, 40, 3, 40], [150, 50, 0, 2], [10, 180, 20, 10], [0, 0, 0, 90]])


def assert_alike(one: CorrectedDifferentials, other: CorrectedDifferentials, noise: float = 1.5) -> None:
    """Percentages are the same; intervals and probabilities up to what drawing leaves open."""
    np.testing.assert_allclose(one.percent, other.percent, atol=1e-6)
    for name in ("low", "high"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=noise, rtol=0.05)
    np.testing.assert_allclose(one.exceedance_prob, other.exceedance_prob, atol=0.05)


def turned(
    found: CorrectedDifferentials, slides: NDArray[np.int64], classes: NDArray[np.int64]
) -> CorrectedDifferentials:
    parts = (getattr(found, name)[slides][:, classes] for name in ("percent", "low", "high"))
    return CorrectedDifferentials(found.classes, *parts, found.exceedance_prob[slides], found.reasons)


def test_the_order_of_slides_and_of_classes_does_not_matter() -> None:
    own = errors(labeled=500, spread=0.01)
    whole = corrected(SLIDES, own, draws=4000)
    rows, columns = np.array([2, 0, 3, 1]), np.array([3, 1, 0, 2])
    assert_alike(corrected(SLIDES[rows], own, draws=4000), turned(whole, rows, np.arange(4)))
    names = tuple(CLASSES[k] for k in columns)
    other = errors(SHARES[columns][:, [*columns, 4]], 500, 0.01, classes=names)
    reordered = corrected(SLIDES[:, columns], other, draws=4000)
    assert reordered.classes == names
    assert_alike(reordered, turned(whole, np.arange(4), columns))


def test_a_slide_alone_is_the_slide_among_many() -> None:
    own = errors(labeled=500, spread=0.01)
    crowd = np.vstack([SLIDES, np.random.default_rng(0).integers(0, 200, (600, 4))])
    among = corrected(crowd, own)
    for i in range(len(SLIDES)):
        alone = corrected(SLIDES[i : i + 1], own)
        assert_alike(alone, turned(among, np.array([i]), np.arange(4)), noise=2.5)


def test_the_same_seed_gives_the_same_answer() -> None:
    one, again, other = (corrected(SLIDES, errors(spread=0.01), seed=s) for s in (3, 3, 4))
    for name in ("percent", "low", "high", "exceedance_prob"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert not np.array_equal(one.low, other.low)
    np.testing.assert_array_equal(one.percent, other.percent)


def test_uncertain_errors_and_higher_levels_widen_the_interval() -> None:
    def width(own: MisclassificationModel, level: float = 0.95) -> float:
        found = correct_differential(SLIDES[:1], own, COUNTED, level)
        return float(found.high[0, 3] - found.low[0, 3])

    sure, spread, few = width(errors(labeled=100_000)), width(errors(spread=0.05)), width(errors(labeled=50))
    assert sure < spread
    assert sure < few
    assert width(errors(), 0.8) < width(errors(), 0.95) < width(errors(), 0.99)


def test_the_probability_of_a_limit_follows_the_blasts() -> None:
    slides = [[200 - k, 0, 0, k] for k in (0, 10, 20, 40, 60, 200)]
    found = corrected(slides, errors())
    assert (np.diff(found.exceedance_prob, axis=0) >= -0.02).all()
    assert found.exceedance_prob[0].max() < 0.01
    assert found.exceedance_prob[-1].min() > 0.99
    assert correct_differential(SLIDES, errors(), COUNTED).exceedance_prob.shape == (4, 0)


# ---------------------------------------------------------------- what cannot be told


def test_a_class_of_few_labeled_cells_is_withheld_with_the_reason() -> None:
    own = errors()
    own.counts[3] = [0, 1, 0, 18, 0]
    found = corrected(SLIDES, own)
    for table in (found.percent, found.low, found.high):
        assert np.isnan(table[:, 3]).all()
        assert np.isfinite(table[:3, :3]).all()
    assert np.isnan(found.exceedance_prob).all()
    assert set(found.reasons) == {"only 19 cells of class blast are labeled, 20 are needed"}
    own.counts[3, 3] = 19
    assert unidentified(own) == {}


def test_a_class_mostly_called_otherwise_is_withheld() -> None:
    shares = SHARES.copy()
    shares[1] = [0.6, 0.3, 0, 0.1, 0]
    found = corrected(SLIDES, errors(shares))
    assert np.isnan(found.percent[:, 1]).all()
    assert np.isfinite(found.percent[:, 0]).all()
    assert np.isfinite(found.exceedance_prob).all()  # of blasts, which are known
    assert found.reasons[0] == "only 30 % of the labeled cells of class monocyte get that name"


def test_the_reason_of_every_counted_class_is_told() -> None:
    assert set(unidentified(errors(labeled=10))) == set(CLASSES)
    assert corrected(SLIDES, errors(labeled=10)).reasons[0].count("are labeled, 20 are needed") == 3


def test_a_slide_without_counted_cells_says_so() -> None:
    found = corrected([[0, 0, 40, 0], [0, 0, 0, 0], [10, 0, 0, 0]], errors())
    for table in (found.percent, found.low, found.high, found.exceedance_prob):
        assert np.isnan(table[:2]).all()
        assert np.isfinite(table[2]).all()
    assert found.reasons == ("no leukocyte was counted", "no leukocyte was counted", "")


# ---------------------------------------------------------------- coverage


@pytest.mark.parametrize(("n", "blasts"), [(100, 0.02), (200, 0.2)])
def test_intervals_hold_the_truth_of_simulated_slides(n: int, blasts: float) -> None:
    """Each slide has naming errors of its own, drawn from the same rows that correct it."""
    own, rng = errors(labeled=800, spread=0.01), np.random.default_rng(5)
    mix = np.array([0.75, 0.25, 0.03, 0]) * (1 - blasts) + np.array([0, 0, 0, blasts])
    rows = own.rows(300, rng)
    true = rng.multinomial(n, mix / mix.sum(), 300)
    called = np.stack([rng.multinomial(true[:, t], rows[:, t]) for t in range(4)]).sum(axis=0)[:, :4]
    found = corrected(called, own)
    for k in (0, 1, 3):
        wanted = 100 * mix[k] / mix[INSIDE].sum()
        hit = (found.low[:, k] <= wanted) & (wanted <= found.high[:, k])
        assert 0.9 <= hit.mean() <= 1
    naive = 100 * called[:, 3] / called[:, INSIDE].sum(axis=1)
    error = np.abs(found.percent[:, 3].mean() - 100 * blasts), np.abs(naive.mean() - 100 * blasts)
    assert error[0] < max(error[1], 1)


def test_a_corrector_gives_every_slide_the_answer_it_has_alone() -> None:
    """Its draws are made once: a slide corrected first, later or with others has the same numbers."""
    corrector = Corrector(errors())
    alone, again = (corrector.correct(SLIDES[:1], COUNTED, limits=(10,))[0] for _ in range(2))
    once = correct_differential(SLIDES[:1], errors(), COUNTED, limits=(10,))[0]
    for name in ("percent", "low", "high", "exceedance_prob"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(again, name))
        np.testing.assert_array_equal(getattr(alone, name), getattr(once, name))
    assert alone.percent.shape == alone.low.shape == (len(CLASSES),)
    assert np.isnan(alone.withheld("unlike").percent).all()
    assert alone.withheld("unlike").reason == "unlike"
