"""Slides of known composition, pooled from real cells: coverage, bias, flag, on cells no fit has seen."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from smearscan.calibration.fit import count_errors, rule_of
from smearscan.calibration.labeled_cells import LabeledCells, Tell
from smearscan.calibration.unlike_fit import with_unlike
from smearscan.differential.calibration_card import Calibration
from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL, DifferentialCount
from smearscan.differential.flag import FlagRule, decide
from smearscan.differential.statistics.blast_excess import REFERENCE_PERCENT, blast_excess
from smearscan.differential.statistics.correction import Corrector
from smearscan.differential.statistics.estimates import over_groups, share
from smearscan.differential.statistics.intervals import clopper_pearson
from smearscan.results.doubts import counted
from smearscan.taxonomy import BLAST, UNCLASSIFIED
from smearscan.weights.pairs import ClassifierCard

FEWEST = 10
"""A group with fewer cells of a kind cannot lend them to a slide."""
_MOST_OF_BLOOD, _FEWEST_OF_EACH = ("neutrophil", "lymphocyte"), 5
"""What healthy blood is nine tenths of: slides of one type alone are published, and are nobody's blood."""


class Judging(NamedTuple):
    """Cells that slides are pooled from, and a card that was made without them.

    Attributes
    ----------
    own : ndarray, (N,) bool
        Which cells.
    card : Calibration
        Its rule names them, its errors correct and judge their slides.
    """

    own: NDArray[np.bool_]
    card: Calibration


def cross_fitted(
    cells: LabeledCells, card: Calibration, cards: dict[str, ClassifierCard], folds: int,
    rng: np.random.Generator,
) -> Iterator[Judging]:  # fmt: skip
    """Judge cells by a card whose naming errors are counted without their groups; its rule stays.

    Parameters
    ----------
    cells : LabeledCells
    card : Calibration
    cards : dict
        Of ``blast`` and ``differential``.
    folds : int
    rng : Generator
        Parts the groups.
    """
    rule = rule_of(card, cards)
    groups = np.array(sorted(np.unique(cells.group)))
    rng.shuffle(groups)
    part = {group: i % folds for i, group in enumerate(groups)}
    member = np.array([part[group] for group in cells.group])
    known = _judged(cells, card)
    for k in range(folds):
        own = member == k
        yield Judging(own, card.with_errors(count_errors(card.classes, cells.where(known & ~own), rule)))


def each_site_unseen(
    cells: LabeledCells, card: Calibration, cards: dict[str, ClassifierCard], rate: float, specificity: float
) -> Iterator[tuple[str, Judging]]:
    """Judge each laboratory by the card of slides of unknown stain that the others make.

    Parameters
    ----------
    cells : LabeledCells
        Of laboratories that were left out of the training of the nets that name them.
    card : Calibration
    cards, rate, specificity
        As of :func:`smearscan.calibration.unlike_fit.with_unlike`.

    Raises
    ------
    DatasetError
        As ``with_unlike``.
    """
    for site in np.unique(cells.site):
        own = cells.site == site
        unlike = with_unlike(card, cells.where(~own), cards, rate, specificity).unlike
        assert unlike is not None
        yield str(site), Judging(own, unlike)


def each_site_alone(cells: LabeledCells, card: Calibration) -> Iterator[tuple[str, Judging]]:
    """Judge each laboratory by a card as it is."""
    for site in np.unique(cells.site):
        yield str(site), Judging(cells.site == site, card)


