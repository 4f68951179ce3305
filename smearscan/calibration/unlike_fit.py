"""The card of slides that are stained unlike the training cells, from laboratories that nets had not seen."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smearscan.calibration.fit import count_errors, figures, named_limit
from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.calibration.transfer import threshold_at
from smearscan.classification.naming import NamingRule
from smearscan.differential.calibration_card import Calibration
from smearscan.differential.statistics.blast_excess import REFERENCE_PERCENT
from smearscan.errors import DatasetError
from smearscan.weights.pairs import ClassifierCard

FEWEST_HEALTHY = 20
"""Fewer healthy cells of a laboratory say nothing of its false blasts."""


def with_unlike(
    card: Calibration, cells: LabeledCells, cards: dict[str, ClassifierCard], rate: float, specificity: float,
) -> Calibration:  # fmt: skip
    """Give a card what holds of slides that are stained unlike the training cells.

    Such a slide comes from a laboratory that no net has learned. What nets do there is told by cells of sites
    that were left out of their training: each was named by nets that were trained as those of the card, but
    without its site. Sites, and not slides, are what is alike with the next laboratory, so each counts as
    one: the blast threshold keeps `specificity` of the cells of healthy blood as the mean over sites, the
    limit for a name is conformal over sites. Errors spread between slides, as in the card of known sites: of
    so few sites the upper limit of how they differ would hide any number of blasts.

    Parameters
    ----------
    card : Calibration
        Of the nets that are in use.
    cells : LabeledCells
        Of the sites left out.
    cards : dict
        Of ``blast`` and ``differential``.
    rate : float
        Share of a laboratory's cells that may get a wrong name of the differential.
    specificity : float

    Raises
    ------
    DatasetError
        If so few sites cannot promise that rate, or none has enough healthy cells.
    """
    healthy = cells.found & np.isin(cells.truth, list(REFERENCE_PERCENT))
    sites, n = np.unique(cells.site[healthy], return_counts=True)
    healthy &= np.isin(cells.site, sites[n >= FEWEST_HEALTHY])
    if not healthy.any():
        raise DatasetError(
            f"no laboratory that was left out has {FEWEST_HEALTHY} healthy cells, as a blast threshold needs"
        )
    threshold = threshold_at(specificity, cells.blast_probs[healthy], _as_healthy_blood(cells.where(healthy)))
    threshold = float(np.clip(np.ceil(100 * threshold), 1, 99)) / 100
    limit = named_limit(replace(cells, group=cells.site), cards, threshold, rate)
    if limit is None:
        raise DatasetError(
            f"the cells of {len(np.unique(cells.site))} laboratories left out cannot promise a rate "
            f"of wrong names of {rate:g}: leave out at least {int(np.ceil(1 / rate - 1))}, or allow more"
        )
    rule = NamingRule(cards["differential"].classes, threshold, limit)
    own = {"threshold": threshold, "unclassified_below": limit, "unclassified_rate": rate, "unlike": None}
    errors = count_errors(card.classes, cells, rule)
    if not errors.detector_recall.any():  # true boxes: what the detector finds is known of known sites
        errors = replace(errors, detector_recall=card.errors.detector_recall)
    unlike = card.model_copy(update=own).with_errors(errors)
    names, sizes = np.unique(cells.site, return_counts=True)
    data = {"cells": len(cells), "sites": dict(zip(names.tolist(), sizes.tolist(), strict=True))}
    told = {"data": data, "metrics": {"left_out": figures(cells, unlike, cards)}, "limits": []}
    return card.model_copy(update={"unlike": unlike.model_copy(update=told)})


def _as_healthy_blood(cells: LabeledCells) -> NDArray[np.float64]:
    """Weigh healthy cells, (N,), sum 1: sites alike, and in each the types as in healthy blood.

    Published sets are made up of what was wanted: a fifth of one is basophils.
    """
    _, kind, n = np.unique(
        np.char.add(np.char.add(cells.site, "/"), cells.truth), return_inverse=True, return_counts=True
    )
    weight = np.array([REFERENCE_PERCENT[name] for name in cells.truth]) / n[kind]
    _, site = np.unique(cells.site, return_inverse=True)
    of_site = np.bincount(site, weight)
    return np.asarray(weight / of_site[site] / len(of_site), np.float64)
