"""How well two ways of counting agree. Pure statistics on arrays; every figure with its interval or a reason.

Limits of agreement, Passing-Bablok regression, correlation, weighted kappa: the figures of method-comparison
papers on hematology analyzers (CLSI EP09). Flags, counting error and precision are in :mod:`.counting`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, nct, norm, rankdata, t
from sklearn.metrics import cohen_kappa_score

Numbers = NDArray[np.float64]

MIN_PAIRS = 3
"""Fewer pairs are refused: two points fit every line."""

USUAL_PAIRS = 40
"""Smallest number of samples of a method comparison in CLSI EP09."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its two-sided confidence interval.

    Attributes
    ----------
    value : float or None
        None where it cannot be told; `reason` says why.
    low, high : float or None
        None where the interval is open on that side or cannot be told.
    n : int
        Slides, pairs or cases behind the figure.
    reason : str
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str = ""


def too_few(n: int, needed: int = MIN_PAIRS) -> str:
    """Say in words that `n` slides do not suffice; empty where they do."""
    if n >= needed:
        return ""
    slides = "1 slide" if n == 1 else f"{n} slides"
    return f"{slides}; {needed} are the least, {USUAL_PAIRS} the usual minimum of a study (CLSI EP09)"


def withheld(names: tuple[str, ...], n: int, reason: str) -> dict[str, Estimate]:
    """Give figures that cannot be told, each with the reason."""
    return dict.fromkeys(names, Estimate(None, n=n, reason=reason))


def bland_altman(
    reference: Numbers, test: Numbers, level: float = 0.95, share: float = 0.95
) -> dict[str, Estimate]:
    """Bias and limits of agreement.

    Parameters
    ----------
    reference, test : ndarray, (N,)
        Both in the same unit; differences are test - reference.
    level : float
        Confidence of the intervals.
    share : float
        Part of the differences that the limits are to hold.

    Returns
    -------
    dict
        ``bias``, ``sd`` (of the differences), ``lower_limit``, ``upper_limit``, in the unit of the input.

    Notes
    -----
    Limits: d ± z s (Bland and Altman, Lancet 1986); interval of the bias by Student's t. The interval of a
    limit is exact for normal differences: d ± s/√N times quantiles of the noncentral t with noncentrality
    z √N (Carkeet, Optom. Vis. Sci. 2015); the usual approximation is too narrow for few slides.
    """
    n = len(reference)
    names = ("bias", "sd", "lower_limit", "upper_limit")
    if reason := too_few(n):
        return withheld(names, n, reason)
    difference = test - reference
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    tail, z = (1 - level) / 2, float(norm.ppf((1 + share) / 2))
    error = sd / float(np.sqrt(n))
    half = float(t.ppf(1 - tail, n - 1)) * error
    inner, outer = (float(q) * error for q in nct.ppf([tail, 1 - tail], n - 1, z * np.sqrt(n)))
    estimates = (
        Estimate(bias, bias - half, bias + half, n),
        Estimate(sd, *sd_interval(sd, n - 1, level), n),
        Estimate(bias - z * sd, bias - outer, bias - inner, n),
        Estimate(bias + z * sd, bias + inner, bias + outer, n),
    )
    return dict(zip(names, estimates, strict=True))


def passing_bablok(reference: Numbers, test: Numbers, level: float = 0.95) -> dict[str, Estimate]:
    """Fit test = intercept + slope * reference, both with errors, by the shifted median of all slopes.

    Parameters
    ----------
    reference, test : ndarray, (N,)
    level : float

    Returns
    -------
    dict
        ``slope`` and ``intercept``. A limit of None is open: the slides allow any value on that side.

    Notes
    -----
    Passing and Bablok, J. Clin. Chem. Clin. Biochem. 1983: slopes of all pairs of slides but those of equal
    points and of slope -1; the median is shifted by the number of slopes below -1, which amounts to ordering
    lines by their angle from -45 to 135 degrees; limits: C/2 ranks beside it, C = z √(N(N - 1)(2N + 5) / 18);
    intercept: the median of test - slope * reference. Of two middle slopes the mean *angle* is taken, so that
    exchanging the methods inverts the slope exactly (Dufey, Int. J. Biostat. 2020).
    """
    n = len(reference)
    reason = too_few(n)
    angles = np.sort(_angles(reference, test))
    if not reason and not len(angles):
        reason = "all slides have the same values"
    if reason:
        return withheld(("slope", "intercept"), n, reason)
    middle = float(np.median(angles))
    if not 0 < middle < np.pi / 2 - 1e-9:
        reason = "the two methods do not rise together (no line of positive slope fits)"
        return withheld(("slope", "intercept"), n, reason)
    spread = float(norm.ppf((1 + level) / 2)) * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    first = round((len(angles) - spread) / 2)
    low, high = None, None
    if first >= 1:
        low, high = _slope(angles[first - 1]), _slope(angles[-first])
        reason = "" if high is not None else "the slides leave one limit open"
    else:
        reason = "too few slides that differ for an interval"

    def intercept(slope: float | None) -> float | None:
        return None if slope is None else float(np.median(test - slope * reference))

    slope = _slope(middle)
    return {
        "slope": Estimate(slope, low, high, n, reason),
        "intercept": Estimate(intercept(slope), intercept(high), intercept(low), n, reason),
    }


