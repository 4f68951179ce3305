"""Do intervals hold what they say? Simulated slides of known truth, named with a card's errors."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL, DifferentialCount
from smearscan.differential.flag import FlagRule, decide, is_settled
from smearscan.differential.statistics.blast_excess import REFERENCE_PERCENT, blast_excess
from smearscan.differential.statistics.correction import (
    CorrectedDifferentials,
    Corrector,
    unidentified,
)
from smearscan.differential.statistics.estimates import share
from smearscan.differential.statistics.group_sequential import LookSchedule, look_level
from smearscan.differential.statistics.intervals import clopper_pearson
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.differential.suspects import SuspectRule, find_suspects
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
    errors: MisclassificationModel, blast_share: float, given: Mapping[str, float] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentages of the counted classes (the others per 100 of them), and shares of all that is found."""
    mix = np.array([REFERENCE_PERCENT.get(name, 0.0) for name in errors.classes])
    fixed = {name: part for name, part in (given or {}).items() if part} | {BLAST: blast_share}
    for name in fixed:
        mix[errors.classes.index(name)] = 0
    mix *= (1 - sum(fixed.values())) / mix[_inside(errors)].sum()
    for name, part in fixed.items():
        mix[errors.classes.index(name)] = part
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
    corrector = Corrector(errors)
    rng = np.random.default_rng([seed, 1])  # another stream than the correction's own draws
    rows = []
    for n in sizes:
        for blast_share in shares:
            made = simulate(errors, n, blast_share, slides, rng)
            told = {"cells": n, "blast_percent": 100 * blast_share, "slides": slides}
            rows.append(told | _judged(made, corrector, level))
    return rows


def _judged(made: Simulation, corrector: Corrector, level: float) -> dict[str, Any]:
    errors = corrector.errors
    inside, blast = _inside(errors), errors.classes.index(BLAST)
    counted = tuple(np.array(errors.classes)[inside])
    kept = [k for k, name in enumerate(errors.classes) if inside[k] and name not in unidentified(errors)]
    fixed = corrector.correct(made.called, counted)
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
    corrector = Corrector(errors)
    return [_read_until(corrector, s, slides, level, width, most, rng) for s in shares]


