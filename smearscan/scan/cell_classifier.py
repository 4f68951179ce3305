"""The networks that name the cells of a scan, asked together, with the rule that makes names of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier
from smearscan.classification.crops import Geometry
from smearscan.classification.naming import NamingRule, Recalibration, geometric_mean
from smearscan.classification.shared_trunk import have_one_body, load_classifiers, predict_probs
from smearscan.config import ScanConfig
from smearscan.differential.calibration_card import (
    Calibration,
    load_calibration,
    naming_rule,
    shipped_calibration,
)
from smearscan.errors import ConfigError, WeightsError
from smearscan.results import Stain
from smearscan.scan.unlike_nets import NO_OTHERS, USUAL, UnlikeNets, unlike_pairs
from smearscan.taxonomy import BLAST, RED_CELL_UM
from smearscan.weights.known import KnownCells
from smearscan.weights.pairs import ClassifierCard, load_card, shipped

Probs = NDArray[np.float32]


class CellProbs(NamedTuple):
    """Calibrated probabilities of the N cells of a field, float32.

    Attributes
    ----------
    types : ndarray, (N, K)
        Of the differential's classes; K is 0 where it does not run.
    blast : ndarray, (N,)
        Of being a blast; NaN where the blast net does not run.
    fine : ndarray, (N, F)
        Of the fine types; F is 0 where no net names them.
    """

    types: Probs
    blast: Probs
    fine: Probs


@dataclass(frozen=True, slots=True)
class CellClassifier:
    """Stage two of a scan: the networks that were asked for, and the rule that makes names of what they say.

    Attributes
    ----------
    differential, blast : Classifier or None
        None where that network does not run.
    rule : NamingRule
        When a cell gets which name.
    unlike_rule : NamingRule
        The same on slides that were brought to the reference stain.
    unlike : UnlikeNets
        Answer beside these networks on those slides.
    calibration : Calibration or None
        How these networks misname cells; None where that is not known.
    fine : Classifier or None
        Names fine types within what a cell is called; None where there is none.
    """

    differential: Classifier | None
    blast: Classifier | None
    rule: NamingRule
    unlike_rule: NamingRule
    calibration: Calibration | None = None
    fine: Classifier | None = None
    unlike: UnlikeNets = NO_OTHERS

    @classmethod
    def load(cls, config: ScanConfig) -> "CellClassifier":
        """Load what a configuration names; by default the shipped weights.

        Raises
        ------
        ConfigError
            If a network cannot serve as what it was given for.
        WeightsError
            If weights are missing, altered or made for another stage, or a calibration card was made with
            other networks.
        EngineError
            If the device or engine is not available.
        """
        loaded = _classifiers(config)
        unlike = unlike_nets(config, loaded)
        usual = {task: net.card for task, net in loaded.items()}
        calibration = _calibration(config, usual, unlike.cards)
        rule, unlike_rule = (
            naming_rule(
                cards.get("differential"), cards.get("blast"), calibration and calibration.of_slide(restained)
            )
            for cards, restained in ((usual, False), (usual | unlike.cards, True))
        )
        return cls(
            loaded.get("differential"), loaded.get("blast"), rule, unlike_rule, calibration,
            loaded.get("cells"), unlike,
        )  # fmt: skip

    def rule_of(self, stain: Stain) -> NamingRule:
        """When a cell of a slide that is shown so gets which name."""
        return self.unlike_rule if stain.is_reference else self.rule

    @property
    def nets(self) -> dict[str, Classifier]:
        """The networks that name slides of known stain, by their task."""
        every = {"differential": self.differential, "blast": self.blast, "cells": self.fine}
        return {task: net for task, net in every.items() if net is not None}

    @property
    def cards(self) -> dict[str, ClassifierCard]:
        """Cards of all networks, by their task; of those of unknown stains ``TASK_unlike``."""
        others = {f"{task}_unlike": card for task, card in self.unlike.cards.items()}
        return {task: net.card for task, net in self.nets.items()} | others

    @property
    def weights(self) -> tuple[str, ...]:
        """``name:hash`` of every network, and the calibration."""
        cards = self.cards.values()
        named = list(dict.fromkeys(f"{card.name}:{card.short_hash}" for card in cards))
        return (*named, f"calibration:{self.calibration.name}") if self.calibration else tuple(named)

    @property
    def calibration_name(self) -> str:
        """Name of the calibration card that changes what is found or how sure; empty where none does."""
        return self.calibration.name if self.calibration and self.calibration.changes_cells else ""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the differential, (K,); empty where it does not run."""
        return self.differential.card.classes if self.differential else ()

    @property
    def fine_classes(self) -> tuple[str, ...]:
        """Fine types, (F,); empty where no net names them."""
        return self.fine.card.classes if self.fine else ()

    @property
    def geometries(self) -> tuple[Geometry, ...]:
        """How crops are cut for the networks, each way once."""
        return tuple(dict.fromkeys(map(_geometry, self.cards.values())))

    @property
    def measured_geometries(self) -> tuple[Geometry, ...]:
        """In which of these crops cells are measured for trees."""
        return tuple(dict.fromkeys(_geometry(card) for card in self.cards.values() if card.trees))

    @property
    def known_cells(self) -> tuple[Geometry, KnownCells] | None:
        """How cells are stained that a network learned from, in crops cut so; None where no card tells."""
        told = ((net.geometry, net.card.known_cells) for net in self.nets.values())
        return next(((how, known) for how, known in told if known is not None), None)

    @property
    def known_stain(self) -> tuple[Geometry, KnownCells] | None:
        """What slides are brought to the reference by; None where a net may have learned other stains.

        A net of one's own knows its laboratory's stain, of which the other net's card tells nothing.
        """
        nets = [net for net in (self.differential, self.blast) if net is not None]
        return self.known_cells if all(net.card.known_cells for net in nets) else None

    @property
    def red_cell_px(self) -> float:
        """Diameter of a red cell in the finest crops, pixels: what a field should keep of its own."""
        return max((how.px / how.um * RED_CELL_UM for how in self.geometries), default=0.0)

    def predict_probs(
        self, crops: Sequence[dict[Geometry, NDArray[np.uint8]]],
        forms: Sequence[dict[Geometry, NDArray[np.float32]]], restained: Sequence[bool],
    ) -> list[CellProbs]:  # fmt: skip
        """Probabilities of the cells of each field.

        All fields' crops that the same networks name are run at once, so that they fill their batches.

        Parameters
        ----------
        crops : sequence of dict
            Of each field: geometry to crops, (N, S, S, 3) uint8 RGB.
        forms : sequence of dict
            Of each field: what was measured of its cells, of :attr:`measured_geometries`.
        restained : sequence of bool
            Of each field: whether its cells were brought to the reference stain.

        Returns
        -------
        list of CellProbs
        """
        named: dict[int, CellProbs] = {}
        for is_restained in (False, True):
            own = [i for i, one in enumerate(restained) if one == is_restained]
            if own:
                others = self.unlike.nets if is_restained else {}
                said = self._together(others, [crops[i] for i in own], [forms[i] for i in own])
                named |= dict(zip(own, said, strict=True))
        return [named[i] for i in range(len(crops))]

    def _together(
        self, others: dict[str, Classifier], crops: Sequence[dict[Geometry, NDArray[np.uint8]]],
        forms: Sequence[dict[Geometry, NDArray[np.float32]]],
    ) -> list[CellProbs]:  # fmt: skip
        cut = {how: np.concatenate([own[how] for own in crops]) for how in self.geometries}
        measured = {how: np.concatenate([own[how] for own in forms]) for how in self.measured_geometries}
        counts = [len(next(iter(own.values()))) for own in crops]
        nets, n = self.nets, sum(counts)
        said = dict(zip(nets, predict_probs(list(nets.values()), cut, measured), strict=True))
        beside = zip(others, predict_probs(list(others.values()), cut, measured), strict=True)
        said |= {task: geometric_mean(said[task], probs) for task, probs in beside}
        calibrated = {task: self._recalibration(task, nets[task])(probs) for task, probs in said.items()}
        blast = np.full(n, np.nan, np.float32)
        if self.blast is not None:
            blast = np.ascontiguousarray(calibrated["blast"][:, self.blast.card.classes.index(BLAST)])
        none = np.empty((n, 0), np.float32)
        every = (calibrated.get("differential", none), blast, calibrated.get("cells", none))
        ends = np.cumsum(counts)[:-1]
        return [CellProbs(*own) for own in zip(*(np.split(probs, ends) for probs in every), strict=True)]

    def _recalibration(self, task: str, net: Classifier) -> Recalibration:
        params = self.calibration.scaling.get(task) if self.calibration else None
        return params.rescaling(net.card.classes) if params else Recalibration()


