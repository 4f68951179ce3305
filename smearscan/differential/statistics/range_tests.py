"""Does a class lie outside a reference range? Exact tests that know how the nets misname cells.

A slide whose class lies just at the limit of its range still has more or fewer cells *called* so: a share of
its own cells is called otherwise, and some of the others are called like it. The test asks how likely the
count is on such a slide, with the slide's own mixture of the other classes, as the test for an excess of
blasts does (:mod:`smearscan.differential.statistics.blast_excess`).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.statistics.blast_excess import beta_of, false_rate
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.numeric import special

Side = Literal["above", "below"]

_UPPER = 2.326
"""Standard errors of the composition by which the expected share is moved to the count: one-sided 99 %."""


def range_p_value(count: int, total: int, limit: float, side: Side) -> float:
    """Chance of a count at least that far beyond a limit, where cells are named without an error.

    Parameters
    ----------
    count, total : int
        Cells of the class, and all counted cells.
    limit : float
        Share of the class at the limit of its range, 0 to 1.
    side : str
        ``above`` or ``below``: which side of the limit is asked for.
    """
    if total == 0:
        return 1.0
    of = special()
    return float(of.bdtrc(count - 1, total, limit) if side == "above" else of.bdtr(count, total, limit))


def misnamed_range_p_value(
    counts: NDArray[np.int64], errors: MisclassificationModel, counted: NDArray[np.bool_],
    target: NDArray[np.bool_], limit: float, side: Side,
) -> float:  # fmt: skip
    """Do the same where nets name the cells, whose errors are known.

    Parameters
    ----------
    counts : ndarray, (T,) int64
        Cells of one slide by name, in the order of ``errors.classes``.
    errors : MisclassificationModel
    counted : ndarray, (T,) bool
        Classes of the denominator; `target` is added where it lies outside.
    target : ndarray, (T,) bool
        The classes asked for.
    limit : float
        Their share at the limit of the range, 0 to 1, of the denominator with them.
    side : str

    Notes
    -----
    Beta-binomial: the mean is what is called so on a slide at the limit, ``u * own + (1 - u) * false``, with
    u the limit among the cells that get a name; the variance is that of slides around such a mean (the rows'
    concentration) and of the composition of the other cells.
    """
    total = int(counts[counted | target].sum())
    if total == 0:
        return 1.0
    mean = errors.mean
    named = np.maximum(1 - mean[:, -1], 1e-9)
    rate = mean[:, :-1][:, target].sum(axis=1) / named
    spread = rate * (1 - rate) / (errors.concentration + 1)
    others = counted & ~target
    false, error, deviation = (
        float(v[0]) for v in false_rate(counts[None], errors, others, target, rate, spread)
    )
    share = counts * target + 1e-9 * target  # which of the classes asked for there are
    share = share / share.sum()
    own, own_spread, kept = share @ rate, share @ spread, share @ named
    rest = counts * others + 1e-9 * others
    kept_rest = float((rest / rest.sum()) @ named)
    u = limit * kept / (limit * kept + (1 - limit) * kept_rest)
    toward = _UPPER * error if side == "above" else -_UPPER * error
    expected = u * own + (1 - u) * np.clip(false + toward, 0, 1)
    variance = u**2 * own_spread + (1 - u) ** 2 * deviation**2
    a, b = beta_of(np.array(expected), np.array(variance))
    k = int(counts[target].sum())
    tail = np.arange(k, total + 1) if side == "above" else np.arange(k + 1)
    # summed over the tail asked for: one minus the other side would have no digit left of a small chance
    return float(min(_beta_binomial(tail, total, a, b).sum(), 1.0))


def _beta_binomial(
    k: NDArray[np.int64], n: int, a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Chance of each count k of n, where the rate has a beta distribution (a, b)."""
    betaln = special().betaln
    ways = -np.log(n + 1) - betaln(n - k + 1, k + 1)
    return np.asarray(np.exp(ways + betaln(k + a, n - k + b) - betaln(a, b)), np.float64)


def holm(p_values: list[float], level: float) -> list[bool]:
    """Which of several hypotheses to reject so that any true one is rejected at most at `level`.

    Holm, Scand. J. Stat. 6:65 (1979): the least p-value against ``level / m``, the next against ``level /
    (m - 1)``, and so on, up to the first that is not below; valid whatever the tests have in common.
    """
    rejected = [False] * len(p_values)
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[i] > level / (len(p_values) - rank):
            break
        rejected[i] = True
    return rejected
