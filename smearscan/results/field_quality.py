"""What a field's pixels say of how it was photographed."""

from dataclasses import dataclass

Channels = tuple[float, float, float]
"""Red, green, blue."""


@dataclass(frozen=True, slots=True)
class FieldQuality:
    """How a field was photographed; see :func:`smearscan.rulers.quality.measure_quality`.

    Attributes
    ----------
    sharpness : float
        How much of the contrast lies in the finest details, at a fixed number of pixels a red cell.
    light : tuple of float
        Levels of the background, 0 to 255.
    overexposed : float
        Share of what was looked at within red cells that the camera shows as white in a channel; NaN without
        a red cell.
    nucleus, red_cell : tuple of float
        Median optical density (log10, against the background) of the darkest part of the leukocytes, and of
        the red cells; NaN where none was found.
    """

    sharpness: float
    light: Channels
    overexposed: float
    nucleus: Channels
    red_cell: Channels
