"""Whether a slide's fields are photographs as the networks know them: in focus, well lit, of a stained smear.

The limits are the detector's card's (:class:`smearscan.weights.QualityLimits`) and lie outside of what
published fields show: docs/results/field_quality.json, by ``python -m references quality``.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.numeric import median
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
    THICK_PART,
    Doubt,
    counted,
    named_files,
)  # fmt: skip
from smearscan.rulers.odd_fields import doubts_of_odd_fields, share
from smearscan.weights import QualityLimits

Floats = NDArray[np.float64]

MOST_AT_BORDER, _FEWEST_AT_BORDER = 0.6, 20
"""Share of a slide's leukocytes that the pictures' borders cut, of so many: most of them."""

_LIGHT_WEIGHT = 0.8
"""By how much the share of red falls short where the light is bluer than red (natural logarithm): exchanged
channels turn a reddish background blue."""

_FEWEST = 3
"""Cells of a kind that tell its color."""


def doubts_of_quality(fields: Sequence[FieldResult], limits: QualityLimits) -> Iterator[Doubt]:
    """Doubt a slide's fields that are no photographs as the networks know them.

    Parameters
    ----------
    fields : sequence of FieldResult
        Of one slide; those without :attr:`FieldResult.quality` are passed over.
    limits : QualityLimits
        Of the detector's card.
    """
    known = [(field, field.quality) for field in fields if field.quality is not None]
    for name, is_in_doubt, what in _OF_A_FIELD:
        odd = [field for field, quality in known if is_in_doubt(field, quality, limits)]
        if odd:
            paths, names = named_files(field.path for field in odd)
            yield Doubt(name, f"{len(odd)} of {counted(len(known), 'field', 'fields')} {what}{names}", paths)
    photographs = [field for field, _ in known]
    yield from _of_colors(photographs, limits)
    yield from doubts_of_odd_fields(photographs, limits)
    yield from _of_border_cells(photographs)


def shows_cells(field: FieldResult) -> bool:
    """Whether any cell or platelet was found."""
    return bool(len(field) or field.n_red_cells or field.n_platelets)


def is_empty(field: FieldResult, _: FieldQuality, __: QualityLimits) -> bool:
    """Whether a field shows nothing that was found."""
    return not shows_cells(field)


def is_out_of_focus(field: FieldResult, quality: FieldQuality, limits: QualityLimits) -> bool:
    """Whether a field that shows cells has no fine details, or hardly any in one direction."""
    is_blurred = quality.sharpness < limits.least_sharpness or quality.evenness < limits.least_evenness
    return shows_cells(field) and is_blurred


def is_badly_exposed(_: FieldResult, quality: FieldQuality, limits: QualityLimits) -> bool:
    """Whether a field has hardly any light, or so much that stained cells are white."""
    is_bright = quality.overexposed > limits.most_overexposed or quality.white > limits.most_white
    return is_bright or max(quality.light) < limits.least_light


def is_no_smear(field: FieldResult, quality: FieldQuality, limits: QualityLimits) -> bool:
    """Whether a field's dark parts are mostly no cells, or parts of it are green."""
    is_odd = quality.in_cells < limits.least_in_cells or quality.greenish > limits.most_greenish
    return shows_cells(field) and is_odd


def is_in_a_circle(_: FieldResult, quality: FieldQuality, limits: QualityLimits) -> bool:
    """Whether two corners or more lie outside of the light."""
    return max(quality.light) >= limits.least_light and quality.corners < limits.least_corners


def is_thick(field: FieldResult, quality: FieldQuality, limits: QualityLimits) -> bool:
    """Whether hardly any glass is seen between the cells, somewhere in a field whose corners are lit."""
    is_lit = not is_in_a_circle(field, quality, limits)
    return shows_cells(field) and is_lit and quality.covered > limits.most_covered


def has_a_scale_bar(_: FieldResult, quality: FieldQuality, __: QualityLimits) -> bool:
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
        THICK_PART,
        is_thick,
        "lie in the thick part, where cells lie on each other and are missed or misnamed; leave them out, "
        "and take fields where red cells lie side by side",
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
    light = median([quality.light for _, quality in known])
    blue_light = _LIGHT_WEIGHT * math.log(light[2] / light[0])

    def middle(densities: list[tuple[float, float, float]], n: int) -> Floats:
        seen = [density for density in densities if not math.isnan(density[0])]
        enough = n >= _FEWEST and seen
        return median(seen) if enough else np.full(3, math.nan)

    nucleus = middle([quality.nucleus for _, quality in known], sum(len(field) for field, _ in known))
    red_cell = middle(
        [quality.red_cell for _, quality in known], sum(field.n_red_cells for field, _ in known)
    )
    return (
        share(nucleus[0], nucleus[2]) - blue_light,
        share(nucleus[1], nucleus[0] + nucleus[2]),
        share(red_cell[0], red_cell[2]) - blue_light,
        share(red_cell[1], red_cell[0] + red_cell[2]),
    )


def _of_colors(fields: Sequence[FieldResult], limits: QualityLimits) -> Iterator[Doubt]:
    least = (
        limits.least_nucleus_red, limits.least_nucleus_green, limits.least_red_cell_red,
        limits.least_red_cell_green,
    )  # fmt: skip
    if any(own < limit for own, limit in zip(color_shares(fields), least, strict=True)):
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
