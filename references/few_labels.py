"""What a few labeled cells of a laboratory teach both nets, as ``smearscan calibrate --last-layer`` does.

The patients of a laboratory that the networks have not seen are scanned as slides. Of the cells that were
found, N are drawn by chance and given their published names; both last layers and the calibration card are
fitted to them, and the cells that were not drawn are judged: those of the same slides, and those of patients
of whom nothing was labeled.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from references.unseen_leukemias import SAME_CELL_IOU, SAME_TYPE, are_blasts, lay_out, read_truth
from references.unseen_nets import TASKS, UnseenNets
from smearscan.calibration.calibrate import calibrate_to_site
from smearscan.calibration.fit import class_targets, figures, folds_of
from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.calibration.last_layer import Headless, Refit, SeenCells, refit, seen_cells
from smearscan.detection import boxes
from smearscan.differential.calibration_card import Calibration
from smearscan.errors import DatasetError
from smearscan.results import FieldFailure
from smearscan.scan.scanner import SmearScanner
from smearscan.taxonomy import BLAST
from smearscan.weights.pairs import ClassifierCard

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
LABELED = (25, 50, 100, 200)
DRAWS = 3
HALVES = (("1", "12", "21", "23", "27"), ("4", "15", "28", "32"))
"""Labels come from one half, the other is judged; each disease but the promyelocytic is in both."""
_TOLD = ("right_of_all", "unclassified", "blasts_called", "false_blasts")


def measure_few_labels(nets: UnseenNets, data: Path) -> dict[str, Any]:
    """Measure on the set ``lld`` in `data`.

    Parameters
    ----------
    nets : UnseenNets
        That have not seen it.
    data : Path
        Folder of the set: ``images/``, ``boxes.csv``.

    Returns
    -------
    dict
        ``weights``, ``cells``, ``patients``; ``same_slides`` and ``other_patients``: for each number of
        labels the figures of :func:`smearscan.calibration.fit.figures` before and after and ``blast_auroc``,
        each the mean of all draws, with the draws.
    """
    pairs = {task: Headless.read(pair) for task, pair in nets.unlike_pairs.items()}
    cards = {task: net.card for task, net in pairs.items()}
    layers = {task: net.layer for task, net in pairs.items()}
    scanner = nets.scanner
    with TemporaryDirectory() as folder:
        rows = scan_labeled(scanner, data, Path(folder))
        seen = {task: seen_cells(net, rows, Path(folder)) for task, net in pairs.items()}
    truth, patient = rows["truth"].to_numpy(str), rows["patient"].to_numpy(str)
    told: dict[str, Any] = {
        "weights": list(scanner.weights), "cells": len(rows), "patients": len(set(patient)),
        "blasts": int((truth == BLAST).sum()),
    }  # fmt: skip
    judge = partial(
        _judged, truth=truth, patient=patient, seen=seen, layers=layers, cards=cards,
        base=nets.calibration,
    )  # fmt: skip
    for way, drawn in (("same_slides", _of_all), ("other_patients", _of_half)):
        told[way] = [
            {"labeled": n, **_summary([judge(*both) for both in drawn(patient, n)])} for n in LABELED
        ]
    return told


def scan_labeled(scanner: SmearScanner, data: Path, folder: Path) -> pd.DataFrame:
    """Scan the patients of the set ``lld`` as slides, and name each cell that was found.

    Parameters
    ----------
    scanner : SmearScanner
    data : Path
        Folder of the set.
    folder : Path
        Where the patients' fields are copied to, a folder a patient.

    Returns
    -------
    DataFrame
        ``field``, box, ``um_per_px``, the probabilities, ``truth``, ``patient`` and ``disease``.

    Raises
    ------
    DatasetError
        If the set is not there, or a field cannot be read.
    """
    boxed = read_truth(data)
    boxed["truth"] = boxed["class"].map(SAME_TYPE).where(~are_blasts(boxed), BLAST)
    lay_out(boxed, data / "images", folder)
    rows: list[dict[str, Any]] = []
    for _, results in scanner.scan_slides(folder):
        for result in results:
            if isinstance(result, FieldFailure):
                raise DatasetError(result.reason)
            assert result.path is not None
            own = boxed[boxed["image"] == result.path.name]
            overlap = boxes.iou(own[["x0", "y0", "x1", "y1"]].to_numpy(np.float32), result.detections.xyxy)
            for row, cell in _pairs(overlap):
                box = dict(zip(("x0", "y0", "x1", "y1"), result.detections.xyxy[cell].tolist(), strict=True))
                told = {name: own[name].iloc[row] for name in ("truth", "patient", "disease")}
                field = result.path.relative_to(folder).as_posix()
                probs = zip(result.classes, result.probs[cell].tolist(), strict=True)
                told |= {f"p_{name}": p for name, p in probs}
                told["blast_probability"] = float(result.blast_probs[cell])
                rows.append({"field": field, "um_per_px": result.scale.um_per_px, **box, **told})
    return pd.DataFrame(rows)


def _pairs(overlap: NDArray[np.floating]) -> Iterator[tuple[int, int]]:
    """Pair true boxes with the detections on them."""
    for row in range(len(overlap)):
        if overlap.shape[1] and overlap[row].max() >= SAME_CELL_IOU:
            yield row, int(overlap[row].argmax())


def _of_all(patient: NDArray[np.str_], n: int) -> Iterator[tuple[Rows, Rows]]:
    for draw in range(DRAWS):
        order = np.random.default_rng(draw).permutation(len(patient))
        yield order[:n], order[n:]


def _of_half(patient: NDArray[np.str_], n: int) -> Iterator[tuple[Rows, Rows]]:
    for half, other in (HALVES, HALVES[::-1]):
        for draw in range(DRAWS):
            pool = np.random.default_rng(draw).permutation(np.flatnonzero(np.isin(patient, half)))
            yield pool[:n], np.flatnonzero(np.isin(patient, other))


def _judged(
    taught: Rows, judged: Rows, truth: NDArray[np.str_], patient: NDArray[np.str_],
    seen: dict[str, SeenCells], layers: dict[str, Floats], cards: dict[str, ClassifierCard],
    base: Calibration,
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Figures of the judged cells before and after both layers and the card are fitted to the taught ones."""
    folds = list(folds_of(patient[taught], 5))
    fitted: dict[str, Refit] = {}
    for task in TASKS:
        target = class_targets(task, truth[taught], cards[task].classes)
        fitted[task] = refit(seen[task][taught], target, layers[task], folds)

    def cells(rows: Rows, probs: dict[str, Floats]) -> LabeledCells:
        of_blast = probs["blast"][:, cards["blast"].classes.index(BLAST)]
        asked = np.ones(len(rows), bool)
        return LabeledCells(truth[rows], patient[rows], patient[rows], probs["differential"], of_blast, asked)

    known = cells(taught, {task: fitted[task].probs for task in TASKS})
    old = cells(judged, {task: softmax(seen[task][judged].logits(layers[task]), axis=1) for task in TASKS})
    new = cells(
        judged, {task: softmax(seen[task][judged].logits(fitted[task].layer), axis=1) for task in TASKS}
    )
    made = calibrate_to_site("site", base, known, cards, new, TASKS)
    return {"before": _plain(figures(old, base, cards), old), "after": _plain(made.figures["after"], new)}


