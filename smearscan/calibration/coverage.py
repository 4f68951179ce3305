"""Do intervals hold what they say? Simulated slides of known truth, named with a card's errors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL
from smearscan.differential.flag import FlagRule
from smearscan.differential.statistics.blast_excess import REFERENCE_PERCENT, BlastExcessTest, blast_excess
from smearscan.differential.statistics.correction import correct_differential, unidentified
from smearscan.differential.statistics.estimates import share
from smearscan.differential.statistics.group_sequential import LookSchedule, look_level
from smearscan.differential.statistics.intervals import clopper_pearson
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.taxonomy import BLAST


@dataclass(frozen=True, slots=True)
class Simulation:
    """Slides of one kind.

    Attributes
    ----------
    called : ndarray, (S, T) int64
        Cells by what they are called.
    drawn : ndarray, (S, T) int64
        Cells by what they are: what a reader without errors would have counted on the same cells.
    percent : ndarray, (T,)
        True percentages of the patient's blood, of the counted classes.
    """

    called: NDArray[np.int64]
    drawn: NDArray[np.int64]
    percent: NDArray[np.float64]


def simulate(
    errors: MisclassificationModel, n: int, blast_share: float, slides: int, rng: np.random.Generator
) -> Simulation:
    """Draw slides of `n` leukocytes, each with naming errors of its own."""
    percent, mix = _mix(errors, blast_share)
    rows = errors.rows(slides, rng)
    drawn = rng.multinomial(n, mix, slides)
    return Simulation(_called(drawn, rows, rng), drawn, percent)


def _called(
    drawn: NDArray[np.int64], rows: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Name true cells, (S, T), by each slide's rows; those left unclassified are not among them, (S, T)."""
    named = [rng.multinomial(drawn[:, t], rows[:, t]) for t in range(drawn.shape[1])]
    return np.asarray(np.sum(named, axis=0)[:, :-1], np.int64)


