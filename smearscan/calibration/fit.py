"""Fits a calibration card to labeled cells: probabilities, naming errors, limit of the unclassified."""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from scipy.special import expit
from sklearn.model_selection import GroupKFold, KFold

from smearscan import __version__
from smearscan.calibration.labeled_cells import LabeledCells, joined
from smearscan.calibration.misclassification_fit import misclassification_model
from smearscan.classification.naming import NamingRule, Recalibration
from smearscan.differential.calibration_card import Calibration, RecalibrationParams, naming_rule
from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL
from smearscan.differential.statistics.blast_excess import REFERENCE_PERCENT, blast_excess
from smearscan.differential.statistics.conformal import unclassified_limit
from smearscan.differential.statistics.estimates import over_groups
from smearscan.differential.statistics.intervals import exact_interval
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.differential.statistics.scaling import calibration_error, fit_scaling, reliability
from smearscan.errors import DatasetError
from smearscan.taxonomy import BLAST, HEALTHY, UNCLASSIFIED
from smearscan.weights.pairs import ClassifierCard

_BLAST_NET = (HEALTHY, BLAST)
_TYPICAL_SLIDE = 200
_FEWEST_CHOOSING = 10
_FEWEST_SLIDES = 20
"""Slides with blasts from which on they may choose the blast threshold."""
_AS_GOOD = 7.0


def new_calibration(
    name: str, cells: LabeledCells, cards: dict[str, ClassifierCard], rate: float
) -> Calibration:
    """Make the card of a pair of nets from many labeled cells of many slides.

    Parameters
    ----------
    name : str
    cells : LabeledCells
        Not learned by the nets.
    cards : dict
        Of ``blast`` and ``differential``.
    rate : float
        Share of a slide's cells that may get a wrong name of the differential.

    Raises
    ------
    DatasetError
        If so few slides cannot promise that rate.
    """
    classes = (*cards["differential"].classes, BLAST)
    least = int(np.ceil(1 / rate - 1))
    choosing, judging = split_groups(cells, least)
    threshold = best_threshold(choosing, cards)
    limit = named_limit(judging, cards, threshold, rate)
    if limit is None:
        groups = len(np.unique(judging.group[judging.found]))
        raise DatasetError(
            f"the cells of {groups} slides cannot promise a rate of wrong names of {rate:g}: label at "
            f"least {least} slides, or allow more"
        )
    rule = NamingRule(cards["differential"].classes, threshold, limit)
    t = len(classes)
    empty = Calibration(
        name=name,
        smearscan_version=__version__,
        made=date.today(),
        networks={task: card.sha256 for task, card in cards.items()},
        threshold=threshold,
        unclassified_below=limit,
        unclassified_rate=rate,
        classes=classes,
        confusion=[[0] * (t + 1)] * t,
        spread=[0.0] * t,
        groups=[0] * t,
        pairs=[0.0] * t,
        found=[(0, 0)] * t,
        variation=0.0,
        variation_high=0.0,
    )
    if choosing is cells:
        told = "the blast threshold was chosen on the cells that judge it: too few slides to part them"
        empty = empty.model_copy(update={"limits": [told]})
    return empty.with_errors(count_errors(classes, judging, rule))


def split_groups(cells: LabeledCells, least: int) -> tuple[LabeledCells, LabeledCells]:
    """Split labeled cells into those that choose the blast threshold and those that judge it, whole groups.

    The conformal limit holds for a naming rule that was fixed without the cells it is computed from, and
    errors counted on the cells that chose the threshold look too few. Every fourth group chooses, those with
    blasts and those without apart, in an order that depends on their names alone.

    Parameters
    ----------
    cells : LabeledCells
    least : int
        Groups that judging needs.

    Returns
    -------
    choosing, judging : LabeledCells
        All cells twice where there are too few groups: fewer than ten with blasts would choose (seven chose
        a threshold of .95 where all 26 choose .5), or fewer than `least` are left.
    """
    with_blasts = np.unique(cells.group[cells.truth == BLAST])
    without = np.setdiff1d(np.unique(cells.group), with_blasts)
    chosen = np.concatenate([_in_hash_order(groups)[::4] for groups in (with_blasts, without)])
    if len(with_blasts) < 4 * _FEWEST_CHOOSING or len(with_blasts) + len(without) - len(chosen) < least:
        return cells, cells
    chooses = np.isin(cells.group, chosen)
    return cells.where(chooses), cells.where(~chooses)


