"""The scale of a whole slide: measured once, on a few of its fields, read with no more pixels than needed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.detection import Detector
from smearscan.io import REDUCTIONS, longest_side, read_reduced, some_images
from smearscan.results import Scale
from smearscan.rulers.scale import measure_scale

_LEAST_SIDE_PX = 600
"""Longest side that a field keeps at least where a slide's scale is measured first."""


def measure_slide_scale(detector: Detector, paths: Sequence[Path], n_fields: int) -> Scale:
    """Measure the scale of a slide.

    Parameters
    ----------
    detector : Detector
        Its red cells are the ruler.
    paths : sequence of Path
        The fields of the slide; those that cannot be read are passed over.
    n_fields : int
        Fields measured, evenly spread.

    Returns
    -------
    Scale
        In pixels of the photographs; see :func:`smearscan.rulers.scale.measure_scale`.
    """
    longest = next((side for side in map(longest_side, paths) if side), 0)
    reduction = max((r for r in REDUCTIONS if longest / r >= _LEAST_SIDE_PX), default=1)
    scale, reduction = _measured(detector, paths, n_fields, reduction)
    needed = detector.card.working_red_cell_px
    if reduction > 1 and (scale.source != "red cells" or scale.red_cell_px < needed):
        scale, reduction = _measured(detector, paths, n_fields, 1)  # its red cells are below the detector's
    return scale.downsampled(1 / reduction)


def _measured(detector: Detector, paths: Sequence[Path], n_fields: int, reduction: int) -> tuple[Scale, int]:
    """Scale of fields as they are read at a reduction, and the reduction made."""
    made = set()

    def read(path: Path) -> NDArray[np.uint8]:
        image, _, own = read_reduced(path, reduction)
        made.add(own)
        return image

    # broken fields are passed over here and reported when their turn comes
    images = some_images(paths, n_fields, read)
    if not images:
        return Scale(1.0, "assumed"), 1
    if made != {reduction}:  # fields that are no JPEG are whole: together they would have two scales
        return _measured(detector, paths, n_fields, 1)
    return measure_scale(detector, images), reduction
