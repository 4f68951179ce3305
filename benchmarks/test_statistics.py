"""What the statistics of many slides cost: `make bench`."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from smearscan.calibration import load_calibration, shipped_calibration
from smearscan.differential import NOT_COUNTED
from smearscan.evaluation.coverage import simulate
from smearscan.statistics.correction import corrected_percent
from smearscan.statistics.errors import NamingErrors
from smearscan.statistics.excess import excess
from smearscan.statistics.intervals import clopper_pearson

SLIDES = 10_000


@pytest.fixture(scope="module")
def errors() -> NamingErrors:
    return load_calibration(shipped_calibration()).errors


@pytest.fixture(scope="module")
def counts(errors: NamingErrors) -> np.ndarray:
    return simulate(errors, 200, 0.05, SLIDES, np.random.default_rng(0)).called


@pytest.fixture(scope="module")
def counted(errors: NamingErrors) -> tuple[str, ...]:
    return tuple(name for name in errors.classes if name not in NOT_COUNTED)


def test_exact_intervals(benchmark: BenchmarkFixture, counts: np.ndarray) -> None:
    low, high = benchmark(clopper_pearson, counts, counts.sum(axis=1, keepdims=True))
    assert low.shape == high.shape == counts.shape


def test_flag(
    benchmark: BenchmarkFixture, counts: np.ndarray, errors: NamingErrors, counted: tuple[str, ...]
) -> None:
    assert len(benchmark(excess, counts, errors, counted).p_value) == SLIDES


def test_corrected_differential(
    benchmark: BenchmarkFixture, counts: np.ndarray, errors: NamingErrors, counted: tuple[str, ...]
) -> None:
    found = benchmark.pedantic(corrected_percent, (counts, errors, counted), rounds=3)
    assert found.percent.shape == counts.shape
