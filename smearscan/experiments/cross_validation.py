"""Trains and scores a classifier by a protocol, run by run; what is finished is not run again."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from smearscan import __version__
from smearscan.errors import ConfigError, DatasetError
from smearscan.experiments.leak_guard import Leaks, find_leaks, require_clean
from smearscan.experiments.protocols import Split, assign_folds
from smearscan.io.atomic import write_text
from smearscan.runtime.process import end_with_parent
from smearscan.runtime.torch_engine import FromPixels, TorchEngine
from smearscan.training.cells import Progress, load_crops
from smearscan.training.config import ClassifierTraining
from smearscan.training.train_classifier import CPU, logits_of, trained
from smearscan.weights.pairs import ClassifierCard

Report = Callable[[dict[str, float]], None]
Facts = dict[str, Any]
TIMED_BATCH = 8
"""Cells in a batch whose time is taken: as many as a scan gives a classifier at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One finished training with its test.

    Attributes
    ----------
    split : str
    seed : int
    facts : dict
        What ``run.json`` holds: times, parameters, temperature, threshold, cells and groups, configuration.
    scores : DataFrame
        A row a test cell: the manifest's columns, ``cell``, ``target``, ``threshold``, ``p_CLASS``... and
        ``taught``, whether training had the cell's class; `target` is -1 where the net does not learn it.
    curves : DataFrame
        A row an epoch.
    """

    split: str
    seed: int
    facts: Facts
    scores: pd.DataFrame
    curves: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """All runs of one configuration; `start` names the weights that training began from."""

    config: ClassifierTraining
    classes: tuple[str, ...]
    start: str
    runs: tuple[Run, ...]

    def scores(self) -> pd.DataFrame:
        """Return every test cell of the first seed in the manifest's order; columns as in a run."""
        first = [one.scores for one in self.runs if one.seed == self.runs[0].seed]
        cells = pd.concat(first).sort_values("cell", kind="stable")
        return cells.assign(target=cells["target"].where(cells["target"] >= 0).astype("Int64"))


def joined(parts: Iterable[Results]) -> Results:
    """Join runs of several splits or seeds of one configuration."""
    first, *others = parts
    runs = [one for part in (first, *others) for one in part.runs]
    return Results(first.config, first.classes, first.start, tuple(runs))


def guard(
    table: pd.DataFrame, plans: Sequence[Sequence[Split]], root: Path, allow: bool,
    progress: Progress | None = None,
) -> list[Leaks]:  # fmt: skip
    """Look for leaks across the folds of each plan before anything is trained.

    Parameters
    ----------
    table : DataFrame
        See :func:`smearscan.experiments.protocols.with_classes`.
    plans : sequence of sequence of Split
        Of each seed; folds that are the same again are looked at once.
    root : Path
        What ``image`` is relative to.
    allow : bool
        Whether leaked folds are scored all the same.
    progress : callable, optional
        Called with a word after each picture that is read.

    Raises
    ------
    LeakError
        If there are leaks and they are not allowed.
    """
    found: dict[str, Leaks] = {}
    for plan in plans:
        cells = assign_folds(table, plan)
        key = cells[["cell", "fold"]].to_csv()
        if key not in found:
            found[key] = find_leaks(cells, root, progress=progress)
            require_clean(found[key], allow)
    return list(found.values())


