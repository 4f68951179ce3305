"""The classifiers in whole numbers of 8 bits: NNCF's post-training quantization, judged on validation cells.

NNCF is no dependency of smearscan: ``pip install nncf`` to measure it again.
"""

import importlib.util
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.special import softmax

from benchmarks.accuracy import short, validation_cells
from smearscan.classification import classifier
from smearscan.experiments.scores import figures
from smearscan.runtime.engine import make
from smearscan.runtime.openvino_engine import OpenVinoEngine, blob_of, to_openvino
from smearscan.training.cells import load_crops, read_manifest
from smearscan.weights.pairs import shipped

_CALIBRATION = 300
_CELLS_A_SITE = 120


def int8(quick: bool, data: Path | None, cells: Path) -> dict[str, Any]:
    """Quantize both classifiers with training crops; tell accuracy, distance from torch and time."""
    if data is None or not cells.is_file() or importlib.util.find_spec("nncf") is None:
        return {}
    return {task: _one(task, quick, data, cells) for task in ("differential", "blast")}


def _one(task: str, quick: bool, data: Path, cells: Path) -> dict[str, Any]:
    card, plan = classifier.network_spec(shipped(task))
    table = (
        read_manifest(cells).query("split == 'train'").sample(20 if quick else _CALIBRATION, random_state=0)
    )
    known = load_crops(table, data, card.crop_um, card.crop_px)
    held_out = validation_cells(card, task, data, cells, 10 if quick else _CELLS_A_SITE)
    crops = load_crops(held_out, data, card.crop_um, card.crop_px)
    made = {
        "torch f32": make(plan, "cpu", "torch", "f32").engine,
        "openvino f32": make(plan, "cpu", "openvino", "f32").engine,
        "openvino bf16": make(plan, "cpu", "openvino", "bf16").engine,
        "openvino int8": OpenVinoEngine(_quantized(plan, known), plan.batch, "f32"),
    }
    probs = {name: softmax(net.run(crops) / card.temperature, axis=1) for name, net in made.items()}
    base = probs["torch f32"]
    told = {}
    for name, net in made.items():
        apart = np.abs(probs[name] - base).max(axis=1)
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            net.run(crops[:64])
            seconds.append(time.perf_counter() - began)
        told[name] = {
            "ms_a_crop": round(1000 * median(seconds) / len(crops[:64]), 3),
            "probability_apart": round(float(apart.max()), 4),
            "probability_apart_95": round(float(np.percentile(apart, 95)), 4),
            "other_name": int((probs[name].argmax(axis=1) != base.argmax(axis=1)).sum()),
            **short(figures(probs[name].astype(np.float32), held_out, card.classes, card.threshold)),
        }
    return {"cells": len(held_out), "calibration_crops": len(known), "engines": told}


def _quantized(plan: Any, crops: Any) -> bytes:
    import nncf

    model = to_openvino(plan.build(), plan, plan.batch)
    whole = len(crops) // plan.batch * plan.batch
    batches = [crops[i : i + plan.batch] for i in range(0, whole, plan.batch)]
    smaller = nncf.quantize(model, nncf.Dataset(batches), preset=nncf.QuantizationPreset.MIXED)
    return blob_of(smaller, "f32")
