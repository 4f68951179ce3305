"""Training of stage two: fine-tunes a backbone on single cells cut by the scanning crop function."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from smearscan import __version__, backbones
from smearscan.crops import BACKGROUND
from smearscan.errors import DatasetError
from smearscan.runtime.engine import FromPixels, TorchEngine
from smearscan.statistics.scaling import fit_temperature
from smearscan.taxonomy import (
    BLAST,
    BLAST_CLASSES,
    BLAST_SYNONYMS,
    DIFFERENTIAL_CLASSES,
    DIFFERENTIAL_SYNONYMS,
)
from smearscan.training.cells import load_crops, with_targets
from smearscan.training.config import ClassifierTraining
from smearscan.training.loop import Averaged, Checkpoint, Curves, learning_rate, precision
from smearscan.training.stain import recolored, restained
from smearscan.weights import ClassifierCard, save_weights

ROOM = 1.42
"""Cells are kept with this much surroundings (a square's diagonal), so that turning needs no filling."""

Report = Callable[[dict[str, float]], None]


class Cells(IterableDataset[tuple[NDArray[np.uint8], int]]):
    """Endless, seeded, augmented crops."""

    def __init__(
        self, windows: NDArray[np.uint8], table: pd.DataFrame, config: ClassifierTraining, seed: int
    ) -> None:
        self._windows, self._config, self._seed = windows, config, seed
        self._target = table["target"].to_numpy()
        self._share = _shares(table, config)

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], int]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        while True:
            for i in rng.choice(len(self._target), 1024, p=self._share):
                yield augmented(self._windows[i], self._config.crop_px, rng), int(self._target[i])


def _shares(table: pd.DataFrame, config: ClassifierTraining) -> NDArray[np.float64]:
    """Chance of each cell: a site by weight and the root of its size; in it a class by the root of its."""
    n = table.groupby(["site", "target"])["image"].transform("size").to_numpy(np.float64)
    share = 1 / np.sqrt(n)
    site = table["site"].to_numpy()
    for name in np.unique(site):
        own = site == name
        share[own] *= config.site_weights.get(str(name), 1.0) * np.sqrt(own.sum()) / share[own].sum()
    return np.asarray(share / share.sum(), np.float64)


