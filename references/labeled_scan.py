"""What a scan says of leukemia patients after a hundred cells of their laboratory were labeled.

Both nets' last layers and a calibration card are fitted to cells drawn by chance, as ``smearscan calibrate
--last-layer`` does, and the patients are scanned with them: those whose cells were labeled, and those of whom
nothing was.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from references.few_labels import DRAWS, HALVES, scan_labeled
from references.unseen_nets import UnseenNets
from smearscan.calibration.calibrate import calibrate_to_site
from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.calibration.last_layer import with_new_layers
from smearscan.differential.calibration_card import save_calibration
from smearscan.differential.slide_report import SlideReport
from smearscan.io import find_slides
from smearscan.scan.scanner import SmearScanner
from smearscan.weights.pairs import ClassifierCard, load_card

LABELED = 100
ACUTE = ("ALL", "AML", "APML")
Patients = tuple[str, ...]


def measure_labeled_scans(nets: UnseenNets, data: Path) -> dict[str, Any]:
    """Measure on the set ``lld`` in `data`, with nets that have not seen it.

    Returns
    -------
    dict
        ``labeled``; ``before``: of each patient ``disease, flag, blast_percent, unclassified_percent,
        suspects`` by these networks; ``same_slides`` and ``other_patients``: the same for each draw.
    """
    with TemporaryDirectory() as place:
        folder, work = Path(place, "slides"), Path(place, "nets")
        folder.mkdir()
        rows = scan_labeled(nets.scanner, data, folder)
        everyone = tuple(sorted(rows["patient"].unique()))
        told: dict[str, Any] = {
            "labeled": LABELED,
            "before": _patients(nets.scanner, folder, everyone, rows),
        }
        for way, pairs in (
            ("same_slides", ((everyone, everyone),)),
            ("other_patients", (HALVES, HALVES[::-1])),
        ):
            told[way] = [
                [
                    patient
                    for labeled, read in pairs
                    for patient in _after(
                        nets, rows, folder, work / f"{way}{draw}{labeled[0]}", labeled, read, draw
                    )
                ]
                for draw in range(DRAWS)
            ]
    return told


def _after(
    nets: UnseenNets,
    rows: pd.DataFrame,
    folder: Path,
    out: Path,
    labeled: Patients,
    read: Patients,
    draw: int,
) -> list[dict[str, Any]]:
    """Fit to cells of some patients and scan others."""
    pool = np.flatnonzero(rows["patient"].isin(labeled))
    taught = rows.iloc[np.random.default_rng(draw).permutation(pool)[:LABELED]].reset_index(drop=True)
    pairs, base = nets.unlike_pairs, nets.calibration
    cards = {task: load_card(path, ClassifierCard) for task, path in pairs.items()}
    told, base, cells, cards = with_new_layers(taught, folder, pairs, out, base, _cells(taught, cards), cards)
    made = calibrate_to_site("site", base, cells, cards, refitted=told["pairs"])
    save_calibration(out / "site.yaml", made.card)
    new = {task: out / f"{name}.safetensors" for task, name in told["pairs"].items()}
    scanner = SmearScanner(calibration=out / "site.yaml", **{**pairs, **new})
    return _patients(scanner, folder, read, rows)


def _cells(rows: pd.DataFrame, cards: dict[str, ClassifierCard]) -> LabeledCells:
    patient = rows["patient"].to_numpy(str)
    probs = rows[[f"p_{name}" for name in cards["differential"].classes]].to_numpy(np.float64)
    asked: NDArray[np.bool_] = np.ones(len(rows), bool)
    blast = rows["blast_probability"].to_numpy(np.float64)
    return LabeledCells(rows["truth"].to_numpy(str), patient, patient, probs, blast, asked)


def _patients(
    scanner: SmearScanner, folder: Path, read: Patients, rows: pd.DataFrame
) -> list[dict[str, Any]]:
    disease = rows.groupby("patient")["disease"].first()
    reports = [scanner.scan_slide(slide)[0] for slide in find_slides(folder) if slide.slide_id in read]
    return [{"patient": r.slide_id, "disease": str(disease[r.slide_id]), **_told(r)} for r in reports]


def _told(report: SlideReport) -> dict[str, Any]:
    unnamed = report.n_unclassified / max(report.n_leukocytes, 1)
    return {
        "flag": report.flag.state,
        "blast_percent": round(float(report.blast_percent), 1),
        "unclassified_percent": round(100 * unnamed, 1),
        "suspects": [suspect.name for suspect in report.suspects],
    }


def labeled_scans_table(told: dict[str, Any]) -> str:
    """Write the flags as a Markdown table."""
    lines = [
        "| scanned | acute leukemias flagged | chronic ones flagged | CLL with a suspicion |",
        "|---|---|---|---|",
        _line("nothing labeled", [told["before"]]),
        _line(f"{told['labeled']} cells of these slides labeled", told["same_slides"]),
        _line(f"{told['labeled']} cells of other patients labeled", told["other_patients"]),
    ]
    return "\n".join([*lines, ""])


def _line(words: str, draws: list[list[dict[str, Any]]]) -> str:
    return f"| {words} | {' | '.join(_counts(draws))} |"


def _counts(draws: list[list[dict[str, Any]]]) -> Iterator[str]:
    kinds = ((ACUTE, "flag"), (("CLL", "CML"), "flag"), (("CLL",), "suspects"))
    for diseases, what in kinds:
        hits = []
        for draw in draws:
            own = [p for p in draw if p["disease"] in diseases]
            hits.append(sum(p["flag"] == "flagged" if what == "flag" else bool(p["suspects"]) for p in own))
        yield f"{', '.join(map(str, hits))} of {len(own)}"