def _in_hash_order(groups: NDArray[np.str_]) -> NDArray[np.str_]:
    ordered = sorted(groups, key=lambda name: hashlib.sha256(str(name).encode()).digest())
    return np.array(ordered, groups.dtype)


def best_threshold(cells: LabeledCells, cards: dict[str, ClassifierCard]) -> float:
    """Blast threshold, in steps of 0.05, with which few blasts are found on a slide of healthy mixture.

    A low one calls more blasts, and more false ones, which hide few blasts; see
    :attr:`smearscan.differential.statistics.blast_excess.BlastExcessTest.detectable_percent`. Taken is the
    lowest that is within seven percentage points of the best, for a low one misses fewer blasts, and small
    changes of the cells counted move the best by so much. Neighboring steps may differ by far more: each
    counts as the median of itself and its neighbors. Of few slides with blasts the criterion is chance (11
    chose .45, .9 or .85 for nets that rank blasts alike, and so named .12 to .30 of a new laboratory's): of
    fewer than :data:`_FEWEST_SLIDES`, the one of the net's card is taken, which keeps 95 % of healthy cells.
    """
    classes = (*cards["differential"].classes, BLAST)
    if len(np.unique(cells.group[cells.found & (cells.truth == BLAST)])) < _FEWEST_SLIDES:
        return cards["blast"].threshold
    slide = np.array([[round(_TYPICAL_SLIDE * REFERENCE_PERCENT.get(name, 0.0) / 100) for name in classes]])
    counted = tuple(name for name in classes if name not in EXCLUDED_FROM_DIFFERENTIAL)
    steps, least = np.arange(6, 20) / 20, []
    for threshold in steps:
        rule = NamingRule(classes[:-1], float(threshold), cards["differential"].unclassified_below)
        found = blast_excess(slide, count_errors(classes, cells, rule), counted).detectable_percent[0]
        least.append(float(np.nan_to_num(found, nan=100.0)))
    calm = median_filter(np.array(least), 3, mode="nearest")
    return float(steps[calm <= calm.min() + _AS_GOOD].min())


def named_limit(
    cells: LabeledCells, cards: dict[str, ClassifierCard], threshold: float, rate: float
) -> float | None:
    """Probability below which a cell stays unclassified: the conformal limit.

    See :mod:`smearscan.differential.statistics.conformal`.

    Cells that the blast net calls blast get their name from it; blasts that it misses count as wrong whatever
    they are named.
    """
    classes = np.array(cards["differential"].classes)
    kept = cells.where(cells.found & ~(cells.blast_probs >= threshold))
    wrong = classes[kept.probs.argmax(axis=1)] != kept.truth
    return unclassified_limit(kept.probs.max(axis=1), wrong, kept.group, rate)


def count_errors(classes: tuple[str, ...], cells: LabeledCells, rule: NamingRule) -> MisclassificationModel:
    """Count what labeled cells are called by a rule, and how many of each class were found."""
    own = cells.where(np.isin(cells.truth, classes))
    seen = own.where(own.found)
    called = np.array(rule.names(seen.probs, seen.blast_probs), dtype=str)
    asked = own.where(own.asked)
    found = np.array(
        [[(asked.found & (asked.truth == name)).sum(), (asked.truth == name).sum()] for name in classes],
        np.int64,
    )
    return misclassification_model(classes, seen.truth, called, seen.group, found)


