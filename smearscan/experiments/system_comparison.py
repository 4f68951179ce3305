"""Systems side by side: each is trained and scored by one protocol on the same cells, and gives one row.

A system that fails tells why in its row and costs the others nothing; what is finished is not run again.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from smearscan.errors import ConfigError, SmearscanError
from smearscan.experiments.cross_validation import Report, epochs_left, guard, run
from smearscan.experiments.cross_validation_summary import summarize
from smearscan.experiments.protocols import Split, with_classes
from smearscan.experiments.sampling import per_kind
from smearscan.experiments.scores import METRICS
from smearscan.training.config import ClassifierTraining

if TYPE_CHECKING:
    from smearscan.experiments.leak_guard import Leaks

Row = dict[str, Any]
Protocol = Callable[[pd.DataFrame], list[Split]]


@dataclass(frozen=True, slots=True)
class Shorter:
    """What a run takes in place of a file's own schedule; None leaves the file's.

    `epochs` and `epoch_cells` are for systems whose net runs at every step; those that train a head on
    cached features keep the length of their epochs and take `cached_epochs`. `crop_px` is not for nets that
    take one size only, and no less than a net takes at all.
    """

    epochs: int | None = None
    epoch_cells: int | None = None
    crop_px: int | None = None
    cached_epochs: int | None = None

    def of(self, config: ClassifierTraining) -> ClassifierTraining:
        """Shorten a configuration."""
        given = {"epochs": self.epochs, "epoch_cells": self.epoch_cells}
        if config.how.cached:
            given = {"epochs": self.cached_epochs}
        if not config.input.fixed and self.crop_px is not None:
            given["crop_px"] = max(self.crop_px, config.input.smallest)
        changed = {key: value for key, value in given.items() if value is not None}
        return ClassifierTraining.model_validate({**config.model_dump(), **changed})


@dataclass(frozen=True, slots=True)
class System:
    """One system: its configuration as the file has it, as it is run here, and what it starts from."""

    config: ClassifierTraining
    ran: ClassifierTraining
    start: Path | None

    @property
    def schedule(self) -> str:
        """The schedule run, and where it differs the file's."""
        mine, its = _schedule(self.ran), _schedule(self.config)
        return f"{mine}, as in its file" if mine == its else f"{mine} (its file: {its})"

    @property
    def begins(self) -> str:
        """What the weights were before training."""
        given = self.ran.how.start(self.start)
        if given is not None:
            return given.name
        return "random" if self.ran.how.body_learns else "random; the body stays so, only the head is trained"


def _schedule(config: ClassifierTraining) -> str:
    epochs = f"{config.epochs} epoch" + ("s" if config.epochs > 1 else "")
    return f"{epochs} of {config.epoch_cells} cells, {config.crop_px} px"