def augmented(window: NDArray[np.uint8], crop_px: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn, mirror, shift, resize, recolor and blur a window with room around it to a training crop."""
    side = window.shape[0]
    # shift of the box: detectors do not center as truth does
    shift = rng.normal(0, 0.03 * crop_px, 2)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(0, 360), 2.0 ** rng.normal(0, 0.15))
    turn[:, 2] += crop_px / 2 - side / 2 + shift
    fill = (BACKGROUND, BACKGROUND, BACKGROUND)
    crop = cv2.warpAffine(window, turn, (crop_px, crop_px), flags=cv2.INTER_LINEAR, borderValue=fill)
    if rng.random() < 0.5:
        crop = np.ascontiguousarray(crop[:, ::-1])
    if rng.random() < 0.25:  # a camera of fewer pixels a cell
        small = int(crop_px * rng.uniform(0.35, 0.9))
        crop = cv2.resize(cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA), (crop_px, crop_px))
    if rng.random() < 0.5:
        crop = restained(np.asarray(crop, np.uint8), rng)
    return recolored(np.asarray(crop, np.uint8), rng)


def collate(batch: list[tuple[NDArray[np.uint8], int]]) -> tuple[Tensor, Tensor]:
    """Join crops to (B, S, S, 3) uint8 and (B,) int64."""
    return torch.from_numpy(np.stack([crop for crop, _ in batch])), torch.tensor(
        [target for _, target in batch]
    )


def prepared(table: pd.DataFrame, config: ClassifierTraining) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Choose the sites, give every cell its target, and name the classes.

    Raises
    ------
    DatasetError
        If a class name is not known, or nothing is left.
    """
    if config.sites:
        table = table[table["site"].isin(config.sites)]
    table = table[~table["site"].isin(config.exclude_sites)]
    known = {"blast": BLAST_SYNONYMS, "differential": DIFFERENTIAL_SYNONYMS, "custom": {}}[config.task]
    named = {"blast": BLAST_CLASSES, "differential": DIFFERENTIAL_CLASSES, "custom": ()}[config.task]
    classes = config.classes or named or tuple(sorted(table["class"].unique()))
    table = with_targets(table, tuple(classes), {**known, **config.synonyms})
    if table.empty:
        raise DatasetError("no cell is left for training; check 'sites', 'exclude_sites' and 'synonyms'")
    return table, tuple(classes)


def fit(
    config: ClassifierTraining, cells: pd.DataFrame, n_classes: int, windows: NDArray[np.uint8],
    start: Path | None, out: Path, report: Report,
) -> nn.Module:  # fmt: skip
    """Train a network on cells with their windows; resumes from ``out/checkpoint.pt``."""
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = backbones.build(config.architecture, n_classes)
    if start is not None:
        backbones.start_from(model, start)
    network = FromPixels(model, backbones.IMAGENET_MEAN, backbones.IMAGENET_STD)
    averaged = Averaged(model)
    head = [p for n, p in model.named_parameters() if n.startswith("head.")]
    body = [p for n, p in model.named_parameters() if not n.startswith("head.")]
    optimizer = torch.optim.AdamW(
        [{"params": head, "factor": 3.0}, {"params": body, "factor": 1.0}],
        lr=1.0,
        weight_decay=config.weight_decay,
    )
    checkpoint = Checkpoint(out / "checkpoint.pt", config.model_dump_json() + str(len(cells)))
    curves = Curves(out / "curves.csv")
    steps = max(1, config.epoch_cells // config.batch)
    first = 0
    if state := checkpoint.load():
        first = state["epoch"]
        model.load_state_dict(state["model"])
        averaged.model.load_state_dict(state["averaged"])
        averaged.updates = state["updates"]
        optimizer.load_state_dict(state["optimizer"])
        curves.rows = state["curves"]
    for epoch in range(first, config.epochs):
        began, total = time.monotonic(), 0.0
        stream = Cells(windows, cells, config, config.seed * 1000 + epoch)
        loader = iter(DataLoader(stream, config.batch, collate_fn=collate, num_workers=1, prefetch_factor=4))
        network.train()
        if start is not None:  # from random weights there are no statistics worth holding
            backbones.hold_normalization(model.modules())
        for step in range(steps):
            crops, targets = next(loader)
            at = learning_rate(epoch * steps + step, config.epochs * steps, config.warmup_steps)
            for group in optimizer.param_groups:
                group["lr"] = config.learning_rate * group["factor"] * at
            with precision():
                logits = network(crops)
            loss = nn.functional.cross_entropy(
                logits.float(), targets, label_smoothing=config.label_smoothing
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            averaged.update(model)
            total += float(loss.detach())
        curves.add(epoch=epoch + 1, loss=total / steps, seconds=time.monotonic() - began)
        checkpoint.save(
            epoch=epoch + 1, model=model.state_dict(), averaged=averaged.model.state_dict(),
            updates=averaged.updates, optimizer=optimizer.state_dict(), curves=curves.rows,
        )  # fmt: skip
        report(curves.rows[-1])
    curves.draw()
    return averaged.model


def logits_of(model: nn.Module, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logits (N, K) of crops (N, S, S, 3) uint8."""
    whole = FromPixels(model, backbones.IMAGENET_MEAN, backbones.IMAGENET_STD)
    return TorchEngine(whole, torch.device("cpu"), 64).run(crops)


def threshold_at(specificity: float, healthy_probs: NDArray[np.floating]) -> float:
    """Smallest probability limit that keeps at least this share of healthy cells unflagged."""
    limit = np.quantile(healthy_probs, specificity, method="higher")
    return float(np.nextafter(np.float32(limit), np.float32(1)))


def train(
    config: ClassifierTraining, table: pd.DataFrame, root: Path, start: Path | None, out: Path, report: Report
) -> ClassifierCard:
    """Train, calibrate on the validation cells and write the pair ``out/NAME.safetensors`` + ``.yaml``.

    Parameters
    ----------
    config : ClassifierTraining
    table : DataFrame
        A manifest whose cells are located (see :func:`smearscan.training.cells.locate`) with ``split``.
    root : Path
        What ``image`` is relative to.
    start : Path or None
        Safetensors file of a pretrained backbone.
    out : Path
        Folder for checkpoint, curves and the pair.
    report : callable
        Called with each epoch's figures.

    Returns
    -------
    ClassifierCard
    """
    table, classes = prepared(table, config)
    train_cells = table[table["split"] == "train"].reset_index(drop=True)
    val_cells = table[table["split"] == "val"].reset_index(drop=True)
    if train_cells.empty or val_cells.empty:
        raise DatasetError("both the train and the val split need cells; see the manifest's column 'split'")
    room_px = round(ROOM * config.crop_px)
    windows = load_crops(train_cells, root, ROOM * config.crop_um, room_px)
    model = fit(config, train_cells, len(classes), windows, start, out, report)
    card = calibrated_card(
        config, classes, model, val_cells, load_crops(val_cells, root, config.crop_um, config.crop_px)
    )
    training = {
        "command": "smearscan train classifier",
        "config": config.model_dump(mode="json", exclude_defaults=True),
        "start": start.name if start else "random",
        "data": {
            f"{site}/{split}": {"cells": len(rows), "groups": int(rows["group"].nunique())}
            for (site, split), rows in table.groupby(["site", "split"])
        },
    }
    signed = save_weights(
        out / f"{config.name}.safetensors", card.model_copy(update={"training": training}), model.state_dict()
    )
    Checkpoint(out / "checkpoint.pt", "").remove()
    return signed


def calibrated_card(
    config: ClassifierTraining, classes: tuple[str, ...], model: nn.Module,
    val_cells: pd.DataFrame, val_crops: NDArray[np.uint8],
) -> ClassifierCard:  # fmt: skip
    """Fit temperature and threshold on validation cells and describe the net."""
    target = val_cells["target"].to_numpy()
    logits = logits_of(model, val_crops)
    temperature = fit_temperature(logits, target)
    probs = softmax(logits / temperature, axis=1)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (target, probs.argmax(axis=1)), 1)
    threshold = 0.5
    if BLAST in classes and len(classes) == 2:
        blast = classes.index(BLAST)
        threshold = threshold_at(config.target_specificity, probs[target != blast, blast])
    return ClassifierCard(
        name=config.name,
        task=config.task,
        architecture=config.architecture,
        classes=classes,
        smearscan_version=__version__,
        crop_um=config.crop_um,
        crop_px=config.crop_px,
        mean=backbones.IMAGENET_MEAN,
        std=backbones.IMAGENET_STD,
        temperature=temperature,
        threshold=threshold,
        unclassified_below=config.unclassified_below if config.task != "blast" else 0.0,
        confusion=confusion.tolist(),
        limits=config.limits,
    )
