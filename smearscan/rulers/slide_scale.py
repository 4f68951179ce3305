"""The scale of a whole slide: measured once, on a few of its fields, read with no more pixels than needed."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import Detector
from smearscan.errors import ImageError
from smearscan.io import REDUCTIONS, load_field, longest_side, some_images
from smearscan.io.limits import MAX_PIXELS
from smearscan.results import Field, FieldFailure, Scale
from smearscan.rulers.scale import measure_scale
from smearscan.runtime.batches import usable_cores

_LEAST_SIDE_PX = 600
"""Longest side that a field keeps at least where a slide's scale is measured first."""


def measure_slide_scale(
    detector: Detector,
    paths: Sequence[Path],
    n_fields: int,
    max_pixels: int = MAX_PIXELS,
    any_colors: bool = True,
) -> Scale:
    """Measure the scale of a slide.

    Parameters
    ----------
    detector : Detector
        Its red cells are the ruler.
    paths : sequence of Path
        The fields of the slide; those that cannot be read are passed over.
    n_fields : int
        Fields measured, evenly spread.
    max_pixels, any_colors
        What is a field, see :func:`smearscan.io.load_field`.

    Returns
    -------
    Scale
        In pixels of the photographs; see :func:`smearscan.rulers.scale.measure_scale`.
    """
    longest = next((side for side in map(longest_side, paths) if side), 0)
    reduction = max((r for r in REDUCTIONS if longest / r >= _LEAST_SIDE_PX), default=1)
    read = partial(load_field, max_pixels=max_pixels, any_colors=any_colors)
    scale, reduction = _measured(detector, paths, n_fields, reduction, read)
    needed = detector.card.working_red_cell_px
    if reduction > 1 and (scale.source != "red cells" or scale.red_cell_px < needed):
        scale, reduction = _measured(detector, paths, n_fields, 1, read)  # red cells below the detector's
    return scale.downsampled(1 / reduction)


def _measured(
    detector: Detector,
    paths: Sequence[Path],
    n_fields: int,
    reduction: int,
    load: Callable[..., Field | FieldFailure],
) -> tuple[Scale, int]:
    """Scale of fields as they are read at a reduction, and the reduction made."""
    made = set()

    def read(path: Path) -> NDArray[np.uint8]:
        field = load(path, reduction=reduction)
        if isinstance(field, FieldFailure):
            raise ImageError(field.reason)
        made.add(field.reduction)
        return field.image

    # broken fields are passed over here and reported when their turn comes
    images = some_images(paths, n_fields, read, usable_cores())
    if not images:
        return Scale(1.0, "assumed"), 1
    if made != {reduction}:  # fields that are no JPEG are whole: together they would have two scales
        return _measured(detector, paths, n_fields, 1, load)
    return measure_scale(detector, images), reduction