def _plain(told: dict[str, Any], cells: LabeledCells) -> dict[str, float]:
    found = {name: float(told[name]["value"]) for name in _TOLD}
    return {**found, "blast_auroc": float(roc_auc_score(cells.truth == BLAST, cells.blast_probs))}


def _summary(draws: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Mean, least and greatest of each figure over the draws."""
    return {
        when: {
            name: {"value": round(float(np.mean(seen)), 4), "draws": [round(v, 4) for v in seen]}
            for name in draws[0][when]
            for seen in [[draw[when][name] for draw in draws]]
        }
        for when in ("before", "after")
    }


def few_labels_table(told: dict[str, Any]) -> str:
    """Write the figures as a Markdown table."""
    lines = [
        f"{told['cells']} cells ({told['blasts']} blasts and equivalents) of {told['patients']} patients of "
        f"one laboratory that the nets have not seen (`{told['weights'][1]}`, `{told['weights'][2]}`), "
        "found by the scan. Mean of the draws (least to greatest); a cell without a name counts as wrong.",
        "",
        "| labeled | judged | named right | without a name | blasts called | false blasts | blasts' AUROC |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for way, words in (
        ("same_slides", "the other cells of these slides"),
        ("other_patients", "other patients"),
    ):
        lines.append(_line("none", words, told[way][0]["before"]))
        lines += [_line(str(row["labeled"]), words, row["after"]) for row in told[way]]
    return "\n".join([*lines, ""])


def _line(labeled: str, words: str, row: dict[str, Any]) -> str:
    shown = [
        f"{row[name]['value']:.3f} ({min(row[name]['draws']):.3f} to {max(row[name]['draws']):.3f})"
        for name in (*_TOLD, "blast_auroc")
    ]
    return f"| {labeled} | {words} | {' | '.join(shown)} |"
