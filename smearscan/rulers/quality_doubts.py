"""Whether a slide's fields are photographs as the networks know them: in focus, well lit, of a stained smear.

The limits lie outside of what published fields show: docs/results/field_quality.json, by ``python -m
references quality``.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.results import FieldQuality, FieldResult
from smearscan.results.doubts import (
    BORDER_CELLS,
    COLORS,
    EMPTY_FIELDS,
    EXPOSURE,
    FOCUS,
    LIGHT_CIRCLE,
    NO_SMEAR,
    SCALE_BAR,
    Doubt,
    counted,
    first_of,
)  # fmt: skip

Floats = NDArray[np.float64]

LEAST_SHARPNESS = 0.055
"""Published fields have .065 or more; blurred by a Gaussian of a fifth of a red cell, .05 or less."""

LEAST_EVENNESS = 0.55
"""Published fields have .65 or more; moved by half a red cell, nearly all have less than the limit."""

DARKEST_LIGHT = 80.0
"""Level of the background's brightest channel; published fields have 120 or more."""

MOST_OVEREXPOSED, MOST_WHITE = 0.25, 0.6
"""Share of what is white in a channel, though it is a red cell's, in published fields .15 or less; and share
of the pixels that are white in all channels, there .2 or less: of a field with hardly a cell left."""

LEAST_IN_CELLS, MOST_GREENISH = 0.3, 0.01
"""Share of what is dark that lies within boxes of cells, in published fields .34 or more; and share of the
pixels that are greener than the background, for every stain takes green light away: there .004 or less."""

DARKEST_CORNER = 0.35
"""Light in the second darkest corner, share of the field's: published fields have .6 or more."""

MOST_AT_BORDER, _FEWEST_AT_BORDER = 0.6, 20
"""Share of a slide's leukocytes that the pictures' borders cut, of so many: most of them."""

LEAST_NUCLEUS_RED, LEAST_RED_CELL_RED = 0.33, 0.28
"""Least share of red in what nuclei, and red cells, absorb of red and blue, corrected for the light's color.
Nuclei, whose dye is blue, absorb red light rather than blue in every Romanowsky stain; where red and blue are
exchanged they seem to absorb blue."""

LEAST_NUCLEUS_GREEN, LEAST_RED_CELL_GREEN = 0.33, 0.28
"""Least share of green in what nuclei, and red cells, absorb; published slides have .35 and .34 or more."""

_LIGHT_WEIGHT = 0.8
"""By how much the share of red falls short where the light is bluer than red (natural logarithm): exchanged
channels turn a reddish background blue."""

_FEWEST = 3
"""Cells of a kind that tell its color."""


def doubts_of_quality(fields: Sequence[FieldResult]) -> Iterator[Doubt]:
    """Doubt a slide's fields that are no photographs as the networks know them.

    Parameters
    ----------
    fields : sequence of FieldResult
        Of one slide; those without :attr:`FieldResult.quality` are passed over.
    """
    known = [(field, field.quality) for field in fields if field.quality is not None]
    for name, is_in_doubt, what in _OF_A_FIELD:
        odd = [field for field, quality in known if is_in_doubt(field, quality)]
        if odd:
            paths: tuple[Path, ...] = tuple(field.path for field in odd if field.path is not None)
            names = f" ({first_of([str(path) for path in paths])})" if paths else ""
            yield Doubt(name, f"{len(odd)} of {counted(len(known), 'field', 'fields')} {what}{names}", paths)
    photographs = [field for field, _ in known]
    yield from _of_colors(photographs)
    yield from _of_border_cells(photographs)


def shows_cells(field: FieldResult) -> bool:
    """Whether any cell or platelet was found."""
    return bool(len(field) or field.n_red_cells or field.n_platelets)


def is_empty(field: FieldResult, _: FieldQuality) -> bool:
    """Whether a field shows nothing that was found."""
    return not shows_cells(field)


def is_out_of_focus(field: FieldResult, quality: FieldQuality) -> bool:
    """Whether a field that shows cells has no fine details, or hardly any in one direction."""
    is_blurred = quality.sharpness < LEAST_SHARPNESS or quality.evenness < LEAST_EVENNESS
    return shows_cells(field) and is_blurred