def recalibrated(
    name: str, base: Calibration, cells: LabeledCells, cards: dict[str, ClassifierCard],
    refitted: Collection[str] = (),
) -> Calibration:  # fmt: skip
    """Fit a card to a new site: at most some hundred labeled cells correct what `base` knows.

    Temperature and class offsets are fitted with a prior that holds them near no change; the naming errors
    of `base` are the prior of the site's own, see :meth:`MisclassificationModel.updated`. The blast
    threshold moves with the temperature, so that the same cells are called blast. Probabilities of nets that
    are `refitted` to the cells stay: their last layer has found its own scale and offsets.
    """
    scaling, threshold = fit_scalings(base, cells, cards, refitted)
    own = {"name": name, "scaling": scaling, "threshold": threshold, "made": date.today()}
    fitted = base.model_copy(update={**own, "unlike": None})  # the site's stain is known now
    new = count_errors(base.classes, rescaled(cells, fitted, cards), rule_of(fitted, cards))
    return fitted.with_errors(base.errors.updated(new.counts, new.detector_recall))


def fit_scalings(
    base: Calibration, cells: LabeledCells, cards: dict[str, ClassifierCard], refitted: Collection[str] = ()
) -> tuple[dict[str, RecalibrationParams], float]:
    """Fit what is changed of the probabilities of nets not refitted, and carry the blast threshold along."""
    seen = cells.where(cells.found)
    scaling = dict(base.scaling)
    for task, probs, classes in _of_nets(seen, cards):
        targets = class_targets(task, seen.truth, classes)
        own = targets >= 0
        one_class = len(np.unique(targets[own])) < 2  # it alone would only make the net surer of it
        if task in refitted or one_class:
            continue
        temperature, offsets = fit_scaling(np.log(np.maximum(probs[own], 1e-12)), targets[own])
        scaling[task] = RecalibrationParams(
            temperature=round(temperature, 6),
            offsets={n: round(float(v), 6) for n, v in zip(classes, offsets, strict=True) if v},
        )
    before = cards["blast"].threshold if base.threshold is None else base.threshold
    if "blast" not in scaling or scaling["blast"] == base.scaling.get("blast"):
        return scaling, before
    plain = base.scaling.get("blast", RecalibrationParams()).rescaling(_BLAST_NET)
    return scaling, _carried(before, plain, scaling["blast"].rescaling(_BLAST_NET))


