"""A card in words: what the network is for, what it learned from, how good it was, how it is used."""

from collections.abc import Iterator
from typing import Any

from smearscan.weights.pairs import ClassifierCard, DetectorCard

CROPS = (
    "crops are cut around the middle of each cell's box, {um:g} um wide, from the field in its own pixels; "
    "the 90th percentile of each channel of the whole field is brought to 235 (gain within 0.6 to 2.5), what "
    "lies beyond the field is filled with 235; resized to {px} x {px} px by area (bilinear where enlarged); "
    "RGB, 0 to 255"
)


def card_summary(card: DetectorCard | ClassifierCard, in_force: float | None = None) -> list[str]:
    """Tell a card in some lines.

    Parameters
    ----------
    card : DetectorCard or ClassifierCard
    in_force : float, optional
        Blast threshold that a scan uses in place of the card's: that of the calibration card.
    """
    return list(_lines(card, in_force))


def _lines(card: DetectorCard | ClassifierCard, in_force: float | None) -> Iterator[str]:
    yield f"{card.name}: a {card.stage} ({card.architecture}), sha256 {card.short_hash}"
    yield f"names: {', '.join(card.classes)}"
    yield f"trained on: {_learned(card.training)}"
    for key, part in card.metrics.items():
        accuracy = (
            part.get("accuracy") or part.get("all", {}).get("accuracy") if isinstance(part, dict) else None
        )
        if accuracy and accuracy.get("value") is not None:
            low, high = accuracy.get("interval_95") or (float("nan"),) * 2
            n = accuracy["cells"]
            yield f"accuracy, {key}: {accuracy['value']:.3f} ({low:.3f} to {high:.3f}) on {n} cells"
    if isinstance(card, DetectorCard):
        limits = ", ".join(
            f"{name} {limit:g}" for name, limit in zip(card.classes, card.thresholds, strict=True)
        )
        yield f"thresholds: {limits}; fields are brought to red cells of {card.working_red_cell_px:g} px"
    else:
        yield f"input: {CROPS.format(um=card.crop_um, px=card.crop_px)}"
        yield f"probabilities: softmax of the logits divided by {card.temperature:g}"
        if card.trees:
            yield f"trees by a cell's measured form: {card.trees:g} of their logits are added"
        if "blast" in card.classes:
            used = card.threshold if in_force is None else in_force
            own = (
                ""
                if in_force is None
                else f" (of the calibration card; the net's own is {card.threshold:.3g})"
            )
            yield f"blast from a probability of {used:.3g} on{own}"
    for limit in card.limits:
        yield f"limit: {limit}"
    yield card.notice


def _learned(training: dict[str, Any]) -> str:
    """Tell what the network learned from: cells or fields of each set's training part."""
    data = training.get("data", {})
    found = [
        f"{n['cells']} cells of {key.removesuffix('/train')}"
        for key, n in data.items()
        if key.endswith("/train")
    ]
    found += [f"{n} fields of {site}" for site, n in training.get("fields", {}).items()]
    return ", ".join(found) or "not told"
