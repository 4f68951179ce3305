"""Whether every field of a slide has the slide's scale: their red cells say so."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smearscan.numeric import median
from smearscan.results import FieldResult, Scale
from smearscan.results.doubts import MAGNIFICATION, SCALE, Doubt, first_of
from smearscan.rulers.scale import whole_sizes
from smearscan.taxonomy import RED_CELL_UM

_FEWEST = 5
_MOST_APART = 1.6
"""So many times larger than in another may red cells be in a field: objectives differ by 1.6 or more."""

_UNUSUAL = 1.3
_OFF = 1.25
"""So many times may a slide's red cells differ from their usual size at its scale."""


def red_cell_um(fields: Sequence[FieldResult]) -> NDArray[np.float64]:
    """Median diameter in micrometers of each field's whole red cells, at the scale used, (F,).

    NaN for a field of fewer than five.
    """
    found = []
    for field in fields:
        sizes = whole_sizes(field.red_cell_xyxy, field.shape)
        found.append(float(median(sizes)) * field.scale.um_per_px if len(sizes) >= _FEWEST else float("nan"))
    return np.array(found, np.float64)


def doubts_of_scale(scale: Scale, fields: Sequence[FieldResult]) -> tuple[Doubt, ...]:
    """Tell where a slide's scale does not hold for its fields.

    Parameters
    ----------
    scale : Scale
        Of the slide.
    fields : sequence of FieldResult
        That were read with it.
    """
    if not fields:
        return ()
    if scale.source == "assumed":
        told = "no cell could be measured, its scale is assumed; do the pictures show a smear, in focus?"
        return (Doubt(SCALE, told),)
    sizes = red_cell_um(fields)
    known = sizes[~np.isnan(sizes)]
    if not len(known):
        return ()
    middle = float(median(known))
    if known.max() / known.min() > _MOST_APART:
        unusual = np.flatnonzero(np.abs(np.log(sizes / middle)) > np.log(_UNUSUAL)).tolist()
        paths = [path for i in unusual if (path := fields[i].path) is not None]
        told = (
            f"red cells measure {known.min():.1f} um in one field and {known.max():.1f} um in another: two "
            f"magnifications? Unlike the others: {first_of([str(path) for path in paths])}; give each "
            "magnification a folder of its own"
        )
        return (Doubt(MAGNIFICATION, told, tuple(paths[:3])),)
    if not 1 / _OFF < middle / RED_CELL_UM < _OFF:
        told = (
            f"its red cells measure {middle:.1f} um at {scale.um_per_px:.3g} um a pixel ({scale.source}), "
            f"and usually {RED_CELL_UM:g}; look at the boxes of an overlay"
        )
        return (Doubt(SCALE, told),)
    return ()