def _angles(x: Numbers, y: Numbers) -> Numbers:
    """Angles of the lines through all pairs of points, (M,) in [-45, 135) degrees, given in radians."""
    first, second = np.triu_indices(len(x), 1)
    dx, dy = x[second] - x[first], y[second] - y[first]
    turn = np.where((dx < 0) | ((dx == 0) & (dy < 0)), -1.0, 1.0)
    angles: Numbers = np.arctan2(dy * turn, dx * turn)[(dx != 0) | (dy != 0)]
    angles = np.where(angles < -np.pi / 4, angles + np.pi, angles)
    # percentages carry rounding errors, so a slope of -1 is seldom met exactly
    falling = np.minimum(np.abs(angles + np.pi / 4), np.abs(angles - 3 * np.pi / 4)) < 1e-9
    return angles[~falling]


def _slope(angle: float) -> float | None:
    """Slope of a line; None from the vertical on, where it is no longer bounded."""
    return round(float(np.tan(angle)), 12) if angle < np.pi / 2 - 1e-9 else None


def correlation(reference: Numbers, test: Numbers, level: float = 0.95) -> dict[str, Estimate]:
    """Pearson's and Spearman's coefficients.

    Parameters
    ----------
    reference, test : ndarray, (N,)
    level : float

    Returns
    -------
    dict
        ``pearson`` and ``spearman``, without unit. They tell of a relation, not of agreement.

    Notes
    -----
    Intervals from Fisher's z: standard error 1/√(N - 3) for Pearson (Fisher, Metron 1921) and
    √((1 + r²/2) / (N - 3)) for Spearman (Bonett and Wright, Psychometrika 2000).
    """
    n = len(reference)
    reason = too_few(n)
    if not reason and (np.ptp(reference) == 0 or np.ptp(test) == 0):
        reason = "one method gives all slides the same value"
    if reason:
        return withheld(("pearson", "spearman"), n, reason)

    def estimate(x: Numbers, y: Numbers, ranks: bool) -> Estimate:
        r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
        if n == MIN_PAIRS:
            return Estimate(r, n=n, reason="3 slides give no interval")
        if abs(r) == 1:
            return Estimate(r, r, r, n)
        error = np.sqrt((1 + (r**2 / 2 if ranks else 0)) / (n - 3))
        half = float(norm.ppf((1 + level) / 2)) * error
        return Estimate(r, float(np.tanh(np.arctanh(r) - half)), float(np.tanh(np.arctanh(r) + half)), n)

    return {
        "pearson": estimate(reference, test, False),
        "spearman": estimate(rankdata(reference), rankdata(test), True),
    }


def weighted_kappa(
    reference: NDArray[np.int64], test: NDArray[np.int64], classes: int, weights: str,
    level: float = 0.95, rounds: int = 1000, seed: int = 0,
) -> Estimate:  # fmt: skip
    """Agreement on ordered categories beyond chance.

    Parameters
    ----------
    reference, test : ndarray, (N,) int64
        Categories 0 ... `classes` - 1.
    classes : int
    weights : str
        ``linear`` or ``quadratic``: how a disagreement grows with the distance of the categories.
    level : float
    rounds, seed : int
        Of the bootstrap.

    Returns
    -------
    Estimate
        Without unit, 1 for perfect agreement, 0 for chance.

    Notes
    -----
    Cohen, Psychol. Bull. 1968. The interval is the percentile interval of a bootstrap over slides (Efron and
    Tibshirani, 1993); draws in which all slides share one category have no kappa and are left out.
    """
    n = len(reference)
    reason = too_few(n)
    if not reason and np.ptp(np.concatenate([reference, test])) == 0:
        reason = "all slides are in one category, which leaves nothing to agree on"
    if reason:
        return Estimate(None, n=n, reason=reason)
    value = float(cohen_kappa_score(reference, test, labels=range(classes), weights=weights))
    # drawing slides with replacement is drawing tables of the categories: all draws at once
    cells = np.bincount(reference * classes + test, minlength=classes**2)
    tables = np.random.default_rng(seed).multinomial(n, cells / n, rounds).reshape(rounds, classes, classes)
    distance = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes)))
    cost = distance if weights == "linear" else distance**2
    chance = np.einsum("ri,ij,rj->r", tables.sum(axis=2), cost, tables.sum(axis=1)) / n
    told = chance > 0
    if not told.any():
        return Estimate(value, n=n, reason="no draw of the bootstrap holds two categories")
    drawn = 1 - (tables * cost).sum(axis=(1, 2))[told] / chance[told]
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return Estimate(value, float(low), float(high), n)


def sd_interval(sd: float, freedom: float, level: float = 0.95) -> tuple[float, float]:
    """Interval of the standard deviation of normal values, chi-squared with `freedom` degrees of freedom."""
    low, high = chi2.ppf([(1 + level) / 2, (1 - level) / 2], freedom)
    return float(sd * np.sqrt(freedom / low)), float(sd * np.sqrt(freedom / high))
