"""Labeled cells with the probabilities that nets gave them: what calibration is fitted on and judged by."""

from collections.abc import Callable, Sequence
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
from smearscan.io.tables import read_table, told_lines
from smearscan.results import STAIN_COLUMNS, Scale
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, HEALTHY
from smearscan.taxonomy.cell_names import (
    BLAST_SYNONYMS,
    DIFFERENTIAL_SYNONYMS,
    LEAVE_OUT,
    NOT_A_CELL,
    PLASMA_CELL,
    PROMYELOCYTE,
    similar_names,
    standard_name,
)
from smearscan.training.cells import load_crops, with_targets
from smearscan.training.config import ClassifierTraining

Tell = Callable[[str], None]
"""Called with a sentence for the user."""

_TEXTS = ("truth", "slide", "site", "split", "field", "type", "calibration", "image")
_BOXES = ("x0", "y0", "x1", "y1", "score", "type_probability", "um_per_px", "asked", *STAIN_COLUMNS)
_NEEDED = "label the table that 'smearscan run --cells' wrote with the same nets, in a new column 'truth'"


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


def joined(parts: Sequence[LabeledCells]) -> LabeledCells:
    """Put cells together."""
    return LabeledCells(*(np.concatenate([getattr(p, f) for p in parts]) for f in LabeledCells.__slots__))


def read_labeled(
    path: Path, classes: tuple[str, ...], splits: tuple[str, ...] = (), sites: tuple[str, ...] = (),
    tell: Tell = lambda told: None, least_score: float | None = None,
) -> LabeledCells:  # fmt: skip
    """Read ``cells.csv`` with one column more, ``truth``; see :func:`labeled_rows`.

    A cell whose box scores less than `least_score` is one that the detector missed.
    """
    table = labeled_rows(path, classes, splits, sites, tell)
    if least_score is not None:
        missed = table["score"] < least_score
        table.loc[missed, ["blast_probability", *(f"p_{name}" for name in classes)]] = np.nan
    return LabeledCells(
        table["truth"].to_numpy(str), table["slide"].to_numpy(str), table["site"].to_numpy(str),
        table[[f"p_{name}" for name in classes]].to_numpy(np.float64),
        table["blast_probability"].to_numpy(np.float64), table["asked"].to_numpy(bool),
    )  # fmt: skip


def labeled_rows(
    path: Path, classes: tuple[str, ...], splits: tuple[str, ...] = (), sites: tuple[str, ...] = (),
    tell: Tell = lambda told: None,
) -> pd.DataFrame:  # fmt: skip
    """Read the labeled rows of a table of cells, as written here or saved by Excel.

    Rows without a truth are passed over. A row with a truth and without probabilities is a cell that the
    detector missed. Classes may carry the names of laboratories and data sets, see
    :func:`smearscan.taxonomy.cell_names.standard_name`; ``none`` marks a box without a leukocyte; a label
    with a question mark is left out.

    Parameters
    ----------
    path : Path
    classes : tuple of str, (K,)
        Of the differential net; each needs its column ``p_CLASS``.
    splits, sites : tuple of str
        Only rows with one of these in the column ``split`` or ``site``; empty takes all.
    tell : callable
        Told in words how many labels were left out, as their readers were not sure.

    Returns
    -------
    DataFrame
        ``truth`` is canonical; ``slide`` and ``site`` are there, the file's name where the table had none;
        ``asked`` tells whether the detector had to find the cell: as the table says in a column of that name
        (0 or 1), else where any cell of the table was missed.

    Raises
    ------
    DatasetError
        Naming the column, line and value that cannot be used, and the cure; all labels that are not known at
        once.
    """
    table = labeled_table(path, classes, splits, sites, tell)
    table = table[table["truth"] != NOT_A_CELL]
    if table.empty:
        raise DatasetError(f"{path}: no row has a truth; name cells in the column 'truth'")
    return table.reset_index(drop=True)


def are_restained(rows: pd.DataFrame) -> bool:
    """Whether most of the cells (of :func:`labeled_rows`) are of slides brought to the reference stain."""
    gains = rows[[name for name in STAIN_COLUMNS if name in rows]].fillna(1.0)
    return bool((gains != 1).any(axis=1).mean() > 0.5)