def class_targets(task: str, truth: NDArray[np.str_], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Index among a net's classes of each truth, (N,); -1 where the net does not know it."""
    asked = np.where(truth == BLAST, BLAST, HEALTHY) if task == BLAST else truth
    return np.array([classes.index(name) if name in classes else -1 for name in asked], np.int64)


def _carried(threshold: float, old: Recalibration, new: Recalibration) -> float:
    """Probability under `new` of the cell that lies at the threshold under `old`."""
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        probs = expit(np.array([[-middle, middle]]))
        low, high = (middle, high) if old(probs)[0, 1] < threshold else (low, middle)
    return float(new(expit(np.array([[-high, high]])))[0, 1])


def _of_nets(
    cells: LabeledCells, cards: dict[str, ClassifierCard]
) -> Iterator[tuple[str, NDArray[np.float64], tuple[str, ...]]]:
    yield "blast", np.column_stack([1 - cells.blast_probs, cells.blast_probs]), _BLAST_NET
    yield "differential", cells.probs, cards["differential"].classes


def rescaled(cells: LabeledCells, card: Calibration, cards: dict[str, ClassifierCard]) -> LabeledCells:
    """Give the cells the probabilities that they have under a card."""
    changed = {
        task: np.asarray(card.scaling.get(task, RecalibrationParams()).rescaling(classes)(probs), np.float64)
        for task, probs, classes in _of_nets(cells, cards)
    }
    return replace(cells, probs=changed["differential"], blast_probs=changed["blast"][:, 1])


def rule_of(card: Calibration, cards: dict[str, ClassifierCard]) -> NamingRule:
    """Naming rule of both nets under a calibration card."""
    return naming_rule(cards["differential"], cards["blast"], card)


def figures(cells: LabeledCells, card: Calibration, cards: dict[str, ClassifierCard]) -> dict[str, Any]:
    """How good probabilities and names are under a card, with intervals over slides."""
    seen = rescaled(cells.where(cells.found), card, cards)
    return _judged(seen, _names(seen, card, cards), cards)


def cross_validated(
    base: Calibration, cells: LabeledCells, cards: dict[str, ClassifierCard], refitted: Collection[str] = (),
    folds: int = 5,
) -> dict[str, Any]:  # fmt: skip
    """Figures before and after re-fitting, each cell judged by a fit that saw neither it nor its slide."""
    cells = cells.where(cells.found)
    if len(cells) < 2:
        raise DatasetError(f"{len(cells)} labeled cells were found by the detector; label some hundred cells")
    parts, names = [], []
    for taught, judged in folds_of(cells.group, folds):
        card = recalibrated(base.name, base, cells.where(taught), cards, refitted)
        parts.append(rescaled(cells.where(judged), card, cards))
        names.append(_names(parts[-1], card, cards))
    after = joined(parts)
    return {
        "before": figures(cells, base, cards),
        "after": _judged(after, np.concatenate(names), cards),
        "judged": "by slide" if len(np.unique(cells.group)) >= folds else "by cell: too few slides",
    }


def _names(cells: LabeledCells, card: Calibration, cards: dict[str, ClassifierCard]) -> NDArray[np.str_]:
    rule = rule_of(card, cards)
    return np.array(rule.names(cells.probs, cells.blast_probs), dtype=str)


def _judged(seen: LabeledCells, names: NDArray[np.str_], cards: dict[str, ClassifierCard]) -> dict[str, Any]:
    group = seen.group if len(np.unique(seen.group)) >= 5 else np.arange(len(seen)).astype(str)
    blast, named = seen.truth == BLAST, names != UNCLASSIFIED
    classes = np.array(cards["differential"].classes)
    own = np.isin(seen.truth, classes)
    sure, right = seen.probs.max(axis=1), classes[seen.probs.argmax(axis=1)] == seen.truth
    result: dict[str, Any] = {
        "right_of_all": over_groups(lambda i: float((names[i] == seen.truth[i]).mean()), group),
        "right_of_named": _among(names == seen.truth, named, group),
        "unclassified": over_groups(lambda i: float((~named[i]).mean()), group),
        "false_blasts": _among(names == BLAST, ~blast, group),
    }
    if blast.any():
        result["blasts_called"] = _among(names == BLAST, blast, group)
    for net, confidence, correct in (
        ("blast", seen.blast_probs, blast),
        ("differential", sure[own], right[own]),
    ):
        if len(confidence):
            result[f"calibration_error_{net}"] = round(calibration_error(confidence, correct), 4)
            result[f"reliability_{net}"] = _points(confidence, correct)
    return result


def folds_of(group: NDArray[np.str_], folds: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to learn from and rows to judge, by slide where there are enough, else by cell."""
    if len(np.unique(group)) >= folds:
        yield from GroupKFold(folds).split(group, groups=group)
    else:
        yield from KFold(min(folds, len(group)), shuffle=True, random_state=0).split(group)


def _points(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> list[dict[str, float]]:
    return [{k: round(v, 4) for k, v in p.items()} for p in reliability(confidence, correct)]


def _among(hit: NDArray[np.bool_], among: NDArray[np.bool_], group: NDArray[np.str_]) -> dict[str, Any]:
    """Share of some of the cells, with these cells and their groups as its denominator.

    Where each of them hits, or none, draws of groups leave no interval; the exact one of as many independent
    groups stands in.
    """
    found: dict[str, Any] = dict(over_groups(lambda i: _share(hit[i], among[i]), group))
    cells, groups = int(among.sum()), len(np.unique(group[among]))
    hits = int(hit[among].sum())
    if cells and hits in (0, cells):
        low, high = exact_interval(groups if hits else 0, groups)
        found["interval_95"] = [round(low / 100, 4), round(high / 100, 4)]
    return found | {"cells": cells, "groups": groups}


def _share(hit: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(hit[among].mean()) if among.any() else float("nan")
