"""Re-fits the last layer of the nets to a few labeled cells of a new site; what lies below stays as it is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torch import nn

from smearscan.calibration.fit import class_targets, figures, folds_of
from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.classification import backbones
from smearscan.classification.boosted_trees import BoostedTrees
from smearscan.classification.classifier import Pair, apply_background
from smearscan.classification.crops import Geometry, cut_crops
from smearscan.classification.morphometry import measure
from smearscan.differential.calibration_card import Calibration
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image
from smearscan.runtime.torch_engine import FromPixels, TorchEngine
from smearscan.taxonomy import BLAST
from smearscan.weights.pairs import ClassifierCard, load_weights, save_weights

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
Fold = tuple[NDArray[np.int64], NDArray[np.int64]]

HOLDS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
"""How strongly the layer is held where it was; cross-validation over the labeled cells chooses."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenCells:
    """What a last layer is given of N cells, and what is added to its logits.

    Attributes
    ----------
    features : ndarray, (N, F + 1) float64
        The last of them 1.
    beside : ndarray, (N, K) float64
        Logits of the pair's trees, as much as they count; zeros where it has none.
    """

    features: Floats
    beside: Floats

    def __getitem__(self, rows: Classes | NDArray[np.bool_]) -> "SeenCells":
        """Take some of the cells."""
        return SeenCells(self.features[rows], self.beside[rows])

    def logits(self, layer: Floats) -> Floats:
        """Calibrated logits, (N, K), with a layer (K, F + 1)."""
        return np.asarray(self.features @ layer.T + self.beside)


@dataclass(frozen=True, slots=True, eq=False)
class Headless:
    """A classifier's pair, read, with its last layer apart.

    Attributes
    ----------
    card : ClassifierCard
    tensors : dict of str to Tensor
        Of the whole network.
    network : nn.Module
        Gives what the layer is given, (N, F).
    trees : BoostedTrees or None
        Beside the network.
    name : str
        Of the layer among the tensors.
    layer : ndarray, (K, F + 1) float64
        Its weights and, last, its bias, over the card's temperature: it gives calibrated logits.
    """

    card: ClassifierCard
    tensors: dict[str, torch.Tensor]
    network: nn.Module
    trees: BoostedTrees | None
    name: str
    layer: Floats

    @classmethod
    def read(cls, pair: Path) -> "Headless":
        """Read a pair; raises as :func:`smearscan.weights.pairs.load_weights`."""
        card, tensors = load_weights(pair, ClassifierCard)
        network = backbones.build(card.architecture, len(card.classes), card.head, card.norm)
        network.load_state_dict(tensors)
        *before, last = cast(nn.Sequential, network.head).named_children()
        layer = cast(nn.Linear, last[1])
        network.head = nn.Sequential(*(part for _, part in before))
        both = np.column_stack([layer.weight.detach().numpy(), layer.bias.detach().numpy()])
        calibrated = both.astype(np.float64) / card.temperature
        return cls(card, tensors, network, Pair.read(pair).trees, f"head.{last[0]}", calibrated)


@dataclass(frozen=True, slots=True)
class Refit:
    """A last layer fitted anew.

    Attributes
    ----------
    layer : ndarray, (K, F + 1) float64
        Fitted to all cells.
    probs : ndarray, (N, K) float64
        Of every cell, by a layer that was not fitted on it.
    hold : float
        Chosen from :data:`HOLDS`.
    n_cells : int
        That it was fitted to.
    """

    layer: Floats
    probs: Floats
    hold: float
    n_cells: int


