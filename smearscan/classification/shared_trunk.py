"""Classifiers that have their first layers in common: those are computed once for all of them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier, Logits, Pair, apply_background, joint_network_spec
from smearscan.classification.crops import Geometry
from smearscan.classification.morphometry import measure
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
        asked: Precision = min((pair.precision(precision) for pair in pairs), key=("f32", "bf16").index)
        whole = make_engine(network, device, engine, asked)
        ends = np.cumsum([len(pair.card.classes) for pair in pairs]).tolist()
        for pair, begin, end in zip(pairs, [0, *ends], ends, strict=False):
            own: Engine = whole if len(pairs) == 1 else HeadView(whole, begin, end)
            made[pair.path] = Classifier(own, pair.card, pair.trees)
    return [made[path] for path in weights]


def measured_geometries(nets: Iterable[Classifier]) -> tuple[Geometry, ...]:
    """Tell in which crops cells are measured for the nets that have trees."""
    return tuple(dict.fromkeys(net.geometry for net in nets if net.trees is not None))


def predict_probs(
    nets: Sequence[Classifier], crops: Mapping[Geometry, Crops],
    forms: Mapping[Geometry, NDArray[np.float32]] | None = None,
) -> list[NDArray[np.float32]]:  # fmt: skip
    """Calibrated probabilities, (N, K) float32 of each net, of the N crops that are cut for its geometry.

    A network that answers for several nets is run once, and cells are measured once; `forms` holds what was
    measured of them before (:func:`measured_geometries`), of crops as photographed.
    """
    said: dict[tuple[int, Geometry], Logits] = {}
    if forms is None:
        forms = {how: measure(crops[how], how) for how in measured_geometries(nets)}
    found = []
    for net in nets:
        own, part = crops[net.geometry], net.engine
        whole = part.whole if isinstance(part, HeadView) else part
        key = id(whole), net.geometry
        if key not in said:
            said[key] = whole.run(apply_background(own, net.card.background, net.card.crop_um))
        logits = part.of(said[key]) if isinstance(part, HeadView) else said[key]
        found.append(net.probs(own, logits, forms.get(net.geometry)))
    return found
