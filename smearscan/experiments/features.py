"""What a net's features tell apart: the classes they were learned for, or the sites the cells come from.

Features that separate sites better than classes have learned the stain and the camera; at the next site they
fail, whatever the accuracy at home was. Measured are linear separability (a linear probe under grouped
cross-validation; Alain and Bengio, arXiv:1610.01644), the silhouette (Rousseeuw, J. Comput. Appl. Math.
1987;20:53) and, to look at, maps by PCA, t-SNE (van der Maaten and Hinton, JMLR 2008;9:2579) and UMAP
where it is installed.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from smearscan.classification import backbones
from smearscan.classification.classifier import apply_background
from smearscan.differential.statistics.estimates import over_groups
from smearscan.errors import ConfigError, DatasetError
from smearscan.runtime.torch_engine import FromPixels, TorchEngine
from smearscan.training.cells import Progress, load_crops
from smearscan.training.config import ClassifierTraining
from smearscan.weights.pairs import ClassifierCard, load_card, load_weights
from smearscan.weights.tensors import fill

FOLDS = 5
_DIMENSIONS = 50
"""Of the space in which silhouettes are measured and maps are drawn: the first principal components."""
_PROBE_DIMENSIONS = 256
_ROUNDS = 300
_BATCH = 8

Features = NDArray[np.floating]
Labels = NDArray[np.str_]
Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Row numbers trained on and tested."""


class Layer(nn.Module):
    """A network that hands out what one of its layers makes, averaged over height and width.

    Maps (B, 3, H, W) to (B, F).

    Parameters
    ----------
    network : Network
    name : str
        A module's name within the network.

    Raises
    ------
    ConfigError
        If the net has no layer of that name.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        layers = dict(network.named_modules())
        if not name or name not in layers:
            first = ", ".join(key for key, _ in network.named_children())
            raise ConfigError(
                f"layer {name!r} is not in this net; its layers are {first} and those within them"
            )
        layers[name].register_forward_hook(self._keep)
        self.network = network
        self._seen = torch.empty(0)

    def _keep(self, module: nn.Module, given: object, made: Tensor) -> None:
        self._seen = made

    def forward(self, images: Tensor) -> Tensor:
        """Compute the layer's features."""
        self.network(images)
        return torch.flatten(self._seen, 2).mean(dim=2) if self._seen.ndim > 2 else self._seen


def features_of_pair(
    weights: Path, table: pd.DataFrame, root: Path, layer: str = "", progress: Progress | None = None
) -> Features:
    """Compute features (N, F) float32 of located cells by the net of a weights pair.

    Parameters
    ----------
    weights : Path
    table : DataFrame
        N cells, see :func:`smearscan.training.cells.read_cells`.
    root : Path
        What ``image`` is relative to.
    layer : str
        Empty: what the head is given.
    progress : callable, optional
        Called after each cell that is cut.
    """
    card, tensors = load_weights(weights, ClassifierCard)
    network = backbones.build(card.architecture, len(card.classes), card.head, card.norm)
    fill(network, tensors, weights)
    cut = Layer(network, layer) if layer else backbones.FeaturesOf(network)
    crops = load_crops(table, root, card.crop_um, card.crop_px, progress)
    crops = apply_background(crops, card.background, card.crop_um)
    return TorchEngine(FromPixels(cut, card.mean, card.std), torch.device("cpu"), _BATCH).run(crops)


def taught_config(weights: Path) -> ClassifierTraining:
    """Read from a pair's card what its net was taught: task, classes and what data sets call them."""
    card = load_card(weights, ClassifierCard)
    told = card.training.get("config", {})
    return ClassifierTraining.model_validate({"name": card.name, "task": card.task, **told}).model_copy(
        update={"classes": card.classes, "sites": [], "exclude_sites": []}
    )


