"""Labeled cells with the probabilities that nets gave them: what calibration is fitted on and judged by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier
from smearscan.detection import boxes
from smearscan.detection.detector import Detector
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image
from smearscan.results import Scale
from smearscan.taxonomy import BLAST, BLAST_SYNONYMS, DIFFERENTIAL_SYNONYMS, fold_name
from smearscan.training.cells import load_crops, with_targets
from smearscan.training.config import ClassifierTraining

NOT_A_CELL = ("none", "no_cell", "not_a_cell", "red_cell", "background")
"""What a box that holds no leukocyte may be labeled; such a row says nothing about naming."""


@dataclass(frozen=True, slots=True)
class LabeledCells:
    """Labeled cells.

    Attributes
    ----------
    truth : ndarray, (N,) str
    group : ndarray, (N,) str
        Slide or patient.
    site : ndarray, (N,) str
    probs : ndarray, (N, K) float64
        Of the differential's classes; NaN in every column for a cell that the detector missed.
    blast_probs : ndarray, (N,) float64
    asked : ndarray, (N,) bool
        Whether the detector had to find the cell: False for pictures of single cells.
    """

    truth: NDArray[np.str_]
    group: NDArray[np.str_]
    site: NDArray[np.str_]
    probs: NDArray[np.float64]
    blast_probs: NDArray[np.float64]
    asked: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which cells the detector found, (N,) bool."""
        return ~np.isnan(self.blast_probs)

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> "LabeledCells":
        """Return some of the cells."""
        return LabeledCells(*(getattr(self, name)[keep] for name in self.__slots__))


def read_labeled(
    path: Path, classes: tuple[str, ...], splits: tuple[str, ...] = (), sites: tuple[str, ...] = ()
) -> LabeledCells:
    """Read ``cells.csv`` with one column more, ``truth``; see :func:`labeled_rows`."""
    table = labeled_rows(path, classes, splits, sites)
    return LabeledCells(
        table["truth"].to_numpy(str), table["slide"].to_numpy(str), table["site"].to_numpy(str),
        table[[f"p_{name}" for name in classes]].to_numpy(np.float64),
        table["blast_probability"].to_numpy(np.float64), table["asked"].to_numpy(bool),
    )  # fmt: skip


def labeled_rows(
    path: Path, classes: tuple[str, ...], splits: tuple[str, ...] = (), sites: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Read the labeled rows of a table of cells.

    Rows without a truth are passed over. A row with a truth and without probabilities is a cell that the
    detector missed. Classes may carry the names that data sets use; ``none`` marks a box without a leukocyte.

    Parameters
    ----------
    path : Path
    classes : tuple of str, (K,)
        Of the differential net; each needs its column ``p_CLASS``.
    splits, sites : tuple of str
        Only rows with one of these in the column ``split`` or ``site``; empty takes all.

    Returns
    -------
    DataFrame
        ``truth`` is canonical; ``slide`` and ``site`` are there, the file's name where the table had none;
        ``asked`` tells whether the detector had to find the cell: as the table says in a column of that name
        (0 or 1), else where any cell of the table was missed.

    Raises
    ------
    DatasetError
        Naming the column, row and value that cannot be used, and the cure.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(("truth", "slide", "site", "calibration"), str))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as CSV ({error})") from error
    numbers = ["blast_probability", *(f"p_{name}" for name in classes)]
    missing = [name for name in ("truth", *numbers) if name not in table]
    if missing:
        raise DatasetError(
            f"{path}: the column {missing[0]!r} is missing; label the table that 'smearscan run --cells' "
            "wrote with the same nets, in a new column 'truth'"
        )
    under = table["calibration"].dropna() if "calibration" in table else pd.Series(dtype=str)
    if len(under):
        raise DatasetError(
            f"{path}: was scanned under the calibration {under.iloc[0]!r}, which changes probabilities; "
            "scan again without it and label that table"
        )
    truth = table["truth"].fillna("").map(fold_name)
    keep = (truth != "") & ~truth.isin(NOT_A_CELL)
    for column, wanted in (("split", splits), ("site", sites)):
        if wanted and (column not in table or not table[column].isin(wanted).any()):
            raise DatasetError(f"{path}: no row has {' or '.join(wanted)} in a column {column!r}")
        keep &= table[column].isin(wanted) if wanted else True
    table = table.assign(truth=truth)[keep]
    if table.empty:
        raise DatasetError(f"{path}: no row has a truth; name cells in the column 'truth'")
    values = table[numbers].apply(pd.to_numeric, errors="coerce")
    partly = values.isna().any(axis=1) & table[numbers].notna().any(axis=1)
    wrong = partly | (values.lt(0) | values.gt(1)).any(axis=1)
    if wrong.any():
        raise DatasetError(
            f"{path}: line {int(wrong.idxmax()) + 2} has probabilities outside 0 to 1, or some missing; "
            "leave all of them empty for a cell that was not found"
        )
    named = {name: true_class(name, path) for name in table["truth"].unique()}
    places = {c: table[c].fillna(path.stem) if c in table else path.stem for c in ("slide", "site")}
    asked = table["asked"].astype(bool) if "asked" in table else bool(values.isna().any(axis=None))
    named_rows = table["truth"].map(named)
    return table.assign(**values, **places, truth=named_rows, asked=asked).reset_index(drop=True)


