"""What published fields show of their quality, and how often a field that was made worse is noticed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from references.bad_inputs.contents import no_smears
from references.doubt_rates import published_slides, spread
from smearscan.detection import Detector
from smearscan.errors import ImageError
from smearscan.io import read_image
from smearscan.io.colors import check_colors
from smearscan.results import FieldResult, Scale
from smearscan.results.doubts import COLORS, EXPOSURE, FOCUS, LIGHT_CIRCLE, SCALE_BAR
from smearscan.rulers import measure_scale
from smearscan.rulers.quality import measure_quality
from smearscan.rulers.quality_doubts import color_shares, doubts_of_quality
from smearscan.scan.slide_doubts import doubts_of_fields
from smearscan.taxonomy import RED_CELL
from smearscan.weights import QualityLimits

Rgb = NDArray[np.uint8]

_PARTS = 4
"""Sets that tell no slide are read as so many slides."""
_ORDERS = {"bgr": (2, 1, 0), "grb": (1, 0, 2), "rbg": (0, 2, 1)}
_BLURS = (0.2, 0.3)
_EXPOSURES = (1.8, 0.3)
_MOVES = (0.5, 1.0)
_BAR_UM, _BAR_HIGH_UM = 10, 1


def quality_rates(data: Path, most: int) -> dict[str, Any]:
    """Measure the quality of published fields, as they are and made worse.

    Parameters
    ----------
    data : Path
        Folder of the data sets.
    most : int
        Fields of a slide, at most, evenly spread.

    Returns
    -------
    dict
        Per site: the extremes of what is limited, fields and slides in doubt as published; of slides with
        exchanged channels, and of fields that were made worse (see :func:`_made_worse`), how many are
        noticed, and of how many. ``no smears``: what each picture of something else is told.
    """
    detector = Detector.load()
    limits = detector.card.quality
    found: dict[str, Any] = {}
    for site, paths in published_parts(data, most):
        images = [read_image(path) for path in paths]
        scale = measure_scale(detector, images)
        fields = [_result(detector, image, scale, path) for image, path in zip(images, paths, strict=True)]
        own = found.setdefault(site, {"slides": 0, "fields": 0, "in_doubt": []})
        own["slides"] += 1
        own["fields"] += len(fields)
        own["in_doubt"] += [
            f"{doubt.name}: {_short(doubt.reason, data)}" for doubt in doubts_of_quality(fields, limits)
        ]
        _extremes(own, fields)
        for name, order in _ORDERS.items():
            turned = [_result(detector, np.ascontiguousarray(i[:, :, order]), scale) for i in images]
            _count(own, name, any(doubt.name == COLORS for doubt in doubts_of_quality(turned, limits)))
        for image in images:
            for name, worse, doubt in _made_worse(image, scale):
                _count(own, name, _is_noticed(detector, worse, scale, doubt))
    found["no smears"] = {name: _words(detector, image) for name, image in no_smears()}
    return found


_MARGINS = {
    "least_sharpness": 0.82, "least_evenness": 0.85, "least_light": 0.57, "least_corners": 0.57,
    "least_in_cells": 0.88, "most_overexposed": 2.0, "most_white": 3.05, "most_greenish": 3.33,
    "least_nucleus_red": 0.92, "least_nucleus_green": 0.92, "least_red_cell_red": 0.89,
    "least_red_cell_green": 0.81,
}  # fmt: skip
"""How far a limit lies beyond what published fields show, as a factor: as far as spoiled ones leave room."""


def limits_of(found: dict[str, Any]) -> tuple[QualityLimits, dict[str, Any]]:
    """Set the limits beyond what all published sites show, and tell what that was.

    Parameters
    ----------
    found : dict
        Of :func:`quality_rates`.
    """
    sites = [own for own in found.values() if "slides" in own]
    shown = {
        name: (min if name.startswith("least") else max)(own[name] for own in sites if name in own)
        for name in _MARGINS
    }
    limits = QualityLimits(**{name: float(f"{_MARGINS[name] * shown[name]:.2g}") for name in _MARGINS})
    told = {kind: sum(own[kind] for own in sites) for kind in ("slides", "fields")}
    return limits, {**told, "in_doubt": sum(len(own["in_doubt"]) for own in sites), "shown": shown}


def _made_worse(image: Rgb, scale: Scale) -> Iterator[tuple[str, Rgb, str]]:
    """Yield what was done to a field, the field, and the doubt that it should raise.

    Blurred by a Gaussian, and moved along the rows, by so many red cells; exposed to so many times its light;
    in the circle of an eyepiece; with a scale bar of 10 um.
    """
    for size in _BLURS:
        blurred = cv2.GaussianBlur(image, (0, 0), size * scale.red_cell_px)
        yield f"blurred_{size:g}", np.asarray(blurred, np.uint8), FOCUS
    for size in _MOVES:
        moved = cv2.blur(image, (max(1, round(size * scale.red_cell_px)), 1))
        yield f"moved_{size:g}", np.asarray(moved, np.uint8), FOCUS
    for factor in _EXPOSURES:
        yield f"exposed_{factor:g}", np.clip(image * factor, 0, 255).astype(np.uint8), EXPOSURE
    height, width = image.shape[:2]
    y, x = np.indices((height, width)) - np.array([height, width])[:, None, None] / 2
    in_circle = np.hypot(x, y) < max(height, width) / 2
    yield "in_a_circle", np.where(in_circle[..., None], image, 0).astype(np.uint8), LIGHT_CIRCLE
    long, high = (round(um / scale.um_per_px) for um in (_BAR_UM, _BAR_HIGH_UM))
    for name, ink in (("black_bar", 0), ("white_bar", 255)):
        marked = image.copy()
        marked[-3 * high : -2 * high, -long - 2 * high : -2 * high] = ink
        yield name, marked, SCALE_BAR


def published_parts(data: Path, most: int) -> Iterator[tuple[str, list[Path]]]:
    """List some published fields by slide; a set that tells no slide, in four parts."""
    leukemias = sorted((data / "aria_all" / "images").glob("*.jpg"))
    every = [*published_slides(data), *([("aria", leukemias)] if leukemias else [])]
    for site, paths in every:
        if sum(name == site for name, _ in every) > 1:
            yield site, spread(paths, most)
        else:
            chosen = spread(paths, _PARTS * most)
            yield from ((site, chosen[i::_PARTS]) for i in range(_PARTS))


def _result(detector: Detector, image: Rgb, scale: Scale, path: Path | None = None) -> FieldResult:
    found = detector.detect(image, scale)
    white = found.leukocytes
    n = len(white)
    return FieldResult(
        "", path, (image.shape[0], image.shape[1]), white, np.empty((n, 0), np.float32), (),
        np.full(n, np.nan, np.float32), ("leukocyte",) * n, scale, found.count("red_cell"),
        found.count("platelet"), red_cell_xyxy=found.xyxy[found.labels == RED_CELL],
        quality=measure_quality(image, scale, found),
    )  # fmt: skip


def _extremes(own: dict[str, Any], fields: list[FieldResult]) -> None:
    """Widen a site's extremes of what is limited by those of one slide."""
    known = [field.quality for field in fields if field.quality is not None]
    shares = dict(
        zip(
            ("nucleus_red", "nucleus_green", "red_cell_red", "red_cell_green"),
            color_shares(fields),
            strict=True,
        )
    )
    least = {
        "sharpness": [q.sharpness for q in known],
        "evenness": [q.evenness for q in known],
        "light": [max(q.light) for q in known],
        "corners": [q.corners for q in known],
        "in_cells": [q.in_cells for q in known],
        **{name: [share] for name, share in shares.items()},
    }
    most = {
        "overexposed": [q.overexposed for q in known],
        "white": [q.white for q in known],
        "greenish": [q.greenish for q in known],
    }
    for name, values in least.items():
        if told := _told(values):
            own[f"least_{name}"] = round(min([own.get(f"least_{name}", np.inf), *told]), 3)
    for name, values in most.items():
        own[f"most_{name}"] = round(max([own.get(f"most_{name}", 0.0), *_told(values)]), 4)


def _told(values: list[float]) -> list[float]:
    return [value for value in values if not np.isnan(value)]


def _count(own: dict[str, Any], name: str, is_noticed: bool) -> None:
    hits, n = own.get(name, (0, 0))
    own[name] = (hits + is_noticed, n + 1)


def _is_noticed(detector: Detector, image: Rgb, scale: Scale, name: str) -> bool:
    """Whether a field alone is in doubt for this, or for showing no cell."""
    names = {
        doubt.name for doubt in doubts_of_quality([_result(detector, image, scale)], detector.card.quality)
    }
    return bool(names & {name, "empty fields"})


def _words(detector: Detector, image: Rgb) -> str:
    """Tell what a scan says of a picture alone: why it is refused, or its doubts."""
    try:
        check_colors(image, "picture")
    except ImageError as error:
        return f"refused: {str(error).split(';')[0].removeprefix('picture: ')}"
    scale = measure_scale(detector, [image])
    found = doubts_of_fields(scale, [_result(detector, image, scale)], detector.card.quality)
    return ", ".join(doubt.name for doubt in found)


def _short(reason: str, data: Path) -> str:
    return reason.replace(f"{data}/", "")
