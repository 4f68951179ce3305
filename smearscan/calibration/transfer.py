"""What is fitted on some sites and holds, or not, at one where no cell was labeled.

A net that was validated on the sites it learned from is surer there than at a new one, and its threshold
misses what its ranking still knows. Here temperature, class offsets, blast threshold and the limit of the
unclassified are fitted on cells of sites that their nets had *not* seen, and judged on one more such site.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from smearscan.differential.statistics.conformal import unclassified_limit
from smearscan.differential.statistics.estimates import share_over_groups
from smearscan.differential.statistics.scaling import calibration_error, fit_scaling
from smearscan.errors import DatasetError
from smearscan.taxonomy import BLAST, BLAST_CLASSES

Floats = NDArray[np.float64]

SITE_CELLS = 100.0
"""As many cells as each site speaks for in a fit, whatever its size: sites are what is exchangeable."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteScores:
    """Cells with known class, scored by nets that had not seen their site.

    Attributes
    ----------
    classes : tuple of str, (K,)
    logs : ndarray, (N, K) float64
        Logarithms of the probabilities.
    targets : ndarray, (N,) int64
    sites, groups : ndarray, (N,) str
    """

    classes: tuple[str, ...]
    logs: Floats
    targets: NDArray[np.int64]
    sites: NDArray[np.str_]
    groups: NDArray[np.str_]

    def where(self, kept: NDArray[np.bool_]) -> "SiteScores":
        """Keep some of the cells."""
        return SiteScores(
            self.classes, self.logs[kept], self.targets[kept], self.sites[kept], self.groups[kept]
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """What is carried to a new site; `threshold` is of a blast net, `limit` of any other one.

    `limit` is None where the sites are too few to promise the error rate.
    """

    temperature: float
    offsets: Floats
    threshold: float | None
    limit: float | None

    def probs(self, scores: SiteScores) -> Floats:
        """Probabilities (N, K) under the fit."""
        return np.asarray(softmax(scores.logs / self.temperature + self.offsets, axis=1), np.float64)


def read_site_scores(path: Path) -> SiteScores:
    """Read ``out_of_fold.csv`` of a protocol; cells without a target are left out.

    Raises
    ------
    DatasetError
        If it has not the columns, or cells of fewer than three sites.
    """
    try:
        table = pd.read_csv(path, dtype={"site": str, "group": str})
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as scores ({error})") from error
    columns = [name for name in table.columns if name.startswith("p_")]
    if len(columns) < 2 or not {"target", "site", "group"} <= set(table.columns):
        raise DatasetError(
            f"{path}: needs the columns target, site, group and p_CLASS...; it is the out_of_fold.csv that "
            "'smearscan crossval --protocol lodo' writes"
        )
    table = table[table["target"].fillna(-1) >= 0]
    if (n := table["site"].nunique()) < 3:
        raise DatasetError(f"{path}: has cells of {n} sites; fitting on some and judging another takes three")
    return SiteScores(
        tuple(name.removeprefix("p_") for name in columns),
        np.log(np.maximum(table[columns].to_numpy(np.float64), 1e-12)),
        table["target"].to_numpy(np.int64),
        table["site"].to_numpy(str),
        (table["site"] + "/" + table["group"]).to_numpy(str),
    )


def fit_transfer(scores: SiteScores, error_rate: float, specificity: float) -> Fitted:
    """Fit on all given sites, each alike.

    Parameters
    ----------
    scores : SiteScores
    error_rate : float
        Expected share of a new site's cells that may get a wrong name (conformal over sites).
    specificity : float
        Of a blast net's threshold: mean over the sites that have healthy cells.
    """
    _, code, size = np.unique(scores.sites, return_inverse=True, return_counts=True)
    weights = SITE_CELLS / size[code]
    temperature, offsets = fit_scaling(scores.logs, scores.targets, weights=weights)
    plain = Fitted(temperature, offsets, None, None)
    probs = plain.probs(scores)
    if set(scores.classes) == set(BLAST_CLASSES):
        blast = scores.classes.index(BLAST)
        healthy = scores.targets != blast
        threshold = threshold_at(specificity, probs[healthy, blast], sites_alike(scores.sites[healthy]))
        return Fitted(temperature, offsets, threshold, None)
    wrong = probs.argmax(axis=1) != scores.targets
    limit = unclassified_limit(probs.max(axis=1), wrong, scores.sites, error_rate)
    return Fitted(temperature, offsets, None, limit)


def threshold_at(specificity: float, healthy: Floats, weights: Floats) -> float:
    """Least threshold that leaves this share of healthy cells unflagged.

    Parameters
    ----------
    specificity : float
    healthy : ndarray, (N,)
        Blast probabilities of healthy cells.
    weights : ndarray, (N,)
        What each of them counts; sum 1.
    """
    order = np.argsort(healthy)[::-1]
    flagged = np.cumsum(weights[order])
    n = int(np.searchsorted(flagged, 1 - specificity, side="right"))
    return float(np.nextafter(healthy[order][n], 1)) if n < len(order) else 0.0


def sites_alike(sites: NDArray[np.str_]) -> Floats:
    """Weigh cells, (N,), so that each site counts as much; sum 1."""
    _, code, size = np.unique(sites, return_inverse=True, return_counts=True)
    return np.asarray(1 / size[code] / len(size), np.float64)


def measure_transfer(
    scores: SiteScores, error_rate: float = 0.2, specificity: float = 0.95
) -> dict[str, Any]:
    """Judge each site under a fit on the others, and as its net scored it.

    Returns
    -------
    dict
        ``sites``: of each site, figures ``before`` and ``after`` (see :func:`figures`) and what was
        ``fitted``; ``mean`` over the sites; ``fitted``, on all sites, for a site that is none of them.
        Intervals are over groups.
    """
    sites: dict[str, dict[str, Any]] = {}
    before = Fitted(1.0, np.zeros(len(scores.classes)), *_plain(scores.classes))
    for name in np.unique(scores.sites).tolist():
        own = scores.sites == name
        fitted = fit_transfer(scores.where(~own), error_rate, specificity)
        judged = scores.where(own)
        sites[name] = {
            "cells": int(own.sum()),
            "groups": len(np.unique(judged.groups)),
            "before": figures(judged, before),
            "after": figures(judged, fitted),
            "fitted": _told(fitted, scores.classes),
        }
    return {
        "error_rate": error_rate,
        "specificity": specificity,
        "mean": {when: _mean([one[when] for one in sites.values()]) for when in ("before", "after")},
        "fitted": _told(fit_transfer(scores, error_rate, specificity), scores.classes),
        "sites": sites,
    }


def _mean(told: list[dict[str, Any]]) -> dict[str, float]:
    """Mean of each figure over the sites that have it."""
    values: dict[str, list[float]] = {}
    for one in told:
        for key, value in one.items():
            values.setdefault(key, []).append(value["value"] if isinstance(value, dict) else value)
    return {key: round(float(np.mean(found)), 4) for key, found in values.items()}


def _plain(classes: tuple[str, ...]) -> tuple[float | None, float | None]:
    """Threshold and limit that a net has before anything is fitted: one half."""
    return (0.5, None) if set(classes) == set(BLAST_CLASSES) else (None, 0.5)


def figures(scores: SiteScores, fitted: Fitted) -> dict[str, Any]:
    """Figures of cells under a fit.

    Returns
    -------
    dict
        Of a blast net ``recall`` and ``specificity`` at the threshold; of any other one ``likeliest_right``,
        ``wrong_names`` and ``unclassified`` as shares of all cells, ``right_of_named``; of each
        ``calibration_error``. Without what the cells or the fit do not give.
    """
    probs = fitted.probs(scores)
    sure, right = probs.max(axis=1), probs.argmax(axis=1) == scores.targets
    told: dict[str, Any] = {}
    if fitted.threshold is not None:
        blast = scores.classes.index(BLAST)
        called, is_blast = probs[:, blast] >= fitted.threshold, scores.targets == blast
        sure, right = probs[:, blast], is_blast
        told |= _share("recall", called, is_blast, scores.groups)
        told |= _share("specificity", ~called, ~is_blast, scores.groups)
    else:
        every = np.ones(len(right), bool)
        told |= _share("likeliest_right", right, every, scores.groups)
        if fitted.limit is not None:
            named = sure >= fitted.limit
            told |= _share("wrong_names", named & ~right, every, scores.groups)
            told |= _share("unclassified", ~named, every, scores.groups)
            told |= _share("right_of_named", right, named, scores.groups)
    return told | {"calibration_error": round(calibration_error(sure, right), 4)}


def _share(
    name: str, hit: NDArray[np.bool_], among: NDArray[np.bool_], groups: NDArray[np.str_]
) -> dict[str, Any]:
    if not among.any():
        return {}
    return {name: share_over_groups(hit[among], groups[among])}


def _told(fitted: Fitted, classes: tuple[str, ...]) -> dict[str, Any]:
    offsets = {name: round(float(v), 3) for name, v in zip(classes, fitted.offsets, strict=True) if v}
    told: dict[str, Any] = {"temperature": round(fitted.temperature, 3), "offsets": offsets}
    own = {"threshold": fitted.threshold, "unclassified_below": fitted.limit}
    return told | {key: round(value, 4) for key, value in own.items() if value is not None}
