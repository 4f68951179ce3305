"""Boxes of leukocytes that are no larger than the slide's own red cells: most of them are red cells.

On a stain that the detector has not seen, red cells may look like nuclei. A leukocyte is 1.7 to 2.1 red
cells wide as a median, and a small lymphocyte still about 1.3.
"""

from collections.abc import Sequence

import numpy as np

from smearscan.numeric import median
from smearscan.results import FieldResult
from smearscan.results.doubts import SMALL_LEUKOCYTES, Doubt
from smearscan.rulers.scale import whole_sizes

_SMALL = 1.15
"""A leukocyte so many red cells wide, or less, is none, or a platelet."""
_FEWEST_RED, _FEWEST_WHITE = 20, 10
_MOST_SHARE = 0.2


def count_small(fields: Sequence[FieldResult]) -> tuple[int, int]:
    """Leukocytes no larger than red cells, and all of them, of those off the border.

    Parameters
    ----------
    fields : sequence of FieldResult
        Of one slide, read at one scale.

    Returns
    -------
    n_small, n : int
        0, 0 where fewer than twenty whole red cells tell how large one is.
    """
    none = [np.empty(0, np.float32)]
    red = np.concatenate([whole_sizes(f.red_cell_xyxy, f.shape) for f in fields] or none)
    white = np.concatenate([whole_sizes(f.detections.xyxy, f.shape) for f in fields] or none)
    if len(red) < _FEWEST_RED:
        return 0, 0
    return int((white <= _SMALL * median(red)).sum()), len(white)


def doubts_of_size(fields: Sequence[FieldResult]) -> tuple[Doubt, ...]:
    """Doubt the leukocytes of a slide of which a fifth or more are no larger than its red cells."""
    n_small, n = count_small(fields)
    if n < _FEWEST_WHITE or n_small < _MOST_SHARE * n:
        return ()
    told = (
        f"{n_small} of {n} boxes of leukocytes are no larger than the slide's red cells: red cells taken for "
        "leukocytes, or platelets? Look at an overlay, and remove them on the review page (--review)"
    )
    return (Doubt(SMALL_LEUKOCYTES, told),)