def _mix(
    errors: MisclassificationModel, blast_share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentages of the counted classes (the others per 100 of them), and shares of all that is found."""
    mix = np.array([REFERENCE_PERCENT.get(name, 0.0) for name in errors.classes])
    mix *= (1 - blast_share) / mix[_inside(errors)].sum()
    mix[errors.classes.index(BLAST)] = blast_share
    return 100 * mix, mix / mix.sum()


def _inside(errors: MisclassificationModel) -> NDArray[np.bool_]:
    return np.array([name not in EXCLUDED_FROM_DIFFERENTIAL for name in errors.classes])


def measure_coverage(
    errors: MisclassificationModel,
    sizes: tuple[int, ...],
    shares: tuple[float, ...],
    slides: int,
    level: float,
    seed: int,
) -> list[dict[str, Any]]:
    """Coverage, bias and width of intervals, and how often the test fires, for each size and blast share.

    Raw intervals are judged against the percentages that a reader without errors counts on many cells, with
    the counts of that reader (counting error alone); and with the nets' counts, to show what they leave out.
    """
    rng = np.random.default_rng([seed, 1])  # another stream than the correction's own draws
    rows = []
    for n in sizes:
        for blast_share in shares:
            made = simulate(errors, n, blast_share, slides, rng)
            told = {"cells": n, "blast_percent": 100 * blast_share, "slides": slides}
            rows.append(told | _judged(made, errors, level))
    return rows


def _judged(made: Simulation, errors: MisclassificationModel, level: float) -> dict[str, Any]:
    inside, blast = _inside(errors), errors.classes.index(BLAST)
    counted = tuple(np.array(errors.classes)[inside])
    kept = [k for k, name in enumerate(errors.classes) if inside[k] and name not in unidentified(errors)]
    fixed = correct_differential(made.called, errors, counted)
    test = blast_excess(made.called, errors, counted, level)
    naive = 100 * made.called[:, blast] / np.maximum(made.called[:, inside].sum(axis=1), 1)
    by_class = {errors.classes[k]: _coverage(fixed.low, fixed.high, made.percent, k)["value"] for k in kept}
    return {
        "raw_of_true_names": _coverage(*_raw(made.drawn, inside), made.percent, blast),
        "raw_of_nets_names": _coverage(*_raw(made.called, inside), made.percent, blast),
        "corrected": _coverage(fixed.low, fixed.high, made.percent, blast),
        "corrected_by_class": by_class,
        "bias_raw": round(float(np.mean(naive) - made.percent[blast]), 3),
        "bias_corrected": round(float(np.mean(fixed.percent[:, blast]) - made.percent[blast]), 3),
        "width_corrected": round(float(np.mean(fixed.high[:, blast] - fixed.low[:, blast])), 2),
        "detectable_percent": round(float(np.nanmedian(test.detectable_percent)), 1)
        if not np.isnan(test.detectable_percent).all()
        else None,
        "excess_found": share(int((test.p_value <= level).sum()), len(naive)),
    }


def _raw(
    counts: NDArray[np.int64], inside: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return clopper_pearson(counts, np.maximum(counts[:, inside].sum(axis=1, keepdims=True), counts))


def _coverage(
    low: NDArray[np.float64], high: NDArray[np.float64], truth: NDArray[np.float64], k: int
) -> dict[str, Any]:
    hit = (low[:, k] <= truth[k] + 1e-9) & (high[:, k] >= truth[k] - 1e-9)
    return share(int(hit.sum()), len(hit))


def measure_sequential(
    errors: MisclassificationModel,
    shares: tuple[float, ...],
    slides: int,
    level: float,
    width: float,
    most: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Read simulated slides of `most` leukocytes until settled, look by look, as ``--until-resolved`` does.

    Reported are the slides flagged (without blasts: the false alarms), the coverage of the intervals at the
    moment of stopping, and the cells read.
    """
    rng = np.random.default_rng(seed)
    return [_read_until(errors, s, slides, level, width, most, rng) for s in shares]


def _read_until(
    errors: MisclassificationModel, blast_share: float, slides: int, level: float, width: float, most: int,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    inside, blast = _inside(errors), errors.classes.index(BLAST)
    counted = tuple(np.array(errors.classes)[inside])
    percent, mix = _mix(errors, blast_share)
    own_rows = errors.rows(slides, rng)  # a slide keeps its rows while its cells come in
    drawn = np.zeros((slides, len(mix)), np.int64)
    called = drawn.copy()
    reading, flagged = np.ones(slides, bool), np.zeros(slides, bool)
    hit, read = np.zeros((slides, 2), bool), np.zeros(slides, int)
    looks, there, rule = LookSchedule(), 0, FlagRule(level=level)
    while reading.any():
        there, more = min(looks.first << looks.taken, most), there
        fresh = rng.multinomial(there - more, mix, slides)
        drawn += fresh
        called += _called(fresh, own_rows, rng)
        looks = looks.next(0)
        part = looks.error(1.0)
        test = blast_excess(called, errors, counted, rule.level, rule.look_power(part))
        now = reading & (_settled(called, test, rule, part, width, inside) | (there >= most))
        fixed = correct_differential(called[now], errors, counted, look_level(part))
        low, high = clopper_pearson(drawn[now, blast], drawn[now][:, inside].sum(axis=1), look_level(part))
        hit[now, 0] = (low <= percent[blast] + 1e-9) & (high >= percent[blast] - 1e-9)
        hit[now, 1] = (fixed.low[:, blast] <= percent[blast] + 1e-9) & (
            fixed.high[:, blast] >= percent[blast] - 1e-9
        )
        flagged[now] = test.p_value[now] <= level * part
        read[now] = there
        reading &= ~now
    return {
        "blast_percent": 100 * blast_share,
        "slides": slides,
        "flagged": share(int(flagged.sum()), slides),
        "raw_of_true_names": share(int(hit[:, 0].sum()), slides),
        "corrected": share(int(hit[:, 1].sum()), slides),
        "cells_read_median": int(np.median(read)),
        "of": most,
    }


def _settled(
    called: NDArray[np.int64],
    test: BlastExcessTest,
    rule: FlagRule,
    part: float,
    width: float,
    inside: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """As the scanner decides: the flag decided, every interval narrow enough."""
    total = called[:, inside].sum(axis=1)
    low, high = clopper_pearson(called[:, inside], np.maximum(total, 1)[:, None], look_level(part))
    found = (test.detectable_percent <= rule.min_detectable_percent) & (total >= rule.min_cells)
    decided = (test.p_value <= rule.level * part) | (found & (test.p_value > rule.level))
    return np.asarray(decided & ((high - low).max(axis=1) <= width), np.bool_)