def with_new_layers(
    rows: pd.DataFrame, slides: Path, pairs: Mapping[str, Path], out: Path, base: Calibration,
    cells: LabeledCells, cards: Mapping[str, ClassifierCard],
) -> tuple[dict[str, Any], Calibration, LabeledCells, dict[str, ClassifierCard]]:  # fmt: skip
    """Re-fit the last layer of both nets, and bring what a calibration is fitted to in line with them.

    A net of whose classes only one is labeled stays as it is: one class alone would make it only surer.

    Parameters
    ----------
    rows : DataFrame
        Labeled rows, see :func:`smearscan.calibration.labeled_cells.labeled_rows`, with ``field`` and box.
    slides : Path
        The folder that was scanned.
    pairs : mapping
        Weights of ``differential`` and ``blast``.
    out : Path
        Folder of the new pairs.
    base : Calibration
    cells : LabeledCells
        The rows' cells.
    cards : mapping
        Of ``differential`` and ``blast``.

    Returns
    -------
    figures : dict
        Before and after, each cell judged by layers that were not fitted on it; names of the new
        pairs, by task.
    base, cells, cards
        As given, with the new nets in place of the old ones.
    """
    new, changed = dict(cards), cells
    for task, pair in pairs.items():
        target = class_targets(task, cells.truth, cards[task].classes)
        if len(np.unique(target[cells.found & (target >= 0)])) < 2:
            continue
        folds = list(folds_of(cells.group, 5))
        new[task], probs = refit_last_layer(rows, cells.found, target, slides, pair, out, folds)
        if task == BLAST:
            changed = replace(changed, blast_probs=probs[:, new[task].classes.index(BLAST)])
        else:
            changed = replace(changed, probs=probs)
    told = {
        "before": figures(cells, base, dict(cards)),
        "after": figures(changed, base, new),
        "pairs": {task: new[task].name for task in pairs if new[task] is not cards[task]},
    }
    networks = {task: new[task].sha256 for task in pairs}
    return told, base.model_copy(update={"networks": networks}), changed, new


def refit_last_layer(
    rows: pd.DataFrame, found: NDArray[np.bool_], target: Classes, slides: Path, pair: Path, out: Path,
    folds: list[Fold],
) -> tuple[ClassifierCard, Floats]:  # fmt: skip
    """Fit the last layer again and write the new pair.

    Parameters
    ----------
    rows : DataFrame
        Labeled rows, see :func:`smearscan.calibration.labeled_cells.labeled_rows`, with ``field`` and box.
    found : ndarray, (N,) bool
        Whether the detector found the cell; the others teach nothing.
    target : ndarray, (N,)
        Index of each row's class; -1 for a class that the net does not know.
    slides : Path
        The folder that was scanned.
    pair : Path
        The net's weights.
    out : Path
        Folder of the new pair.
    folds : list of (taught, judged) row numbers

    Returns
    -------
    card : ClassifierCard
        Of the new pair.
    probs : ndarray, (N, K) float64
        Of every row, by a layer that was not fitted on it; NaN for cells that were not found.
    """
    net = Headless.read(pair)
    card, start = net.card, net.layer
    seen = SeenCells(np.zeros((len(rows), start.shape[1])), np.zeros((len(rows), len(start))))
    own = seen_cells(net, rows[found], slides)
    seen.features[found], seen.beside[found] = own.features, own.beside
    done = refit(seen, np.where(found, target, -1), start, folds)
    weight, bias = (torch.tensor(p, dtype=torch.float32) for p in (done.layer[:, :-1], done.layer[:, -1]))
    tensors = {**net.tensors, f"{net.name}.weight": weight, f"{net.name}.bias": bias}
    told = {"cells": done.n_cells, "hold": done.hold, "of": card.short_hash}
    # it knows this stain now: cells are no longer unlike those that it learned from, and stay as photographed
    anew = {"temperature": 1.0, "metrics": {}, "confusion": [], "known_cells": None}
    anew["trees"] = card.trees / card.temperature
    anew |= {"name": f"{card.name.removesuffix('_unlike')}_refitted", "only_unlike": False}
    new = card.model_copy(update={"training": {**card.training, "last_layer": told}, **anew})
    probs = np.where(found[:, None], done.probs, np.nan)
    arrays = net.trees.arrays() if net.trees else None
    return save_weights(out / f"{new.name}.safetensors", new, tensors, arrays), probs


