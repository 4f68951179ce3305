"""Run an exported classifier by hand, with the answers of a scan.

    smearscan run SLIDES --out report.csv --cells cells.csv
    smearscan weights export --task blast --format onnx --out blast.onnx
    python examples/onnx_by_hand.py blast.onnx SLIDES cells.csv

This is the whole recipe: how crops are cut, and how logits become probabilities. The trees beside a
network, which go by a cell's measured form, are not in the exported file: smearscan is asked what they add,
and it is named at one place below. Fields are plain 8 bit color
pictures that lie as they are shown (no EXIF rotation); the network's card keeps the background and the scan's
calibration card does not change probabilities. All of that holds for the shipped networks.
"""

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pandas as pd
import yaml

GRAY = 235  # what a field's background is brought to, and what lies beyond its border


def crops_of(image: np.ndarray, cells: pd.DataFrame, crop_um: float, crop_px: int) -> np.ndarray:
    """Cut a square around each cell's box, (N, S, S, 3) uint8, from a field (H, W, 3) uint8 RGB."""
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / 100_000)))
    bright = np.percentile(image[::step, ::step].reshape(-1, 3), 90, axis=0)
    light = np.clip(image * np.clip(GRAY / bright, 0.6, 2.5), 0, 255).astype(np.uint8)
    side = max(2, round(crop_um / float(cells["um_per_px"].iloc[0])))
    padded = np.pad(light, ((side, side), (side, side), (0, 0)), constant_values=GRAY)
    way = cv2.INTER_AREA if side > crop_px else cv2.INTER_LINEAR
    crops = []
    for x0, y0, x1, y1 in cells[["x0", "y0", "x1", "y1"]].to_numpy(float):
        left, top = round((x0 + x1) / 2 - side / 2) + side, round((y0 + y1) / 2 - side / 2) + side
        crops.append(
            cv2.resize(padded[top : top + side, left : left + side], (crop_px, crop_px), interpolation=way)
        )
    return np.stack(crops)


def of_trees(card: dict[str, Any], crops: np.ndarray) -> np.ndarray:
    """Logits that a shipped pair's trees add to its network's, (N, K); zeros where the card tells of none."""
    if not card.get("trees"):
        return np.zeros((len(crops), len(card["classes"])))
    from smearscan.classification.classifier import Pair
    from smearscan.classification.crops import Geometry
    from smearscan.classification.morphometry import measure
    from smearscan.weights import shipped

    form = measure(crops, Geometry(card["crop_um"], card["crop_px"]))
    return card["trees"] * Pair.read(shipped(card["name"])).trees.scores(form)


def probabilities(model: Path, slides: Path, table: Path) -> pd.DataFrame:
    """Name every cell of a table again; columns ``scan`` and ``by_hand`` hold its probability of blast."""
    card = yaml.safe_load(model.with_name(f"{model.name}.yaml").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = []
    for field, cells in pd.read_csv(table).groupby("field"):
        image = cv2.cvtColor(cv2.imread(str(slides / str(field))), cv2.COLOR_BGR2RGB)
        crops = crops_of(image, cells, card["crop_um"], card["crop_px"])
        logits = session.run(None, {session.get_inputs()[0].name: crops})[0]
        logits = (logits + of_trees(card, crops)) / card["temperature"]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        blast = (odds / odds.sum(axis=1, keepdims=True))[:, card["classes"].index("blast")]
        rows.append(cells.assign(scan=cells["blast_probability"], by_hand=blast))
    return pd.concat(rows)[["field", "id", "scan", "by_hand"]]


if __name__ == "__main__":
    found = probabilities(*(Path(argument) for argument in sys.argv[1:4]))
    print(found.to_string(index=False))
    print(f"largest difference: {(found['scan'] - found['by_hand']).abs().max():.4f}")
