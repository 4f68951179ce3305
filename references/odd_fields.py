"""How far fields of one slide lie apart in color, and how often a wrong one among them is noticed."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.doubt_rates import spread
from references.field_quality import published_parts
from smearscan.detection import Detector
from smearscan.errors import ImageError
from smearscan.io import read_image
from smearscan.io.colors import check_colors
from smearscan.results import Detections, FieldQuality, Scale
from smearscan.rulers import measure_scale
from smearscan.rulers.monolayer import light_of_glass
from smearscan.rulers.odd_fields import FEWEST_FIELDS, are_odd, colors_apart
from smearscan.rulers.quality import measure_quality
from smearscan.synthetic import stacked
from smearscan.weights import QualityLimits

Rgb = NDArray[np.uint8]

_OF_SLIDES = ("lld", "txl", "apml")
"""Sets that tell the slide of each field, or are of one; the others mix slides, stains and cameras."""
_LAYERS, _STACKS = (3, 5), 4
_FOR_SCALE = 6
_NONE = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))
_MARGINS = {"most_light_apart": 0.85, "most_stain_apart": 1.2, "most_covered": 1.02}
"""How far a limit lies beyond what fields of known slides show, as a factor: as far as wrong ones leave room.

The limit of light leaves out one field, as far from its slide as exchanged channels may bring one.
"""


def odd_field_rates(data: Path, most: int) -> dict[str, Any]:
    """Compare published fields with their slides, as they are and one at a time made wrong.

    Parameters
    ----------
    data : Path
        Folder of the data sets.
    most : int
        Fields of a slide, at most, evenly spread.

    Returns
    -------
    dict
        Per site: slides (or parts of a set that tells none) and fields; the largest distances of a field from
        its slide's median, and the largest share that cells cover (:class:`QualityLimits`); how many fields
        are told to be odd or thick though nothing was done to them, and slides with such a field. Of fields
        that were exchanged (``bgr``), inverted or made gray, one at a time: how many were refused as they are
        read, how many told, of how many, and how many others were told beside them. Of stacks of 3 and of 5
        fields how many were told to be thick. Of each slide the leukocytes left out for being pale, and those
        kept.
    """
    detector = Detector.load()
    limits = detector.card.quality
    found: dict[str, Any] = {}
    for site, paths in published_parts(data, most):
        images = [read_image(path) for path in paths]
        scale = measure_scale(detector, spread(images, _FOR_SCALE))
        boxes = [detector.detect(image, scale) for image in images]
        sound = [measure_quality(image, scale, own) for image, own in zip(images, boxes, strict=True)]
        own = found.setdefault(site, _nothing())
        _add_sound(own, sound, limits)
        own["pale"].append([sum(b.n_pale for b in boxes), sum(b.count("leukocyte") for b in boxes)])
        for i, image in enumerate(images) if len(sound) >= FEWEST_FIELDS else ():
            for name, wrong in _made_wrong(image).items():
                _add_wrong(own[name], i, wrong, sound, scale, limits)
        for layers in _LAYERS:
            covered = [measure_quality(stack, scale, _NONE).covered for stack in _stacks(images, layers)]
            own[f"{layers} on each other"][0] += sum(share > limits.most_covered for share in covered)
            own[f"{layers} on each other"][1] += len(covered)
    return found


def limits_of_odd_fields(
    found: dict[str, Any], limits: QualityLimits
) -> tuple[QualityLimits, dict[str, Any]]:
    """Set the limits of single fields beyond what those of known slides show, and tell what that was.

    Parameters
    ----------
    found : dict
        Of :func:`odd_field_rates`.
    limits : QualityLimits
        Where these limits are put.
    """
    sites = [found[site] for site in _OF_SLIDES if site in found]
    shown = {name: max(own[name] for own in sites) for name in _MARGINS}
    moved = {name: float(f"{margin * shown[name]:.2g}") for name, margin in _MARGINS.items()}
    told = {kind: sum(own[kind] for own in sites) for kind in ("slides", "fields")}
    return limits.model_copy(update=moved), {**told, "shown": shown}


def _nothing() -> dict[str, Any]:
    counts = {"refused": 0, "told": 0, "of": 0, "others_told": 0}
    return {
        "slides": 0, "fields": 0, **dict.fromkeys(_MARGINS, 0.0), "odd": 0, "thick": 0, "slides_told": 0,
        **{name: dict(counts) for name in ("bgr", "inverted", "gray")},
        **{f"{layers} on each other": [0, 0] for layers in _LAYERS},
        "pale": [],
    }  # fmt: skip


def _add_sound(own: dict[str, Any], sound: list[FieldQuality], limits: QualityLimits) -> None:
    apart, covered = colors_apart(sound), [quality.covered for quality in sound]
    odd, thick = are_odd(apart, limits), sum(share > limits.most_covered for share in covered)
    shown = (apart[:, 0].max(), apart[:, 1].max(), np.nanmax(covered))
    for name, value in zip(_MARGINS, shown, strict=True):
        own[name] = round(max(own[name], float(value)), 3)
    counts = {"slides": 1, "fields": len(sound), "odd": int(odd.sum()), "thick": thick}
    for name, n in {**counts, "slides_told": int(odd.any() or thick > 0)}.items():
        own[name] += n


def _add_wrong(
    own: dict[str, int], at: int, wrong: Rgb, sound: list[FieldQuality], scale: Scale, limits: QualityLimits
) -> None:
    """Put a wrong field in the place of a sound one."""
    own["of"] += 1
    try:
        check_colors(wrong, "field")
    except ImageError:
        own["refused"] += 1
        return
    mixed = [measure_quality(wrong, scale, _NONE) if i == at else quality for i, quality in enumerate(sound)]
    odd = are_odd(colors_apart(mixed), limits)
    own["told"] += int(odd[at])
    own["others_told"] += int(odd.sum() - odd[at])


def _made_wrong(image: Rgb) -> dict[str, Rgb]:
    gray = image.mean(axis=2, keepdims=True).astype(np.uint8)
    return {
        "bgr": np.ascontiguousarray(image[:, :, ::-1]),
        "inverted": np.asarray(255 - image, np.uint8),
        "gray": np.repeat(gray, 3, axis=2),
    }


def _stacks(images: list[Rgb], layers: int) -> list[Rgb]:
    """Lay so many fields of a slide on each other, in the light of the first."""
    if len(images) < layers:
        return []
    height, width = np.min([image.shape[:2] for image in images], axis=0)
    stacks = []
    for first in range(min(_STACKS, len(images))):
        chosen = [images[(first + k) % len(images)][:height, :width] for k in range(layers)]
        glass = [light_of_glass([image]) for image in chosen]
        lit = [
            np.clip(image / own * glass[0], 0, 255).astype(np.uint8)
            for image, own in zip(chosen, glass, strict=True)
        ]
        stacks.append(stacked(lit, glass[0].tolist()))
    return stacks