def study(features: Features, table: pd.DataFrame, classes: tuple[str, ...], seed: int = 0) -> dict[str, Any]:
    """Measure how well features separate classes, and how well sites.

    Parameters
    ----------
    features : ndarray, (N, F)
    table : DataFrame
        N rows with ``target``, ``site``, ``group``.
    classes : tuple of str
        Names of the targets.
    seed : int

    Returns
    -------
    dict
        Of ``class`` and of ``site``: separability (share of the way from chance to perfect that a linear
        probe goes on groups it has not seen), accuracy, silhouette, and the silhouette within each site
        (each class). Of the class also the probe at sites it has not seen. With intervals over groups.

    Raises
    ------
    DatasetError
        If features and cells do not fit together, or there are too few cells.
    """
    if len(features) != len(table) or len(table) < 4 * FOLDS:
        raise DatasetError(
            f"{len(features)} features for {len(table)} cells; at least {4 * FOLDS} are needed"
        )
    named, site = class_names(table, classes), table["site"].to_numpy(str)
    # the same name at two sites is not the same patient
    groups = (table["site"] + "/" + table["group"].astype(str)).to_numpy(str)
    space = components(features, seed)
    whole = np.full(len(table), "all")
    of_class = {
        **probed(features, named, groups, _folds(named, groups, seed)),
        "silhouette": silhouette(space, named, whole, groups),
        "silhouette_within_site": silhouette(space, named, site, groups),
        "unseen_site": probed(features, named, groups, _each_left_out(site)),
    }
    of_site = {
        **probed(features, site, groups, _folds(site, groups, seed)),
        "silhouette": silhouette(space, site, whole, groups),
        "silhouette_within_class": silhouette(space, site, named, groups),
    }
    sizes = {"cells": len(table), "groups": len(np.unique(groups)), "features": features.shape[1]}
    found = {**sizes, "class": of_class, "site": of_site}
    return {**found, "reading": reading(found)}


def class_names(table: pd.DataFrame, classes: tuple[str, ...]) -> Labels:
    """Name of each cell's class, (N,) str."""
    return np.asarray(np.array(classes)[table["target"].to_numpy()], np.str_)


def components(features: Features, seed: int) -> NDArray[np.float64]:
    """First principal components of the standardized features, (N, at most 50)."""
    count = min(_DIMENSIONS, *features.shape)
    steps = make_pipeline(StandardScaler(), PCA(count, svd_solver="randomized", random_state=seed))
    return np.asarray(steps.fit_transform(features.astype(np.float64)))


def _folds(labels: Labels, groups: Labels, seed: int) -> Folds:
    """Split by group; labels of fewer groups than folds are nowhere tested (nor trained on)."""
    pairs = pd.DataFrame({"label": labels, "group": groups}).drop_duplicates()
    counts = pairs["label"].value_counts()
    rows = np.flatnonzero(np.isin(labels, counts.index[counts >= FOLDS].to_numpy(str)))
    if len(np.unique(labels[rows])) < 2:
        return []
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    parts = splitter.split(rows, labels[rows], groups[rows])
    return [(rows[train], rows[test]) for train, test in parts]


def _each_left_out(site: Labels) -> Folds:
    sites = np.unique(site) if len(np.unique(site)) > 1 else ()
    return [(np.flatnonzero(site != one), np.flatnonzero(site == one)) for one in sites]


