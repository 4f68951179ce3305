"""Whether a field is a photograph as the networks know them: in focus, well lit, in the colors of a stain.

Measured on a copy of the field at a fixed number of pixels a red cell, so that a limit means the same at
every magnification. The limits lie outside of what published fields show: docs/results/field_quality.json,
by ``python -m references quality``.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.detection.detector import resized
from smearscan.results import Detections, FieldQuality, FieldResult, Scale
from smearscan.results.doubts import COLORS, EMPTY_FIELDS, EXPOSURE, FOCUS, Doubt, counted, first_of
from smearscan.rulers.monolayer import sharpness
from smearscan.taxonomy import LEUKOCYTE, RED_CELL

Rgb = NDArray[np.uint8]
Floats = NDArray[np.float64]

RED_CELL_PX = 21.0
"""Diameter of a red cell, px, at which fields are compared."""

LEAST_SHARPNESS = 0.055
"""Published fields have .065 or more; blurred by a Gaussian of a fifth of a red cell, .05 or less."""

DARKEST_LIGHT = 80.0
"""Level of the background's brightest channel; published fields have 120 or more."""

MOST_OVEREXPOSED = 0.25
"""Share of what is white in a channel, though it is a red cell's; published fields have .15 or less."""

LEAST_NUCLEUS_RED, LEAST_RED_CELL_RED = 0.33, 0.28
"""Least share of red in what nuclei, and red cells, absorb of red and blue, corrected for the light's color.
Nuclei, whose dye is blue, absorb red light rather than blue in every Romanowsky stain; where red and blue are
exchanged they seem to absorb blue."""

LEAST_GREEN = 0.33
"""Least share of green in what nuclei absorb; published slides have .38 or more."""

_LIGHT_WEIGHT = 0.8
"""By how much the share of red falls short where the light is bluer than red (natural logarithm): exchanged
channels turn a reddish background blue."""

_FEWEST = 3
"""Cells of a kind that tell its color."""

_WHITE_PERCENTILE, _CLIPPED = 97, 253
_NUCLEUS_REACH, _NUCLEUS_SHARE = 0.6, 0.4
_RING = 0.65
_GRID = np.stack(np.meshgrid(*[np.linspace(-_NUCLEUS_REACH, _NUCLEUS_REACH, 9)] * 2), axis=-1).reshape(-1, 2)
_ANGLES = np.arange(8) * math.pi / 4
_CIRCLE = _RING * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_UNKNOWN = (math.nan, math.nan, math.nan)


def measure_quality(image: Rgb, image_scale: Scale, found: Detections) -> FieldQuality:
    """Measure how a field was photographed.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
    image_scale : Scale
        Of these pixels.
    found : Detections
        What was found in it, pixels of `image`.
    """
    small = _at_one_scale(image, image_scale.red_cell_px / RED_CELL_PX)
    light = _light(small)
    factor = np.array([small.shape[1] / image.shape[1], small.shape[0] / image.shape[0]] * 2)
    cells, red_cells = (found.xyxy[found.labels == label] * factor for label in (LEUKOCYTE, RED_CELL))
    ring = _at(small, red_cells, _CIRCLE)
    return FieldQuality(
        sharpness(small),
        _channels(light),
        float((ring >= _CLIPPED).any(axis=-1).mean()) if ring.size else math.nan,
        _nucleus(_density(_at(small, cells, _GRID), light)),
        _channels(np.median(_density(ring, light).reshape(-1, 3), axis=0)) if ring.size else _UNKNOWN,
    )


def _at_one_scale(image: Rgb, shrink: float) -> Rgb:
    """Shrink a picture, by halves first: that is several times quicker than by any number."""
    while shrink >= 2:
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
        image = resized(image[:height, :width], 0.5)
        shrink /= 2
    return resized(image, 1 / shrink)


def _light(image: Rgb) -> Floats:
    """Levels of the background: what 3 of 100 pixels exceed in each channel."""
    pixels = image[::2, ::2].reshape(-1, 3)
    rank = len(pixels) * _WHITE_PERCENTILE // 100
    return np.asarray(np.maximum(np.partition(pixels, rank, axis=0)[rank], 1), np.float64)


def _at(image: Rgb, xyxy: Floats, offsets: Floats) -> Rgb:
    """Pixels at places within boxes, (N, P, 3); `offsets`, (P, 2), are in half sides from the middle."""
    middle, half = (xyxy[:, :2] + xyxy[:, 2:]) / 2, (xyxy[:, 2:] - xyxy[:, :2]) / 2
    places = (middle[:, None] + half[:, None] * offsets).astype(np.intp)
    x = places[..., 0].clip(0, image.shape[1] - 1)
    y = places[..., 1].clip(0, image.shape[0] - 1)
    return np.asarray(image[y, x], np.uint8)


