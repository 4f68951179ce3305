"""What the statistics of many slides cost: `make bench`."""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from smearscan.calibration.coverage import simulate
from smearscan.differential.calibration_card import load_calibration, shipped_calibration
from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL
from smearscan.differential.statistics.blast_excess import blast_excess
from smearscan.differential.statistics.correction import correct_differential
from smearscan.differential.statistics.intervals import clopper_pearson
from smearscan.differential.statistics.misclassification import MisclassificationModel

SLIDES = 10_000


@pytest.fixture(scope="module")
def errors() -> MisclassificationModel:
    return load_calibration(shipped_calibration()).errors


@pytest.fixture(scope="module")
def counts(errors: MisclassificationModel) -> np.ndarray:
    return simulate(errors, 200, 0.05, SLIDES, np.random.default_rng(0)).called


@pytest.fixture(scope="module")
def counted(errors: MisclassificationModel) -> tuple[str, ...]:
    return tuple(name for name in errors.classes if name not in EXCLUDED_FROM_DIFFERENTIAL)


def test_exact_intervals(benchmark: BenchmarkFixture, counts: np.ndarray) -> None:
    low, high = benchmark(clopper_pearson, counts, counts.sum(axis=1, keepdims=True))
    assert low.shape == high.shape == counts.shape


def test_flag(
    benchmark: BenchmarkFixture, counts: np.ndarray, errors: MisclassificationModel, counted: tuple[str, ...]
) -> None:
    assert len(benchmark(blast_excess, counts, errors, counted).p_value) == SLIDES


def test_corrected_differential(
    benchmark: BenchmarkFixture, counts: np.ndarray, errors: MisclassificationModel, counted: tuple[str, ...]
) -> None:
    found = benchmark.pedantic(correct_differential, (counts, errors, counted), rounds=3)
    assert found.percent.shape == counts.shape