def probed(features: Features, labels: Labels, groups: Labels, folds: Folds) -> dict[str, Any]:
    """Measure a linear probe (logistic regression, classes weighted alike) on the cells it has not seen.

    Cells of a label that the training part of a fold does not know are left out of it.

    Returns
    -------
    dict
        ``separability``: (recall averaged over labels - 1/K) / (1 - 1/K), 0 for chance and 1 for perfect;
        ``accuracy``; ``labels``, how many were tested. None where there is nothing to probe.
    """
    guess = np.full(len(labels), "", dtype=object)
    for train, test in folds:
        known = test[np.isin(labels[test], labels[train])]
        if len(np.unique(labels[train])) > 1 and len(known):
            guess[known] = (
                _probe(features.shape[1], len(train))
                .fit(features[train], labels[train])
                .predict(features[known])
            )
    tested = np.flatnonzero(guess != "")
    names, truth = np.unique(labels[tested], return_inverse=True)
    if len(names) < 2:
        return {"separability": None, "accuracy": None, "labels": len(names)}
    right = guess[tested] == labels[tested]

    def separability(i: NDArray[np.int64]) -> float:
        counts = np.bincount(truth[i], minlength=len(names))
        hits = np.bincount(truth[i], weights=right[i], minlength=len(names))
        recall = float((hits[counts > 0] / counts[counts > 0]).mean())
        return (recall - 1 / len(names)) / (1 - 1 / len(names))

    return {
        "separability": over_groups(separability, groups[tested], rounds=_ROUNDS),
        "accuracy": over_groups(lambda i: float(right[i].mean()), groups[tested], rounds=_ROUNDS),
        "labels": len(names),
    }


def _probe(width: int, cells: int) -> Any:
    steps: list[Any] = [StandardScaler()]
    if width > _PROBE_DIMENSIONS:  # a linear map: what is separable in it is separable, and quickly
        count = min(_PROBE_DIMENSIONS, cells - 1)
        steps.append(PCA(count, svd_solver="randomized", random_state=0))
    return make_pipeline(*steps, LogisticRegression(C=0.1, class_weight="balanced", max_iter=3000))


def silhouette(
    space: NDArray[np.float64], labels: Labels, within: Labels, groups: Labels
) -> dict[str, Any] | None:
    """Mean silhouette of labels, -1 to 1, measured among the cells that share `within`.

    Returns
    -------
    dict or None
        With its interval over groups; None where no part has two labels.
    """
    value = np.full(len(labels), np.nan)
    for part in np.unique(within):
        rows = np.flatnonzero(within == part)
        if 2 <= len(np.unique(labels[rows])) < len(rows):
            value[rows] = silhouette_samples(space[rows], labels[rows])
    known = np.flatnonzero(~np.isnan(value))
    if not len(known):
        return None
    return over_groups(lambda i: float(value[known][i].mean()), groups[known], rounds=_ROUNDS)


def maps(features: Features, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Two-dimensional maps by name, each (N, 2): PCA, t-SNE, and UMAP if ``umap-learn`` is installed."""
    space = components(features, seed)
    perplexity = min(30.0, (len(space) - 1) / 3)
    found = {
        "PCA": space[:, :2],
        "t-SNE": TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(space),
    }
    if importlib.util.find_spec("umap"):
        from umap import UMAP

        found["UMAP"] = UMAP(n_neighbors=15, random_state=seed, n_jobs=1).fit_transform(space)
    return found


def reading(found: dict[str, Any]) -> str:
    """Say in words whether class or site shapes the features more."""
    return " ".join(
        _compared(word, found["class"][key_class], found["site"][key_site])
        for word, key_class, key_site in (
            ("linear probe", "separability", "separability"),
            ("silhouette", "silhouette_within_site", "silhouette_within_class"),
        )
    )


def _compared(word: str, of_class: dict[str, Any] | None, of_site: dict[str, Any] | None) -> str:
    if of_class is None or of_site is None:
        missing = "class" if of_class is None else "site"
        return f"By {word}: cannot be told, there are too few groups of more than one {missing}."
    told = f"class {_text(of_class)}, site {_text(of_site)}"
    if of_class["value"] > of_site["value"]:
        return f"By {word} the features separate class better than site ({told})."
    return f"By {word} the features separate SITE better than class ({told}): expect less at a new site."


def _text(figure: dict[str, Any]) -> str:
    limits = figure["interval_95"]
    return f"{figure['value']:.2f}" + (f" ({limits[0]:.2f} to {limits[1]:.2f})" if limits else "")
