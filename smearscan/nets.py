"""The networks of a scan, loaded together, with the rule that makes names of what they say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.calibration import Calibration, load_calibration, naming_rule, shipped_calibration
from smearscan.classifier import Classifier
from smearscan.config import ScanConfig
from smearscan.crops import Geometry
from smearscan.detector import Detector
from smearscan.errors import ConfigError, WeightsError
from smearscan.images import REDUCTIONS
from smearscan.naming import NamingRule, Rescaling
from smearscan.results import Scale
from smearscan.taxonomy import BLAST, RED_CELL_UM

Probs = NDArray[np.float32]

_SPARE = 1.05
"""How many times more pixels a reduced field holds than a net is given, at least."""


@dataclass(frozen=True, slots=True)
class Nets:
    """Detector, classifiers and the card of their errors; a net that was not asked for is None."""

    detector: Detector
    differential: Classifier | None
    blast: Classifier | None
    calibration: Calibration | None
    rule: NamingRule

    @classmethod
    def load(cls, config: ScanConfig) -> "Nets":
        """Load what a configuration names; by default the shipped weights.

        Raises
        ------
        ConfigError
            If a net cannot serve as what it was given for.
        WeightsError
            If weights are missing, altered or made for another stage, or a calibration card was made with
            other nets.
        EngineError
            If the device or engine is not available.
        """
        differential, blast = _classifier(config, "differential"), _classifier(config, "blast")
        calibration = _calibration(config, differential, blast)
        return cls(
            Detector.load(config.detector, config.device, config.engine),
            differential,
            blast,
            calibration,
            naming_rule(
                differential.card if differential else None, blast.card if blast else None, calibration
            ),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """``name:hash`` of every network in use."""
        cards = [stage.card for stage in (self.detector, self.differential, self.blast) if stage is not None]
        named = [f"{card.name}:{card.short_hash}" for card in cards]
        return (*named, f"calibration:{self.calibration.name}") if self.calibration else tuple(named)

    @property
    def rescaled_by(self) -> str:
        """Name of the calibration card that changes the nets' probabilities; empty where none does."""
        return self.calibration.name if self.calibration and self.calibration.scaling else ""

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """How crops are cut for the classifiers, each way once."""
        nets = [net for net in (self.differential, self.blast) if net is not None]
        return tuple(dict.fromkeys(net.geometry for net in nets))

    def reduction(self, scale: Scale) -> int:
        """How far a field may be reduced while it is read: it keeps more pixels than any net is given."""
        px_per_um = [how.px / how.um for how in self.geometries]
        needed = max([self.detector.card.working_red_cell_px, *(p * RED_CELL_UM for p in px_per_um)])
        return max((r for r in REDUCTIONS if scale.red_cell_px / r >= _SPARE * needed), default=1)

    def kinds(self, crops: Sequence[dict[Geometry, NDArray[np.uint8]]]) -> list[Probs]:
        """Probabilities of the differential's classes, (N, K) for the N crops of each field; K may be 0."""
        return self._probs("differential", self.differential, crops)

    def blasts(self, crops: Sequence[dict[Geometry, NDArray[np.uint8]]]) -> list[Probs]:
        """Blast probability of each cell, (N,) for the N crops of each field; NaN where no blast net is."""
        if self.blast is None:
            return [np.full(_count(own), np.nan, np.float32) for own in crops]
        column = self.blast.card.classes.index(BLAST)
        return [np.ascontiguousarray(p[:, column]) for p in self._probs("blast", self.blast, crops)]

    def _probs(
        self, task: str, net: Classifier | None, crops: Sequence[dict[Geometry, NDArray[np.uint8]]]
    ) -> list[Probs]:
        """Run a net on the crops of several fields at once, so that these fill its batches."""
        if net is None or not crops:
            return [np.empty((_count(own), 0), np.float32) for own in crops]
        own = self.calibration.scaling.get(task) if self.calibration else None
        rescale = own.rescaling(net.card.classes) if own else Rescaling()
        cut = [of_field[net.geometry] for of_field in crops]
        ends = np.cumsum([len(c) for c in cut])
        return [rescale(probs) for probs in np.split(net.probs(np.concatenate(cut)), ends[:-1])]


def _count(crops: dict[Geometry, NDArray[np.uint8]]) -> int:
    return len(next(iter(crops.values())))


def _classifier(config: ScanConfig, task: str) -> Classifier | None:
    if config.task not in (task, "both"):
        return None
    path = config.blast if task == "blast" else config.differential
    how = (config.device, config.engine, config.precision)
    loaded = Classifier.load(path, *how) if path else Classifier.shipped(task, *how)
    if task == "blast" and BLAST not in loaded.card.classes:
        raise ConfigError(f"{loaded.card.name}: has no class 'blast' and cannot serve as the blast net")
    return loaded


def _calibration(
    config: ScanConfig, differential: Classifier | None, blast: Classifier | None
) -> Calibration | None:
    """Find the card of the nets in use; None where their errors are not known."""
    if differential is None or blast is None:
        return None
    given = config.calibration
    if not given and not shipped_calibration().is_file():
        return None
    card = load_calibration(given or shipped_calibration())
    if card.belongs_to({"blast": blast.card.sha256, "differential": differential.card.sha256}):
        return card
    if given:
        raise WeightsError(
            f"{given}: was made with other networks than those in use; "
            "make one for them with 'smearscan calibrate'"
        )
    return None
