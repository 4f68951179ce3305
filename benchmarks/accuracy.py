"""Accuracy against cost on validation data: the working scale of the detector, the pixels of a crop."""

import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.fields import SMALL, slide
from smearscan.classification.classifier import Classifier
from smearscan.detection.detector import Detector
from smearscan.experiments.measure_classifier import measure_cells
from smearscan.experiments.measure_detector import measure_fields
from smearscan.io.decode import read_image
from smearscan.results import Scale
from smearscan.training.annotated_fields import BoxedImage, read_site
from smearscan.training.cells import read_cells
from smearscan.training.config import ClassifierTraining, DetectorTraining, load_config
from smearscan.training.train_classifier import prepared
from smearscan.weights.pairs import ClassifierCard, shipped_folder

WORKING_PX = (18, 21, 24, 28, 32)
CROP_PX = (56, 64, 80, 96, 112)
_CELLS_A_SITE = 80


def fields_of_sites(data: Path, split: str, most: int | None = None) -> dict[str, list[BoxedImage]]:
    """Fields of a split of every site with boxes, evenly spread if there are to be fewer."""
    config = load_config(shipped_folder("configs") / "detector.yaml", DetectorTraining)
    found = {}
    for site in config.sites:
        if not (data / site.images).is_dir():
            continue
        items = read_site(site, data, split)
        chosen = np.linspace(0, len(items) - 1, min(most or len(items), len(items))).round().astype(int)
        found[site.name] = [items[i] for i in chosen]
    return found


def working_scale(quick: bool, data: Path | None) -> dict[str, Any]:
    """Measure the shipped detector at other working scales, given the true scale of each field.

    The net has learned red cells of 32 px, within an octave up and down; it is not trained anew.
    """
    finder = Detector.load(engine="openvino")
    sites = fields_of_sites(data, "val", 6 if quick else None) if data else {}
    field = read_image(sorted(slide(SMALL, 1).rglob("*.jpg"))[0])
    told: dict[str, Any] = {}
    for px in WORKING_PX:
        own = Detector(finder.engine, finder.card.model_copy(update={"working_red_cell_px": float(px)}))
        told[str(px)] = {
            "ms_a_field": _ms(own, field, 3 if quick else 25),
            "sites": {name: measure_fields(own, items, known_scale=True) for name, items in sites.items()},
        }
    return told


def _ms(finder: Detector, field: Any, rounds: int) -> float:
    """Median ms of one field after the other, resizing and suppression included: one core's work."""
    seconds = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        finder.detect(field, Scale(SMALL.um_per_px, "given"))
        seconds.append(time.perf_counter() - began)
    return round(1000 * median(seconds[1:]), 3)


def crop_pixels(quick: bool, data: Path | None, cells: Path) -> dict[str, Any]:
    """Measure the shipped classifiers on crops of more and fewer pixels, as wide on the slide as ever."""
    if data is None or not cells.is_file():
        return {}
    told: dict[str, Any] = {}
    for task in ("differential", "blast"):
        net = Classifier.shipped(task, engine="openvino")
        table = validation_cells(net.card, task, data, cells, 10 if quick else _CELLS_A_SITE)
        for px in (64, 80) if quick else CROP_PX:
            own = Classifier(net.engine, net.card.model_copy(update={"crop_px": px}))
            figures = measure_cells(own, table, data)
            crops = np.zeros((64, px, px, 3), np.uint8)
            began = time.perf_counter()
            for _ in range(5):
                own.engine.run(crops)
            ms = 1000 * (time.perf_counter() - began) / (5 * len(crops))
            told.setdefault(task, {})[str(px)] = {
                "ms_a_crop": round(ms, 3),
                "sites": {site: short(own) for site, own in figures.items()},
            }
    return told


def short(figures: dict[str, Any]) -> dict[str, Any]:
    """Keep number of cells, accuracy and area under the curve, these with interval."""
    kept = {
        name: [figures[name]["value"], *(figures[name]["interval_95"] or ())]
        for name in ("accuracy", "auroc")
    }
    return {"cells": figures["cells"], **kept}


def validation_cells(card: ClassifierCard, task: str, data: Path, cells: Path, most: int) -> Any:
    """Validation cells of every site with a target among the classes of a card, so many a site at most."""
    config = load_config(shipped_folder("configs") / f"{task}.yaml", ClassifierTraining)
    table, _ = prepared(
        read_cells(cells, data, None, None, config.seed), config.model_copy(update={"classes": card.classes})
    )
    table = table[table["split"] == "val"]
    parts = [rows.sample(min(most, len(rows)), random_state=0) for _, rows in table.groupby("site")]
    return table.loc[sorted(i for part in parts for i in part.index)].reset_index(drop=True)
