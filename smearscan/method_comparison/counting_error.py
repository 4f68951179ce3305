"""Flags, counting error and precision of counts by slide. Pure statistics; every figure with its interval.

A share of a slide rests on few cells and varies by chance alone; what a method adds to that is its own error.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from smearscan.differential.statistics.intervals import exact_interval
from smearscan.method_comparison.agreement import Estimate, Numbers, sd_interval, too_few, withheld

FLAGS = ("flagged", "not flagged", "insufficient")
TRUTHS = ("leukemia", "no leukemia")
PRECISION = tuple(f"{part}_{kind}" for kind in ("sd", "cv") for part in ("repeatability", "between", "total"))


def two_counts_agree(percents: tuple[float, float], cells: tuple[float, float], level: float = 0.95) -> bool:
    """Tell whether two differentials may come from the same blood, given how few cells were counted.

    Parameters
    ----------
    percents : tuple of float
        Of one class, by either method.
    cells : tuple of float
        All cells that either method counted.
    level : float

    Returns
    -------
    bool

    Notes
    -----
    Both counts vary by chance, the one by hand as well (Rümke, in: Differential Leukocyte Counting, College
    of American Pathologists, 1979; the comparison of CLSI H20-A2). In place of the normal approximation,
    which fails for rare classes, Fisher's exact test at 1 - `level` (Fisher, J. R. Stat. Soc. 1935). It is
    cautious: of pairs of faultless counts at least `level` agree.
    """
    named = [round(n * percent / 100) for percent, n in zip(percents, cells, strict=True)]
    table = [[k, round(n) - k] for k, n in zip(named, cells, strict=True)]
    return bool(fisher_exact(table)[1] >= 1 - level)


def counting_sd(percent: Numbers, cells: Numbers) -> float:
    """Give the spread that counting few cells makes by itself.

    Parameters
    ----------
    percent, cells : ndarray, any one shape
        Percentages of a class and the numbers of cells they are of.

    Returns
    -------
    float
        √(mean of p (100 - p) / n), percentage points: the binomial spread (Rümke 1979).
    """
    return float(np.sqrt(np.mean(percent * (100 - percent) / cells)))


def share_percent(count: int, of: int, level: float = 0.95, reason: str = "no slide") -> Estimate:
    """Give a share in percent with its Clopper-Pearson interval; `reason` where there is nothing to share."""
    if not of:
        return Estimate(None, reason=reason)
    return Estimate(100 * count / of, *exact_interval(count, of, level), of)


def flag_table(truth: NDArray[np.bool_], flag: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count N slides by truth (a row each of :data:`TRUTHS`) and flag (:data:`FLAGS`); both inputs (N,)."""
    given = np.asarray(flag, dtype=object)
    return {
        name: {state: int(((truth == ill) & (given == state)).sum()) for state in FLAGS}
        for name, ill in zip(TRUTHS, (True, False), strict=True)
    }


def flag_rates(table: Mapping[str, Mapping[str, int]], level: float = 0.95) -> dict[str, Estimate]:
    """Rates of a qualitative test whose answer may be ``insufficient``.

    Parameters
    ----------
    table : mapping
        See :func:`flag_table`.
    level : float

    Returns
    -------
    dict
        In percent. ``sensitivity``, ``specificity``, ``ppv``, ``npv``, ``agreement`` are of the slides that
        got an answer; ``insufficient`` is the share that got none; ``sensitivity_all`` and
        ``specificity_all`` count a slide without an answer as wrong.

    Notes
    -----
    Definitions as in CLSI EP12; intervals of Clopper and Pearson, Biometrika 1934. Predictive values hold
    only where leukemia is as frequent as among these slides.
    """
    ill, well = (table[name] for name in TRUTHS)
    (tp, fn, tu), (fp, tn, fu) = ([row[state] for state in FLAGS] for row in (ill, well))
    shares = {
        "sensitivity": (tp, tp + fn, "no slide with leukemia got an answer"),
        "specificity": (tn, tn + fp, "no slide without leukemia got an answer"),
        "ppv": (tp, tp + fp, "no slide was flagged"),
        "npv": (tn, tn + fn, "no slide was called 'not flagged'"),
        "agreement": (tp + tn, tp + tn + fp + fn, "no slide got an answer"),
        "insufficient": (tu + fu, sum(ill.values()) + sum(well.values()), "no slide"),
        "sensitivity_all": (tp, tp + fn + tu, "no slide with leukemia"),
        "specificity_all": (tn, tn + fp + fu, "no slide without leukemia"),
    }
    return {name: share_percent(count, of, level, reason) for name, (count, of, reason) in shares.items()}


def precision(values: Numbers, level: float = 0.95) -> dict[str, Estimate]:
    """Spread of repeated counts of the same slides.

    Parameters
    ----------
    values : ndarray, (S, R)
        S slides, each counted in the same R runs (or by the same R readers), in one unit.
    level : float

    Returns
    -------
    dict
        ``repeatability_sd``, ``between_sd`` (of runs or readers), ``total_sd`` in the unit of the input, and
        ``repeatability_cv``, ``between_cv``, ``total_cv`` in percent of the mean of all.

    Notes
    -----
    Components of variance by analysis of variance of the crossed layout slide x run, in the manner of CLSI
    EP05: repeatability² = MS_error; between² = (MS_run - MS_error) / S, 0 where negative; total² is their
    sum. Differences of the slides themselves are no part of any. Intervals: chi-squared; for the total with
    the degrees of freedom of Satterthwaite, Biometrics 1946; none for the component between runs.
    """
    n_slides, n_runs = values.shape
    reason = too_few(n_slides, 2) or ("" if n_runs > 1 else "one run has nothing to be compared with")
    if reason:
        return withheld(PRECISION, n_slides, reason)
    mean = float(values.mean())
    by_slide, by_run = values.mean(axis=1), values.mean(axis=0)
    freedom = (n_slides - 1) * (n_runs - 1)
    within = float(((values - by_slide[:, None] - by_run + mean) ** 2).sum()) / freedom
    # a negative component is set to 0, which amounts to runs that vary no more than the error
    of_runs = max(n_slides * float(by_run.var(ddof=1)), within)
    between = (of_runs - within) / n_slides
    total = within + between
    parts = (of_runs / n_slides) ** 2 / (n_runs - 1) + (within * (1 - 1 / n_slides)) ** 2 / freedom
    total_freedom = total**2 / parts if parts else freedom
    sds = (
        Estimate(within**0.5, *sd_interval(within**0.5, freedom, level), n_slides),
        Estimate(between**0.5, n=n_slides),
        Estimate(total**0.5, *sd_interval(total**0.5, total_freedom, level), n_slides),
    )
    return dict(zip(PRECISION, (*sds, *(_of_mean(sd, mean) for sd in sds)), strict=True))


def _of_mean(sd: Estimate, mean: float) -> Estimate:
    """Coefficient of variation, percent."""
    if mean <= 0:
        return Estimate(None, n=sd.n, reason="the mean is 0")
    value, low, high = (None if v is None else 100 * v / mean for v in (sd.value, sd.low, sd.high))
    return Estimate(value, low, high, sd.n)
