"""What part of a film published fields are taken for, as they are and laid on each other, as thick parts are.

Who took these photographs looked for one layer, so each that would be left out of a film is a mistake.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from references.doubt_rates import published_slides, spread
from smearscan.detection import Detector
from smearscan.io import read_image
from smearscan.results import FILM_PARTS
from smearscan.rulers import measure_scale
from smearscan.rulers.monolayer import Coverage, light_of_glass, part_of
from smearscan.synthetic import stacked

Rgb = NDArray[np.uint8]

_COARSE_UM = 2.0
"""Micrometers a pixel, as a whole slide is looked at."""
_LAYERS = (3, 5)
_STACKS = 10
"""Of each slide."""
_FOR_SCALE = 6
_SEED = 17


def parts_of_published_fields(data: Path, most: int) -> dict[str, Any]:
    """Judge published fields as the squares of a film are.

    The light of each field is measured on itself: photographs differ in exposure, the squares of a scanned
    film do not.

    Parameters
    ----------
    data : Path
        Folder of the data sets.
    most : int
        Fields of a slide, at most, evenly spread.

    Returns
    -------
    dict
        Per site: slides, fields, the share that cells cover (least, median, most), and how many fields are
        taken for which part; the same of so many fields of one slide laid on each other.
    """
    detector = Detector.load()
    covered: dict[str, dict[str, list[Coverage]]] = {}
    slides: Counter[str] = Counter()
    for site, paths in published_slides(data):
        images = [read_image(path) for path in spread(paths, most)]
        um_per_px = measure_scale(detector, spread(images, _FOR_SCALE)).um_per_px
        coarse = [_coarse(image, um_per_px) for image in images]
        slides[site] += 1
        own = covered.setdefault(site, {"as they are": []})
        own["as they are"] += [Coverage.of(image, light_of_glass([image]), _COARSE_UM) for image in coarse]
        rng = np.random.default_rng(_SEED)
        for n in _LAYERS:
            own.setdefault(f"{n} on each other", []).extend(_of_stacks(coarse, n, rng))
    return {
        site: {"slides": slides[site], **{k: _told(v) for k, v in own.items()}}
        for site, own in covered.items()
    }


def table(figures: dict[str, Any]) -> str:
    """Tell the figures as Markdown."""
    ways = [way for way in next(iter(figures.values())) if way != "slides"]
    lines = ["| fields of | " + " | ".join(ways) + " |", "|---|" + "---|" * len(ways)]
    for site, own in figures.items():
        told = [
            f"{', '.join(f'{n} {part}' for part, n in own[way]['taken for'].items())} "
            f"({' / '.join(f'{100 * share:.0f}' for share in own[way]['covered'])} %)"
            for way in ways
        ]
        lines.append(f"| `{site}` | {' | '.join(told)} |")
    return "\n".join([*lines, "\nIn brackets what cells cover: least, median, most."])


def _of_stacks(coarse: list[Rgb], n: int, rng: np.random.Generator) -> list[Coverage]:
    """Share that cells cover in stacks of n fields of one slide; none where it has not so many."""
    if len(coarse) < n:
        return []
    height, width = np.min([image.shape[:2] for image in coarse], axis=0)
    glass = (255.0, 255.0, 255.0)
    bright = [_at_full_light(image[:height, :width]) for image in coarse]
    chosen = [rng.choice(len(bright), n, replace=False) for _ in range(_STACKS)]
    return [
        Coverage.of(stacked([bright[i] for i in own], glass), np.array(glass), _COARSE_UM) for own in chosen
    ]


def _coarse(image: Rgb, um_per_px: float) -> Rgb:
    factor = min(1.0, um_per_px / _COARSE_UM)
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _at_full_light(image: Rgb) -> Rgb:
    """Bring the glass of a field to white."""
    return np.asarray(np.clip(image / light_of_glass([image]) * 255, 0, 255), np.uint8)


def _told(covered: list[Coverage]) -> dict[str, Any]:
    parts = Counter(FILM_PARTS[part_of(one)] for one in covered)
    low, middle, high = np.percentile([one.whole for one in covered], (0, 50, 100)).round(3).tolist()
    return {"fields": len(covered), "covered": [low, middle, high], "taken for": dict(sorted(parts.items()))}