def true_class(name: str, path: Path) -> str:
    """Canonical class of a folded label.

    Raises
    ------
    DatasetError
        If the label is unknown, or means different things in different patients.
    """
    if name == "promyelocyte":
        raise DatasetError(
            f"{path}: label a promyelocyte as 'blast' where it is leukemic (as in promyelocytic leukemia), "
            "else as 'immature_granulocyte'"
        )
    if BLAST_SYNONYMS.get(name) == BLAST:
        return BLAST
    if name not in DIFFERENTIAL_SYNONYMS:
        known = ", ".join(dict.fromkeys([*DIFFERENTIAL_SYNONYMS.values(), BLAST]))
        raise DatasetError(f"{path}: the label {name!r} is not known; use one of {known}, or 'none'")
    return DIFFERENTIAL_SYNONYMS[name]


def label_published(
    table: pd.DataFrame, root: Path, nets: dict[str, Classifier], configs: dict[str, ClassifierTraining],
    out_of_fold: dict[str, pd.DataFrame], detector: Detector, unseen: tuple[str, ...] = (),
) -> pd.DataFrame:  # fmt: skip
    """Name the held-out cells of a located manifest and put truth and probabilities side by side.

    Parameters
    ----------
    table : DataFrame
        Located manifest with ``split``; cells of the training split are used only where they were scored out
        of fold.
    root : Path
    nets, configs : dict
        Of ``blast`` and ``differential``.
    out_of_fold : dict
        Of each task, the table that cross-validation wrote: its cells are taken with the probabilities in it.
    detector : Detector
        Looks for the cells of whole fields, whose box is given; one it misses has no probabilities.
    unseen : tuple of str
        Sites that the nets have not learned: all their cells are taken.

    Returns
    -------
    DataFrame
        ``image, site, split, slide, truth, asked, blast_probability, p_CLASS...``, as :func:`read_labeled`
        reads it; ``split`` is ``crossval`` for cells scored out of fold. A site whose pictures tell no
        patient or slide counts as one slide.
    """
    truth = _truth(table, configs)
    table = table[table["image"].isin(truth.index)]
    folded = set.intersection(*(set(t["image"]) for t in out_of_fold.values())) if out_of_fold else set()
    unlearned = (table["split"] != "train") | table["image"].isin(folded) | table["site"].isin(unseen)
    table = table[unlearned].reset_index(drop=True)
    columns: dict[str, NDArray[np.float64]] = {}
    for task, net in nets.items():
        probs = np.full((len(table), len(net.card.classes)), np.nan)
        own = table["image"].isin(folded).to_numpy()
        names = [f"p_{name}" for name in net.card.classes]
        if own.any():
            probs[own] = out_of_fold[task].set_index("image").loc[table["image"][own], names].to_numpy()
        probs[~own] = net.probs(load_crops(table[~own], root, net.card.crop_um, net.card.crop_px))
        if task == "blast":
            columns["blast_probability"] = probs[:, net.card.classes.index(BLAST)]
        else:
            columns |= dict(zip(names, probs.T, strict=True))
    missed = ~_found(table, root, detector)
    for values in columns.values():
        values[missed] = np.nan
    of_site = table.groupby("site")["group"]
    # groups of hardly more than a cell are no patients but pictures, some of which the set holds twice
    known = 2 * of_site.transform("nunique") <= of_site.transform("size")
    return pd.DataFrame(
        {
            "image": table["image"],
            "site": table["site"],
            "split": table["split"].mask(table["image"].isin(folded), "crossval"),
            "slide": table["site"].where(~known, table["site"] + "/" + table["group"].astype(str)),
            "truth": table["image"].map(truth),
            "asked": (table["located"] == "given").astype(int),
            **columns,
        }
    )


def _found(table: pd.DataFrame, root: Path, detector: Detector) -> NDArray[np.bool_]:
    """Whether the detector finds each cell, (N,) bool; True where the picture is no field with boxes."""
    found = np.ones(len(table), bool)
    for i in np.flatnonzero((table["located"] == "given").to_numpy()):
        row = table.iloc[i]
        image = read_image(root / row["image"])
        seen = detector.detect(image, Scale(row["um_per_px"], "given")).leukocytes.xyxy
        box = boxes.as_boxes(row[["x0", "y0", "x1", "y1"]].to_numpy(np.float32))
        found[i] = boxes.iou(seen, box).max(initial=0) >= 0.5
    return found


def _truth(table: pd.DataFrame, configs: dict[str, ClassifierTraining]) -> "pd.Series[str]":
    """Class of each picture: blast where the blast net is to call it so, else the differential's."""
    parts = []
    for task, synonyms in (("differential", DIFFERENTIAL_SYNONYMS), ("blast", BLAST_SYNONYMS)):
        classes = configs[task].classes or tuple(dict.fromkeys(synonyms.values()))
        done = with_targets(table, tuple(classes), {**synonyms, **configs[task].synonyms})
        parts.append(pd.Series([classes[k] for k in done["target"]], index=done["image"]))
    kinds, blasts = parts
    blasts = blasts[blasts == BLAST]
    return pd.concat([kinds[~kinds.index.isin(blasts.index)], blasts])