def is_badly_exposed(_: FieldResult, quality: FieldQuality) -> bool:
    """Whether a field has hardly any light, or so much that stained cells are white."""
    is_bright = quality.overexposed > MOST_OVEREXPOSED or quality.white > MOST_WHITE
    return is_bright or max(quality.light) < DARKEST_LIGHT


def is_no_smear(field: FieldResult, quality: FieldQuality) -> bool:
    """Whether a field's dark parts are mostly no cells, or parts of it are green."""
    return shows_cells(field) and (quality.in_cells < LEAST_IN_CELLS or quality.greenish > MOST_GREENISH)


def is_in_a_circle(_: FieldResult, quality: FieldQuality) -> bool:
    """Whether two corners or more lie outside of the light."""
    return max(quality.light) >= DARKEST_LIGHT and quality.corners < DARKEST_CORNER


def has_a_scale_bar(_: FieldResult, quality: FieldQuality) -> bool:
    """Whether a bar is drawn into a field."""
    return quality.bar > 0


_OF_A_FIELD = (
    (EMPTY_FIELDS, is_empty, "show no cell: blank, no smear, or out of focus?"),
    (FOCUS, is_out_of_focus, "are out of focus or moved, cells are missed or misnamed: leave them out"),
    (
        EXPOSURE,
        is_badly_exposed,
        "are too dark or too bright, names are not to be believed: photograph again",
    ),
    (
        NO_SMEAR,
        is_no_smear,
        "look like no smear that the networks know: most of what is dark in them is no cell, or they are "
        "greener than a stain (thick part, dirt, something else?); look at them, and leave them out",
    ),
    (
        LIGHT_CIRCLE,
        is_in_a_circle,
        "have dark corners: the circle of an eyepiece, or a frame, in which cells are missed; crop it away",
    ),
    (
        SCALE_BAR,
        has_a_scale_bar,
        "have a bar drawn into them: cells below it and its text are missed or misnamed; export them without",
    ),
)  # fmt: skip
"""Doubts that single fields raise: the name, the question, and what is said of how many fields."""


def color_shares(fields: Sequence[FieldResult]) -> tuple[float, float, float, float]:
    """Tell how a slide's nuclei and red cells absorb.

    Returns
    -------
    nucleus_red, nucleus_green, red_cell_red, red_cell_green : float
        Share of red in what nuclei absorb of red and blue, corrected for the light's color; share of green in
        all that they absorb; both for red cells. NaN of fewer than three cells.
    """
    known = [(field, field.quality) for field in fields if field.quality is not None]
    if not known:
        return (math.nan,) * 4
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
        _share(red_cell[1], red_cell[0] + red_cell[2]),
    )


def _share(part: float, rest: float) -> float:
    return float(part / (part + rest)) if part + rest > 0 else math.nan


def _of_colors(fields: Sequence[FieldResult]) -> Iterator[Doubt]:
    limits = (LEAST_NUCLEUS_RED, LEAST_NUCLEUS_GREEN, LEAST_RED_CELL_RED, LEAST_RED_CELL_GREEN)
    if any(share < limit for share, limit in zip(color_shares(fields), limits, strict=True)):
        yield Doubt(
            COLORS,
            "nuclei and red cells have colors that no usual stain gives: are red and blue exchanged (BGR), "
            "or is the white balance off? Names are not to be believed; export the pictures again",
        )


def _of_border_cells(fields: Sequence[FieldResult]) -> Iterator[Doubt]:
    n = sum(len(field) for field in fields)
    cut = sum(
        int(boxes.touches_border(field.detections.xyxy, *field.shape, margin_px=2).sum()) for field in fields
    )
    if n >= _FEWEST_AT_BORDER and cut >= MOST_AT_BORDER * n:
        yield Doubt(
            BORDER_CELLS,
            f"{cut} of {n} leukocytes are cut by a picture's border and may be misnamed: pictures are small "
            "for their cells; photograph larger fields, or do not crop them",
        )
