"""Made-up naming errors, labeled cells and cards: what the statistics of a slide are tested on."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.differential.calibration_card import Calibration
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.taxonomy import BLAST
from smearscan.weights.pairs import ClassifierCard, save_weights

Counts = NDArray[np.int64]

KINDS = ("neutrophil", "monocyte", "smudge_cell")
"""Of the made-up differential net: two leukocytes and one that is outside the denominator."""
CLASSES = (*KINDS, BLAST)
COUNTED = ("neutrophil", "monocyte", BLAST)

SHARES = np.array(
    [
        [0.96, 0.02, 0.00, 0.01, 0.01],
        [0.06, 0.88, 0.00, 0.05, 0.01],
        [0.03, 0.02, 0.91, 0.02, 0.02],
        [0.02, 0.06, 0.00, 0.90, 0.02],
    ]
)
"""What a neutrophil, a monocyte, a smudge cell, a blast are called; the last column is ``unclassified``."""


def errors(
    shares: NDArray[np.float64] = SHARES,
    labeled: int = 2000,
    spread: float = 0.0,
    groups: int = 40,
    classes: tuple[str, ...] = CLASSES,
    found: Counts | None = None,
    variation: float = 0.0,
) -> MisclassificationModel:
    """Make naming errors of `labeled` cells a class, evenly from `groups` slides."""
    t = len(classes)
    return MisclassificationModel(
        classes,
        np.rint(labeled * shares).astype(np.int64),
        np.full(t, spread),
        np.full(t, groups),
        np.full(t, 1 / groups),
        np.zeros((t, 2), np.int64) if found is None else found,
        variation,
        variation,
        np.zeros((t, t + 1), np.int64),
    )


def perfect(labeled: int = 10_000_000, classes: tuple[str, ...] = CLASSES) -> MisclassificationModel:
    """Make naming errors of a net that never errs, on so many cells that this is beyond doubt."""
    t = len(classes)
    return errors(np.eye(t, t + 1), labeled, groups=labeled, classes=classes)


def net_card(task: str, classes: tuple[str, ...], **more: object) -> ClassifierCard:
    return ClassifierCard(
        name=task, task=task, classes=classes, crop_um=20, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2),
        **{"architecture": "none", "crop_px": 32, "sha256": task[0] * 64, **more},
    )  # fmt: skip


def cards() -> dict[str, ClassifierCard]:
    """Cards of the made-up pair of nets."""
    return {
        "blast": net_card("blast", ("healthy", BLAST), threshold=0.6),
        "differential": net_card("differential", KINDS, unclassified_below=0.4),
    }


def saved_pairs(folder: Path) -> dict[str, Path]:
    """Write both cards with tiny weights, as pairs that can be given to a command."""
    paths = {task: folder / f"{task}.safetensors" for task in ("blast", "differential")}
    for task, card in cards().items():
        save_weights(paths[task], card, {"w": torch.full((2,), float(len(task)))})
    return paths


def calibration(own: MisclassificationModel | None = None, **more: object) -> Calibration:
    """Make a card of the made-up pair of nets."""
    own = own or errors()
    networks = {task: card.sha256 for task, card in cards().items()}
    shapes = {"confusion": own.counts.tolist(), "spread": own.icc.tolist(), "groups": own.groups.tolist()}
    shapes |= {"pairs": own.group_concentration.tolist(), "found": own.detector_recall.tolist()}
    shapes |= {"variation": own.overdispersion, "variation_high": own.overdispersion_high}
    shapes |= {"site_confusion": own.site.tolist() if own.site.any() else []}
    return Calibration(**{"name": "made-up", "networks": networks, "classes": own.classes, **shapes, **more})


def labeled(
    n: int, seed: int = 0, slides: int = 12, skill: float = 3.0, kinds: tuple[str, ...] = CLASSES
) -> LabeledCells:
    """Draw labeled cells with honest probabilities: truth follows what the made-up nets state."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, skill, (n, len(KINDS)))
    probs = np.exp(logits - logits.max(axis=1, keepdims=True))
    probs /= probs.sum(axis=1, keepdims=True)
    sure = rng.normal(-2, skill, n)
    blast = 1 / (1 + np.exp(-sure))
    drawn = (probs.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    truth = np.where(rng.random(n) < blast, BLAST, np.array(KINDS)[drawn])
    group = np.array([f"slide {g}" for g in rng.integers(slides, size=n)])
    cells = LabeledCells(truth, group, np.full(n, "here"), probs, blast, np.zeros(n, bool))
    return cells.where(np.isin(truth, kinds))


def written(cells: LabeledCells, path: Path) -> Path:
    """Write cells as the table that a user labels: a line each, empty numbers where none was found."""
    lines = ["slide,truth,blast_probability," + ",".join(f"p_{name}" for name in KINDS)]
    for i in range(len(cells)):
        numbers = [cells.blast_probs[i], *cells.probs[i]]
        told = ",".join("" if np.isnan(v) else f"{v:.5g}" for v in numbers)
        lines.append(f"{cells.group[i]},{cells.truth[i]},{told}")
    path.write_text("\n".join(lines) + "\n")
    return path
