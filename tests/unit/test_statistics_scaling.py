"""Probabilities that mean what they say: fitting recovers what was done to them, few cells change little."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import softmax

from smearscan.differential.statistics.scaling import (
    calibration_error,
    fit_scaling,
    fit_temperature,
    reliability,
)

Floats = NDArray[np.float64]


def honest(n: int, k: int = 4, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Logits, and targets drawn with the probabilities that they state."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, k))
    return logits, (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


# ---------------------------------------------------------------- fitting


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5, 6.0])
def test_a_known_temperature_is_recovered(temperature: float) -> None:
    logits, targets = honest(20_000)
    found = fit_temperature((logits * temperature).astype(np.float32), targets)
    assert found == pytest.approx(temperature, rel=0.05)


def test_the_temperature_stays_within_its_limits() -> None:
    sure = np.eye(2, dtype=np.float32)[[0, 1] * 50]
    assert fit_temperature(sure, np.array([0, 1] * 50)) == pytest.approx(0.2, rel=0.01)
    assert fit_temperature(sure, np.array([1, 0] * 50)) == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("offsets", [(0, 0, 0, 0), (1.0, -0.5, 0.2, -0.7)])
def test_known_temperature_and_offsets_are_recovered(temperature: float, offsets: tuple[float, ...]) -> None:
    logits, targets = honest(20_000)
    given_logits = (logits - np.array(offsets)) * temperature
    found, shifts = fit_scaling(given_logits, targets, prior=10.0)
    assert found == pytest.approx(temperature, rel=0.05)
    wanted = np.array(offsets) - np.mean(offsets)
    np.testing.assert_allclose(shifts - shifts.mean(), wanted, atol=0.08)


def test_logarithms_of_probabilities_serve_as_logits() -> None:
    logits, targets = honest(3000)
    one = fit_scaling(2 * logits, targets)
    other = fit_scaling(np.log(softmax(2 * logits, axis=1)), targets)
    assert one[0] == pytest.approx(other[0], rel=1e-3)
    np.testing.assert_allclose(one[1], other[1], atol=1e-3)


@settings(max_examples=30)
@given(n=st.integers(1, 12), seed=st.integers(0, 1000))
def test_a_few_cells_do_not_carry_the_fit_away(n: int, seed: int) -> None:
    logits, targets = honest(n, seed=seed)
    temperature, offsets = fit_scaling(logits, targets)
    assert 0.3 < temperature < 3.5
    assert np.abs(offsets).max() < 2


def test_a_strong_prior_holds_everything_where_it_was() -> None:
    logits, targets = honest(200)
    temperature, offsets = fit_scaling(3 * logits + 1, targets, prior=1e-3)
    assert temperature == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(offsets, 0, atol=0.01)


def test_a_class_without_a_cell_keeps_the_offset_0() -> None:
    logits, targets = honest(400)
    keep = targets != 2
    offsets = fit_scaling(logits[keep], targets[keep])[1]
    assert offsets[2] == 0
    assert (offsets[[0, 1, 3]] != 0).all()


@given(order=st.permutations(range(4)))
def test_the_order_of_classes_does_not_matter(order: list[int]) -> None:
    logits, targets = honest(300)
    temperature, offsets = fit_scaling(logits, targets)
    turned = fit_scaling(logits[:, order], np.argsort(order)[targets])
    assert turned[0] == pytest.approx(temperature, rel=1e-3)
    np.testing.assert_allclose(turned[1], offsets[order], atol=2e-3)


# ---------------------------------------------------------------- measuring


def test_honest_probabilities_have_a_small_error() -> None:
    sure = np.random.default_rng(0).uniform(0, 1, 50_000)
    right = np.random.default_rng(1).random(50_000) < sure
    assert calibration_error(sure, right) < 0.01
    for point in reliability(sure, right):
        assert point["correct"] == pytest.approx(point["confidence"], abs=0.03)


def test_a_net_too_sure_of_itself_shows() -> None:
    right = np.random.default_rng(1).random(20_000) < 0.7
    assert calibration_error(np.full(20_000, 0.95), right) == pytest.approx(0.25, abs=0.05)
    logits, targets = honest(20_000)
    probs = softmax(3 * logits, axis=1)
    scaled = softmax(3 * logits / fit_temperature(3 * logits, targets), axis=1)
    errors = [calibration_error(p.max(axis=1), p.argmax(axis=1) == targets) for p in (probs, scaled)]
    assert errors[1] < 0.02 < errors[0]


@given(
    sure=st.lists(st.floats(0, 1), max_size=50),
    bins=st.integers(1, 20),
    seed=st.integers(0, 9),
)
def test_every_cell_is_in_one_bin(sure: list[float], bins: int, seed: int) -> None:
    right = np.random.default_rng(seed).random(len(sure)) < 0.5
    points = reliability(np.array(sure), right, bins)
    assert len(points) == min(bins, len(sure))
    assert sum(p["cells"] for p in points) == len(sure)
    assert max((p["cells"] for p in points), default=0) - min((p["cells"] for p in points), default=0) <= 1
    assert [p["confidence"] for p in points] == sorted(p["confidence"] for p in points)
    assert sum(p["cells"] * p["correct"] for p in points) == pytest.approx(right.sum())
    assert 0 <= calibration_error(np.array(sure), right, bins) <= 1


def test_no_cells_have_no_error() -> None:
    assert calibration_error(np.zeros(0), np.zeros(0, bool)) == 0