def run(
    config: ClassifierTraining, table: pd.DataFrame, classes: tuple[str, ...], splits: Sequence[Split],
    root: Path, start: Path | None, out: Path, report: Report, seeds: Sequence[int] | None = None,
    keep_nets: bool = False, device: torch.device = CPU, jobs: int = 1,
) -> Results:  # fmt: skip
    """Train and score every split with every seed; a run that is finished is read, not run again.

    Each has the folder ``out/seedN/SPLIT`` with ``run.json``, ``scores.csv`` and ``curves.csv``; one that was
    interrupted goes on after its last epoch. With `keep_nets` the net's pair lies there, too.

    Parameters
    ----------
    config : ClassifierTraining
        Its seed is replaced by each of `seeds`.
    table : DataFrame
        Located cells with ``target``, see :func:`smearscan.experiments.protocols.with_classes`.
    classes : tuple of str, (K,)
    splits : sequence of Split
    root : Path
        What ``image`` is relative to.
    start : Path or None
        Pretrained backbone; or the folder of another configuration's runs, whose nets were kept: each run
        starts from the net of the run of its seed and split.
    out : Path
    report : callable
        Called with each epoch's figures.
    seeds : sequence of int, optional
        Of trainings. Default: the configuration's.
    keep_nets : bool
        Whether each run's net is kept.
    device : torch.device
        Where nets are trained and score.
    jobs : int
        Trainings at once, each in a process of its own; then `report` hears of a run once it is finished.

    Raises
    ------
    ConfigError
        If a folder holds a run of another configuration, of other cells or from another start.
    """
    name = given.name if (given := config.how.start(start)) else "random"
    seeded = [config.model_copy(update={"seed": s}) for s in ((config.seed,) if seeds is None else seeds)]
    places = {(c.seed, split.name): run_folder(out, c.seed, split.name) for c in seeded for split in splits}
    waiting: list[Callable[[Report], None]] = []
    for one in seeded:
        for split in splits:
            place = places[one.seed, split.name]
            mark = _fingerprint(one, table, classes, split, name)
            if not _finished(place, mark):
                told = {"split": split.name, "seed": one.seed, "start": name, "fingerprint": mark}
                own = _start_of(start, one.seed, split.name)
                known = (table, classes, split, root, own, place, keep_nets, device)
                waiting.append(partial(_complete, told, one, *known))
    _do(waiting, report, jobs)
    runs = (_read(places[one.seed, split.name], split) for one in seeded for split in splits)
    return Results(config, classes, name, tuple(runs))


def _do(waiting: Sequence[Callable[[Report], None]], report: Report, jobs: int) -> None:
    """Train what waits, here one after the other, or several at once elsewhere."""
    if jobs == 1:
        for train in waiting:
            train(report)
        return
    # spawned: what torch and OpenCV hold does not outlive a fork
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=end_with_parent) as processes:
        for done in as_completed([processes.submit(_elsewhere, train) for train in waiting]):
            for row in done.result():
                report(row)


def _elsewhere(train: Callable[[Report], None]) -> list[dict[str, float]]:
    """Train in this process and hand back what there was to report."""
    rows: list[dict[str, float]] = []
    train(rows.append)
    return rows


def _complete(
    told: Facts, config: ClassifierTraining, table: pd.DataFrame, classes: tuple[str, ...], split: Split,
    root: Path, start: Path | None, place: Path, keep_net: bool, device: torch.device, report: Report,
) -> None:  # fmt: skip
    """Train and score one run, and write that it is finished."""
    facts = _train(config, table, classes, split, root, start, place, report, keep_net, device)
    write_text(place / "run.json", json.dumps({**told, **facts}, indent=1, allow_nan=False) + "\n")
    (place / "checkpoint.pt").unlink(missing_ok=True)


def run_folder(out: Path, seed: int, split: str) -> Path:
    """Folder of one run."""
    return out / f"seed{seed}" / split.replace("/", "_")


def scored_groups(runs: Path, seed: int) -> list[set[str]]:
    """Give the groups that each fold of a cross-validation scored, in the order of its folds.

    Raises
    ------
    DatasetError
        If the folder holds no runs of the seed.
    """
    tables = sorted(run_folder(runs, seed, "fold0").parent.glob("fold*/scores.csv"), key=_fold_number)
    if not tables:
        raise DatasetError(
            f"{runs}: holds no folds of a 'smearscan crossval --protocol kfold' of seed {seed}"
        )
    return [set(pd.read_csv(table, usecols=["group"], dtype=str)["group"]) for table in tables]


def _fold_number(table: Path) -> int:
    return int(table.parent.name.removeprefix("fold"))


def _start_of(start: Path | None, seed: int, split: str) -> Path | None:
    """Give what a run starts from: the weights given, or the net of the same run in a folder of runs."""
    if start is None or not start.is_dir():
        return start
    place = run_folder(start, seed, split)
    nets = sorted(place.glob("*.safetensors"))
    if len(nets) != 1:
        raise ConfigError(
            f"{place}: holds {len(nets)} nets, one is needed to start from; run 'smearscan crossval' with "
            "--keep-nets there first"
        )
    return nets[0]


def epochs_left(config: ClassifierTraining, splits: Sequence[Split], out: Path, seed: int) -> int:
    """Epochs that :func:`run` would train with a seed; those of an unfinished run are all counted."""
    waiting = [s for s in splits if not (run_folder(out, seed, s.name) / "run.json").is_file()]
    return config.epochs * len(waiting)


