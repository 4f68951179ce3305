"""Classifiers that have their first layers in common: those are computed once for all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier, Logits, Pair, apply_background, joint_network_spec
from smearscan.classification.crops import Geometry
from smearscan.runtime import Engine, NetworkSpec, Precision, make_engine
from smearscan.weights.tensors import arrays_of, layers_hash

Crops = NDArray[np.uint8]


class HeadView:
    """An engine's answer to one of its questions: columns `begin` to `end` of its logits."""

    def __init__(self, whole: Engine, begin: int, end: int) -> None:
        self.whole, self.name = whole, whole.name
        self._own = slice(begin, end)

    def run(self, images: Crops) -> Logits:
        """Map (B, H, W, 3) uint8 RGB to its logits, (B, end - begin) float32."""
        return self.of(self.whole.run(images))

    def of(self, logits: Logits) -> Logits:
        """Take the own ones of all logits."""
        return np.ascontiguousarray(logits[:, self._own])


def plan(weights: Sequence[Path]) -> list[tuple[tuple[Pair, ...], NetworkSpec]]:
    """Read pairs and tell how few networks they are: those with the same trunk are one.

    Raises
    ------
    WeightsError
        As :meth:`smearscan.classification.classifier.Classifier.load`.
    """
    groups: dict[object, list[Pair]] = {}
    for pair in map(Pair.read, weights):
        groups.setdefault(_trunk(pair) or object(), []).append(pair)
    return [(tuple(pairs), joint_network_spec(pairs)) for pairs in groups.values()]


def _trunk(pair: Pair) -> object | None:
    """Tell what is equal where two nets have one trunk; None for a net that has none to share."""
    card = pair.card
    if not card.trunk:
        return None
    crop = (card.crop_um, card.crop_px, card.mean, card.std, card.background)
    return card.architecture, card.norm, *crop, card.trunk, layers_hash(pair.path, card.trunk)


def have_one_body(one: Path, other: Path) -> bool:
    """Tell whether two nets differ in their last layers alone: one costs nothing beside the other.

    Raises
    ------
    WeightsError
        As :meth:`smearscan.classification.classifier.Classifier.load`.
    """
    pairs = Pair.read(one), Pair.read(other)
    own, others = (arrays_of(pair.data, pair.path) for pair in pairs)
    trunks = [_trunk(pair) for pair in pairs]
    body = [name for name in own if not name.startswith("head.")]
    return (
        trunks[0] is not None
        and trunks[0] == trunks[1]
        and all(name in others and np.array_equal(own[name], others[name]) for name in body)
    )


def load_classifiers(
    weights: Sequence[Path], device: str = "auto", engine: str = "auto", precision: Precision = "f32"
) -> list[Classifier]:
    """Load weights pairs in their order, each as :meth:`Classifier.load` does.

    Classifiers with the same trunk get engines that are a :class:`HeadView` of one; a pair that is named
    twice is one classifier.
    """
    made: dict[Path, Classifier] = {}
    for pairs, network in plan(tuple(dict.fromkeys(weights))):
        whole = make_engine(network, device, engine, precision)
        ends = np.cumsum([len(pair.card.classes) for pair in pairs]).tolist()
        for pair, begin, end in zip(pairs, [0, *ends], ends, strict=False):
            own: Engine = whole if len(pairs) == 1 else HeadView(whole, begin, end)
            made[pair.path] = Classifier(own, pair.card)
    return [made[path] for path in weights]


def predict_probs(nets: Sequence[Classifier], crops: Mapping[Geometry, Crops]) -> list[NDArray[np.float32]]:
    """Calibrated probabilities, (N, K) float32 of each net, of the N crops that are cut for its geometry.

    A network that answers for several nets is run once.
    """
    said: dict[tuple[int, Geometry], Logits] = {}
    found = []
    for net in nets:
        own, part = crops[net.geometry], net.engine
        whole = part.whole if isinstance(part, HeadView) else part
        key = id(whole), net.geometry
        if key not in said:
            said[key] = whole.run(apply_background(own, net.card.background, net.card.crop_um))
        found.append(net.probs(own, part.of(said[key]) if isinstance(part, HeadView) else said[key]))
    return found
