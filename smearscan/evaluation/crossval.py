"""Grouped cross-validation: every cell of one site is scored by a net that never saw its patient."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold

from smearscan.errors import DatasetError
from smearscan.evaluation.classifier import figures
from smearscan.training.cells import load_crops
from smearscan.training.classifier import ROOM, calibrated_card, fit, logits_of, prepared
from smearscan.training.config import ClassifierTraining


def cross_validate(
    config: ClassifierTraining, table: pd.DataFrame, root: Path, start: Path | None, site: str, folds: int,
    out: Path, report: Callable[[dict[str, float]], None],
) -> dict[str, Any]:  # fmt: skip
    """Cross-validate over the groups of one site; training cells of other sites help in every fold.

    Temperature and threshold of a fold come from validation groups inside its training part.

    Parameters
    ----------
    config : ClassifierTraining
    table : DataFrame
        Located manifest.
    root : Path
    start : Path or None
    site : str
        The site that is folded, by ``group``.
    folds : int
    out : Path
        Each fold's out-of-fold probabilities are kept here, so that an interrupted run goes on. At the end
        ``out_of_fold.csv`` holds every cell of the site, those of a class that the net does not learn, too.
    report : callable

    Returns
    -------
    dict
        Figures over all out-of-fold cells of a learned class, and of each fold.
    """
    table = table.assign(cell=np.arange(len(table)))
    whole = table[table["site"] == site].reset_index(drop=True)
    taught, classes = prepared(table, config)
    own = taught[taught["site"] == site].reset_index(drop=True)
    if own["group"].nunique() < folds:
        raise DatasetError(f"site {site!r} has {own['group'].nunique()} groups, fewer than {folds} folds")
    helpers = taught[(taught["site"] != site) & (taught["split"] == "train")]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=config.seed)
    whole = whole.merge(own[["cell", "target"]], on="cell", how="left").drop(columns="cell")
    probs, limits = np.full((len(whole), len(classes)), np.nan), np.full(len(whole), np.nan)
    each = []
    for k, (rest, test) in enumerate(splitter.split(own, own["target"], own["group"])):
        rows = np.flatnonzero(whole["group"].isin(own["group"].iloc[test].unique()))
        kept = out / f"fold{k}.npz"
        if not kept.is_file():
            place = out / f"fold{k}"
            scored = _fold(
                config, classes, own.iloc[rest], helpers, whole.iloc[rows], root, start, place, report
            )
            np.savez(kept, probs=scored[0], threshold=scored[1])
        stored = np.load(kept)
        probs[rows], limits[rows] = stored["probs"], stored["threshold"]
        each.append(_figures(probs[rows], whole.iloc[rows], classes, limits[rows]))
    scored_cells = whole.assign(threshold=limits, **{f"p_{c}": probs[:, j] for j, c in enumerate(classes)})
    scored_cells[~np.isnan(limits)].to_csv(out / "out_of_fold.csv", index=False)
    return {"site": site, "folds": folds, "all": _figures(probs, whole, classes, limits), "each": each}


def _figures(
    probs: NDArray[np.float64], table: pd.DataFrame, classes: tuple[str, ...], limits: NDArray[np.float64]
) -> dict[str, Any]:
    learned = table["target"].notna().to_numpy()
    rows = table[learned].astype({"target": int})
    return figures(probs[learned], rows, classes, limits[learned])


def _fold(
    config: ClassifierTraining, classes: tuple[str, ...], rest: pd.DataFrame, helpers: pd.DataFrame,
    test: pd.DataFrame, root: Path, start: Path | None, out: Path, report: Callable[[dict[str, float]], None],
) -> tuple[NDArray[np.float64], float]:  # fmt: skip
    inner = StratifiedGroupKFold(8, shuffle=True, random_state=config.seed)
    taught, checked = next(inner.split(rest, rest["target"], rest["group"]))
    cells = pd.concat([rest.iloc[taught], helpers]).reset_index(drop=True)
    windows = load_crops(cells, root, ROOM * config.crop_um, round(ROOM * config.crop_px))
    model = fit(config, cells, len(classes), windows, start, out, report)
    val = rest.iloc[checked]
    card = calibrated_card(config, classes, model, val, load_crops(val, root, config.crop_um, config.crop_px))
    crops = load_crops(test, root, config.crop_um, config.crop_px)
    return softmax(logits_of(model, crops) / card.temperature, axis=1), card.threshold
