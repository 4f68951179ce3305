"""From what cells were called to what they are: the differential corrected for the nets' errors.

Called shares are the true shares times the rows of the naming errors; inverting that, for many possible rows
and many possible called shares, gives corrected percentages with intervals that hold both kinds of error.
With two classes the estimate is the one of Rogan and Gladen (Am. J. Epidemiol. 107:71, 1978).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.taxonomy import BLAST

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

MIN_LABELED = 20
"""Fewer labeled cells of a class do not tell how it is misnamed."""
MIN_KEPT = 0.5
"""A class called by its own name less often than this is not told from the others."""
_CHUNK = 512


@dataclass(frozen=True, slots=True)
class CorrectedDifferential:
    """Corrected percentages of one slide; of each of T classes.

    Attributes
    ----------
    classes : tuple of str, (T,)
    percent, low, high : ndarray, (T,) float64
        Of the classes in the denominator in percent of all those, of the others per 100 of them; NaN where
        not identifiable.
    exceedance_prob : ndarray, (L,) float64
        Probability that the blast percentage is at or above each of L limits; NaN where not identifiable.
    reason : str
        Why a number is missing, in words; empty where none is.
    """

    classes: tuple[str, ...]
    percent: Floats
    low: Floats
    high: Floats
    exceedance_prob: Floats
    reason: str

    def withheld(self, reason: str) -> "CorrectedDifferential":
        """Return the correction without a number, where what is known of the nets does not hold."""
        percent, low, high = (np.full_like(values, np.nan) for values in (self.percent, self.low, self.high))
        return CorrectedDifferential(
            self.classes, percent, low, high, np.full_like(self.exceedance_prob, np.nan), reason
        )


@dataclass(frozen=True, slots=True)
class CorrectedDifferentials:
    """Those of S slides: each array of :class:`CorrectedDifferential` with slides first; S reasons."""

    classes: tuple[str, ...]
    percent: Floats
    low: Floats
    high: Floats
    exceedance_prob: Floats
    reasons: tuple[str, ...]

    def __getitem__(self, i: int) -> CorrectedDifferential:
        return CorrectedDifferential(
            self.classes, self.percent[i], self.low[i], self.high[i], self.exceedance_prob[i], self.reasons[i]
        )


def unidentified(errors: MisclassificationModel) -> dict[str, str]:
    """Classes whose share cannot be corrected, each with the reason in words."""
    told = {}
    kept = np.diag(errors.mean)
    for name, n, own in zip(errors.classes, errors.labeled, kept, strict=True):
        words = name.replace("_", " ")
        if n < MIN_LABELED:
            told[name] = f"only {n} cells of class {words} are labeled, {MIN_LABELED} are needed"
        elif own < MIN_KEPT:
            told[name] = f"only {100 * own:.0f} % of the labeled cells of class {words} get that name"
    return told


class Corrector:
    """Corrects the differentials of slides that were named with the same errors.

    It owns what is drawn before any count is known, so that every slide of a card is corrected with the same
    possible matrices, drawn and inverted once.

    Parameters
    ----------
    errors : MisclassificationModel
    draws, seed : int
        Possible matrices and shares drawn.

    Attributes
    ----------
    errors : MisclassificationModel
    mean_inverse, mean_weight : ndarray, (T, T) and (T,) float64
        Inverse of the mean matrix, and what a class weighs.
    weighted_inverses : ndarray, (draws, T, T) float32
        Possible inverse matrices, each column times what its class weighs.
    generator_state : dict
        Of the random generator when counts are drawn.

    Notes
    -----
    Cells left unclassified carry no name; each row is taken given that a name was said, and the resulting
    shares are weighed up by how often that class gets a name and is found at all. Classes whose errors are
    not known are taken as named. Negative solutions mean a class that is not there: they are set to 0, and
    shares sum to 100 again.
    """

    def __init__(self, errors: MisclassificationModel, draws: int = 1000, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        rows, recall = _as_named(errors.rows(draws, rng), errors), errors.recall(draws, rng)
        inverse, weight = _inverse(rows, recall)
        mean_inverse, mean_weight = _inverse(_as_named(errors.mean[None], errors), errors.mean_recall[None])
        self.errors = errors
        self.mean_inverse, self.mean_weight = mean_inverse[0], mean_weight[0]
        self.weighted_inverses: Singles = np.asarray(inverse * weight[:, None, :], np.float32)
        self.generator_state: dict[str, Any] = dict(rng.bit_generator.state)

    def correct(
        self, counts: NDArray[np.int64], counted: tuple[str, ...], level: float = 0.95,
        limits: tuple[float, ...] = (),
    ) -> CorrectedDifferentials:  # fmt: skip
        """Correct many slides; each is corrected as if it were the only one, but for the shares drawn.

        Parameters
        ----------
        counts : ndarray, (S, T) int64
            Cells by name, in the order of ``errors.classes``; cells left unclassified are not among them.
        counted : tuple of str
            Classes of the denominator.
        level : float
            Of the intervals.
        limits : tuple of float, (L,)
            Blast percentages whose exceedance is asked for.
        """
        rng = np.random.default_rng()
        rng.bit_generator.state = self.generator_state
        classes, draws = self.errors.classes, len(self.weighted_inverses)
        inside = np.array([name in counted for name in classes])
        n_slides = len(counts)
        percent = _shares(_start(counts), self.mean_inverse, self.mean_weight, inside)
        low, high = np.empty_like(percent), np.empty_like(percent)
        above = np.full((n_slides, len(limits)), np.nan)
        ends = [round((draws - 1) * tail) for tail in ((1 - level) / 2, (1 + level) / 2)]
        for begin in range(0, n_slides, _CHUNK):
            part = slice(begin, begin + _CHUNK)
            lower, upper = _bounds(counts[part], self.weighted_inverses, inside, rng)
            if limits and BLAST in classes:
                k = classes.index(BLAST)
                reached = (lower[:, k, :, None] >= np.array(limits)).mean(axis=1)
                above[part] = (reached + (upper[:, k, :, None] >= np.array(limits)).mean(axis=1)) / 2
            lower.partition(ends[0], axis=2)
            upper.partition(ends[1], axis=2)
            low[part], high[part] = lower[:, :, ends[0]], upper[:, :, ends[1]]
        low, high = np.minimum(low, percent), np.maximum(high, percent)
        reasons = _withhold(counts, self.errors, counted, percent, low, high, above)
        return CorrectedDifferentials(classes, percent, low, high, above, reasons)


def correct_differential(
    counts: NDArray[np.int64], errors: MisclassificationModel, counted: tuple[str, ...], level: float = 0.95,
    limits: tuple[float, ...] = (), draws: int = 1000, seed: int = 0,
) -> CorrectedDifferentials:  # fmt: skip
    """Correct slides once, by a :class:`Corrector` that is not kept; see there."""
    return Corrector(errors, draws, seed).correct(counts, counted, level, limits)


def _as_named(rows: Floats, errors: MisclassificationModel) -> Floats:
    """Take the classes that cannot be corrected as they are named: the others keep their numbers."""
    rows = rows.copy()
    for name in unidentified(errors):
        k = errors.classes.index(name)
        rows[:, k] = 0
        rows[:, k, k] = 1
    return rows


def _inverse(rows: Floats, recall: Floats) -> tuple[Floats, Floats]:
    """Inverse of the named part of each matrix, (draws, T, T), and what a class weighs, (draws, T)."""
    named = rows[:, :, :-1].sum(axis=2)
    square = rows[:, :, :-1] / np.maximum(named, 1e-9)[:, :, None]
    return np.linalg.pinv(square), 1 / np.maximum(named * recall, 1e-3)


def _start(counts: NDArray[np.int64]) -> Floats:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), np.float64)


def _bounds(
    counts: NDArray[np.int64], weighted: Singles, inside: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Singles, Singles]:
    """Draws of each slide's percentages, (S, T, draws), for the lower and for the upper limit.

    As in the exact interval of a binomial, whose limits are beta quantiles with one more cell outside the
    class (lower) or inside it (upper): the cell that counting might have seen next.
    """
    shape = np.broadcast_to(np.asarray(counts + 0.01, np.float32), (len(weighted), *counts.shape))
    gammas = rng.standard_gamma(shape, dtype=np.float32)
    more = rng.standard_exponential(gammas.shape[:2], dtype=np.float32)[:, :, None]
    solved = gammas @ weighted
    within = inside.astype(np.float32)
    whole = (np.maximum(solved, 0) @ within)[:, :, None]
    own = np.maximum(np.diagonal(weighted, axis1=1, axis2=2), 0)[:, None, :]
    lower = _percent(solved, whole + more * own)
    upper = _percent(solved + more * own, whole + more * own * within)
    return lower, upper


def _percent(part: Singles, whole: Singles) -> Singles:
    """Percentages with draws last, so that quantiles run along memory."""
    shares = 100 * np.maximum(part, 0) / np.maximum(whole, 1e-9)
    return np.ascontiguousarray(shares.transpose(1, 2, 0))


def _shares(called: Floats, inverse: Floats, weight: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Percentages (S, T) from called shares (S, T) and one matrix."""
    solved = np.maximum(called @ inverse * weight, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(100 * solved / solved[:, inside].sum(axis=1, keepdims=True), np.float64)


def _withhold(
    counts: NDArray[np.int64], errors: MisclassificationModel, counted: tuple[str, ...], percent: Floats,
    low: Floats, high: Floats, above: Floats,
) -> tuple[str, ...]:  # fmt: skip
    """Blank in place what is not identifiable, and say why."""
    reasons = unidentified(errors)
    for name in reasons:
        column = errors.classes.index(name)
        for table in (percent, low, high):
            table[:, column] = np.nan
        if name == BLAST:
            above[:] = np.nan
    empty = counts[:, [name in counted for name in errors.classes]].sum(axis=1) == 0
    for table in (percent, low, high, above):
        table[empty] = np.nan
    standing = "; ".join(why for name, why in reasons.items() if name in counted)
    return tuple("no leukocyte was counted" if none else standing for none in empty)
