"""Fits trees that name cells by their form, beside a network: :mod:`smearscan.classification.morphometry`."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from smearscan.classification.boosted_trees import BoostedTrees
from smearscan.classification.morphometry import MEASURES

Rows = NDArray[np.int64]

_ROUNDS, _RATE, _LEAVES, _HELD, _COLUMNS = 120, 0.08, 12, 5.0, 0.3
"""Rounds, learning rate, leaves of a tree, penalty on leaves, share of columns that a node may ask for."""
_CLASSES_ALIKE = 0.7
_NEVER = -20.0
"""Logit of a class that no cell was of."""


def balance(site: "pd.Series[str]", target: "pd.Series[int]") -> NDArray[np.float64]:
    """Weigh each cell, (N,), mean 1: sites by the root of their cells of a class, classes nearly alike."""
    own = 1 / np.sqrt(target.groupby([site, target]).transform("size"))
    weight = own / own.groupby(target).transform("sum") ** _CLASSES_ALIKE
    return np.asarray(weight / weight.mean(), np.float64)


def fit_trees(measured: NDArray[np.float32], cells: pd.DataFrame, n_classes: int, seed: int) -> BoostedTrees:
    """Fit gradient-boosted trees to measured cells.

    Parameters
    ----------
    measured : ndarray, (N, F) float32
        NaN where there was nothing to measure.
    cells : DataFrame
        ``site`` and ``target``, 0 to K - 1, a row a cell; ``class_weight`` where classes count differently.
    n_classes : int
        K.
    seed : int

    Returns
    -------
    BoostedTrees
        A class of which no cell is there never gets a vote.
    """
    there = np.unique(cells["target"])
    weight = balance(cells["site"], cells["target"]) * cells.get("class_weight", 1.0)
    fitted = HistGradientBoostingClassifier(
        max_iter=_ROUNDS, learning_rate=_RATE, max_leaf_nodes=_LEAVES, l2_regularization=_HELD,
        max_features=_COLUMNS, early_stopping=False, random_state=seed,
    ).fit(measured, cells["target"], sample_weight=weight)  # fmt: skip
    return _as_arrays(fitted, there, n_classes)


def _as_arrays(fitted: HistGradientBoostingClassifier, there: Rows, n_classes: int) -> BoostedTrees:
    """Copy the nodes of scikit-learn's trees, which it does not make public, into arrays of our own."""
    start = np.ravel(fitted._baseline_prediction)
    voting = there[-len(start) :]  # of two classes the second alone has trees
    base = np.full(n_classes, _NEVER, np.float32)
    base[there] = 0.0
    base[voting] = start
    nodes, root, n = [], [], 0
    for trees in fitted._predictors:
        own = dict(zip(voting, trees, strict=True))
        for k in range(n_classes):
            tree = own[k].nodes if k in own else _silent(trees[0].nodes.dtype)
            leaf = tree["is_leaf"].astype(bool)
            here = np.arange(len(tree))
            root.append(n)
            nodes.append(
                {
                    "column": np.where(leaf, 0, tree["feature_idx"]).astype(np.int16),
                    "limit": np.where(leaf, 0.0, tree["num_threshold"]),
                    "missing_left": tree["missing_go_to_left"].astype(bool),
                    "left": (n + np.where(leaf, here, tree["left"])).astype(np.int32),
                    "right": (n + np.where(leaf, here, tree["right"])).astype(np.int32),
                    "value": np.where(leaf, tree["value"], 0.0).astype(np.float32),
                }
            )
            n += len(tree)
    joined = {name: np.concatenate([part[name] for part in nodes]) for name in nodes[0]}
    return BoostedTrees(
        root=np.array(root, np.int32), base=base, measures=np.array([MEASURES], np.uint32), **joined
    )


def _silent(kind: "np.dtype[np.void]") -> NDArray[np.void]:
    """Make a tree that adds nothing, of a class that has none."""
    leaf = np.zeros(1, kind)
    leaf["is_leaf"] = 1
    return leaf
