"""What of a slide was read and should not be believed unlooked."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from smearscan.results import FieldFailure, FieldResult, Scale
from smearscan.results.doubts import CUT_CELLS, FIELD_SIZES, SCALE, Doubt, counted, first_of
from smearscan.rulers import magnification
from smearscan.rulers.overlap import doubts_of_overlap
from smearscan.rulers.pale_leukocytes import doubts_of_pale_leukocytes
from smearscan.rulers.quality_doubts import doubts_of_quality
from smearscan.rulers.small_leukocytes import doubts_of_size
from smearscan.rulers.unlike_cells import doubts_of_unlike_cells
from smearscan.weights import KnownCells, QualityLimits

_MOST_APART = 1.25
"""So many times may a scale that was told differ from the measured one: red cells differ by patient."""
_SIZES_APART = 1.5
"""So many times may the sides of a slide's fields differ: cameras crop."""
_FEWEST_CUT, _SHARE_CUT, _OFF_MIDDLE = 10, 0.9, 0.1
"""Cut cells: so many pictures at least, this share of them with one cell, at most so far off the middle."""


def doubts_of_scale(um_per_px: float, measured: float, is_given: bool) -> tuple[Doubt, ...]:
    """Doubt a scale that was told where the slide's red cells contradict it.

    Parameters
    ----------
    um_per_px : float
        Micrometers a pixel, as told.
    measured : float
        The same by red cells; NaN where these could not be measured.
    is_given : bool
        Whether the user gave it; else a whole slide's file did.
    """
    apart = max(um_per_px / measured, measured / um_per_px)
    if math.isnan(measured) or apart <= _MOST_APART:
        return ()
    who = "were given" if is_given else "are what the slide's file says"
    cure = "leave --um-per-px out, or give the right value" if is_given else "give the right one: --um-per-px"
    told = f"{um_per_px:g} um a pixel {who}, its red cells say {measured:.3g}; {cure}"
    return (Doubt(SCALE, told),)


def doubts_of_fields(
    scale: Scale,
    fields: Iterable[FieldResult | FieldFailure],
    limits: QualityLimits,
    known: KnownCells | None = None,
) -> tuple[Doubt, ...]:
    """Doubts about a slide's photographs, read at its scale: what they show, and what pictures they are.

    Parameters
    ----------
    scale : Scale
    fields : iterable of FieldResult or FieldFailure
        Of one slide.
    limits : QualityLimits
        Of the detector's card.
    known : KnownCells or None
        Of the classifiers' cards.
    """
    read = [field for field in fields if isinstance(field, FieldResult)]
    of_cells = *doubts_of_size(read), *doubts_of_pale_leukocytes(read)
    shown = *magnification.doubts_of_scale(scale, read), *doubts_of_overlap(read), *of_cells
    unlike = doubts_of_unlike_cells([field.unlike_training for field in read], known) if known else ()
    return *shown, *_of_sizes(read), *_of_cut_cells(read), *doubts_of_quality(read, limits), *unlike


def _of_sizes(fields: list[FieldResult]) -> Iterator[Doubt]:
    """Pictures of another size than most: one scale serves a slide, cells of a smaller copy are missed."""
    if not fields:
        return
    usual, _ = Counter(field.shape for field in fields).most_common(1)[0]
    odd = [field for field in fields if _apart(max(field.shape), max(usual)) > _SIZES_APART]
    if odd:
        paths: tuple[Path, ...] = tuple(field.path for field in odd if field.path is not None)
        yield Doubt(
            FIELD_SIZES,
            f"{counted(len(odd), 'field is', 'fields are')} of another size than most, which have "
            f"{usual[0]} x {usual[1]} px ({first_of([str(path) for path in paths])}); in one that "
            "was made smaller or larger cells are missed: give it in the camera's pixels or as another slide",
            paths,
        )


def _apart(one: float, other: float) -> float:
    return max(one / other, other / one)


def _of_cut_cells(fields: list[FieldResult]) -> Iterator[Doubt]:
    cut = sum(_is_cut_cell(field) for field in fields)
    if len(fields) >= _FEWEST_CUT and cut >= _SHARE_CUT * len(fields):
        yield Doubt(
            CUT_CELLS,
            f"{cut} of {len(fields)} pictures hold one cell each, in the middle: somebody chose them, so "
            "that no percentage of them is the slide's; name cut cells by 'smearscan classify'",
        )


def _is_cut_cell(field: FieldResult) -> bool:
    if len(field) != 1:
        return False
    height, width = field.shape
    x0, y0, x1, y1 = field.detections.xyxy[0].tolist()
    off = max(abs((x0 + x1) / width - 1), abs((y0 + y1) / height - 1)) / 2
    return bool(off <= _OFF_MIDDLE)
