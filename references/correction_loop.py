"""What corrections of a site teach: the first N cells of the review page beside doubt alone and chance.

The page asks cells without a name of half of a laboratory's patients, which the nets have never seen; a
person's answers are the published names. The differential's last layer is fitted to them as ``smearscan
calibrate --last-layer`` does, and judged on the other patients; then the halves change places.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.model_selection import KFold

from smearscan.calibration.last_layer import Headless, SeenCells, best_hold, fit_layer, seen_cells
from smearscan.differential.calibration_card import load_calibration, shipped_calibration
from smearscan.differential.statistics.estimates import over_groups
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image
from smearscan.report.review.pictures import appearance, photographed_crops
from smearscan.report.review.teaching import doubt, teaching_order
from smearscan.taxonomy import RED_CELL_UM
from smearscan.taxonomy.cell_names import DIFFERENTIAL_SYNONYMS
from smearscan.weights.pairs import ClassifierCard, shipped

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

ASKED = (25, 50, 100, 200)
DRAWS = 3
_UM_PER_PX = RED_CELL_UM / 42
_FOLDS = 5
HALVES = (("1", "12", "21", "27"), ("4", "15", "32", "28"))
"""Two patients of each disease, one a half. Those of promyelocytic leukemia have hardly a mature cell."""
_ALSO = {"atypical lymphocyte": "lymphocyte"}
"""Of chronic lymphocytic leukemia."""


def measure_corrections(data: Path) -> dict[str, Any]:
    """Measure the loop on the set ``lld`` in `data`.

    Returns
    -------
    dict
        ``weights``; ``cells``, ``patients``; ``before``: the accuracy of the shipped net; ``after``: for each
        number of answers and each way to choose them, the mean accuracy and the range of three draws (chance
        alone is drawn), and how much better the page's choice is than chance. Accuracy is over every cell,
        whether it gets a name or not; intervals are of a bootstrap over patients.

    Raises
    ------
    DatasetError
        If the set is not there.
    """
    known = Laboratory.read(data)
    after = []
    for n in ASKED:
        orders = known.orders(n)
        hits = {way: np.stack([_judged(asked, known) for asked in drawn]) for way, drawn in orders.items()}
        after.append({"answers": n, **figures_of(hits, known.patient)})
    return {**known.figures(), "after": after}


@dataclass(frozen=True)
class Laboratory:
    """Labeled cells of a laboratory that the shipped differential has never seen, as that net sees them.

    Attributes
    ----------
    card : ClassifierCard
    images : Path
    cells : DataFrame, N rows
        ``image``, box, ``um_per_px``, ``truth``, ``patient``.
    seen : SeenCells
        What the net's last layer is given.
    layer : ndarray, (K, F + 1)
    looks : ndarray, (N, D) float32
        See :func:`smearscan.report.review.pictures.appearance`.
    """

    card: ClassifierCard
    images: Path
    cells: pd.DataFrame
    seen: SeenCells
    layer: Floats
    looks: NDArray[np.float32]

    @classmethod
    def read(cls, data: Path) -> "Laboratory":
        """Read the set ``lld`` in `data`; raises DatasetError if it is not there."""
        net, images = Headless.read(shipped("differential")), data / "lld/images"
        cells = _labeled(data / "lld", net.card.classes)
        return cls(
            net.card, images, cells, seen_cells(net, cells, images), net.layer, _appearance(cells, images)
        )

    @property
    def target(self) -> Rows:
        """Index of each cell's true class, (N,)."""
        return np.array([self.card.classes.index(name) for name in self.cells["truth"]])

    @property
    def patient(self) -> NDArray[np.str_]:
        """Patient of each cell, (N,)."""
        return self.cells["patient"].to_numpy(str)

    @property
    def probs(self) -> Floats:
        """What the net says of each cell, (N, K)."""
        return np.asarray(softmax(self.seen.logits(self.layer), axis=1))

    @property
    def unnamed(self) -> NDArray[np.bool_]:
        """Whether a cell gets no name, (N,)."""
        limit = load_calibration(shipped_calibration()).unclassified_below or 0
        return np.asarray(self.probs.max(axis=1) < limit)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the net's likeliest class is the true one, (N,)."""
        return np.asarray(self.probs.argmax(axis=1) == self.target)

    def orders(self, n: int, draws: int = DRAWS) -> dict[str, list[tuple[Rows, Rows]]]:
        """Rows that each way asks first, n of either half of the patients; chance several times."""
        return _orders(self.probs, self.looks, self.patient, self.unnamed, n, draws)

    def figures(self) -> dict[str, Any]:
        """Tell of the cells before anything is learned from them."""
        return {
            "weights": f"{self.card.name}:{self.card.short_hash}",
            "cells": len(self.cells),
            "without_a_name": int(self.unnamed.sum()),
            "patients": len(set(self.patient)),
            "before": over_groups(lambda rows: float(self.right[rows].mean()), self.patient),
        }