def _read_until(
    corrector: Corrector, blast_share: float, slides: int, level: float, width: float, most: int,
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    errors = corrector.errors
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
        looks = looks.next(there) if there < most else looks.last()
        open_ = np.flatnonzero(reading)
        fixed, found, settled = _decide(drawn[open_], called[open_], corrector, counted, rule, looks, width)
        done = settled | (there >= most)
        now = open_[done]
        low, high = clopper_pearson(
            drawn[now, blast], drawn[now][:, inside].sum(axis=1), look_level(looks.share)
        )
        hit[now, 0] = (low <= percent[blast] + 1e-9) & (high >= percent[blast] - 1e-9)
        hit[now, 1] = (fixed.low[done, blast] <= percent[blast] + 1e-9) & (
            fixed.high[done, blast] >= percent[blast] - 1e-9
        )
        flagged[now] = found[done]
        read[now] = there
        reading[now] = False
    return {
        "blast_percent": 100 * blast_share,
        "slides": slides,
        "flagged": share(int(flagged.sum()), slides),
        "raw_of_true_names": share(int(hit[:, 0].sum()), slides),
        "corrected": share(int(hit[:, 1].sum()), slides),
        "cells_read_median": int(np.median(read)),
        "of": most,
    }


def _decide(
    drawn: NDArray[np.int64], called: NDArray[np.int64], corrector: Corrector,
    counted: tuple[str, ...], rule: FlagRule, looks: LookSchedule, width: float,
) -> tuple[CorrectedDifferentials, NDArray[np.bool_], NDArray[np.bool_]]:  # fmt: skip
    """Say of slides what a scan would say at one look: the correction, flagged, settled.

    The cells that may be blasts are not simulated: those called blast stand for them, the least there can be.
    """
    errors = corrector.errors
    inside, blast, part = _inside(errors), errors.classes.index(BLAST), looks.share
    test = blast_excess(called, errors, counted, rule.level, rule.look_power(part))
    fixed = corrector.correct(called, counted, look_level(part), rule.tiers)
    total = called[:, inside].sum(axis=1)
    low, high = clopper_pearson(called[:, inside], total[:, None], look_level(part))
    asked = total + drawn.sum(axis=1) - called.sum(axis=1)
    flagged, settled = np.zeros(len(called), bool), np.zeros(len(called), bool)
    for i in range(len(called)):
        count, possible = (
            DifferentialCount(counted, called[i, inside]),
            (int(called[i, blast]), int(asked[i])),
        )
        flag = decide(count, rule, test[i], fixed[i], part, looks.flag_share, possible)
        flagged[i] = flag.state == "flagged"
        settled[i] = is_settled(flag, float((high - low)[i].max()), width)
    return fixed, flagged, settled


HEALTHY_SLIDES: dict[str, dict[str, float]] = {
    "middle of the ranges": dict(REFERENCE_PERCENT),
    "many neutrophils": {"neutrophil": 78, "lymphocyte": 20, "monocyte": 2},
    "few neutrophils": {"neutrophil": 43, "lymphocyte": 39, "monocyte": 10, "eosinophil": 6, "basophil": 2},
}
"""Blood inside every range, in its middle and at its edges: compositions of slides without a finding."""

LEFT_SHIFT = "immature_granulocyte"


def measure_left_shift(
    errors: MisclassificationModel, n: int, shares: tuple[float, ...], slides: int, level: float, seed: int
) -> list[dict[str, Any]]:
    """How often slides without a blast show an excess, by their share of immature granulocytes.

    Nothing where the nets do not know that class.
    """
    if LEFT_SHIFT not in errors.classes:
        return []
    rng = np.random.default_rng([seed, 3])
    counted = tuple(np.array(errors.classes)[_inside(errors)].tolist())
    rows = []
    for part in shares:
        _, mix = _mix(errors, 0.0, {LEFT_SHIFT: part})
        drawn = rng.multinomial(n, mix, slides)
        test = blast_excess(_called(drawn, errors.rows(slides, rng), rng), errors, counted, level)
        found = share(int((test.p_value <= level).sum()), slides)
        detectable = test.detectable_percent[~np.isnan(test.detectable_percent)]
        rows.append(
            {
                "cells": n,
                "immature_granulocyte_percent": 100 * part,
                "slides": slides,
                "excess_found": found,
                "detectable_percent": round(float(np.median(detectable)), 1) if len(detectable) else None,
            }
        )
    return rows


def measure_suspects(
    errors: MisclassificationModel, percent: Mapping[str, float], n: int, slides: int, rule: SuspectRule,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    """How often slides of one composition get a suspicion, named with a card's errors.

    Parameters
    ----------
    errors : MisclassificationModel
    percent : mapping
        Of the counted classes; brought to 100 together.
    n, slides : int
        Leukocytes of a slide, and slides.
    rule : SuspectRule
    seed : int

    Returns
    -------
    dict
        ``any``: share of slides with a suspicion of the tests; ``by_name``: share of each.
    """
    rng = np.random.default_rng([seed, 2])
    mix = np.array([max(percent.get(name, 0.0), 0.0) for name in errors.classes])
    rows, drawn = errors.rows(slides, rng), rng.multinomial(n, mix / mix.sum(), slides)
    called = _called(drawn, rows, rng)
    counted = tuple(np.array(errors.classes)[_inside(errors)].tolist())
    found: Counter[str] = Counter()
    suspected = 0
    for one in called:
        types = dict(zip(errors.classes, one.tolist(), strict=True))
        count = DifferentialCount(counted, np.array([types[name] for name in counted], np.int64))
        names = [s.name for s in find_suspects(count, types, rule, errors)]
        found.update(names)
        suspected += bool(names)
    return {
        "any": share(suspected, slides),
        "by_name": {name: round(k / slides, 4) for name, k in sorted(found.items())},
    }