def systems_of(
    configs: Sequence[ClassifierTraining],
    shorter: Shorter,
    starts: Mapping[str, Path],
    sites: Sequence[str] = (),
) -> list[System]:
    """Prepare systems for a comparison.

    Parameters
    ----------
    configs : sequence of ClassifierTraining
    shorter : Shorter
    starts : mapping
        Architecture to its pretrained weights; all others start from random ones.
    sites : sequence of str
        In place of each configuration's own.

    Raises
    ------
    ConfigError
        If two have the same name: their runs would share a folder. If `starts` has an architecture that
        none has.
    """
    names = [config.name for config in configs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"two configurations are named {twice[0]!r}; give each its own name")
    if unused := sorted(set(starts) - {config.architecture for config in configs}):
        raise ConfigError(f"--start {unused[0]}=...: none of the systems is of this architecture")
    told: dict[str, Any] = {"published": None, **({"sites": list(sites)} if sites else {})}
    return [
        System(config, shorter.of(config).model_copy(update=told), starts.get(config.architecture))
        for config in configs
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """A system with its cells and splits, or with the reason why it cannot be run."""

    system: System
    table: pd.DataFrame
    classes: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()
    leaks: "tuple[Leaks, ...]" = ()
    failed: str = ""

    def epochs_left(self, runs: Path) -> int:
        """Epochs that are still to be trained."""
        config = self.system.ran
        return epochs_left(config, self.splits, runs / config.name, config.seed)


def plan(
    systems: Sequence[System], table: pd.DataFrame, protocol: Protocol, root: Path,
    most: int | None = None, seed: int = 0, allow: bool = False,
) -> list[Planned]:  # fmt: skip
    """Split the cells for every system and look for leaks, before anything is trained.

    Parameters
    ----------
    systems : sequence of System
    table : DataFrame
        Located cells, see :func:`smearscan.training.cells.read_cells`.
    protocol : callable
        Maps a table with ``target`` to its splits.
    root : Path
        What ``image`` is relative to.
    most : int, optional
        At most so many cells of each class at each site.
    seed : int
        Of that choice.
    allow : bool
        Whether leaked folds are scored all the same.

    Raises
    ------
    LeakError
        If folds leak and `allow` is false: then nothing is run.
    """
    seen: dict[str, Planned] = {}
    planned = []
    for system in systems:
        one = _taught(system, table, most, seed)
        # most systems share their cells: these are split and searched once
        told = pd.util.hash_pandas_object(one.table[["cell", "target"]], index=False).to_numpy().tobytes()
        key = f"{one.failed}{hashlib.sha256(told).hexdigest()}{one.classes}"
        if key not in seen:
            seen[key] = one if one.failed else _split(one, protocol, root, allow)
        alike = seen[key]
        planned.append(replace(one, splits=alike.splits, leaks=alike.leaks, failed=alike.failed))
    return planned


def _taught(system: System, table: pd.DataFrame, most: int | None, seed: int) -> Planned:
    try:
        cells, classes = with_classes(table, system.ran)
        return Planned(system, per_kind(cells[cells["target"] >= 0], most, seed), classes)
    except SmearscanError as error:
        return Planned(system, pd.DataFrame({"cell": [], "target": []}), failed=str(error))


def _split(one: Planned, protocol: Protocol, root: Path, allow: bool) -> Planned:
    try:
        splits = protocol(one.table)
    except SmearscanError as error:
        return replace(one, failed=str(error))
    return replace(one, splits=tuple(splits), leaks=tuple(guard(one.table, [splits], root, allow)))


def row(one: Planned, root: Path, runs: Path, protocol: str, report: Report) -> Row:
    """Train and score a planned system, and give its row.

    Parameters
    ----------
    one : Planned
    root : Path
        What ``image`` is relative to.
    runs : Path
        Folder with a sub-folder a system; a finished run is read, an interrupted one goes on.
    protocol : str
        Name of the protocol.
    report : callable
        Called with each epoch's figures.
    """
    told = _told(one)
    if one.failed:
        return {**told, "failed": one.failed}
    config = one.system.ran
    try:
        results = run(
            config, one.table, one.classes, one.splits, root, one.system.start, runs / config.name, report
        )
        summary = summarize(results, protocol, one.leaks)
    except Exception as error:  # whatever breaks one net, the others still have their turn
        return {**told, "failed": str(error) if isinstance(error, SmearscanError) else _named(error)}
    each = summary["each"]
    facts = {
        key: round(float(np.mean([r[key] for r in each])), 2) for key in ("training_seconds", "inference_ms")
    }
    figures = {name: summary["all"][name] for name in METRICS if name in summary["all"]}
    sizes = {key: summary["all"][key] for key in ("cells", "groups")}
    more = {"trainings": len(each), "parameters": each[0]["parameters"], "device": each[0]["device"]}
    return {**told, **sizes, **facts, **more, "figures": figures}


def _told(one: Planned) -> Row:
    """Give what is known of a system before it is run."""
    system = one.system
    config, published = system.ran, system.config.published
    return {
        "system": config.name,
        "classes": list(one.classes),
        "architecture": config.architecture,
        "regime": config.regime,
        "start": system.begins,
        "schedule": system.schedule,
        "published": published.model_dump() if published else None,
        "leaked": any(leaks.leaked for leaks in one.leaks),
        "failed": "",
    }


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
