"""What rooms share of arithmetic: numpy's percentiles, scipy's functions, to the bit."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.special

from smearscan.numeric import level_percentile, median, quantile, softmax, special


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (1, 3), (32, 32), (33, 47), (200, 440)])
@pytest.mark.parametrize("highest", [1, 40, 256])
@pytest.mark.parametrize("percent", [0, 10, 90, 97, 100])
def test_percentiles_of_levels_are_numpy_s(shape: tuple[int, int], highest: int, percent: float) -> None:
    pixels = np.random.default_rng(highest).integers(0, highest, (*shape, 3), dtype=np.uint8)
    wanted = np.percentile(pixels.reshape(-1, 3), percent, axis=0)
    np.testing.assert_array_equal(level_percentile(pixels, percent), wanted)


def test_a_part_of_a_picture_is_as_good_as_a_picture() -> None:
    picture = np.random.default_rng(3).integers(0, 256, (61, 50, 3), dtype=np.uint8)
    wanted = np.percentile(picture[::3, ::3, :2].reshape(-1, 2), 90, axis=0)
    np.testing.assert_array_equal(level_percentile(picture[::3, ::3, :2], 90), wanted)


@pytest.mark.parametrize("n", [2, 3, 80, 207, 208])
def test_quantiles_are_numpy_s(n: int) -> None:
    values = np.random.default_rng(n).random(n)
    assert quantile(values, 0.6) == pytest.approx(np.quantile(values, 0.6), rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 80, 207])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("rest", [(), (3,), (2, 3)])
def test_medians_are_numpy_s_to_the_bit(n: int, dtype: type, rest: tuple[int, ...]) -> None:
    values = (np.random.default_rng(n).normal(0, 40, (n, *rest))).astype(dtype)
    found, wanted = median(values), np.median(values, axis=0)
    assert np.asarray(found).dtype == np.asarray(wanted).dtype
    np.testing.assert_array_equal(found, wanted)
    if dtype is not np.int64:
        values[n // 3] = np.nan
        np.testing.assert_array_equal(median(values), np.median(values, axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_is_scipy_s_to_the_bit(dtype: type) -> None:
    logits = np.random.default_rng(0).normal(0, 30, (500, 18)).astype(dtype)
    found = softmax(logits)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, scipy.special.softmax(logits, axis=1))
    assert softmax(logits[:0]).shape == (0, 18)


def test_special_functions_are_those_of_scipy() -> None:
    for name in ("betaincinv", "betaln", "bdtr", "bdtrc", "expit"):
        assert getattr(special(), name) is getattr(scipy.special, name)


_IN_A_NEW_PROCESS = {
    "alone": "assert 'scipy._lib._array_api' not in sys.modules",
    "a name of it": "from scipy.special import softmax, logsumexp\nassert softmax([0.0, 0.0])[0] == 0.5",
    "an attribute": "import scipy\nassert scipy.special.logsumexp([0.0]) == 0 and scipy.special.__all__",
    "every name": "from scipy.special import *\nassert betaincinv and softmax",
    "what is not there": (
        "import scipy.special\ntry:\n    scipy.special.nothing\nexcept AttributeError: pass\nelse: assert 0"
    ),
    "what needs it": (
        "from scipy.spatial import KDTree\nimport scipy.stats, scipy.optimize\nscipy.stats.norm.cdf(0)"
    ),
    "many threads": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def ask(_):\n    from scipy.special import softmax, betaln\n    return softmax\n"
        "with ThreadPoolExecutor(8) as pool: assert len(set(pool.map(ask, range(64)))) == 1"
    ),
}


@pytest.mark.parametrize("use", _IN_A_NEW_PROCESS)
def test_scipy_is_whole_for_whoever_asks_for_it_afterwards(use: str) -> None:
    begin = "import sys\nfrom smearscan.numeric import special\nassert special().betaln(1, 1) == 0\n"
    subprocess.run([sys.executable, "-c", begin + _IN_A_NEW_PROCESS[use]], check=True)


def test_scipy_may_be_there_before() -> None:
    code = "import scipy.special\nfrom smearscan.numeric import special\nassert special().betaln(1, 1) == 0"
    subprocess.run([sys.executable, "-c", code], check=True)