def refit(seen: SeenCells, target: Classes, start: Floats, folds: list[Fold]) -> Refit:
    """Fit a layer to labeled cells, held at `start` as strongly as serves cells it was not fitted on.

    Parameters
    ----------
    seen : SeenCells
    target : ndarray, (N,)
        Index of the true class; -1 for a cell that teaches nothing.
    start : ndarray, (K, F + 1)
    folds : list of (taught, judged) row numbers
    """
    usable = target >= 0
    hold = best_hold(seen, target, usable, start, folds)
    probs = np.full((len(target), len(start)), np.nan)
    for taught, judged in folds:
        own = taught[usable[taught]]
        layer = fit_layer(seen[own], target[own], start, hold)
        probs[judged] = softmax(seen[judged].logits(layer), axis=1)
    final = fit_layer(seen[usable], target[usable], start, hold)
    return Refit(final, probs, hold, int(usable.sum()))


def seen_cells(net: Headless, rows: pd.DataFrame, slides: Path) -> SeenCells:
    """Run a network without its last layer, and its pair's trees, on a table's cells.

    Parameters
    ----------
    net : Headless
    rows : DataFrame
        ``field``, box, ``um_per_px``.
    slides : Path
        Where the fields are.
    """
    if missing := [c for c in ("field", "x0", "y0", "x1", "y1", "um_per_px") if c not in rows]:
        raise DatasetError(
            f"the labeled table has no column {missing[0]!r}; label one that 'run --cells' wrote"
        )
    card = net.card
    engine = TorchEngine(FromPixels(net.network.eval(), card.mean, card.std), torch.device("cpu"), 8)
    base = slides.parent if slides.is_file() else slides
    boxes = rows[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
    crops = np.empty((len(rows), card.crop_px, card.crop_px, 3), np.uint8)
    for i, (field, um_per_px) in enumerate(zip(rows["field"], rows["um_per_px"], strict=True)):
        image = read_image(base / str(field))
        crops[i] = cut_crops(image, boxes[i : i + 1], float(um_per_px), card.crop_um, card.crop_px)[0]
    given = engine.run(apply_background(crops, card.background, card.crop_um))
    features = np.column_stack([given, np.ones(len(given))]).astype(np.float64)
    beside = np.zeros((len(crops), len(card.classes)))
    if net.trees is not None:
        form = measure(crops, Geometry(card.crop_um, card.crop_px))
        beside += card.trees / card.temperature * net.trees.scores(form)
    return SeenCells(features, beside)


def fit_layer(seen: SeenCells, target: Classes, start: Floats, hold: float) -> Floats:
    """Multinomial logistic regression whose penalty pulls toward the layer that was there.

    Parameters
    ----------
    seen : SeenCells
    target : ndarray, (N,)
        Index of the true class.
    start : ndarray, (K, F + 1)
    hold : float
        How strongly the layer is held at `start`.

    Returns
    -------
    ndarray, (K, F + 1)
    """
    rows = np.arange(len(target))

    def cost(flat: Floats) -> tuple[float, Floats]:
        layer = flat.reshape(start.shape)
        logs = log_softmax(seen.logits(layer), axis=1)
        slope = np.exp(logs)
        slope[rows, target] -= 1
        away = layer - start
        value = -float(logs[rows, target].sum()) + hold / 2 * float((away**2).sum())
        return value, (slope.T @ seen.features + hold * away).ravel()

    return np.asarray(minimize(cost, start.ravel(), jac=True, method="L-BFGS-B").x.reshape(start.shape))


def best_hold(
    seen: SeenCells, target: Classes, usable: NDArray[np.bool_], start: Floats,
    folds: list[Fold],
) -> float:  # fmt: skip
    """Choose from :data:`HOLDS` the one whose layers tell best the cells that they were not fitted on."""

    def cost(hold: float) -> float:
        total = 0.0
        for taught, judged in folds:
            own, other = taught[usable[taught]], judged[usable[judged]]
            layer = fit_layer(seen[own], target[own], start, hold)
            logs = log_softmax(seen[other].logits(layer), axis=1)
            total -= float(logs[np.arange(len(other)), target[other]].sum())
        return total

    return min(HOLDS, key=cost)
