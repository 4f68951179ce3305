"""Are there more blasts than the nets' own errors explain? The flag's test, its power and its limits.

Without any blast a slide still has cells *called* blast: the false ones. Their rate differs by the true type
(a monocyte is taken for a blast more often than a neutrophil) and from slide to slide. The test asks how
likely the observed count is under false blasts alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from smearscan.statistics.errors import NamingErrors

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Excess:
    """The test of S slides.

    Attributes
    ----------
    rate_percent : ndarray, (S,) float64
        False blasts expected of 100 healthy cells of the slide's own composition.
    expected : ndarray, (S,) float64
        False blasts expected among the counted cells.
    p_value : ndarray, (S,) float64
        Probability of as many cells called blast, or more, without any blast.
    critical : ndarray, (S,) int64
        Least count that is an excess at the level asked for; counted cells + 1 where no count would be.
    detectable_percent : ndarray, (S,) float64
        Blast share that would have been found with the power asked for; NaN where none would.
    """

    rate_percent: Floats
    expected: Floats
    p_value: Floats
    critical: Counts
    detectable_percent: Floats


def excess(
    counts: Counts, errors: NamingErrors, counted: tuple[str, ...], level: float = 0.01, power: float = 0.95,
    of: str = "blast",
) -> Excess:  # fmt: skip
    """Test the blast counts of many slides.

    Parameters
    ----------
    counts : ndarray, (S, T) int64
        Cells by name, in the order of ``errors.classes``.
    errors : NamingErrors
    counted : tuple of str
        Classes of the denominator, with `of`.
    level : float
        Share of slides without blasts that may show an excess.
    power : float

    Returns
    -------
    Excess

    Notes
    -----
    Under the null hypothesis the count is beta-binomial: the false-blast rate of one slide follows a beta
    distribution whose mean is the mixture of the types' rates, in the slide's own composition, and whose
    variance is that of slides around such a mean, see :func:`null_rate`. Given blasts in share s, a
    counted cell is called blast with probability ``s * sensitivity + (1 - s) * rate``, again with its
    variance.
    """
    blast = errors.classes.index(of)
    healthy = np.array([name in counted and name != of for name in errors.classes])
    n = counts[:, [name in counted for name in errors.classes]].sum(axis=1)
    mean, deviation = null_rate(counts, errors, healthy, blast)
    a, b = beta_of(mean, deviation**2)
    observed = counts[:, blast]
    below = cumulative(n, a, b, np.maximum(observed, 1).max(initial=1))
    p_value = 1 - np.where(observed > 0, np.take_along_axis(below, observed[:, None] - 1, 1)[:, 0], 0.0)
    critical = _critical(n, a, b, level)
    return Excess(
        100 * mean,
        n * mean,
        np.clip(p_value, 0.0, 1.0),
        critical,
        100 * _detectable(n, critical, mean, deviation, errors, blast, power),
    )


def null_rate(
    counts: Counts, errors: NamingErrors, healthy: NDArray[np.bool_], blast: int
) -> tuple[Floats, Floats]:
    """Mean and standard deviation, (S,), of a slide's false-blast rate, by its own healthy composition.

    Two variances add up: that of the types' rows, each by itself, and that of a factor common to all rows of
    a slide. Patients show something of both; the sum is the cautious choice.
    """
    rate = _named_rate(errors, blast)
    # a type of which many are called blast shows fewer of its own: weigh it up again
    weight = np.where(healthy, counts / np.maximum(1 - rate, 0.05), 0.0)
    none = weight.sum(axis=1) == 0
    weight[none] = np.where(healthy, errors.labeled + 1.0, 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    mean = weight @ rate
    rows = (weight**2) @ (rate * (1 - rate) / (errors.concentration + 1))
    return mean, np.sqrt(rows + mean**2 * errors.variation)


def _named_rate(errors: NamingErrors, blast: int) -> Floats:
    """Share of each class called blast, of those that get a name, (T,)."""
    mean = errors.mean
    return np.asarray(mean[:, blast] / np.maximum(1 - mean[:, -1], 1e-9), np.float64)


def beta_of(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Parameters of the beta distribution with this mean and variance."""
    mean = np.clip(mean, 1e-6, 1 - 1e-6)
    size = np.maximum(mean * (1 - mean) / np.maximum(variance, 1e-12) - 1, 1e-3)
    return mean * size, (1 - mean) * size


def cumulative(n: Counts, a: Floats, b: Floats, top: int) -> Floats:
    """Beta-binomial P(K <= k) for k from 0 to `top` - 1, (S, top).

    By the ratio of neighboring terms, for all slides at once; scipy's own sums term by term in Python.
    """
    k = np.arange(top - 1)
    left = np.maximum(n[:, None] - k, 0)
    with np.errstate(divide="ignore"):
        steps = np.log(left * (a[:, None] + k)) - np.log((k + 1) * (b[:, None] + np.maximum(left - 1, 0)))
    first = betaln(a, b + n) - betaln(a, b)
    terms = np.exp(np.cumsum(np.column_stack([first, steps]), axis=1))
    return np.asarray(np.minimum(np.cumsum(terms, axis=1), 1.0), np.float64)


def _critical(n: Counts, a: Floats, b: Floats, level: float) -> Counts:
    """Least k with P(K >= k) <= level, (S,); n + 1 where there is none."""
    top = 64
    while True:
        # P(K >= k) = 1 - P(K <= k - 1): the first column that is high enough belongs to k - 1
        enough = cumulative(n, a, b, top) >= 1 - level
        settled = enough.any(axis=1) | (n < top)
        if settled.all():
            least = np.where(enough.any(axis=1), enough.argmax(axis=1) + 1, n + 1)
            return np.asarray(np.minimum(least, n + 1), np.int64)
        top *= 4


def _detectable(
    n: Counts,
    critical: Counts,
    mean: Floats,
    deviation: Floats,
    errors: NamingErrors,
    blast: int,
    power: float,
) -> Floats:
    """Least blast share, (S,), that reaches the critical count with this power; NaN where none does."""
    hit = float(_named_rate(errors, blast)[blast])
    hit_deviation = np.sqrt(hit * (1 - hit) / (errors.concentration[blast] + 1))
    last = critical[:, None] - 1

    def missed(share: Floats) -> Floats:
        called = share * hit + (1 - share) * mean
        a, b = beta_of(called, (share * hit_deviation) ** 2 + ((1 - share) * deviation) ** 2)
        below = cumulative(n, a, b, int(critical.max(initial=1)))
        return np.asarray(np.take_along_axis(below, last, 1)[:, 0], np.float64)

    low, high = np.zeros(len(n)), np.ones(len(n))
    possible = (n > 0) & (critical <= n) & (missed(high) <= 1 - power)
    for _ in range(12):  # to 0.02 percent
        middle = (low + high) / 2
        found = missed(middle) <= 1 - power
        high, low = np.where(found, middle, high), np.where(found, low, middle)
    return np.where(possible, high, np.nan)