def measure_pooled(
    cells: LabeledCells, judgings: Iterable[Judging], cards: dict[str, ClassifierCard], n: int,
    shares: tuple[float, ...], slides: int, rng: np.random.Generator, tell: Tell = lambda told: None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Pool slides of `n` leukocytes group by group and judge what is said of them.

    The healthy cells of a slide all come from one group (patient, slide, or a site without ids), mixed as in
    healthy blood, as far as the group has the types; groups of a site without neutrophils or lymphocytes lend
    together. Its blasts come from one patient: the same where that one has blasts, else another one of those
    judged together, at random.

    Parameters
    ----------
    cells : LabeledCells
    judgings : iterable of Judging
        Each cell is its own in one of them.
    cards : dict
        Of ``blast`` and ``differential``.
    n : int
        Leukocytes of a slide, drawn with replacement.
    shares : tuple of float
        Blast shares.
    slides : int
        Slides of each group and share.
    rng : Generator
    tell : callable
        Told in words which groups lend no slide.

    Returns
    -------
    list of dict
        For each share: coverage and bias of raw and corrected blast percentages, how often the slide is
        flagged, with intervals over groups.
    """
    rows: dict[float, list[dict[str, Any]]] = {s: [] for s in shares}
    for own, card in judgings:
        rule, member = rule_of(card, cards), own & _judged(cells, card)
        index = {name: i for i, name in enumerate((*card.classes, UNCLASSIFIED))}
        named = rule.names(cells.probs, cells.blast_probs)
        code = np.array([index[name] for name in named], np.int64)
        inside = np.array([name not in EXCLUDED_FROM_DIFFERENTIAL for name in card.classes])
        corrector = Corrector(card.errors)
        healthy = member & np.isin(cells.truth, np.array(card.classes)[inside]) & (cells.truth != BLAST)
        for group, lent in _lent(cells, healthy, card.classes, tell).items():
            for blast_share in shares:
                drawn = _pool(cells, member, group, lent, blast_share, n, slides, rng)
                if drawn is not None:
                    called = np.stack([np.bincount(c, minlength=len(index)) for c in code[drawn]])
                    maybe = rule.may_be_blast(cells.blast_probs[drawn]).sum(axis=1)
                    rows[blast_share] += _judge(called, maybe, 100 * blast_share, corrector, inside, group)
    return [{"cells": n, "blast_percent": 100 * s, **_summed(found)} for s, found in rows.items() if found]


def _judged(cells: LabeledCells, card: Calibration) -> NDArray[np.bool_]:
    """Cells that were found, of a class of the card, (N,)."""
    return np.asarray(cells.found & np.isin(cells.truth, card.classes))


def _lent(
    cells: LabeledCells, healthy: NDArray[np.bool_], classes: tuple[str, ...], tell: Tell
) -> dict[str, NDArray[np.int64]]:  # fmt: skip
    """Healthy cells, by number, that each group lends; groups that lend together have the site's name."""
    needed = [kind for kind in _MOST_OF_BLOOD if kind in classes]
    lent: dict[str, NDArray[np.int64]] = {}
    for site in np.unique(cells.site[healthy]):
        of_site = healthy & (cells.site == site)
        together = []
        for group in np.unique(cells.group[of_site]):
            own = np.flatnonzero(of_site & (cells.group == group))
            if _has_enough(cells.truth[own], needed):
                lent[str(group)] = own
            else:
                together.append(own)
        if together and _has_enough(cells.truth[rest := np.concatenate(together)], needed):
            lent[str(site)] = rest
        elif together:
            groups, rest = counted(len(together), "group", "groups"), np.concatenate(together)
            tell(
                f"{site}: {groups} ({counted(len(rest), 'healthy cell', 'healthy cells')}) left out: not "
                f"{_FEWEST_OF_EACH} each of {' and '.join(needed)}, as blood has them"
            )
    for group, own in lent.items():
        if len(own) < FEWEST:
            tell(f"{group}: left out, {len(own)} healthy cells are fewer than {FEWEST}")
    return {group: own for group, own in lent.items() if len(own) >= FEWEST}


def _has_enough(truth: NDArray[np.str_], kinds: list[str]) -> bool:
    return all((truth == kind).sum() >= _FEWEST_OF_EACH for kind in kinds)


def _pool(
    cells: LabeledCells, member: NDArray[np.bool_], group: str, healthy: NDArray[np.int64],
    blast_share: float, n: int, slides: int, rng: np.random.Generator,
) -> NDArray[np.int64] | None:  # fmt: skip
    """Draw slides with the healthy cells of `group`, (S, n) cell numbers; None where nobody lends blasts."""
    blasts = {
        g: np.flatnonzero(member & (cells.group == g) & (cells.truth == BLAST))
        for g in np.unique(cells.group[member])
    }
    donors = [g for g, own in blasts.items() if len(own) >= FEWEST]
    if blast_share and not donors:
        return None
    chance = _as_in_blood(cells.truth[healthy])
    made = np.empty((slides, n), np.int64)
    for i in range(slides):
        n_blasts = rng.binomial(n, blast_share)
        drawn = rng.choice(healthy, n - n_blasts, p=chance)
        if n_blasts:
            donor = group if group in donors else rng.choice(donors)
            drawn = np.concatenate([drawn, rng.choice(blasts[donor], n_blasts)])
        made[i] = drawn
    return made


def _as_in_blood(truth: NDArray[np.str_]) -> NDArray[np.float64]:
    """Chance of each healthy cell: a group's types are mixed as in healthy blood, as far as it has them."""
    kinds, count = np.unique(truth, return_counts=True)
    wanted = {k: REFERENCE_PERCENT.get(str(k), 0.5) / c for k, c in zip(kinds, count, strict=True)}
    chance = np.array([wanted[k] for k in truth])
    return np.asarray(chance / chance.sum(), np.float64)


def _judge(
    named: NDArray[np.int64], maybe: NDArray[np.int64], truth: float, corrector: Corrector,
    inside: NDArray[np.bool_], group: str,
) -> list[dict[str, Any]]:  # fmt: skip
    """Judge slides, (S, T + 1) cells by name, with the numbers of possible blasts, (S,)."""
    called = named[:, :-1]
    errors, rule = corrector.errors, FlagRule()
    blast = errors.classes.index(BLAST)
    counted = tuple(np.array(errors.classes)[inside])
    fixed = corrector.correct(called, counted, limits=rule.tiers)
    test = blast_excess(called, errors, counted, rule.level, rule.power)
    total = called[:, inside].sum(axis=1)
    low, high = clopper_pearson(called[:, blast], total)
    raw = 100 * called[:, blast] / np.maximum(total, 1)
    rows = []
    for i in range(len(total)):
        count = DifferentialCount(counted, called[i, inside])
        possible = int(maybe[i]), int(total[i] + named[i, -1])
        flag = decide(count, rule, test[i], fixed[i], possible=possible)
        rows.append(
            {
                "group": group,
                "raw_covered": low[i] <= truth <= high[i],
                "corrected_covered": fixed.low[i, blast] - 1e-9 <= truth <= fixed.high[i, blast] + 1e-9,
                "raw_bias": raw[i] - truth,
                "corrected_bias": fixed.percent[i, blast] - truth,
                "width": fixed.high[i, blast] - fixed.low[i, blast],
                "excess": test.p_value[i] <= rule.level,
                "flagged": flag.state == "flagged",
                "tier_20": flag.tier == f">= {rule.tiers[-1]:g} %",
                "cleared": flag.state == "not flagged",
                "naive_20": raw[i] >= rule.blast_percent,
                "naive_any": called[i, blast] > 0,
            }
        )
    return rows


def _summed(rows: list[dict[str, Any]]) -> dict[str, Any]:
    groups = np.array([row["group"] for row in rows])
    n_groups = len(np.unique(groups))
    result: dict[str, Any] = {"slides": len(rows), "groups": n_groups}
    for key in rows[0]:
        if key != "group":
            values = np.array([row[key] for row in rows], np.float64)
            found = over_groups(lambda i, v=values: float(v[i].mean()), groups, rounds=500)  # type: ignore[misc]
            result[key] = {k: found[k] for k in ("value", "interval_95")}
            if isinstance(rows[0][key], (bool, np.bool_)) and values.min() == values.max():
                # groups drawn again tell nothing of what none, or every one, of them does
                result[key]["interval_95"] = share(int(values[0]) * n_groups, n_groups)["interval_95"]
    return result
