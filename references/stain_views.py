"""What a slide's reference stain does to the names of cells whose site the net had not seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from smearscan.classification.classifier import Classifier
from smearscan.errors import DatasetError
from smearscan.experiments.summed import summed_probs
from smearscan.rulers import stain
from smearscan.rulers.optical_density import multiply_density
from smearscan.taxonomy import BLAST, BLAST_CLASSES
from smearscan.training.batches import slide_gains
from smearscan.training.cells import Progress, load_crops
from smearscan.training.config import ClassifierTraining
from smearscan.training.partial import summed_targets

Floats = NDArray[np.float64]
VIEWS = ("photographed", "reference", "mean")
_BLAST = BLAST_CLASSES.index(BLAST)


def measure_views(
    runs: Path,
    config: ClassifierTraining,
    root: Path,
    sites: tuple[str, ...],
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score the cells of left-out sites as photographed, in their slide's reference stain, and by both.

    Parameters
    ----------
    runs : Path
        Folder of ``crossval --protocol lodo --keep-nets`` with a configuration of the task ``cells``.
    config : ClassifierTraining
        That configuration: which sites' groups are slides, whose promyelocytes are normal.
    root : Path
        What ``image`` is relative to.
    sites : tuple of str
        Of these sites.
    progress : callable, optional
        Called with a word after each picture.

    Returns
    -------
    dict
        For each site and view ``types_right``, the share of the differential's cells whose likeliest class is
        right, and ``blast_auroc`` where the site has blasts; ``cells``; over all runs and seeds there are.

    Raises
    ------
    DatasetError
        If there is no run that kept its net, or a site was left out of none.
    """
    found: dict[str, list[dict[str, Any]]] = {site: [] for site in sites}
    for pair in sorted(runs.glob(f"seed*/*/{config.name}.safetensors")):
        scores = pd.read_csv(pair.with_name("scores.csv"), dtype={"group": str, "allowed": str})
        scores["target"] = scores["target"].fillna(-1).astype(int)
        net = Classifier.load(pair)
        for site in set(scores["site"]) & set(sites):
            own = scores[scores["site"] == site].reset_index(drop=True)
            found[site].append(_judged(own, views_of(own, net, config, root, progress), net, config))
    if absent := [site for site, told in found.items() if not told]:
        raise DatasetError(f"{runs}: no run that kept its net left out {', '.join(absent)}; see --keep-nets")
    return {site: {"trainings": len(told), **_mean(told)} for site, told in sorted(found.items())}


def views_of(
    cells: pd.DataFrame, net: Classifier, config: ClassifierTraining, root: Path, progress: Progress | None
) -> dict[str, dict[str, Floats]]:
    """Probabilities of both tasks, (N, K) each, of a site's cells in each of :data:`VIEWS`."""
    crops = load_crops(cells, root, net.card.crop_um, net.card.crop_px, progress)
    gains = slide_gains(cells, stain.measure_cells(crops, net.card.crop_um), config.one_slide)
    shown = {
        "photographed": crops,
        "reference": np.stack([multiply_density(c, g) for c, g in zip(crops, gains, strict=True)]),
    }
    fine = {view: np.asarray(net.probs(seen), np.float64) for view, seen in shown.items()}
    made = {}
    for task in ("differential", "blast"):
        own = {view: summed_probs(probs, net.card.classes, task) for view, probs in fine.items()}
        made[task] = {**own, "mean": (own["photographed"] + own["reference"]) / 2}
    return made


def _judged(
    cells: pd.DataFrame, probs: dict[str, dict[str, Floats]], net: Classifier, config: ClassifierTraining
) -> dict[str, Any]:
    kinds, blasts = (
        summed_targets(cells, net.card.classes, task, config.normal_promyelocytes)
        for task in ("differential", "blast")
    )
    told: dict[str, Any] = {"cells": len(cells)}
    for view in VIEWS:
        asked = kinds >= 0
        right = probs["differential"][view][asked].argmax(axis=1) == kinds[asked]
        figures = {"types_right": float(right.mean())}
        known = blasts >= 0
        if len(np.unique(blasts[known])) == 2:
            of_blast = probs["blast"][view][known, _BLAST]
            figures["blast_auroc"] = float(roc_auc_score(blasts[known] == _BLAST, of_blast))
        told[view] = figures
    return told


def _mean(told: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over trainings."""
    views = {
        view: {key: round(float(np.mean([one[view][key] for one in told])), 4) for key in told[0][view]}
        for view in VIEWS
    }
    return {"cells": told[0]["cells"], **views}
