"""The networks of a scan, loaded together, with the rule that makes names of what they say."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier
from smearscan.classification.crops import Geometry
from smearscan.classification.naming import NamingRule, Recalibration
from smearscan.classification.shared_trunk import load_classifiers, predict_probs
from smearscan.config import ScanConfig
from smearscan.detection.detector import Detector
from smearscan.differential.calibration_card import (
    Calibration,
    load_calibration,
    naming_rule,
    shipped_calibration,
)
from smearscan.errors import ConfigError, WeightsError
from smearscan.io.decode import REDUCTIONS
from smearscan.results import Scale
from smearscan.taxonomy import BLAST, RED_CELL_UM
from smearscan.weights.pairs import shipped

Probs = NDArray[np.float32]

_SPARE = 1.05
"""How many times more pixels a reduced field holds than a net is given, at least."""


@dataclass(frozen=True, slots=True)
class Models:
    """Detector, classifiers and the card of their errors; a net that was not asked for is None."""

    detector: Detector
    differential: Classifier | None
    blast: Classifier | None
    calibration: Calibration | None
    rule: NamingRule

    @classmethod
    def load(cls, config: ScanConfig) -> "Models":
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
        loaded = _classifiers(config)
        differential, blast = loaded.get("differential"), loaded.get("blast")
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
    def calibration_name(self) -> str:
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

    def named(self, crops: Sequence[dict[Geometry, NDArray[np.uint8]]]) -> list[tuple[Probs, Probs]]:
        """Probabilities of the N cells of each field: of the differential's classes, and of being a blast.

        All fields' crops are run at once, so that they fill the networks' batches.

        Returns
        -------
        list of (ndarray (N, K), ndarray (N,)), float32
            K is 0 without a differential net, the second NaN without a blast net.
        """
        if not crops:
            return []
        cut = {how: np.concatenate([own[how] for own in crops]) for how in self.geometries}
        counts = [len(next(iter(own.values()))) for own in crops]
        kinds = np.empty((sum(counts), 0), np.float32)
        blasts = np.full(sum(counts), np.nan, np.float32)
        nets = {"differential": self.differential, "blast": self.blast}
        asked = {task: net for task, net in nets.items() if net is not None}
        for (task, net), probs in zip(asked.items(), predict_probs(list(asked.values()), cut), strict=True):
            found = self._rescaling(task, net)(probs)
            if task == "blast":
                blasts = np.ascontiguousarray(found[:, net.card.classes.index(BLAST)])
            else:
                kinds = found
        ends = np.cumsum(counts)[:-1]
        return list(zip(np.split(kinds, ends), np.split(blasts, ends), strict=True))

    def _rescaling(self, task: str, net: Classifier) -> Recalibration:
        own = self.calibration.scaling.get(task) if self.calibration else None
        return own.rescaling(net.card.classes) if own else Recalibration()


def _classifiers(config: ScanConfig) -> dict[str, Classifier]:
    """Load the classifiers that a configuration asks for."""
    given = {"differential": config.differential, "blast": config.blast}
    weights = {task: path or shipped(task) for task, path in given.items() if config.task in (task, "both")}
    nets = load_classifiers(list(weights.values()), config.device, config.engine, config.precision)
    loaded = dict(zip(weights, nets, strict=True))
    if "blast" in loaded and BLAST not in loaded["blast"].card.classes:
        name = loaded["blast"].card.name
        raise ConfigError(f"{name}: has no class 'blast' and cannot serve as the blast net")
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
