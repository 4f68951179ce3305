"""Laws of agreement, and published worked examples."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom, pearsonr, spearmanr
from sklearn.metrics import cohen_kappa_score

from smearscan.method_comparison.agreement import (
    Estimate,
    Numbers,
    bland_altman,
    correlation,
    passing_bablok,
    sd_interval,
    weighted_kappa,
)
from smearscan.method_comparison.counting_error import (
    FLAGS,
    PRECISION,
    TRUTHS,
    counting_sd,
    flag_rates,
    flag_table,
    precision,
    share_percent,
    two_counts_agree,
)


def numbers(text: str) -> Numbers:
    return np.array(text.split(), float)


# Peak expiratory flow by two meters, first readings (Bland and Altman, Lancet 1986), l/min
LARGE = numbers("494 395 516 434 476 557 413 442 650 433 417 656 267 478 178 423 427")
MINI = numbers("512 430 520 428 500 600 364 380 658 445 432 626 260 477 259 350 451")

# Two assays, 40 samples; results of R's package mcr 1.3.3.1, mcreg(method.reg="PaBa", method.ci="analytical")
ASSAY_X = numbers("""
10377.5 4056 2654 4747 1459.5 5880 3871 2461 1802 1607.5 4329 7911.5 1798.5 6504 9506.5 4781 2122
17859 7064 963.5 408.5 5623 4923.5 2745 1738.5 7057 3001.5 895.5 12155.5 1290.5 943 11312.5 2700
3561 1711 1006 1180.5 9007 4438 3606
""")
ASSAY_Y = numbers("""
10741.5 3848.5 2655.5 5190.5 1554.5 6025 3861.5 2533.5 1858 1636 4341.5 8185 1753.5 6793 9056 4724.5
2133.5 16576.5 7106.5 986.5 481 5603 5046 2799.5 1721.5 7547.5 3009.5 986.5 11712 1416 998.5 11698.5
2829 3776.5 1899 1042 1616 9380.5 4332.5 3308.5
""")

# Six targets, four judges (Shrout and Fleiss, Psychol. Bull. 1979)
JUDGES = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
)

percent = st.integers(0, 1000).map(lambda v: v / 10)
pairs = st.lists(st.tuples(percent, percent), min_size=3, max_size=14).map(lambda p: np.array(p).T)


def told(estimate: Estimate) -> float:
    assert estimate.value is not None, estimate.reason
    return estimate.value


# ---- limits of agreement


def test_bias_and_limits_are_the_published_ones() -> None:
    found = bland_altman(MINI, LARGE)
    assert told(found["bias"]) == pytest.approx(-2.1, abs=0.05)
    assert told(found["sd"]) == pytest.approx(38.8, abs=0.05)
    assert (found["bias"].low, found["bias"].high) == pytest.approx((-22.0, 17.8), abs=0.06)
    # the paper takes 2 SD, and says that 1.96 is the exact factor
    assert told(found["lower_limit"]) == pytest.approx(-2.1176 - 1.96 * 38.765, abs=0.01)
    assert told(found["upper_limit"]) == pytest.approx(-2.1176 + 1.96 * 38.765, abs=0.01)


@pytest.mark.parametrize(("n", "factor"), [(10, 2.911), (20, 2.396), (50, 2.065)])
def test_outer_limits_are_one_sided_tolerance_factors(n: int, factor: float) -> None:
    """Tables of the normal distribution: 95 % of a population, with 95 % confidence."""
    values = np.random.default_rng(n).normal(3, 2, n)
    found = bland_altman(np.zeros(n), values, level=0.90, share=0.90)
    assert found["upper_limit"].high == pytest.approx(values.mean() + factor * values.std(ddof=1), abs=2e-3)
    assert found["lower_limit"].low == pytest.approx(values.mean() - factor * values.std(ddof=1), abs=2e-3)


@given(pairs, st.integers(-500, 500).map(lambda v: v / 10))
def test_a_constant_shifts_bias_and_limits_and_nothing_else(data: Numbers, constant: float) -> None:
    plain, shifted = bland_altman(*data), bland_altman(data[0], data[1] + constant)
    for name in ("bias", "lower_limit", "upper_limit"):
        assert told(shifted[name]) == pytest.approx(told(plain[name]) + constant, abs=1e-6)
        assert shifted[name].low == pytest.approx((plain[name].low or 0) + constant, abs=1e-6)
    assert told(shifted["sd"]) == pytest.approx(told(plain["sd"]), abs=1e-6)
    line, above = passing_bablok(*data), passing_bablok(data[0], data[1] + constant)
    if line["slope"].value is not None and above["slope"].value is not None:
        assert above["slope"].value == pytest.approx(line["slope"].value, rel=1e-6)
        assert told(above["intercept"]) == pytest.approx(told(line["intercept"]) + constant, abs=1e-3)


@given(pairs)
def test_exchanged_methods_mirror_the_differences(data: Numbers) -> None:
    one, other = bland_altman(*data), bland_altman(data[1], data[0])
    assert told(other["bias"]) == pytest.approx(-told(one["bias"]), abs=1e-9)
    assert told(other["lower_limit"]) == pytest.approx(-told(one["upper_limit"]), abs=1e-9)
    assert other["lower_limit"].low == pytest.approx(-(one["upper_limit"].high or 0), abs=1e-9)


@given(pairs)
def test_intervals_hold_their_figures(data: Numbers) -> None:
    for figures in (bland_altman(*data), passing_bablok(*data), correlation(*data)):
        for e in figures.values():
            if e.value is not None:
                assert e.low is None or e.low <= e.value + 1e-9
                assert e.high is None or e.value <= e.high + 1e-9


# ---- Passing-Bablok


def test_regression_gives_the_numbers_of_another_program() -> None:
    found = passing_bablok(ASSAY_X, ASSAY_Y)
    assert told(found["slope"]) == pytest.approx(0.9987917, abs=1e-7)
    assert told(found["intercept"]) == pytest.approx(57.2280851, abs=1e-6)
    # mcr takes the mean of two ranks for a limit, the paper the nearer one
    assert (found["slope"].low, found["slope"].high) == pytest.approx((0.9710559, 1.027696), abs=3e-4)
    assert (found["intercept"].low, found["intercept"].high) == pytest.approx(
        (-8.774619, 125.435582), abs=0.5
    )


def as_published(x: Numbers, y: Numbers) -> tuple[float, float, float]:
    """Slope and limits in the very words of the paper: sorted slopes, K of them below -1."""
    slopes = []
    for i in range(len(x)):
        for j in range(i):
            dx, dy = x[i] - x[j], y[i] - y[j]
            if (dx or dy) and dx != -dy:
                slopes.append(np.sign(dy) * np.inf if dx == 0 else dy / dx)
    s, n, k = sorted(slopes), len(slopes), sum(v < -1 for v in slopes)
    middle = s[(n + 1) // 2 + k - 1] if n % 2 else (s[n // 2 + k - 1] + s[n // 2 + k]) / 2
    m1 = round((n - 1.959964 * np.sqrt(len(x) * (len(x) - 1) * (2 * len(x) + 5) / 18)) / 2)
    assume(n - m1 + k < n)  # beyond the last slope the paper leaves open what the limit is
    return middle, s[m1 + k - 1], s[n - m1 + k]


@given(st.integers(0, 10_000), st.integers(8, 25))
def test_regression_is_the_published_rule(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 100, n)
    y = 0.9 * x + rng.normal(0, 6, n) + 3
    found = passing_bablok(x, y)["slope"]
    slope, low, high = as_published(x, y)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    # the mean of two slopes and the slope of the mean angle differ a little
    assert told(found) == pytest.approx(slope, rel=5e-3)


@given(pairs)
def test_exchanged_methods_invert_the_slope(data: Numbers) -> None:
    one, other = passing_bablok(*data), passing_bablok(data[1], data[0])
    slope, back = one["slope"], other["slope"]
    assert (slope.value is None) == (back.value is None)
    assume(slope.value is not None)
    assert told(slope) * told(back) == pytest.approx(1, rel=1e-6)
    assert told(other["intercept"]) == pytest.approx(-told(one["intercept"]) * told(back), rel=1e-6, abs=1e-4)
    if slope.high is not None and slope.low is not None and slope.low > 1e-6:
        assert (back.low, back.high) == pytest.approx((1 / slope.high, 1 / slope.low), rel=1e-5)


@given(st.lists(percent, min_size=3, max_size=20), st.integers(1, 40).map(lambda v: v / 10), percent)
def test_points_on_a_line_give_that_line(x: list[float], slope: float, intercept: float) -> None:
    assume(len(set(x)) > 1)
    values = np.array(x)
    found = passing_bablok(values, intercept + slope * values)
    assert told(found["slope"]) == pytest.approx(slope, rel=1e-6)
    assert told(found["intercept"]) == pytest.approx(intercept, abs=1e-4)


def test_one_outlier_does_not_move_the_line() -> None:
    x = np.arange(20.0)
    y = 2 * x + 1
    y[3] = 90
    assert told(passing_bablok(x, y)["slope"]) == pytest.approx(2)


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        ([1.0, 2.0], [1.0, 2.0], "2 slides; 3 are the least, 40 the usual minimum"),
        ([5.0, 5.0, 5.0], [5.0, 5.0, 5.0], "all slides have the same values"),
        ([5.0, 5.0, 5.0], [1.0, 2.0, 3.0], "do not rise together"),
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], "do not rise together"),
        ([0.0, 1.0, 2.0, 3.0], [3.0, 2.5, 1.0, 0.0], "do not rise together"),
    ],
)
def test_no_line_is_told_in_words(x: list[float], y: list[float], reason: str) -> None:
    found = passing_bablok(np.array(x), np.array(y))
    for e in found.values():
        assert e.value is None
        assert reason in e.reason


def test_few_slides_have_a_line_without_interval() -> None:
    found = passing_bablok(np.arange(4.0), np.arange(4.0))["slope"]
    assert (found.value, found.low, found.high) == (1, None, None)
    assert "too few slides" in found.reason


def test_an_open_limit_is_told() -> None:
    x = np.array([1.0, 1, 1, 1, 1, 2, 2, 3, 3, 4])
    y = np.array([1.0, 4, 2, 6, 3, 2, 8, 3, 9, 4])
    found = passing_bablok(x, y)
    assert found["slope"].low is not None
    assert found["slope"].high is None
    assert found["intercept"].low is None
    assert "open" in found["slope"].reason


# ---- correlation


@given(pairs)
def test_correlation_is_that_of_scipy(data: Numbers) -> None:
    x, y = data
    assume(len(x) > 3 and np.ptp(x) > 0 and np.ptp(y) > 0)
    found = correlation(x, y)
    theirs = pearsonr(x, y)
    assert told(found["pearson"]) == pytest.approx(theirs.statistic, abs=1e-9)
    if abs(theirs.statistic) < 0.9999:
        limits = theirs.confidence_interval(0.95)
        assert (found["pearson"].low, found["pearson"].high) == pytest.approx(tuple(limits), abs=1e-6)
    assert told(found["spearman"]) == pytest.approx(spearmanr(x, y).statistic, abs=1e-9)


@given(pairs)
def test_ranks_do_not_mind_a_rising_scale(data: Numbers) -> None:
    plain, bent = correlation(*data)["spearman"], correlation(data[0], np.exp(data[1] / 50))["spearman"]
    assert (plain.value is None) == (bent.value is None)
    if plain.value is not None:
        assert bent.value == pytest.approx(plain.value)


def test_interval_of_ranks() -> None:
    e = correlation(MINI, LARGE)["spearman"]
    r = told(e)
    half = 1.959964 * np.sqrt((1 + r * r / 2) / 14)
    assert (e.low, e.high) == pytest.approx((np.tanh(np.arctanh(r) - half), np.tanh(np.arctanh(r) + half)))


def test_correlation_of_constants_and_of_few_is_told_in_words() -> None:
    assert "same value" in correlation(np.ones(5), np.arange(5.0))["pearson"].reason
    three = correlation(np.arange(3.0), np.array([0.0, 2, 1]))["pearson"]
    assert three.value is not None
    assert three.low is None


# ---- kappa

categories = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=25).map(
    lambda p: np.array(p, np.int64).T
)


@given(categories, st.sampled_from(["linear", "quadratic"]))
@settings(max_examples=50)
def test_kappa_is_one_minus_cost_over_chance_cost(data: np.ndarray, weights: str) -> None:  # type: ignore[type-arg]
    a, b = data
    found = weighted_kappa(a, b, 4, weights, rounds=50)
    power = {"linear": 1, "quadratic": 2}[weights]
    chance = np.mean([abs(i - j) ** power for i in a for j in b])
    if chance == 0:
        assert found.value is None
        assert "one category" in found.reason
    else:
        assert told(found) == pytest.approx(1 - np.mean(np.abs(a - b) ** power) / chance)
        assert found.low is None or found.low <= (found.high or 0)


def test_interval_of_kappa_is_that_of_drawing_slides() -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 4, 60)
    b = np.clip(a + rng.choice([-1, 0, 0, 0, 1], 60), 0, 3)
    rows = (rng.integers(60, size=60) for _ in range(600))
    drawn = [cohen_kappa_score(a[r], b[r], labels=range(4), weights="linear") for r in rows]
    found = weighted_kappa(a, b, 4, "linear", rounds=4000)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=0.02)
    assert weighted_kappa(a, b, 4, "linear") == weighted_kappa(a, b, 4, "linear")


@given(st.lists(percent, min_size=5, max_size=20))
def test_identical_methods_agree_wholly(values: list[float]) -> None:
    x = np.array(values)
    limits, line = bland_altman(x, x), passing_bablok(x, x)
    assert limits["bias"] == Estimate(0, 0, 0, len(x))
    assert limits["upper_limit"].value == 0
    if len(set(values)) > 1:
        assert line["slope"].value == 1
        assert told(line["intercept"]) == pytest.approx(0, abs=1e-9)
        assert told(correlation(x, x)["pearson"]) == pytest.approx(1)
    bands = np.digitize(x, [5, 10, 20]).astype(np.int64)
    kappa = weighted_kappa(bands, bands, 4, "quadratic", rounds=20)
    assert kappa.value == (1 if len(set(bands)) > 1 else None)


# ---- two counts


def fisher(k: int, n: int, j: int, m: int) -> float:
    """Two-sided probability, summed over all tables that are no likelier."""
    of = hypergeom(n + m, k + j, n)
    return float(sum(p for p in of.pmf(range(n + 1)) if p <= of.pmf(k) * (1 + 1e-7)))


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0, 1), st.floats(0, 1))
def test_two_counts_agree_where_fisher_says_so(n: int, m: int, a: float, b: float) -> None:
    k, j = round(a * n), round(b * m)
    p = fisher(k, n, j, m)
    assume(abs(p - 0.05) > 1e-6)
    assert two_counts_agree((100 * k / n, 100 * j / m), (n, m)) == (p >= 0.05)
    assert two_counts_agree((100 * j / m, 100 * k / n), (m, n)) == (p >= 0.05)


@pytest.mark.parametrize(
    ("hand", "scan", "cells", "agree"),
    [
        (0.0, 3.5, (100, 200), True),
        (0.0, 10.0, (100, 200), False),
        (50.0, 60.0, (100, 200), True),
        (50.0, 60.0, (400, 2000), False),
        (33.33, 33.33, (3, 3), True),
    ],
)
def test_more_cells_leave_less_to_chance(
    hand: float, scan: float, cells: tuple[float, float], agree: bool
) -> None:
    assert two_counts_agree((hand, scan), cells) == agree


def test_counts_of_one_blood_agree_as_often_as_promised() -> None:
    rng = np.random.default_rng(5)
    drawn = rng.binomial((200, 400), 0.12, (1000, 2))
    agree = [two_counts_agree((k / 2, j / 4), (200, 400)) for k, j in drawn]
    assert 0.945 <= np.mean(agree) <= 0.985


def test_counting_alone_spreads_as_the_binomial_does() -> None:
    shares, cells = np.array([[2.0], [40.0]]), np.array([[100.0], [250.0]])
    theirs = [binom(n, p).std() * 100 / n for n, p in ((100, 0.02), (250, 0.4))]
    assert counting_sd(shares, cells) == pytest.approx(np.sqrt(np.mean(np.square(theirs))))


# ---- flag


def test_rates_of_a_flag_by_hand() -> None:
    truth = np.array([True] * 10 + [False] * 20)
    flag = ["flagged"] * 7 + ["not flagged"] * 2 + ["insufficient"]
    flag += ["flagged"] * 1 + ["not flagged"] * 16 + ["insufficient"] * 3
    table = flag_table(truth, flag)
    assert table == {
        "leukemia": {"flagged": 7, "not flagged": 2, "insufficient": 1},
        "no leukemia": {"flagged": 1, "not flagged": 16, "insufficient": 3},
    }
    rates = flag_rates(table)
    expected = {
        "sensitivity": (7, 9), "specificity": (16, 17), "ppv": (7, 8), "npv": (16, 18), "agreement": (23, 26),
        "insufficient": (4, 30), "sensitivity_all": (7, 10), "specificity_all": (16, 20),
    }  # fmt: skip
    assert {name: (e.value, e.n) for name, e in rates.items()} == {
        name: (pytest.approx(100 * k / n), n) for name, (k, n) in expected.items()
    }
    assert rates["sensitivity_all"].low == pytest.approx(34.75, abs=0.01)  # 7 of 10: 34.75 to 93.33
    assert rates["sensitivity_all"].high == pytest.approx(93.33, abs=0.01)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(FLAGS)), max_size=40))
def test_no_slide_is_lost_between_truth_and_flag(slides: list[tuple[bool, str]]) -> None:
    table = flag_table(np.array([ill for ill, _ in slides], bool), [flag for _, flag in slides])
    assert tuple(table) == TRUTHS
    assert sum(sum(row.values()) for row in table.values()) == len(slides)
    rates = flag_rates(table)
    undecided = sum(flag == "insufficient" for _, flag in slides)
    assert rates["agreement"].n + undecided == len(slides)
    assert rates["insufficient"].n == len(slides)
    for e in rates.values():
        assert (e.value is None) == (e.n == 0)
        assert bool(e.reason) == (e.n == 0)
    if rates["sensitivity"].value is not None:
        assert (rates["sensitivity_all"].value or 0) <= rates["sensitivity"].value


def test_a_share_of_nothing_is_told_in_words() -> None:
    assert share_percent(0, 0, reason="none looked at") == Estimate(None, reason="none looked at")
    assert share_percent(0, 100).high == pytest.approx(3.62, abs=0.01)


# ---- precision


def test_components_are_those_of_the_published_mean_squares() -> None:
    """Shrout and Fleiss: MS of judges 32.49 (six targets), MS of error 1.02, all to two decimals."""
    found = precision(JUDGES)
    assert told(found["repeatability_sd"]) ** 2 == pytest.approx(1.02, abs=0.005)
    assert told(found["between_sd"]) ** 2 == pytest.approx((32.49 - 1.02) / 6, abs=0.002)
    assert told(found["total_sd"]) ** 2 == pytest.approx(1.02 + (32.49 - 1.02) / 6, abs=0.006)
    assert told(found["total_cv"]) == pytest.approx(100 * told(found["total_sd"]) / JUDGES.mean())
    # Satterthwaite: total = MS_judges / 6 + MS_error * 5 / 6
    freedom = (32.486 / 6 + 1.0194 * 5 / 6) ** 2 / ((32.486 / 6) ** 2 / 3 + (1.0194 * 5 / 6) ** 2 / 15)
    expected = sd_interval(told(found["total_sd"]), freedom)
    assert (found["total_sd"].low, found["total_sd"].high) == pytest.approx(expected, rel=1e-3)


def test_interval_of_a_standard_deviation() -> None:
    """10 values with SD 1: 0.688 to 1.826, as in tables of chi-squared (19.023 and 2.700)."""
    assert sd_interval(1, 9) == pytest.approx((np.sqrt(9 / 19.023), np.sqrt(9 / 2.700)), rel=1e-4)


@given(
    st.lists(percent, min_size=2, max_size=8),
    st.lists(st.integers(-30, 30).map(float), min_size=2, max_size=5),
    st.integers(0, 99),
)
def test_slides_are_no_error_and_runs_are_no_repeatability(
    slides: list[float], runs: list[float], seed: int
) -> None:
    shape = (len(slides), len(runs))
    noise = np.random.default_rng(seed).normal(50, 3, shape)
    plain = precision(noise)
    moved = precision(noise + np.array(slides)[:, None])
    for name in ("repeatability_sd", "between_sd", "total_sd"):
        assert told(moved[name]) == pytest.approx(told(plain[name]), rel=1e-6, abs=1e-6)
    shifted = precision(noise + np.array(runs))
    assert told(shifted["repeatability_sd"]) == pytest.approx(told(plain["repeatability_sd"]), rel=1e-6)
    only_runs = precision(np.full(shape, 60.0) + np.array(runs))
    assert told(only_runs["repeatability_sd"]) == pytest.approx(0, abs=1e-6)
    assert told(only_runs["between_sd"]) == pytest.approx(np.std(runs, ddof=1), abs=1e-6)


def test_simulated_components_are_found_again() -> None:
    rng = np.random.default_rng(2)
    values = 50 + rng.normal(0, 9, (300, 1)) + rng.normal(0, 2, (1, 60)) + rng.normal(0, 3, (300, 60))
    found = precision(values)
    assert told(found["repeatability_sd"]) == pytest.approx(3, rel=0.03)
    assert told(found["between_sd"]) == pytest.approx(2, rel=0.25)
    assert told(found["total_sd"]) == pytest.approx(13**0.5, rel=0.1)


def test_equal_repeats_have_no_spread() -> None:
    found = precision(np.array([[5.0, 5.0], [7.0, 7.0]]))
    assert all(e.value == 0 for e in found.values())
    assert (found["total_sd"].low, found["total_sd"].high) == (0, 0)


@pytest.mark.parametrize(
    ("shape", "reason"), [((1, 3), "1 slide; 2 are the least"), ((4, 1), "one run"), ((0, 2), "0 slides")]
)
def test_precision_of_too_little_is_told_in_words(shape: tuple[int, int], reason: str) -> None:
    found = precision(np.ones(shape))
    assert tuple(found) == PRECISION
    assert all(e.value is None and reason in e.reason for e in found.values())


def test_a_mean_of_zero_has_no_coefficient_of_variation() -> None:
    found = precision(np.zeros((3, 2)))
    assert found["total_sd"].value == 0
    assert found["total_cv"].value is None
    assert found["total_cv"].reason == "the mean is 0"