def labeled_table(
    path: Path, classes: tuple[str, ...], splits: tuple[str, ...] = (), sites: tuple[str, ...] = (),
    tell: Tell = lambda told: None,
) -> pd.DataFrame:  # fmt: skip
    """Read as :func:`labeled_rows`; boxes without a leukocyte stay, their truth is ``none``."""
    numbers = ["blast_probability", *(f"p_{name}" for name in classes)]
    text = read_table(path, (*_TEXTS, *numbers, *_BOXES))
    text.need(("truth", *numbers), _NEEDED)
    text.refuse_repeated_columns()
    table = text.to_frame([name for name in (*numbers, *_BOXES) if name in text])
    table["line"] = text.lines
    for name in set(table["calibration"]) - {""} if "calibration" in table else ():
        raise DatasetError(
            f"{path}: was scanned under the calibration {name!r}, which changes what is found or how sure; "
            "scan again without it and label that table"
        )
    keep = table["truth"] != ""
    for column, wanted in (("split", splits), ("site", sites)):
        if wanted and (column not in table or not table[column].isin(wanted).any()):
            raise DatasetError(f"{path}: no row has {' or '.join(wanted)} in a column {column!r}")
        keep &= table[column].isin(wanted) if wanted else True
    table = _with_classes(table[keep], path, tell)
    values = table[numbers]
    partly = values.isna().any(axis=1) & values.notna().any(axis=1)
    wrong = partly | (values.lt(0) | values.gt(1)).any(axis=1)
    if wrong.any():
        line = table["line"].to_numpy()[wrong.to_numpy().argmax()]
        raise DatasetError(
            f"{path}: line {line} has probabilities outside 0 to 1, or some missing; "
            "leave all of them empty for a cell that was not found"
        )
    stem = path.stem
    places = {c: table[c].replace("", stem) if c in table else stem for c in ("slide", "site")}
    missed = values[table["truth"] != NOT_A_CELL].isna()
    asked = table["asked"] != 0 if "asked" in table else bool(missed.any(axis=None))
    return table.assign(**places, asked=asked)


def _with_classes(table: pd.DataFrame, path: Path, tell: Tell) -> pd.DataFrame:
    """Replace labels by classes; leave out what readers were not sure of."""
    lines = table.groupby("truth", sort=False)["line"].apply(list)
    found: dict[str, str] = {}
    refused = []
    for label, own in lines.items():
        kind, why = _class_of(str(label))
        found[str(label)] = kind
        if why:
            more = f" and {len(own) - 5} more" if len(own) > 5 else ""
            refused.append(f"line{'s' * (len(own) > 1)} {', '.join(map(str, own[:5]))}{more}: {why}")
    if refused:
        known = ", ".join([*DIFFERENTIAL_CLASSES, BLAST])
        raise DatasetError(f"{path}: {told_lines(refused)}; use one of {known}, or 'none'")
    kinds = table["truth"].map(found)
    if unsure := int((kinds == LEAVE_OUT).sum()):
        first = table["line"][kinds == LEAVE_OUT].iloc[0]
        tell(
            f"{path}: {unsure} of {len(table)} labels say that the reader was not sure (the first in line "
            f"{first}); these cells are left out"
        )
    return table.assign(truth=kinds)[kinds != LEAVE_OUT]


def _class_of(label: str) -> tuple[str, str]:
    """Class of a label (or ``none``, ``LEAVE_OUT``); and why it has none, in words."""
    kind = standard_name(label)
    if kind == PROMYELOCYTE:
        return "", (
            "label a promyelocyte as 'blast' where it is leukemic (as in promyelocytic leukemia), "
            "else as 'immature_granulocyte'"
        )
    if kind == HEALTHY:
        return "", f"the label {label!r} says only that the cell is no blast"
    if kind is None:
        likely = "".join(f" (did you mean {name}?)" for name in similar_names(label))
        return "", f"the label {label!r} is not known{likely}"
    # plasma cells count among the leukocytes, and no net here knows them apart
    return {PLASMA_CELL: "lymphocyte", "bilobed_promyelocyte": BLAST}.get(kind, kind), ""


def true_class(label: str, path: Path) -> str:
    """Class that a label stands for.

    Raises
    ------
    DatasetError
        If the label is unknown, means different things in different patients, or names no cell.
    """
    kind, why = _class_of(label)
    if why or kind in (NOT_A_CELL, LEAVE_OUT):
        why = why or f"the label {label!r} names no leukocyte"
        known = ", ".join([*DIFFERENTIAL_CLASSES, BLAST])
        raise DatasetError(f"{path}: {why}" + ("" if "promyelocyte" in why else f"; use one of {known}"))
    return kind


def label_published(
    table: pd.DataFrame, root: Path, nets: dict[str, Classifier], configs: dict[str, ClassifierTraining],
    out_of_fold: dict[str, pd.DataFrame], detector: Detector, unseen: tuple[str, ...] = (),
) -> pd.DataFrame:  # fmt: skip
    """Name the held-out cells of a located manifest and put truth and probabilities side by side.

    Parameters
    ----------
    table : DataFrame
        Located manifest with ``split``, of pictures that hold one labeled cell each; cells of the training
        split are used only where they were scored out of fold.
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

    Raises
    ------
    DatasetError
        If a picture holds several labeled cells.
    """
    several = table["image"][table["image"].duplicated()]
    if len(several):
        raise DatasetError(
            f"{several.iloc[0]}: holds several labeled cells, and cells are told apart by their picture; "
            "leave its site out: name the others with --site"
        )
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