def _classifiers(config: ScanConfig) -> dict[str, Classifier]:
    """Load the classifiers that a configuration asks for."""
    given = {"differential": config.differential, "blast": config.blast}
    weights = {task: path or shipped(task) for task, path in given.items() if config.task in (task, "both")}
    if config.task == "both" and (fine := fine_pair(config)):
        weights["cells"] = fine
    nets = load_classifiers(list(weights.values()), config.device, config.engine, config.precision)
    loaded = {task: net.answering(task) for task, net in zip(weights, nets, strict=True)}
    if "blast" in loaded and BLAST not in loaded["blast"].card.classes:
        name = loaded["blast"].card.name
        raise ConfigError(f"{name}: has no class 'blast' and cannot serve as the blast net")
    if "cells" in loaded and loaded["cells"].card.task != "cells":
        own = loaded["cells"].card
        raise ConfigError(
            f"{weights['cells']}: the net {own.name} is of the task {own.task!r} and names no fine types; "
            "give one of the task 'cells'"
        )
    return loaded


def fine_pair(config: ScanConfig) -> Path | None:
    """Find the net that names fine types: the one given, else one that costs no network of its own.

    That is a differential which is itself a net of fine types, or the shipped net of them where it has one
    body with the blast net in use, as the shipped blast net is made to.
    """
    if config.cells:
        return config.cells
    own, blast = shipped("cells"), config.blast
    if config.differential and load_card(config.differential, ClassifierCard).task == "cells":
        return config.differential
    if not own.is_file() or (blast and not have_one_body(blast, own)):
        return None
    return own