def _finished(place: Path, fingerprint: str) -> bool:
    path = place / "run.json"
    if not path.is_file():
        return False
    if json.loads(path.read_text(encoding="utf-8"))["fingerprint"] != fingerprint:
        raise ConfigError(
            f"{path}: is of another configuration, start or manifest; give another --runs or delete it"
        )
    return True


def _read(place: Path, split: Split) -> Run:
    facts = json.loads((place / "run.json").read_text(encoding="utf-8"))
    words = ("image", "class", "group", "site", "allowed")
    scores = pd.read_csv(place / "scores.csv", dtype=dict.fromkeys(words, str))
    scores["target"] = scores["target"].fillna(-1).astype(int)
    scores["taught"] = True if split.taught is None else scores["target"].isin(split.taught)
    return Run(facts["split"], facts["seed"], facts, scores, pd.read_csv(place / "curves.csv"))


def _train(
    config: ClassifierTraining, table: pd.DataFrame, classes: tuple[str, ...], split: Split, root: Path,
    start: Path | None, place: Path, report: Report, keep_net: bool, device: torch.device,
) -> Facts:  # fmt: skip
    """Train, set temperature and threshold on the validation cells, score the test cells."""
    parts = {n: table.iloc[getattr(split, n)].reset_index(drop=True) for n in ("train", "val", "test")}
    made, card = trained(config, classes, parts["train"], parts["val"], root, start, place, report, device)
    if keep_net:
        made.save(place / f"{config.name}.safetensors", card)
    crops = load_crops(parts["test"], root, config.crop_um, config.crop_px)
    probs = card.probabilities(logits_of(made, crops, config)).astype(np.float64)
    test = parts["test"]
    scores = test.assign(
        target=test["target"].where(test["target"] >= 0).astype("Int64"),
        threshold=card.threshold,
        **{f"p_{name}": probs[:, k] for k, name in enumerate(classes)},
    )
    write_text(place / "scores.csv", scores.to_csv(index=False))
    return {
        "cells": {n: len(rows) for n, rows in parts.items()},
        "groups": {n: int(rows["group"].nunique()) for n, rows in parts.items()},
        "training_seconds": round(float(pd.read_csv(place / "curves.csv")["seconds"].sum()), 1),
        "inference_ms": round(inference_ms(made.model, card), 3),
        "device": _named(device),
        "parameters": sum(p.numel() for p in made.model.parameters()),
        "temperature": card.temperature,
        "threshold": card.threshold,
        "classes": list(classes),
        "smearscan_version": __version__,
        "config": config.model_dump(mode="json"),
    }


def _named(device: torch.device) -> str:
    """Name what a net was trained on."""
    if device.type == "cuda":
        return f"torch {torch.cuda.get_device_name(device)}"
    return f"torch {device}" + (f", {torch.get_num_threads()} threads" if device.type == "cpu" else "")


def inference_ms(model: nn.Module, card: ClassifierCard, rounds: int = 15) -> float:
    """Milliseconds a cell in batches of 8 on this processor with torch.

    The fastest batch counts: what slows the others is whatever else the machine does.
    """
    engine = TorchEngine(FromPixels(model, card.mean, card.std), torch.device("cpu"), TIMED_BATCH)
    crops = np.full((TIMED_BATCH, card.crop_px, card.crop_px, 3), 128, np.uint8)
    engine.run(crops)  # the first batch pays for choosing kernels
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        engine.run(crops)
        taken.append(time.perf_counter() - began)
    return 1000 * min(taken) / TIMED_BATCH


def _fingerprint(
    config: ClassifierTraining, table: pd.DataFrame, classes: tuple[str, ...], split: Split, start: str
) -> str:
    """Tell runs apart by all that their outcome depends on: settings, cells in their order, start."""
    # what only stands on the card changes no run; nor does a setting that is new and at its default
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude={"limits", "published"})
    told = hashlib.sha256(json.dumps([settings, classes, start]).encode())
    columns = ["image", "site", "group", "target", "um_per_px", "x0", "y0", "x1", "y1"]
    row_hash = pd.util.hash_pandas_object(table[columns], index=False).to_numpy()
    for rows in (split.train, split.val, split.test):
        told.update(row_hash[rows].tobytes() + b"|")
    return told.hexdigest()[:16]
