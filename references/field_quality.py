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
from smearscan.results.doubts import COLORS, EXPOSURE, FOCUS
from smearscan.rulers import measure_scale
from smearscan.rulers.quality import color_shares, doubts_of_quality, measure_quality
from smearscan.scan.slide_doubts import doubts_of_fields
from smearscan.taxonomy import RED_CELL

Rgb = NDArray[np.uint8]

_PARTS = 4
"""Sets that tell no slide are read as so many slides."""
_ORDERS = {"bgr": (2, 1, 0), "grb": (1, 0, 2), "rbg": (0, 2, 1)}
_BLURS = (0.2, 0.3)
_EXPOSURES = (1.8, 0.3)


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
        exchanged channels, and of fields that were blurred (Gaussian, in red cells) or exposed otherwise, how
        many are noticed, and of how many. ``no smears``: what each picture of something else is told.
    """
    detector = Detector.load()
    found: dict[str, Any] = {}
    for site, paths in _slides(data, most):
        images = [read_image(path) for path in paths]
        scale = measure_scale(detector, images)
        fields = [_result(detector, image, scale, path) for image, path in zip(images, paths, strict=True)]
        own = found.setdefault(site, {"slides": 0, "fields": 0, "in_doubt": []})
        own["slides"] += 1
        own["fields"] += len(fields)
        own["in_doubt"] += [
            f"{doubt.name}: {_short(doubt.reason, data)}" for doubt in doubts_of_quality(fields)
        ]
        _extremes(own, fields)
        for name, order in _ORDERS.items():
            turned = [_result(detector, np.ascontiguousarray(i[:, :, order]), scale) for i in images]
            _count(own, name, any(doubt.name == COLORS for doubt in doubts_of_quality(turned)))
        for image in images:
            for size in _BLURS:
                blurred = cv2.GaussianBlur(image, (0, 0), size * scale.red_cell_px)
                _count(
                    own,
                    f"blurred_{size:g}",
                    _is_noticed(detector, np.asarray(blurred, np.uint8), scale, FOCUS),
                )
            for factor in _EXPOSURES:
                exposed = np.clip(image * factor, 0, 255).astype(np.uint8)
                _count(own, f"exposed_{factor:g}", _is_noticed(detector, exposed, scale, EXPOSURE))
    found["no smears"] = {name: _told(detector, image) for name, image in no_smears()}
    return found


def _slides(data: Path, most: int) -> Iterator[tuple[str, list[Path]]]:
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
    overexposed = [q.overexposed for q in known if not np.isnan(q.overexposed)]
    shares = dict(zip(("nucleus_red", "nucleus_green", "red_cell_red"), color_shares(fields), strict=True))
    least = {
        "sharpness": min(q.sharpness for q in known),
        "light": min(max(q.light) for q in known),
    }
    for name, value in {**least, **{k: v for k, v in shares.items() if not np.isnan(v)}}.items():
        own[f"least_{name}"] = round(min(value, own.get(f"least_{name}", np.inf)), 3)
    own["most_overexposed"] = round(max([own.get("most_overexposed", 0.0), *overexposed]), 3)


def _count(own: dict[str, Any], name: str, is_noticed: bool) -> None:
    hits, n = own.get(name, (0, 0))
    own[name] = (hits + is_noticed, n + 1)


def _is_noticed(detector: Detector, image: Rgb, scale: Scale, name: str) -> bool:
    """Whether a field alone is in doubt for this, or for showing no cell."""
    names = {doubt.name for doubt in doubts_of_quality([_result(detector, image, scale)])}
    return bool(names & {name, "empty fields"})


def _told(detector: Detector, image: Rgb) -> str:
    """Tell what a scan says of a picture alone: why it is refused, or its doubts."""
    try:
        check_colors(image, "picture")
    except ImageError as error:
        return f"refused: {str(error).split(';')[0].removeprefix('picture: ')}"
    scale = measure_scale(detector, [image])
    return ", ".join(doubt.name for doubt in doubts_of_fields(scale, [_result(detector, image, scale)]))


def _short(reason: str, data: Path) -> str:
    return reason.replace(f"{data}/", "")
