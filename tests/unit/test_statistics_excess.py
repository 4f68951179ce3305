"""The flag's test: exact, cautious, and honest about what it could have found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import CLASSES, COUNTED, SHARES, errors
from scipy.stats import beta, betabinom

from smearscan.calibration.misclassification_fit import misclassification_model
from smearscan.differential.statistics.blast_excess import (
    BlastExcessTests,
    beta_of,
    blast_excess,
    cumulative,
    null_rate,
)
from smearscan.differential.statistics.misclassification import MisclassificationModel

HEALTHY = ("neutrophil", "monocyte")


def judged(slides: object, own: MisclassificationModel | None = None, **more: float) -> BlastExcessTests:
    own = own or errors(variation=0.2)
    return blast_excess(np.array(slides, np.int64).reshape(-1, len(own.classes)), own, COUNTED, **more)


# ---------------------------------------------------------------- the distribution


@settings(max_examples=50)
@given(
    slides=st.lists(
        st.tuples(st.integers(0, 300), st.floats(0.01, 50), st.floats(0.01, 500)), min_size=1, max_size=4
    ),
    top=st.integers(1, 120),
)
def test_the_distribution_is_scipys(slides: list[tuple[int, float, float]], top: int) -> None:
    n, a, b = (np.array(column) for column in zip(*slides, strict=True))
    found = cumulative(n, a, b, top)
    assert found.shape == (len(slides), top)
    for row, (size, one, two) in zip(found, slides, strict=True):
        np.testing.assert_allclose(row, betabinom.cdf(np.arange(top), size, one, two), atol=1e-8)


@given(mean=st.floats(0.001, 0.999), share=st.floats(0.0001, 0.9))
def test_the_beta_distribution_has_the_mean_and_variance_asked_for(mean: float, share: float) -> None:
    variance = share * mean * (1 - mean)
    a, b = (float(v) for v in beta_of(np.array(mean), np.array(variance)))
    assert beta.mean(a, b) == pytest.approx(mean)
    assert beta.var(a, b) == pytest.approx(variance)


# ---------------------------------------------------------------- the test


@given(healthy=st.integers(1, 300), monocytes=st.integers(0, 100), variation=st.floats(0.05, 5))
def test_more_blasts_are_less_likely_by_chance(healthy: int, monocytes: int, variation: float) -> None:
    found = judged([[healthy, monocytes, 0, k] for k in range(30)], errors(variation=variation))
    assert found.p_value[0] == 1
    assert (np.diff(found.p_value) <= 1e-9).all()
    assert (found.p_value >= 0).all()


@settings(max_examples=40)
@given(
    slide=st.tuples(*[st.integers(0, 150)] * 4),
    variation=st.sampled_from([0.05, 0.3, 1.0, 10.0]),
    level=st.sampled_from([0.001, 0.01, 0.05]),
)
def test_critical_is_the_least_count_that_rare(
    slide: tuple[int, ...], variation: float, level: float
) -> None:
    own = errors(variation=variation)
    found = judged(slide, own, level=level)
    n = slide[0] + slide[1] + slide[3]
    healthy = np.array([True, True, False, False])
    mean, error, deviation = null_rate(np.array([slide]), own, healthy, 3)
    assert found.rate_percent == pytest.approx(100 * mean)
    a, b = beta_of(mean + 2.326 * error, deviation**2)
    beyond = betabinom.sf(np.arange(n + 1) - 1, n, a, b)  # P(K >= k) of k = 0 to n
    rare = np.flatnonzero(beyond <= level * (1 + 1e-9))
    assert found.critical[0] == (rare[0] if len(rare) else n + 1)
    assert found.p_value[0] == pytest.approx(beyond[slide[3]], abs=1e-7)
    assert (found.p_value[0] <= level) == (slide[3] >= found.critical[0])


def test_expected_false_blasts_are_those_of_the_slides_own_types() -> None:
    found = judged([[200, 0, 0, 0], [0, 200, 0, 0], [100, 100, 0, 0]])
    np.testing.assert_allclose(found.rate_percent[:2], 100 * errors().called_blast[:2], rtol=0.2)
    np.testing.assert_allclose(found.expected, 2 * found.rate_percent)
    assert found.rate_percent[0] < found.rate_percent[2] < found.rate_percent[1]


def test_few_labeled_cells_leave_the_rate_open() -> None:
    critical = [
        judged([190, 10, 0, 0], errors(labeled=n, variation=0.2)).critical[0] for n in (100, 400, 20_000)
    ]
    assert critical == sorted(critical, reverse=True)
    assert critical[0] > critical[-1]


def test_a_slide_rich_in_monocytes_needs_more_blasts() -> None:
    few, many = [180, 10, 0, 10], [10, 180, 0, 10]
    found = judged([few, many])
    assert found.expected[1] > 3 * found.expected[0]
    assert found.p_value[1] > found.p_value[0]
    assert found.critical[1] > found.critical[0]


def test_cells_outside_the_denominator_get_into_it_where_they_are_called_blast() -> None:
    found = judged([[120, 60, k, 9] for k in (0, 20, 80, 400)])
    assert (np.diff(found.expected) > 0).all()
    assert (np.diff(found.p_value) > 0).all()
    shares = SHARES.copy()
    shares[2] = [0, 0, 1, 0, 0]
    never = errors(shares, 10**9, variation=0.2)
    one, many = judged([[120, 60, 0, 9], [120, 60, 400, 9]], never).p_value
    assert one == pytest.approx(many, rel=0.01)  # smudges that are never called blast are no reason


def test_slides_that_vary_more_need_more_blasts() -> None:
    critical = [judged([190, 10, 0, 0], errors(variation=v)).critical[0] for v in (0, 0.2, 1, 5)]
    assert critical == sorted(set(critical))


def test_a_slide_without_a_healthy_cell_is_tested_at_the_usual_mixture() -> None:
    found = judged([[0, 0, 0, 50], [0, 0, 0, 0]])
    assert found.p_value[0] < 1e-6
    assert found.p_value[1] == 1
    assert found.critical[1] == 1
    assert np.isnan(found.detectable_percent[1])
    assert np.isfinite(found.rate_percent).all()


def test_the_order_of_classes_and_slides_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    slides = rng.integers(0, 60, (20, 4))
    order, rows = np.array([3, 1, 0, 2]), rng.permutation(20)
    other = errors(SHARES[order][:, [*order, 4]], classes=tuple(CLASSES[k] for k in order), variation=0.2)
    one = judged(slides)
    two = blast_excess(slides[rows][:, order], other, COUNTED)
    for name in BlastExcessTests.__slots__:
        np.testing.assert_allclose(getattr(two, name), getattr(one, name)[rows], rtol=1e-7, atol=1e-12)


# ---------------------------------------------------------------- its power


def test_what_is_detectable_falls_with_more_cells() -> None:
    found = judged([[n * 0.9, n * 0.1, 0, 0] for n in (50, 100, 200, 400, 1600)])
    assert (np.diff(found.detectable_percent) < 0.5).all()  # whole cells leave small steps
    assert found.detectable_percent[-1] < found.detectable_percent[0] / 2


def test_what_is_detectable_is_found_with_the_power() -> None:
    own, rng = errors(variation=0.2, spread=0.01), np.random.default_rng(1)
    found = judged([180, 20, 0, 0], own)
    share = found.detectable_percent[0] / 100
    rate = found.rate_percent[0] / 100
    hit = own.mean[3, 3] / (1 - own.mean[3, 4])
    caught = rng.beta(*beta_of(hit, hit * (1 - hit) / (own.concentration[3] + 1)), 20_000)
    false = rng.beta(*beta_of(rate, 0.2 * rate**2), 20_000)

    def power(blasts: float) -> float:
        called = rng.binomial(200, blasts * caught + (1 - blasts) * false)
        return float((called >= found.critical[0]).mean())

    assert power(share) == pytest.approx(0.95, abs=0.015)
    assert power(0.7 * share) < 0.95


def test_nothing_is_detectable_where_nothing_can_be_found() -> None:
    assert np.isnan(judged([1, 0, 0, 0]).detectable_percent[0])
    assert np.isnan(judged([[90, 10, 0, 0]], errors(variation=200.0)).detectable_percent[0])
    blind = SHARES.copy()
    blind[3] = [0.5, 0.44, 0, 0.04, 0.02]
    assert np.isnan(judged([[90, 10, 0, 0]], errors(blind)).detectable_percent[0])


def test_more_power_asks_for_more_blasts() -> None:
    shares = [judged([190, 10, 0, 0], power=p).detectable_percent[0] for p in (0.5, 0.8, 0.95, 0.99)]
    assert shares == sorted(set(shares))


# ---------------------------------------------------------------- false alarms


def alarms(
    own: MisclassificationModel, factor: np.ndarray, mix: tuple[float, float], rng: np.random.Generator
) -> float:  # type: ignore[type-arg]
    """Share of slides of 200 healthy cells with an excess at the level of 5 %."""
    true = rng.multinomial(200, mix, len(factor))
    false = np.stack(
        [rng.binomial(true[:, k], np.minimum(SHARES[k, 3] * factor, 1)) for k in range(2)], axis=1
    )
    called = np.column_stack([true - false, np.zeros(len(factor), int), false.sum(axis=1)])
    return float((judged(called, own, level=0.05).p_value <= 0.05).mean())


@pytest.mark.parametrize(
    "mix", [(0.95, 0.05, 0, 0), (0.5, 0.5, 0, 0), (0.05, 0.95, 0, 0), (0.5, 0.1, 0.4, 0)]
)
def test_slides_without_blasts_are_flagged_hardly_more_often_than_the_level(mix: tuple[float, ...]) -> None:
    """Slides of every composition, each with rows of its own, drawn from the errors that judge it."""
    own, rng = errors(variation=0.3), np.random.default_rng(3)
    true, rows = rng.multinomial(200, mix, 8000), own.rows(8000, rng)
    called = np.sum([rng.multinomial(true[:, t], rows[:, t]) for t in range(4)], axis=0)[:, :4]
    assert (judged(called, own, level=0.05).p_value <= 0.05).mean() <= 0.062


def test_with_errors_counted_on_some_labeled_slides_the_level_is_nearly_kept() -> None:
    """The whole way: 60 labeled slides, errors counted on them, new slides of the same kind tested."""
    rng, found = np.random.default_rng(4), []
    for _ in range(40):
        factor = rng.gamma(1 / 0.3, 0.3, 60)
        group = np.repeat(np.arange(60), 60)
        kind = rng.choice(2, len(group), p=(0.7, 0.3))
        false = rng.random(len(group)) < np.minimum(SHARES[kind, 3] * factor[group], 1)
        truth = np.array(HEALTHY)[kind]
        own = misclassification_model(CLASSES, truth, np.where(false, "blast", truth), group.astype(str))
        found.append(alarms(own, rng.gamma(1 / 0.3, 0.3, 400), (0.7, 0.3), rng))
    assert np.mean(found) < 0.075