def _density(pixels: Rgb, light: Floats) -> Floats:
    return np.clip(-np.log10((pixels + 1.0) / (light + 1.0)), 0, 2)


def _nucleus(density: Floats) -> tuple[float, float, float]:
    """Median over cells of the mean of each one's darkest pixels; `density` is (N, P, 3)."""
    if not len(density):
        return _UNKNOWN
    n = round(_NUCLEUS_SHARE * density.shape[1])
    darkest = np.argpartition(-density.sum(axis=2), n, axis=1)[:, :n]
    return _channels(np.median(np.take_along_axis(density, darkest[..., None], axis=1).mean(axis=1), axis=0))


def _channels(values: Floats) -> tuple[float, float, float]:
    red, green, blue = values.tolist()
    return red, green, blue


def doubts_of_quality(fields: Sequence[FieldResult]) -> Iterator[Doubt]:
    """Doubt a slide's fields that are no photographs as the networks know them.

    Parameters
    ----------
    fields : sequence of FieldResult
        Of one slide; those without :attr:`FieldResult.quality` are passed over.
    """
    known = [(field, field.quality) for field in fields if field.quality is not None]

    def told(
        name: str, is_in_doubt: Callable[[FieldResult, FieldQuality], bool], what: str
    ) -> Iterator[Doubt]:
        odd = [field for field, quality in known if is_in_doubt(field, quality)]
        if odd:
            paths: tuple[Path, ...] = tuple(field.path for field in odd if field.path is not None)
            names = f" ({first_of([str(path) for path in paths])})" if paths else ""
            yield Doubt(name, f"{len(odd)} of {counted(len(known), 'field', 'fields')} {what}{names}", paths)

    yield from told(
        EMPTY_FIELDS,
        lambda field, _: not shows_cells(field),
        "show no cell: blank, no smear, or out of focus?",
    )
    yield from told(FOCUS, is_out_of_focus, "are out of focus, cells are missed or misnamed: leave them out")
    yield from told(
        EXPOSURE,
        is_badly_exposed,
        "are too dark or too bright, names are not to be believed: photograph again",
    )
    yield from _of_colors(fields)


def shows_cells(field: FieldResult) -> bool:
    """Whether any cell or platelet was found."""
    return bool(len(field) or field.n_red_cells or field.n_platelets)


def is_out_of_focus(field: FieldResult, quality: FieldQuality) -> bool:
    """Whether a field that shows cells has no fine details."""
    return shows_cells(field) and quality.sharpness < LEAST_SHARPNESS


def is_badly_exposed(field: FieldResult, quality: FieldQuality) -> bool:
    """Whether a field has hardly any light, or so much that stained cells are white."""
    return max(quality.light) < DARKEST_LIGHT or quality.overexposed > MOST_OVEREXPOSED


def color_shares(fields: Sequence[FieldResult]) -> tuple[float, float, float]:
    """Tell how a slide's nuclei and red cells absorb.

    Returns
    -------
    nucleus_red, nucleus_green, red_cell_red : float
        Share of red in what nuclei absorb of red and blue, corrected for the light's color; share of green in
        all that they absorb; the first for red cells. NaN of fewer than three cells.
    """
    known = [(field, field.quality) for field in fields if field.quality is not None]
    if not known:
        return math.nan, math.nan, math.nan
    light = np.median([quality.light for _, quality in known], axis=0)
    blue_light = _LIGHT_WEIGHT * math.log(light[2] / light[0])

    def middle(densities: list[tuple[float, float, float]], n: int) -> Floats:
        seen = [density for density in densities if not math.isnan(density[0])]
        enough = n >= _FEWEST and seen
        return np.median(seen, axis=0) if enough else np.full(3, math.nan)

    nucleus = middle([quality.nucleus for _, quality in known], sum(len(field) for field, _ in known))
    red_cell = middle(
        [quality.red_cell for _, quality in known], sum(field.n_red_cells for field, _ in known)
    )
    return (
        _share(nucleus[0], nucleus[2]) - blue_light,
        _share(nucleus[1], nucleus[0] + nucleus[2]),
        _share(red_cell[0], red_cell[2]) - blue_light,
    )


def _share(part: float, rest: float) -> float:
    return float(part / (part + rest)) if part + rest > 0 else math.nan


def _of_colors(fields: Sequence[FieldResult]) -> Iterator[Doubt]:
    nucleus_red, nucleus_green, red_cell_red = color_shares(fields)
    if nucleus_red < LEAST_NUCLEUS_RED or nucleus_green < LEAST_GREEN or red_cell_red < LEAST_RED_CELL_RED:
        yield Doubt(
            COLORS,
            "nuclei and red cells have colors that no usual stain gives: are red and blue exchanged (BGR), "
            "or is the white balance off? Names are not to be believed; export the pictures again",
        )
