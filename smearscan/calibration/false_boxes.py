"""Boxes that hold no leukocyte: from labels ``none`` to the least score of a box that counts at a site.

On a stain that the detector has not learned, red cells are boxed with low scores. The score that parts them
best from leukocytes is another one than that of the detector's card.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.calibration.fit import folds_of
from smearscan.calibration.labeled_cells import labeled_table
from smearscan.taxonomy.cell_names import NOT_A_CELL

FEWEST = 10
"""Boxes with a leukocyte, and without one, that must be labeled before a score is fitted."""
_SURE = 0.05


@dataclass(frozen=True, slots=True)
class LabeledBoxes:
    """The detector's boxes that a person looked at.

    Attributes
    ----------
    scores : ndarray, (N,) float64
        NaN where the table tells none.
    hold_cell : ndarray, (N,) bool
        False where the label is ``none``.
    group : ndarray, (N,) str
        Slide or patient.
    """

    scores: NDArray[np.float64]
    hold_cell: NDArray[np.bool_]
    group: NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class BoxFit:
    """A least score of boxes, and what it does to slides that it was not chosen on.

    Attributes
    ----------
    least_score : float or None
        None where no score makes fewer errors, beyond chance.
    n_false, n_cells : int
        Boxes without and with a leukocyte.
    n_false_dropped, n_cells_lost : int
        Those that score less, each judged by a score chosen without its slide (with fewer than five slides,
        without it).
    """

    least_score: float | None
    n_false: int
    n_cells: int
    n_false_dropped: int
    n_cells_lost: int

    def sentences(self) -> Iterator[str]:
        """Tell what the labels ``none`` say, for people."""
        if not self.n_false:
            return
        n = self.n_false + self.n_cells
        yield f"{self.n_false} of {n} labeled boxes hold no leukocyte"
        if min(self.n_false, self.n_cells) < FEWEST:
            yield (
                f"all boxes stay: {FEWEST} with and {FEWEST} without a leukocyte are needed to tell them "
                "apart, with their column 'score'"
            )
        elif self.least_score is None:
            yield "all boxes stay: no least score of a box makes fewer errors, beyond chance"
        else:
            empty = f"{self.n_false_dropped} of the {self.n_false} without a leukocyte"
            lost = f"{self.n_cells_lost} of {self.n_cells} leukocytes"
            yield (
                f"boxes that score less than {self.least_score:.2f} are dropped: {empty}, and {lost} with "
                "them, each slide judged by a score that was chosen without it"
            )


def read_boxes(
    path: Path, classes: tuple[str, ...], splits: tuple[str, ...] = (), sites: tuple[str, ...] = ()
) -> LabeledBoxes:
    """Read which boxes of a table of labeled cells hold a leukocyte; a cell without a score was not boxed.

    Raises
    ------
    DatasetError
        As :func:`smearscan.calibration.labeled_cells.labeled_table`.
    """
    table = labeled_table(path, classes, splits, sites)
    scores = table["score"].to_numpy(np.float64) if "score" in table else np.full(len(table), np.nan)
    hold_cell = (table["truth"] != NOT_A_CELL).to_numpy(bool)
    seen = ~np.isnan(scores) | ~hold_cell
    return LabeledBoxes(scores[seen], hold_cell[seen], table["slide"].to_numpy(str)[seen])


def best_score(boxes: LabeledBoxes) -> float:
    """Least score with which the fewest boxes are wrong: false ones that stay, and leukocytes that are lost.

    Returns
    -------
    float
        Midway between two scores; 0 where dropping none is as good. Not all of them are ever dropped.
    """
    order = np.argsort(boxes.scores, kind="stable")
    scores, hold = boxes.scores[order], boxes.hold_cell[order]
    wrong = np.concatenate([[0], np.cumsum(np.where(hold, 1, -1))])  # of dropping the first k
    cuts = np.flatnonzero(np.append(np.diff(scores) > 0, False)) + 1
    allowed = np.concatenate([[0], cuts]).astype(np.int64)
    k = int(allowed[wrong[allowed].argmin()])
    return float((scores[k - 1] + scores[k]) / 2) if k else 0.0


def fit_box_score(boxes: LabeledBoxes, folds: int = 5) -> BoxFit:
    """Choose the least score of a leukocyte's box, and judge the choice by cross-validation over slides.

    It is taken where it drops more false boxes than leukocytes, by a one-sided sign test at 5 %.

    Parameters
    ----------
    boxes : LabeledBoxes
    folds : int
    """
    from scipy.stats import binomtest

    n_cells = int(boxes.hold_cell.sum())
    n_false = len(boxes.scores) - n_cells
    scored = ~np.isnan(boxes.scores)
    boxes = LabeledBoxes(boxes.scores[scored], boxes.hold_cell[scored], boxes.group[scored])
    if min(int((~boxes.hold_cell).sum()), n_cells) < FEWEST:
        return BoxFit(None, n_false, n_cells, 0, 0)
    dropped = np.zeros(len(boxes.scores), np.bool_)
    for taught, judged in folds_of(boxes.group, folds):
        own = LabeledBoxes(boxes.scores[taught], boxes.hold_cell[taught], boxes.group[taught])
        dropped[judged] = boxes.scores[judged] < best_score(own)
    lost = int((dropped & boxes.hold_cell).sum())
    gained = int(dropped.sum()) - lost
    best = best_score(boxes)
    pays = best > 0 and gained > 0 and binomtest(gained, gained + lost, alternative="greater").pvalue < _SURE
    return BoxFit(round(best, 4) if pays else None, n_false, n_cells, gained, lost)