def _geometry(card: ClassifierCard) -> Geometry:
    return Geometry(card.crop_um, card.crop_px)


def unlike_nets(config: ScanConfig, usual: dict[str, Classifier]) -> UnlikeNets:
    """Read the networks that name slides of unknown stain; each must name what the usual one names.

    Raises
    ------
    ConfigError
        If one names other classes, or one that was given would name no slide.
    """
    for task in USUAL:
        if (given := getattr(config, f"{task}_unlike")) and (why := _why_unused(task, config, usual)):
            raise ConfigError(f"{given}: would name no slide, for {why}; leave {task}_unlike out")
    pairs = {task: path for task, path in unlike_pairs(config).items() if task in usual}
    found = UnlikeNets.read(pairs, config) if pairs else NO_OTHERS
    for task, card in found.cards.items():
        if card.classes != (known := usual[task].card.classes):
            raise ConfigError(
                f"{pairs[task]}: names {', '.join(card.classes)}, the usual net {', '.join(known)}; on "
                "slides of unknown stain the same must be named, in the same order"
            )
    return found


def _why_unused(task: str, config: ScanConfig, usual: dict[str, Classifier]) -> str:
    """Tell in words why no slide would be named by another net of a task; empty where it is asked."""
    if not config.reference_stain:
        return "no slide is brought to the reference stain (reference_stain is off)"
    if task not in usual:
        return f"no usual net of the task {task!r} runs beside it"
    if any(net.card.known_cells is None for name, net in usual.items() if name != "cells"):
        return "a card of the usual nets does not tell how its training cells are stained, so none is unlike"
    return ""


def _calibration(
    config: ScanConfig, usual: dict[str, ClassifierCard], unlike: dict[str, ClassifierCard]
) -> Calibration | None:
    """Find the card of the nets in use; None where their errors are not known."""
    cards = usual | {f"{task}_unlike": card for task, card in unlike.items()}
    networks = {task: card.sha256 for task, card in cards.items() if not task.startswith("cells")}
    if not {"differential", "blast"} <= networks.keys():
        return None
    given = config.calibration
    if not given and not shipped_calibration().is_file():
        return None
    card = load_calibration(given or shipped_calibration())
    if card.belongs_to(networks):
        return card
    if given:
        raise WeightsError(
            f"{given}: was made with other networks than those in use; "
            "make one for them with 'smearscan calibrate'"
        )
    return None
