"""Stage two: names leukocytes."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from smearscan.background import without_background
from smearscan.crops import Geometry
from smearscan.runtime import Blueprint, Engine, Precision, make_engine
from smearscan.weights import ClassifierCard, read_pair, shipped, tensors_of

if TYPE_CHECKING:
    from smearscan.runtime.torch_engine import FromPixels

_BATCH = 8


def as_seen(
    crops: NDArray[np.uint8], background: Literal["keep", "remove"], side_um: float
) -> NDArray[np.uint8]:
    """Crops (N, S, S, 3) uint8 RGB, `side_um` wide, as a network sees them in training and while scanning.

    ``remove`` takes away what surrounds the cell, see :func:`smearscan.background.without_background`.
    """
    if background == "keep" or not len(crops):
        return crops
    return np.stack([without_background(crop, side_um) for crop in crops])


class Classifier:
    """Gives each cell a calibrated probability of each class.

    Parameters
    ----------
    engine : Engine
        Maps (B, S, S, 3) uint8 RGB crops to (B, K) logits.
    card : ClassifierCard
        Crop geometry, classes and temperature.
    """

    def __init__(self, engine: Engine, card: ClassifierCard) -> None:
        self.engine, self.card = engine, card

    @classmethod
    def load(
        cls, weights: Path, device: str = "auto", engine: str = "auto", precision: Precision = "f32"
    ) -> "Classifier":
        """Load a weights pair; device, engine and precision: see :func:`smearscan.runtime.engine.make`.

        Raises
        ------
        WeightsError
            If the pair is missing, altered or no classifier's.
        EngineError
            If the device or engine is not available.
        """
        card, network = blueprint(weights)
        return cls(make_engine(network, device, engine, precision), card)

    @classmethod
    def shipped(
        cls, task: str, device: str = "auto", engine: str = "auto", precision: Precision = "f32"
    ) -> "Classifier":
        """Load the shipped weights of a task, ``blast`` or ``differential``."""
        return cls.load(shipped(task), device, engine, precision)

    @property
    def geometry(self) -> Geometry:
        """How the crops of this net are cut."""
        return Geometry(self.card.crop_um, self.card.crop_px)

    def probs(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities, (N, K) float32, of crops (N, S, S, 3) uint8 from the crop function."""
        logits = self.engine.run(as_seen(crops, self.card.background, self.card.crop_um))
        return np.asarray(softmax(logits / self.card.temperature, axis=1), np.float32)


def blueprint(weights: Path) -> tuple[ClassifierCard, Blueprint]:
    """Read a weights pair; tell how its network is made, without making it.

    Raises
    ------
    WeightsError
        As :meth:`Classifier.load`.
    """
    card, data = read_pair(weights, ClassifierCard)
    made_of = (card.architecture, len(card.classes), card.head, card.norm)

    def build() -> "FromPixels":
        from smearscan import backbones
        from smearscan.runtime.torch_engine import FromPixels

        network = backbones.build(*made_of)
        network.load_state_dict(tensors_of(data, weights))
        return FromPixels(network.eval(), card.mean, card.std)

    identity = repr((card.sha256, made_of, card.mean, card.std))
    return card, Blueprint(identity, "logits", _BATCH, (card.crop_px, card.crop_px), build)
