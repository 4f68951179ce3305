"""Training of stage two: fine-tunes a backbone on single cells cut by the scanning crop function."""

import hashlib
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smearscan import __version__
from smearscan.classification import backbones
from smearscan.classification.boosted_trees import BoostedTrees
from smearscan.classification.classifier import apply_background
from smearscan.classification.crops import Geometry
from smearscan.classification.morphometry import measure
from smearscan.differential.statistics.intervals import exact_interval
from smearscan.differential.statistics.scaling import fit_temperature
from smearscan.errors import DatasetError
from smearscan.runtime.torch_engine import FromPixels, TorchEngine
from smearscan.taxonomy import BLAST, BLAST_CLASSES, DIFFERENTIAL_CLASSES, FINE_CLASSES, HEALTHY
from smearscan.taxonomy.cell_names import BLAST_SYNONYMS, DIFFERENTIAL_SYNONYMS, FINE_SYNONYMS
from smearscan.training import fine_tuning
from smearscan.training.batches import Batches, crop_batches, feature_batches, middle_of, with_gains
from smearscan.training.boosting import fit_trees
from smearscan.training.cells import ROOM, load_crops, with_targets
from smearscan.training.config import ClassifierTraining
from smearscan.training.first_try import classifier_schedule, fingerprint, finished
from smearscan.training.loop import Checkpoint, Run, learning_rate, loaders, precision
from smearscan.training.packed import is_pack
from smearscan.training.partial import allowed_classes, partial_loss, summed_targets
from smearscan.weights.pairs import ClassifierCard, save_weights

Report = Callable[[dict[str, float]], None]
CPU: Final = torch.device("cpu")

_VOCABULARY: Final[dict[str, tuple[Mapping[str, str | tuple[str, ...]], tuple[str, ...]]]] = {
    "cells": (FINE_SYNONYMS, FINE_CLASSES),
    "blast": (BLAST_SYNONYMS, BLAST_CLASSES),
    "differential": (DIFFERENTIAL_SYNONYMS, DIFFERENTIAL_CLASSES),
    "custom": ({}, ()),
}


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
    known, named = _VOCABULARY[config.task]
    classes = config.classes or named or tuple(sorted(table["class"].unique()))
    table = with_targets(table, tuple(classes), {**known, **config.synonyms})
    if table.empty:
        raise DatasetError("no cell is left for training; check 'sites', 'exclude_sites' and 'synonyms'")
    if strange := sorted(set(config.class_weights) - set(classes)):
        raise DatasetError(f"class_weights names {strange[0]!r}, which is not among {', '.join(classes)}")
    if config.class_weights:
        weights = {k: config.class_weights.get(name, 1.0) for k, name in enumerate(classes)}
        table = table.assign(class_weight=table["target"].map(weights))
    return table, tuple(classes)


def fit(
    config: ClassifierTraining, cells: pd.DataFrame, n_classes: int, windows: NDArray[np.uint8],
    start: Path | None, out: Path, report: Report, device: torch.device = CPU,
) -> nn.Module:  # fmt: skip
    """Train a network on cells by the configuration's regime; resumes from ``out/checkpoint.pt``.

    Parameters
    ----------
    config : ClassifierTraining
    cells : DataFrame
        ``target``, ``site``, ``image``; one row a window.
    n_classes : int
    windows : ndarray, (N, W, W, 3) uint8 RGB
        Cells with room around them, W = ROOM * crop_px rounded, from the crop function.
    start : Path or None
        Safetensors file of a pretrained backbone.
    out : Path
        Folder for checkpoint and curves.
    report : callable
        Called with each epoch's figures.
    device : torch.device
        Where it is trained, and stays.

    Returns
    -------
    Network
        The averaged weights; see :func:`smearscan.classification.backbones.build`.
    """
    out.mkdir(parents=True, exist_ok=True)
    # channels last: a fifth more crops a second on a processor
    model = fine_tuning.network(config, n_classes, start)
    model.to(device).to(memory_format=torch.channels_last)
    began = time.monotonic()  # what is computed once counts with the first epoch
    windows = apply_background(windows, config.background, ROOM * config.crop_um)
    forward: Callable[[Tensor], Tensor] = FromPixels(model, config.input.mean, config.input.std).to(device)
    gained = with_gains(cells, windows, config)
    batches = partial(crop_batches, windows, gained, config, n_classes, loaders=loaders(device))
    if config.how.cached:
        forward, features = model.head, _features(model, middle_of(windows, config.crop_px), config)
        batches = partial(feature_batches, features, cells, config)
    rows = cells[["image", "site", "target"]].to_csv(index=False)
    told = fingerprint(config.model_dump_json(), rows, hashlib.sha256(windows.data).hexdigest(), start or "")
    run = Run(fine_tuning.learning_part(config, model), fine_tuning.optimizer_of(config, model), out, told)
    allows = torch.from_numpy(allowed_classes(cells, n_classes)).to(device) if "allowed" in cells else None
    for epoch in range(run.resume(), config.epochs):
        fine_tuning.set_training(config, model, start)
        loss = _epoch(config, epoch, forward, batches(epoch), run, allows, device)
        report(run.finish_epoch(epoch + 1, loss=loss, seconds=time.monotonic() - began))
        began = time.monotonic()
    run.curves.draw()
    fine_tuning.learning_part(config, model).load_state_dict(run.averaged.model.state_dict())
    return model.eval().requires_grad_(False)


