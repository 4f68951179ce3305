"""How often real fields raise a doubt of overlap or of two magnifications, rightly and wrongly."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.detection import Detector
from smearscan.io import read_image
from smearscan.results import FieldResult, Scale
from smearscan.rulers import measure_scale
from smearscan.rulers.magnification import doubts_of_scale
from smearscan.rulers.overlap import find_overlaps
from smearscan.rulers.small_leukocytes import count_small
from smearscan.taxonomy import RED_CELL

_SHARES = (0.5, 0.25)
_FACTORS = (0.5, 0.63, 1.6, 2.0)
_FOR_SCALE = 6


def doubt_rates(data: Path, most: int) -> dict[str, Any]:
    """Measure doubts on slides of published fields, as they are and made wrong.

    Parameters
    ----------
    data : Path
        Folder of the data sets.
    most : int
        Fields of a slide, at most, evenly spread.

    Returns
    -------
    dict
        Per site: fields and slides; pairs of fields that are found to overlap (published fields may truly);
        slides in doubt of their magnification; of each slide its leukocytes no larger than red cells, and
        all; of fields cut into two that share a half or a quarter of their width and a leukocyte, how many
        are noticed; the same of slides every third field of which is resized.
    """
    detector = Detector.load()
    found: dict[str, Any] = {}
    for site, paths in published_slides(data):
        images = [read_image(path) for path in spread(paths, most)]
        scale = measure_scale(detector, spread(images, _FOR_SCALE))
        fields = [_result(detector, image, scale, i) for i, image in enumerate(images)]
        own = found.setdefault(
            site, {"slides": 0, "fields": 0, "overlaps": [], "in_doubt": [], "small_leukocytes": []}
        )
        own["slides"] += 1
        own["fields"] += len(fields)
        chosen = spread(paths, most)
        own["overlaps"] += [[chosen[o.first].name, chosen[o.second].name] for o in find_overlaps(fields)]
        own["small_leukocytes"].append(list(count_small(fields)))
        own["in_doubt"] += [doubt.reason for doubt in doubts_of_scale(scale, fields)]
        for share in _SHARES:
            hits, n = _noticed(detector, images, scale, share)
            key = own.setdefault(f"halves_sharing_{share:g}", [0, 0])
            key[0] += hits
            key[1] += n
        for factor in _FACTORS if len(images) >= 3 else ():
            mixed = [_resized(image, factor) if i % 3 == 1 else image for i, image in enumerate(images)]
            scale_of_all = measure_scale(detector, spread(mixed, _FOR_SCALE))
            read = [_result(detector, image, scale_of_all, i) for i, image in enumerate(mixed)]
            key = own.setdefault(f"a_third_resized_{factor:g}", [0, 0])
            key[0] += bool(doubts_of_scale(scale_of_all, read))
            key[1] += 1
    return found


def published_slides(data: Path) -> Iterator[tuple[str, list[Path]]]:
    """List published fields, by slide where it is known."""
    for site, index, images, by in (
        ("lld", "lld/index.csv", "lld/images", "patient"),
        ("txl", "txl/index.csv", "txl/images", "slide_or_group"),
    ):
        if (data / index).is_file():
            table = pd.read_csv(data / index, dtype=str)
            for _, rows in table.groupby(by):
                paths = [data / images / name for name in rows["image"]]
                yield site, sorted(path for path in paths if path.is_file())
    for site, folder in (
        ("bccd", "bccd/images"),
        ("apml", "apml_fields"),
        ("iml", "iml_fields/images"),
        ("rbc", "rbc_only_fields"),
    ):
        paths = sorted(p for p in (data / folder).rglob("*") if p.suffix.lower() in (".jpg", ".png"))
        if paths:
            yield site, paths


def spread(items: list[Any], most: int) -> list[Any]:
    """Choose up to `most` of a list, evenly spread."""
    at = np.linspace(0, len(items) - 1, min(len(items), most)).round().astype(int)
    return [items[i] for i in dict.fromkeys(at.tolist())]


def _result(detector: Detector, image: NDArray[np.uint8], scale: Scale, number: int) -> FieldResult:
    found = detector.detect(image, scale)
    white = found.leukocytes
    n = len(white)
    return FieldResult(
        "", Path(str(number)), (image.shape[0], image.shape[1]), white, np.empty((n, 0), np.float32), (),
        np.full(n, np.nan, np.float32), ("leukocyte",) * n, scale,
        red_cell_xyxy=found.xyxy[found.labels == RED_CELL],
    )  # fmt: skip


def _noticed(
    detector: Detector, images: list[NDArray[np.uint8]], scale: Scale, share: float
) -> tuple[int, int]:
    """Cut each field into two that share a part; how many of those with a leukocyte there are noticed."""
    hits = n = 0
    for image in images:
        width = image.shape[1]
        part = round(width / (2 - share))  # two parts of this width share `share` of it
        left, right = image[:, :part], image[:, width - part :]
        a, b = _result(detector, left, scale, 0), _result(detector, right, scale, 1)
        first = width - part
        middle = a.detections.xyxy[:, ::2].mean(axis=1)
        if not (middle > first + scale.red_cell_px).any():
            continue
        n += 1
        hits += bool(find_overlaps([a, b]))
    return hits, n


def _resized(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how), np.uint8)
