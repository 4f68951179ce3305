"""What is known of a run besides its cells: settings, networks, versions. No path, no user, no machine."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smearscan import __version__
from smearscan.config import ScanConfig
from smearscan.differential.calibration_card import Calibration
from smearscan.differential.reference_ranges import (
    SHIPPED_SOURCE,
    ReferenceRanges,
    load_ranges,
    shipped_ranges,
)
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.io.installed import installed_version
from smearscan.weights.pairs import Card, ClassifierCard

_PACKAGES = ("numpy", "scipy", "opencv-python", "openvino", "onnxruntime", "torch", "pillow")


@dataclass(frozen=True, slots=True)
class Network:
    """A network in use: its card's name, what it does, the SHA-256 of its weights."""

    name: str
    stage: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts of a run that reports, pages and exports repeat.

    Attributes
    ----------
    task : str
        ``both``, ``blast`` or ``differential``.
    classes : tuple of str
        Of the differential net; empty where it did not run.
    networks : tuple of Network
    calibration : str
        Name of the calibration card; empty where none is in use.
    errors, unlike_errors : MisclassificationModel or None
        Of that card; and of slides that are stained unlike the training cells, where it tells them apart.
    settings : dict
        As JSON holds them; a path is its last part.
    made : str
        Date and time, UTC.
    version : str
        Of smearscan.
    packages : dict
        Versions of what computes.
    recalibrated_by : str
        Name of the calibration card that changed probabilities; empty where none did.
    ranges : ReferenceRanges
        That counts were tested against; :attr:`ranges_source` tells where they are from.
    ranges_file : str
        Name of the laboratory's own file of ranges; empty where the shipped ones are in use.
    """

    task: str
    classes: tuple[str, ...]
    networks: tuple[Network, ...]
    calibration: str
    errors: MisclassificationModel | None
    settings: dict[str, Any]
    made: str
    version: str = __version__
    packages: Mapping[str, str] | None = None
    recalibrated_by: str = ""
    ranges: ReferenceRanges = field(default_factory=shipped_ranges)
    ranges_file: str = ""
    unlike_errors: MisclassificationModel | None = None

    @property
    def has_fine_types(self) -> bool:
        """Whether a net names fine types."""
        return any(network.stage == "cells" for network in self.networks)

    @property
    def ranges_source(self) -> str:
        """Where the reference ranges are from, in words."""
        return f"the laboratory's own ranges, {self.ranges_file}" if self.ranges_file else SHIPPED_SOURCE

    def range_of(self, name: str) -> tuple[float, float] | None:
        """Usual percentages of a class, 0 or 100 on a side without a limit; None where there is no range."""
        found = self.ranges.get(name)
        return None if found is None else (found.low or 0.0, found.high or 100.0)

    @classmethod
    def of(cls, settings: ScanConfig, cards: Sequence[Card], calibration: Calibration | None) -> "RunFacts":
        """Gather the facts of a scan.

        Parameters
        ----------
        settings : ScanConfig
        cards : sequence of Card
            Of every network in use.
        calibration : Calibration or None
        """
        nets = tuple(Network(card.name, _stage(card), card.sha256) for card in cards)
        own = settings.reference_ranges
        named = (c.classes for c in cards if isinstance(c, ClassifierCard) and c.task != "blast")
        return cls(
            task=settings.task,
            classes=next(named, ()),
            networks=nets,
            calibration=calibration.name if calibration else "",
            errors=calibration.errors if calibration else None,
            settings=pathless(settings.model_dump()),
            made=now(),
            packages=package_versions(),
            recalibrated_by=calibration.name if calibration and calibration.changes_cells else "",
            ranges=load_ranges(own) if own else shipped_ranges(),
            ranges_file=own.name if own else "",
            unlike_errors=calibration.unlike.errors if calibration and calibration.unlike else None,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the facts as JSON holds them; the errors' numbers are the calibration card's to tell."""
        return {
            "version": self.version,
            "made": self.made,
            "task": self.task,
            "weights": [{"name": n.name, "stage": n.stage, "sha256": n.sha256} for n in self.networks],
            "calibration": self.calibration,
            "settings": self.settings,
            "packages": dict(self.packages or {}),
        }

    def digest(self) -> str:
        """SHA-256 of everything but the time."""
        told = {k: v for k, v in self.as_json().items() if k != "made"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _stage(card: Card) -> str:
    if not isinstance(card, ClassifierCard):
        return card.stage
    return f"{card.task}_unlike" if card.only_unlike else card.task


def pathless(value: Any) -> Any:
    """Return settings as JSON holds them, of paths the last part alone: folders tell of users."""
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {str(k): pathless(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [pathless(v) for v in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def now() -> str:
    """Date and time, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def package_versions() -> dict[str, str]:
    """Versions of the packages that compute, as far as they are installed."""
    found = {name: installed_version(name) for name in _PACKAGES}
    return {name: version for name, version in found.items() if version}


def field_name(path: Path | None, root: Path | None) -> str:
    """Name of a field that tells nothing of the machine: its path below `root`, else the file's name.

    Parameters
    ----------
    path : Path or None
    root : Path or None
        Folder that was scanned, or the picture itself.
    """
    if path is None:
        return ""
    base = root.parent if root is not None and root.is_file() else root
    return path.relative_to(base).as_posix() if base is not None and path.is_relative_to(base) else path.name


def without_paths(reason: str, path: Path | None, root: Path | None) -> str:
    """Return the reason of a failure with the field's name in place of its path."""
    if path is not None:
        reason = reason.replace(str(path), field_name(path, root))
    if root is not None and str(root) not in (".", ""):
        reason = reason.replace(f"{root.absolute()}/", "").replace(f"{root}/", "")
    return reason