def _epoch(
    config: ClassifierTraining, epoch: int, forward: Callable[[Tensor], Tensor], batches: Batches, run: Run,
    allows: Tensor | None, device: torch.device,
) -> float:  # fmt: skip
    """Train one epoch and tell its mean loss; with partial labels, `allows` tells each target's classes."""
    steps, total = max(1, config.epoch_cells // config.batch), torch.zeros((), device=device)
    for step in range(epoch * steps, (epoch + 1) * steps):
        inputs, targets = (part.to(device, non_blocking=True) for part in next(batches))
        at = learning_rate(step, config.epochs * steps, config.warmup_steps, config.schedule, config.decay)
        with precision(device):
            logits = forward(inputs)
        smoothing = config.label_smoothing
        if allows is None:
            loss = nn.functional.cross_entropy(logits.float(), targets, label_smoothing=smoothing)
        else:
            loss = partial_loss(logits.float(), allows[targets], smoothing)
        run.step(loss, config.learning_rate * at)
        total += loss.detach()
    return float(total) / steps


class Trained(NamedTuple):
    """What a training made: a network, and trees where the configuration asks for them."""

    model: nn.Module
    trees: BoostedTrees | None

    def save(self, path: Path, card: ClassifierCard) -> ClassifierCard:
        """Write the pair, see :func:`smearscan.weights.pairs.save_weights`."""
        trees = self.trees.arrays() if self.trees else None
        return save_weights(path, card, self.model.state_dict(), trees)


def logits_of(made: Trained, crops: NDArray[np.uint8], config: ClassifierTraining) -> NDArray[np.float32]:
    """Logits (N, K) of crops (N, S, S, 3) uint8 RGB, as the crop function cuts them."""
    logits = _run(made.model, apply_background(crops, config.background, config.crop_um), config)
    if made.trees is None:
        return logits
    return logits + np.float32(config.trees) * made.trees.scores(_form(crops, config))


def _form(crops: NDArray[np.uint8], config: ClassifierTraining) -> NDArray[np.float32]:
    return measure(crops, Geometry(config.crop_um, config.crop_px))


def features_of(
    model: nn.Module, crops: NDArray[np.uint8], config: ClassifierTraining
) -> NDArray[np.float32]:
    """Features before the head (N, F) of crops (N, S, S, 3) uint8 RGB, as the crop function cuts them."""
    return _features(model, apply_background(crops, config.background, config.crop_um), config)


def _features(model: nn.Module, seen: NDArray[np.uint8], config: ClassifierTraining) -> NDArray[np.float32]:
    return _run(backbones.FeaturesOf(cast(backbones.Network, model)), seen, config)


def _run(network: nn.Module, seen: NDArray[np.uint8], config: ClassifierTraining) -> NDArray[np.float32]:
    """Run a network on crops that are already as it sees them, in batches of about equal memory."""
    whole = FromPixels(network, config.input.mean, config.input.std)
    batch = min(64, max(1, 64 * 112**2 // seen.shape[1] ** 2))
    return TorchEngine(whole, next(network.parameters()).device, batch).run(seen)


def threshold_at(specificity: float, healthy_probs: NDArray[np.floating]) -> float:
    """Smallest probability limit that keeps at least this share of healthy cells unflagged."""
    limit = np.quantile(healthy_probs, specificity, method="higher")
    return float(np.nextafter(np.float32(limit), np.float32(1)))


def train(
    config: ClassifierTraining, table: pd.DataFrame, root: Path, start: Path | None, out: Path,
    report: Report, tell: Callable[[str], None] = lambda told: None, device: torch.device = CPU,
) -> ClassifierCard:  # fmt: skip
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
    tell : callable
        Told in words where the same training is finished already.
    device : torch.device

    Returns
    -------
    ClassifierCard
        Its metrics hold the accuracy on the validation cells, on which temperature and threshold are fitted.
    """
    table, classes = prepared(table, config)
    train_cells = table[table["split"] == "train"].reset_index(drop=True)
    val_cells = table[table["split"] == "val"].reset_index(drop=True)
    if train_cells.empty or val_cells.empty:
        raise DatasetError("both the train and the val split need cells; see the manifest's column 'split'")
    config = classifier_schedule(config, len(train_cells))
    pair = out / f"{config.name}.safetensors"
    pictures = [root] if is_pack(root) else [root / name for name in table["image"].unique()]
    mark = fingerprint(config.model_dump_json(), table.to_csv(index=False), *pictures, start or "")
    if done := finished(pair, ClassifierCard, mark):
        tell(f"already finished: {pair}; give another --out, or delete it to train again")
        return done
    made, card = trained(config, classes, train_cells, val_cells, root, start, out, report, device)
    training = {
        "fingerprint": mark,
        "command": "smearscan train classifier",
        "config": config.model_dump(mode="json", exclude_defaults=True),
        "start": given.name if (given := config.how.start(start)) else "random",
        "data": {
            f"{site}/{split}": {"cells": len(rows), "groups": int(rows["group"].nunique())}
            for (site, split), rows in table.groupby(["site", "split"])
        },
    }
    signed = made.save(pair, card.model_copy(update={"training": training}))
    Checkpoint(out / "checkpoint.pt", "").remove()
    return signed


def trained(
    config: ClassifierTraining, classes: tuple[str, ...], train_cells: pd.DataFrame, val_cells: pd.DataFrame,
    root: Path, start: Path | None, out: Path, report: Report, device: torch.device = CPU,
) -> tuple[Trained, ClassifierCard]:  # fmt: skip
    """Train on cells and calibrate on others; parameters as of :func:`train`, both tables with ``target``."""
    fine_tuning.check_last_layer(config, classes, start)
    room_px = round(ROOM * config.crop_px)
    windows = load_crops(train_cells, root, ROOM * config.crop_um, room_px)
    model = fit(config, train_cells, len(classes), windows, start, out, report, device)
    trees = trees_for(config, train_cells, len(classes), middle_of(windows, config.crop_px))
    made = Trained(model, trees)
    val_crops = load_crops(val_cells, root, config.crop_um, config.crop_px)
    return made, calibrated_card(config, classes, made, val_cells, val_crops)


def trees_for(
    config: ClassifierTraining, cells: pd.DataFrame, n_classes: int, crops: NDArray[np.uint8]
) -> BoostedTrees | None:
    """Fit the trees that a configuration asks for to crops as they are; None where it asks for none."""
    return fit_trees(_form(crops, config), cells, n_classes, config.seed) if config.trees else None


def calibrated_card(
    config: ClassifierTraining, classes: tuple[str, ...], made: Trained,
    val_cells: pd.DataFrame, val_crops: NDArray[np.uint8],
) -> ClassifierCard:  # fmt: skip
    """Fit temperature and threshold on validation cells and describe the net."""
    target = val_cells["target"].to_numpy()
    logits = logits_of(made, val_crops, config)
    known = target < len(classes)  # a coarse name does not tell which fine type is right
    temperature = fit_temperature(logits[known], target[known])
    card = _described(config, classes, temperature)
    probs = card.probabilities(logits)
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (target[known], probs[known].argmax(axis=1)), 1)
    threshold = 0.5
    if config.task == "cells":
        blasts = card.answering("blast")
        truth = summed_targets(val_cells, classes, "blast", config.normal_promyelocytes)
        healthy = truth == blasts.classes.index(HEALTHY)
        found = blasts.probabilities(logits)[healthy, blasts.classes.index(BLAST)]
        threshold = threshold_at(config.target_specificity, found) if healthy.any() else threshold
    elif BLAST in classes and len(classes) == 2:
        blast = classes.index(BLAST)
        threshold = threshold_at(config.target_specificity, probs[target != blast, blast])
    named = called_at(probs, classes, threshold)
    metrics = {"validation": validation_figures(target[known], named[known], val_cells[known])}
    return card.model_copy(
        update={"threshold": threshold, "confusion": confusion.tolist(), "metrics": metrics}
    )


def called_at(probs: NDArray[np.floating], classes: tuple[str, ...], threshold: float) -> NDArray[np.int64]:
    """Class that each cell is called, (N,): the likeliest, or blast from the threshold on."""
    if len(classes) == 2 and BLAST in classes:
        blast = classes.index(BLAST)
        return np.where(probs[:, blast] >= threshold, blast, 1 - blast)
    return np.asarray(probs.argmax(axis=1), np.int64)


def validation_figures(
    target: NDArray[np.int64], named: NDArray[np.int64], cells: pd.DataFrame
) -> dict[str, Any]:
    """Accuracy on validation cells with its exact 95 % interval, which takes cells as independent."""
    right, n = int((target == named).sum()), len(target)
    if not n:
        return {}
    low, high = exact_interval(right, n)
    groups = int(cells["group"].nunique()) if "group" in cells else n
    accuracy = {"value": round(right / n, 4), "interval_95": [round(low / 100, 4), round(high / 100, 4)]}
    return {"accuracy": {**accuracy, "cells": n, "groups": groups}, "fitted_on": "temperature and threshold"}


def _described(config: ClassifierTraining, classes: tuple[str, ...], temperature: float) -> ClassifierCard:
    """Describe a net before anything of it is counted."""
    return ClassifierCard(
        name=config.name,
        task=config.task,
        architecture=config.architecture,
        classes=classes,
        smearscan_version=__version__,
        crop_um=config.crop_um,
        crop_px=config.crop_px,
        mean=config.input.mean,
        std=config.input.std,
        head=config.head,
        norm=config.norm,
        trunk=config.held,
        background=config.background,
        trees=config.trees,
        only_unlike=config.only_unlike,
        temperature=temperature,
        unclassified_below=config.unclassified_below if config.task != "blast" else 0.0,
        limits=config.limits,
    )
