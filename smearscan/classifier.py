"""Stage two: names leukocytes."""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smearscan import backbones
from smearscan.background import without_background
from smearscan.crops import Geometry
from smearscan.runtime import Engine, make_engine
from smearscan.runtime.engine import FromPixels
from smearscan.weights import ClassifierCard, load_weights, shipped

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
    def load(cls, weights: Path, device: str = "auto", engine: str = "auto") -> "Classifier":
        """Load a weights pair.

        Raises
        ------
        WeightsError
            If the pair is missing, altered or no classifier's.
        EngineError
            If the device or engine is not available.
        """
        card, tensors = load_weights(weights, ClassifierCard)
        network = backbones.build(card.architecture, len(card.classes), card.head, card.norm)
        network.load_state_dict(tensors)
        whole = FromPixels(network.eval(), card.mean, card.std)
        return cls(make_engine(whole, device, engine, _BATCH, card.crop_px), card)

    @classmethod
    def shipped(cls, task: str, device: str = "auto", engine: str = "auto") -> "Classifier":
        """Load the shipped weights of a task, ``blast`` or ``differential``."""
        return cls.load(shipped(task), device, engine)

    @property
    def geometry(self) -> Geometry:
        """How the crops of this net are cut."""
        return Geometry(self.card.crop_um, self.card.crop_px)

    def probs(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities, (N, K) float32, of crops (N, S, S, 3) uint8 from the crop function."""
        logits = self.engine.run(as_seen(crops, self.card.background, self.card.crop_um))
        return np.asarray(self.card.probabilities(logits), np.float32)
