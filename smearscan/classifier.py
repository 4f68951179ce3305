"""Stage two: names leukocytes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from smearscan import backbones
from smearscan.crops import cut_crops
from smearscan.results import Scale
from smearscan.runtime import Engine, make_engine
from smearscan.runtime.engine import FromPixels
from smearscan.weights import ClassifierCard, load_weights, shipped

_BATCH = 8


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
        network = backbones.build(card.architecture, len(card.classes))
        network.load_state_dict(tensors)
        whole = FromPixels(network.eval(), card.mean, card.std)
        return cls(make_engine(whole, device, engine, _BATCH, card.crop_px), card)

    @classmethod
    def shipped(cls, task: str, device: str = "auto", engine: str = "auto") -> "Classifier":
        """Load the shipped weights of a task, ``blast`` or ``differential``."""
        return cls.load(shipped(task), device, engine)

    def classify(
        self,
        images: Sequence[NDArray[np.uint8]],
        xyxy: Sequence[NDArray[np.float32]],
        scales: Sequence[Scale],
    ) -> list[NDArray[np.float32]]:
        """Name the cells of several fields; batches are filled across fields.

        Parameters
        ----------
        images : sequence of ndarray, (H, W, 3) uint8 RGB
        xyxy : sequence of ndarray, (N, 4) float32
            Boxes of each field's cells, field pixels.
        scales : sequence of Scale

        Returns
        -------
        list of ndarray, (N, K) float32
            Probabilities of each field's cells; rows sum to 1.
        """
        crops = [
            cut_crops(image, box, scale.um_per_px, self.card.crop_um, self.card.crop_px)
            for image, box, scale in zip(images, xyxy, scales, strict=True)
        ]
        if not crops:
            return []
        ends = np.cumsum([len(c) for c in crops])
        return np.split(self.probs(np.concatenate(crops)), ends[:-1])

    def probs(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Calibrated probabilities, (N, K) float32, of crops (N, S, S, 3) uint8 from the crop function."""
        logits = self.engine.run(crops)
        return np.asarray(softmax(logits / self.card.temperature, axis=1), np.float32)
