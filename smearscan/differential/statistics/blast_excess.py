"""Are there more blasts than the nets' own errors explain? The flag's test, its power and its limits.

Without any blast a slide still has cells *called* blast: the false ones. Their rate differs by the true type
(a monocyte is taken for a blast more often than a neutrophil) and from slide to slide. The test asks how
likely the observed count is under false blasts alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.numeric import special
from smearscan.taxonomy import BLAST

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


_UPPER = 2.326
"""Standard errors by which the mean is raised before the test: its upper limit, one-sided 99 %."""
_PRIOR_CELLS = 10
"""Weight of the reference composition, in cells, against the slide's own: so few that a left shift is seen as
one, and enough that a lone cell called immature granulocyte may be a misnamed neutrophil."""

REFERENCE_PERCENT = {
    "neutrophil": 58.0,
    "lymphocyte": 30.0,
    "monocyte": 7.0,
    "eosinophil": 3.0,
    "basophil": 0.5,
    "immature_granulocyte": 0.5,
    "erythroblast": 0.5,
    "smudge_cell": 2.0,
    "platelet": 1.0,
}
"""Healthy adult blood, percent of leukocytes: about the middles of reference ranges (Bain, Blood Cells, 5th
ed.), with a few cells outside the denominator."""


@dataclass(frozen=True, slots=True)
class BlastExcessTest:
    """The test of one slide.

    Attributes
    ----------
    rate_percent : float
        False blasts expected of 100 healthy cells of the slide's own composition.
    expected : float
        False blasts expected among the counted cells.
    p_value : float
        Probability of as many cells called blast, or more, without any blast.
    critical : int
        Least count that is an excess at the level asked for; counted cells + 1 where no count would be.
    detectable_percent : float
        Blast share that would have been found with the power asked for; NaN where none would.
    """

    rate_percent: float
    expected: float
    p_value: float
    critical: int
    detectable_percent: float


@dataclass(frozen=True, slots=True)
class BlastExcessTests:
    """Those of S slides: each number of :class:`BlastExcessTest` as an array, (S,)."""

    rate_percent: Floats
    expected: Floats
    p_value: Floats
    critical: Counts
    detectable_percent: Floats

    def __getitem__(self, i: int) -> BlastExcessTest:
        return BlastExcessTest(*(getattr(self, name)[i].item() for name in self.__slots__))


def blast_excess(
    counts: Counts,
    errors: MisclassificationModel,
    counted: tuple[str, ...],
    level: float = 0.01,
    power: float = 0.95,
) -> BlastExcessTests:
    """Test the blast counts of many slides.

    Parameters
    ----------
    counts : ndarray, (S, T) int64
        Cells by name, in the order of ``errors.classes``.
    errors : MisclassificationModel
    counted : tuple of str
        Classes of the denominator, with blasts.
    level : float
        Share of slides without blasts that may show an excess.
    power : float

    Returns
    -------
    BlastExcessTests

    Notes
    -----
    Under the null hypothesis the count is beta-binomial: the false-blast rate of one slide follows a beta
    distribution whose mean is the mixture of the types' rates, in the slide's own composition (its upper 99 %
    limit, because that composition is itself a count), and whose variance is that of slides around such a
    mean, see :func:`null_rate`. Given blasts in share s, a counted cell is called blast with probability
    ``s * sensitivity + (1 - s) * rate``, again with its variance.
    """
    blast = errors.classes.index(BLAST)
    healthy = np.array([name in counted and name != BLAST for name in errors.classes])
    n = counts[:, [name in counted for name in errors.classes]].sum(axis=1)
    mean, error, deviation = null_rate(counts, errors, healthy, blast)
    a, b = beta_of(mean + _UPPER * error, deviation**2)
    observed = counts[:, blast]
    below = cumulative(n, a, b, np.maximum(observed, 1).max(initial=1))
    p_value = 1 - np.where(observed > 0, np.take_along_axis(below, observed[:, None] - 1, 1)[:, 0], 0.0)
    critical = _critical(n, a, b, level)
    return BlastExcessTests(
        100 * mean,
        n * mean,
        np.clip(p_value, 0.0, 1.0),
        critical,
        100 * _detectable(n, critical, mean, deviation, errors, blast, power),
    )


def null_rate(
    counts: Counts, errors: MisclassificationModel, healthy: NDArray[np.bool_], blast: int
) -> tuple[Floats, Floats, Floats]:
    """Mean false-blast rate of a slide by its own composition, (S,), the mean's error, and the deviation.

    Each cell that is called something else stands for the false blasts that its like became: the odds of
    being called blast, of each true class that it may be (by the naming errors, the slide and the reference
    composition; a cell called immature granulocyte is in healthy blood mostly a neutrophil), weighed by how
    likely it is that class.

    The mean's error is the composition's: it is a count, and slides misname the classes among each other
    unlike the mean row. It is not an error to either side alike, for where many of a class are called blast,
    fewer of it are left to tell. The deviation of the slide's own rate holds it, too, and the variance of
    slides around such a mean, one factor for all classes, and what the labeled cells leave uncertain of each
    class's rate.
    """
    target = np.arange(len(errors.classes)) == blast
    rate = errors.called_blast
    unsure = rate * (1 - rate) / (errors.labeled + 2)
    return false_rate(counts, errors, healthy, target, rate, unsure, errors.overdispersion_high)


def false_rate(
    counts: Counts, errors: MisclassificationModel, healthy: NDArray[np.bool_], target: NDArray[np.bool_],
    rate: Floats, rate_variance: Floats, factor_variance: float = 0.0,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Share of the cells outside some classes that are called as one of these; see :func:`null_rate`.

    Parameters
    ----------
    counts : ndarray, (S, T) int64
    errors : MisclassificationModel
    healthy : ndarray, (T,) bool
        Classes of the denominator, without `target`.
    target : ndarray, (T,) bool
        Classes that the others are mistaken for.
    rate, rate_variance : ndarray, (T,) float64
        Share of each class that is called so, of its cells that get a name, and its variance.
    factor_variance : float
        Relative variance of one factor that all rates of a slide have in common.

    Returns
    -------
    mean, error, deviation : ndarray, (S,) float64
    """
    rate = np.where(target, 0.0, rate)
    odds = rate / np.maximum(1 - rate, 0.05)
    seen = np.where(target, 0, counts).astype(np.float64)
    prior = _PRIOR_CELLS * reference_shares(errors, target) + seen
    named = np.where(~target[:, None] & ~target, errors.mean[:, :-1], 0.0)
    joint = prior[:, :, None] * named  # (slide, true, called)
    is_class = joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-12)
    none = (seen @ healthy) == 0
    seen[none] = np.where(healthy, errors.labeled + 1.0, 0.0)
    false = np.einsum("t,stc->sc", odds, is_class)
    whole = np.maximum(seen @ healthy + (seen * false).sum(axis=1), 1e-12)
    mean = (seen * false).sum(axis=1) / whole
    cells = np.einsum("sc,stc->st", seen, is_class)  # likely true classes of the cells seen
    called = named / np.maximum(named.sum(axis=1, keepdims=True), 1e-12)
    misnamed = np.maximum(false**2 @ called.T - (false @ called.T) ** 2, 0) / (errors.concentration + 1)
    composition = ((seen * false**2).sum(axis=1) + (cells**2 * misnamed).sum(axis=1)) / whole**2
    unsure = cells**2 @ (np.where(target, 0, rate_variance) / np.maximum(1 - rate, 0.05) ** 4) / whole**2
    return mean, np.sqrt(composition), np.sqrt(mean**2 * factor_variance + unsure + composition)


def reference_shares(errors: MisclassificationModel, target: NDArray[np.bool_]) -> Floats:
    """Shares of the classes but `target` in healthy blood, (T,); one that is not in the reference is rare."""
    share = np.array([REFERENCE_PERCENT.get(name, 0.5) for name in errors.classes])
    share[target] = 0
    return np.asarray(share / max(share.sum(), 1e-12), np.float64)


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
    betaln = special().betaln
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
    errors: MisclassificationModel,
    blast: int,
    power: float,
) -> Floats:
    """Least blast share, (S,), that reaches the critical count with this power; NaN where none does."""
    hit = float(errors.called_blast[blast])
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
