"""Stage two: names leukocytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from smearscan.classification.background import without_background
from smearscan.classification.boosted_trees import BoostedTrees
from smearscan.classification.crops import Geometry
from smearscan.classification.morphometry import MEASURES, NAMES, measure
from smearscan.errors import WeightsError
from smearscan.runtime import Engine, NetworkSpec, Precision, make_engine
from smearscan.runtime.graph import Graph
from smearscan.runtime.graph import read as read_graph
from smearscan.weights.pairs import ClassifierCard, content_of, shipped, verified_card
from smearscan.weights.tensors import arrays_of, fill, graph_file, tensors_of, trees_of

if TYPE_CHECKING:
    from smearscan.classification.backbones import Head, Network, Norm
    from smearscan.runtime.torch_engine import FromPixels

Logits = NDArray[np.float32]
_BATCH = 8


def apply_background(
    crops: NDArray[np.uint8], background: Literal["keep", "remove"], side_um: float
) -> NDArray[np.uint8]:
    """Crops (N, S, S, 3) uint8 RGB, `side_um` wide, as a network sees them in training and while scanning.

    ``remove`` takes away what surrounds the cell, see
    :func:`smearscan.classification.background.without_background`.
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
    trees : BoostedTrees, optional
        Their logits, as much as the card says, are added to the network's.
    """

    def __init__(self, engine: Engine, card: ClassifierCard, trees: BoostedTrees | None = None) -> None:
        self.engine, self.card, self.trees = engine, card, trees

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
        pair = Pair.read(weights)
        network = joint_network_spec([pair])
        return cls(make_engine(network, device, engine, pair.precision(precision)), pair.card, pair.trees)

    @classmethod
    def shipped(
        cls, task: str, device: str = "auto", engine: str = "auto", precision: Precision = "f32"
    ) -> "Classifier":
        """Load the shipped weights of a task, ``blast`` or ``differential``."""
        return cls.load(shipped(task), device, engine, precision).answering(task)

    def answering(self, task: str) -> "Classifier":
        """Return the net as that of a task: one of fine types answers by sums, any other is what it is."""
        return Classifier(self.engine, self.card.answering(task), self.trees)

    @property
    def geometry(self) -> Geometry:
        """How the crops of this net are cut."""
        return Geometry(self.card.crop_um, self.card.crop_px)

    def probs(
        self, crops: NDArray[np.uint8], logits: Logits | None = None,
        measured: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Calibrated probabilities, (N, K) float32, of crops (N, S, S, 3) uint8 from the crop function.

        `logits` and `measured` are those of the crops, where the network was asked, and the cells were
        measured (:func:`smearscan.classification.morphometry.measure`), before.
        """
        if logits is None:
            logits = self.engine.run(apply_background(crops, self.card.background, self.card.crop_um))
        if self.trees is not None:
            form = measure(crops, self.geometry) if measured is None else measured
            logits = logits + np.float32(self.card.trees) * self.trees.scores(form)
        return np.asarray(self.card.probabilities(logits), np.float32)


def network_spec(weights: Path) -> tuple[ClassifierCard, NetworkSpec]:
    """Read a weights pair; tell how its network is made, without making it; trees are no part of it.

    Raises
    ------
    WeightsError
        As :meth:`Classifier.load`.
    """
    pair = Pair.read(weights)
    return pair.card, joint_network_spec([pair])


@dataclass(frozen=True, slots=True)
class Pair:
    """A classifier's card, and the weights file that it was verified with."""

    path: Path
    card: ClassifierCard

    @classmethod
    def read(cls, weights: Path) -> "Pair":
        """Read and verify; raises as :func:`smearscan.weights.pairs.read_pair`."""
        return cls(weights, verified_card(weights, ClassifierCard))

    @property
    def data(self) -> bytes:
        """Content of the weights file, read and verified; asked for where the network is not compiled."""
        return content_of(self.path, self.card)

    @property
    def trees(self) -> BoostedTrees | None:
        """What goes by the cell's form, beside the network; None where the card tells of none.

        Raises
        ------
        WeightsError
            If the file has none, or others than those of the card's classes.
        """
        if not self.card.trees:
            return None
        try:
            trees = BoostedTrees.of_arrays(trees_of(self.path))
        except (KeyError, ValueError) as error:
            raise WeightsError(f"{self.path}: has not the trees that its card tells of ({error})") from error
        if len(trees.base) != len(self.card.classes) or trees.column.max(initial=0) >= len(NAMES):
            raise WeightsError(f"{self.path}: its trees are not of the classes of its card; copy it again")
        if trees.measures.tolist() != [MEASURES]:
            raise WeightsError(
                f"{self.path}: its trees go by measures of another version of smearscan; train it anew"
            )
        return trees

    def precision(self, asked: Precision) -> Precision:
        """In which precision the network runs: with trees in float32.

        bfloat16 is believed where it leaves no doubt of a name; what trees add may bring doubt back.
        """
        return "f32" if self.card.trees else asked

    @property
    def made_of(self) -> tuple[str, int, "Head", "Norm"]:
        """What :func:`smearscan.classification.backbones.build` is told."""
        return self.card.architecture, len(self.card.classes), self.card.head, self.card.norm

    def network(self) -> "Network":
        """Build the torch network."""
        from smearscan.classification import backbones

        network = backbones.build(*self.made_of)
        fill(network, tensors_of(self.data, self.path), self.path)
        return network.eval()


def joint_network_spec(pairs: Sequence[Pair]) -> NetworkSpec:
    """Tell how the network of one pair is made, or of several with one trunk as one."""
    card = pairs[0].card

    def build() -> "FromPixels":
        from smearscan.runtime.torch_engine import FromPixels

        if len(pairs) == 1:
            return FromPixels(pairs[0].network(), card.mean, card.std)
        from smearscan.classification.backbones import Joined

        return FromPixels(Joined([pair.network() for pair in pairs]).eval(), card.mean, card.std)

    identity = repr([(pair.card.sha256, pair.made_of, card.mean, card.std) for pair in pairs])
    heads = tuple(len(pair.card.classes) for pair in pairs) if len(pairs) > 1 else ()

    def graph() -> Graph | None:
        file = graph_file(*(pair.path for pair in pairs))
        return read_graph(file, identity, [arrays_of(pair.data, pair.path) for pair in pairs])

    return NetworkSpec(identity, "logits", _BATCH, (card.crop_px, card.crop_px), build, heads, graph)
