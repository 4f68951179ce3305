"""A laboratory that the classifiers have not seen: fields of leukemia patients, scanned as a user would."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from smearscan.detection import boxes
from smearscan.differential.slide_report import SlideReport
from smearscan.differential.statistics.estimates import share
from smearscan.errors import DatasetError
from smearscan.results import FieldFailure, FieldResult
from smearscan.scan.scanner import SmearScanner
from smearscan.taxonomy import BLAST, UNCLASSIFIED
from smearscan.taxonomy.cell_names import DIFFERENTIAL_SYNONYMS

BLASTS = ("lymphoblast", "monoblast", "myeloblast")
"""Classes that are blasts in any patient; a promyelocyte is one in promyelocytic leukemia alone."""
PROMYELOCYTIC = "APML"
SAME_TYPE = {**DIFFERENTIAL_SYNONYMS, "abnormal_lymphocyte": "lymphocyte"}
"""What the differential should call a cell: lymphocytes of chronic lymphocytic leukemia are lymphocytes."""
SAME_CELL_IOU = 0.5


def measure_unseen(scanner: SmearScanner, data: Path) -> dict[str, Any]:
    """Scan each patient as one slide and compare with the published boxes and types.

    Parameters
    ----------
    scanner : SmearScanner
    data : Path
        Folder of the set ``lld``: ``images/``, ``boxes.csv`` (``image, x0, y0, x1, y1, class, patient,
        disease, complete``). Only fields whose leukocytes are all boxed (``complete`` is 1) are scanned.

    Returns
    -------
    dict
        ``weights``; ``by_class``: of each class how many were found, of those how many called blast, left
        without a name, and what the others were called; ``blasts``, ``mature``: the same for all blasts, and
        for all other cells with the share whose type is right; ``patients``: what the report says of each.
        Intervals are exact ones over cells: nine patients are few, and cells of one resemble each other.

    Raises
    ------
    DatasetError
        If the set is not there, or a field cannot be read.
    """
    truth = read_truth(data)
    reports, called = [], pd.Series("not found", index=truth.index)
    with TemporaryDirectory() as folder:
        lay_out(truth, data / "images", Path(folder))
        for report, results in scanner.scan_slides(folder):
            reports.append(report)
            for result in results:
                if isinstance(result, FieldFailure):
                    raise DatasetError(result.reason)
                assert result.path is not None
                rows = truth.index[truth["image"] == result.path.name]
                corners = truth.loc[rows, ["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
                called[rows] = names_at(result, corners)
    return {
        "weights": list(scanner.weights),
        **tally_of_names(truth.assign(called=called)),
        "patients": [_patient(report, truth) for report in reports],
    }


def read_truth(data: Path) -> pd.DataFrame:
    """Read the boxes of the fields of ``lld`` whose leukocytes are all boxed."""
    try:
        truth = pd.read_csv(data / "boxes.csv", dtype={"patient": str})
    except OSError as error:
        raise DatasetError(f"{data}: boxes.csv cannot be read ({error.strerror})") from error
    return truth[truth["complete"] == 1].reset_index(drop=True)


def are_blasts(cells: pd.DataFrame) -> "pd.Series[bool]":
    """Tell which cells (``class``, ``disease``) are blasts or their equivalents."""
    promyelocytic = (cells["class"] == "promyelocyte") & (cells["disease"] == PROMYELOCYTIC)
    return cells["class"].isin(BLASTS) | promyelocytic


def lay_out(truth: pd.DataFrame, images: Path, folder: Path) -> None:
    """Copy the pictures into a folder a patient, as a scan wants its slides."""
    for patient, image in truth[["patient", "image"]].drop_duplicates().itertuples(index=False):
        (folder / patient).mkdir(exist_ok=True)
        try:
            shutil.copy(images / image, folder / patient / image)
        except OSError as error:
            raise DatasetError(f"{images / image}: cannot be copied ({error.strerror})") from error


def names_at(result: FieldResult, true_xyxy: np.ndarray[Any, Any]) -> list[str]:
    """Give what the scan called the cell at each box, (N, 4) float32 field pixels, or ``not found``."""
    overlap = boxes.iou(true_xyxy, result.detections.xyxy)
    if not overlap.shape[1]:
        return ["not found"] * len(true_xyxy)
    best = overlap.argmax(axis=1)
    return [
        result.types[cell] if overlap[row, cell] >= SAME_CELL_IOU else "not found"
        for row, cell in enumerate(best)
    ]


def tally_of_names(cells: pd.DataFrame) -> dict[str, Any]:
    """Add up ``class, disease, called`` by class, over all blasts and over all other cells."""
    is_blast = are_blasts(cells)
    kinds = cells["class"].where(~is_blast | cells["class"].isin(BLASTS), "promyelocyte of " + PROMYELOCYTIC)
    others = cells[~is_blast]
    found = others[others["called"] != "not found"]
    right = found["class"].map(SAME_TYPE) == found["called"]
    mature = _named(others["called"])
    mature["type_right"] = share(int(right.sum()), len(found))
    return {
        "by_class": {kind: _named(cells.loc[kinds == kind, "called"]) for kind in sorted(set(kinds))},
        "blasts": _named(cells.loc[is_blast, "called"]),
        "mature": mature,
    }


def _named(called: Iterable[str]) -> dict[str, Any]:
    names = pd.Series(list(called), dtype=object)
    found = names[names != "not found"]
    return {
        "found": share(len(found), len(names)),
        "called_blast": share(int((found == BLAST).sum()), len(found)),
        "without_a_name": share(int((found == UNCLASSIFIED).sum()), len(found)),
        "called": {str(name): int(n) for name, n in found.value_counts().sort_index().items()},
    }


def _patient(report: SlideReport, truth: pd.DataFrame) -> dict[str, Any]:
    own = truth[truth["patient"] == report.slide_id]
    percent, unnamed = report.blast_percent, report.n_unclassified / max(report.n_leukocytes, 1)
    return {
        "patient": report.slide_id,
        "disease": str(own["disease"].iloc[0]),
        "fields": int(own["image"].nunique()),
        "leukocytes": report.n_leukocytes,
        "counted": report.differential.total,
        "unclassified_percent": round(100 * unnamed, 1),
        "blast_percent": None if np.isnan(percent) else round(percent, 1),
        "flag": report.flag.state,
        "flag_tier": report.flag.tier,
    }
