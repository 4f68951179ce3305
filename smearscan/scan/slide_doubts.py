"""What of a slide was read and should not be believed unlooked."""

from smearscan.detection import Detector
from smearscan.doubts import SCALE, Doubt
from smearscan.io import Slide
from smearscan.rulers import measure_slide_scale

_MOST_APART = 1.25
"""So many times may a given scale differ from the measured one: red cells differ by patient."""


def doubts_of_given_scale(detector: Detector, slide: Slide, given: float, n_fields: int) -> tuple[Doubt, ...]:
    """Measure a slide whose scale was given all the same; a doubt where its red cells contradict it.

    Parameters
    ----------
    detector : Detector
        Its red cells are the ruler.
    slide : Slide
    given : float
        Micrometers a pixel.
    n_fields : int
        Fields measured, see :func:`smearscan.rulers.measure_slide_scale`.
    """
    if not slide.paths:
        return ()
    measured = measure_slide_scale(detector, slide.paths, n_fields)
    apart = max(given / measured.um_per_px, measured.um_per_px / given)
    if measured.source != "red cells" or apart <= _MOST_APART:
        return ()
    told = (
        f"{given:g} um a pixel were given, its red cells say {measured.um_per_px:.3g}; "
        "leave --um-per-px out, or give the right value"
    )
    return (Doubt(SCALE, told),)