def _labeled(folder: Path, classes: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(folder / "boxes.csv", dtype={"patient": str})
    except OSError as error:
        raise DatasetError(f"{folder}: boxes.csv cannot be read ({error.strerror})") from error
    truth = table["type"].map({**DIFFERENTIAL_SYNONYMS, **_ALSO})
    table = table.assign(truth=truth, field=table["image"], um_per_px=_UM_PER_PX)
    table = table[table["truth"].isin(classes) & table["patient"].isin([p for half in HALVES for p in half])]
    return table.reset_index(drop=True)


def _appearance(cells: pd.DataFrame, images: Path) -> NDArray[np.float32]:
    looks = np.empty((len(cells), 36), np.float32)
    for name, own in cells.groupby("field"):
        boxes = own[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
        looks[own.index] = appearance(photographed_crops(read_image(images / str(name)), boxes, _UM_PER_PX))
    return looks


def _orders(
    probs: Floats, looks: NDArray[np.float32], patient: NDArray[np.str_], unnamed: NDArray[np.bool_], n: int,
    draws: int,
) -> dict[str, list[tuple[Rows, Rows]]]:  # fmt: skip
    ways: dict[str, list[tuple[Rows, ...]]] = {
        "page": [tuple(_of_half(half, probs, looks, patient, unnamed)[0][:n] for half in HALVES)],
        "doubt": [tuple(_of_half(half, probs, looks, patient, unnamed)[1][:n] for half in HALVES)],
        "chance": [],
    }
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        pools = [np.flatnonzero(np.isin(patient, half) & unnamed) for half in HALVES]
        ways["chance"].append(tuple(rng.permutation(pool)[:n] for pool in pools))
    return {way: [(a, b) for a, b in drawn] for way, drawn in ways.items()}


def _of_half(
    half: tuple[str, ...], probs: Floats, looks: NDArray[np.float32], patient: NDArray[np.str_],
    unnamed: NDArray[np.bool_],
) -> tuple[Rows, Rows]:  # fmt: skip
    """Cells without a name of some patients, in the page's order and by doubt alone."""
    pool = np.flatnonzero(np.isin(patient, half) & unnamed)
    given = probs[pool].astype(np.float32)
    blast = np.full(len(pool), np.nan, np.float32)
    return pool[teaching_order(given, blast, looks[pool])], pool[np.argsort(-doubt(given, blast))]


def _judged(asked: tuple[Rows, Rows], known: Laboratory) -> NDArray[np.bool_]:
    """Whether each cell is named rightly by a layer fitted to answers of the other half's patients, (N,)."""
    seen, target, layer = known.seen, known.target, known.layer
    right = np.zeros(len(target), np.bool_)
    for rows, other in zip(asked, HALVES[::-1], strict=True):
        hold = best_hold(seen, target, np.ones(len(target), np.bool_), layer, list(_folds(rows)))
        fitted = fit_layer(seen[rows], target[rows], layer, hold)
        judged = np.flatnonzero(np.isin(known.patient, other))
        right[judged] = seen[judged].logits(fitted).argmax(axis=1) == target[judged]
    return right


def _folds(rows: Rows) -> Iterator[tuple[Rows, Rows]]:
    for taught, judged in KFold(_FOLDS, shuffle=True, random_state=0).split(rows):
        yield rows[taught], rows[judged]


def figures_of(hits: dict[str, NDArray[np.bool_]], patient: NDArray[np.str_]) -> dict[str, Any]:
    """Accuracy of each way, over its draws (D, N), and how much better the page's order is than chance."""
    figures: dict[str, Any] = {}
    for way, drawn in hits.items():
        mean = drawn.mean(axis=0)
        each = drawn.mean(axis=1)
        figures[way] = {
            **over_groups(lambda rows, mean=mean: float(mean[rows].mean()), patient),  # type: ignore[misc]
            "draws": [round(float(share), 4) for share in each],
        }
    better = hits["page"].mean(axis=0) - hits["chance"].mean(axis=0)
    figures["page_over_chance"] = over_groups(lambda rows: float(better[rows].mean()), patient)
    return figures


def with_interval(figure: dict[str, Any]) -> str:
    """Write a figure with its interval."""
    low, high = figure["interval_95"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"


def corrections_table(figures: dict[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    told = with_interval
    before = figures["before"]
    lines = [
        f"{figures['cells']} cells of {figures['patients']} patients of one laboratory that the shipped networks have never seen "
        f"(`{figures['weights']}`; {figures['without_a_name']} get no name), asked in one half of the patients and judged in the other. "
        "Accuracy over every cell, with 95 % intervals over patients.",
        "",
        f"| answers | in the page's order | by doubt alone | by chance, mean of {DRAWS} draws | page over chance |",
        "|---|---|---|---|---|",
        f"| none | {told(before)} | | | |",
    ]
    for row in figures["after"]:
        ways = [told(row[way]) for way in ("page", "doubt", "chance", "page_over_chance")]
        lines.append(f"| {row['answers']} | {' | '.join(ways)} |")
    return "\n".join([*lines, ""])
