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
    evenness : float
        Details in the direction that has the fewest, of those in the one that has the most, 0 to 1: low in a
        field that moved while it was photographed.
    light : tuple of float
        Levels of the background, 0 to 255.
    corners : float
        Level of the brightest pixel in the second darkest of the four corners, share of the background's.
    overexposed : float
        Share of what was looked at within red cells that the camera shows as white in a channel; NaN without
        a red cell.
    white : float
        Share of the pixels that the camera shows as white.
    in_cells : float
        Share of what is darker than the background that lies within the boxes found; NaN where nothing is.
    greenish : float
        Share of the pixels that are greener than the background.
    bar : float
        Length of the longest bar drawn into the picture, in diameters of a red cell; 0 without one.
    nucleus, red_cell : tuple of float
        Median optical density (log10, against the background) of the darkest part of the leukocytes, and of
        the red cells; NaN where none was found.
    stained : tuple of float
        Optical density (log10, against the background) of the mean light of all that is stained, cell or not;
        NaN where nothing is.
    covered : float
        Share that what is stained covers beside the leukocytes, in the part of the field, about 60 um wide,
        of which it covers most; NaN where leukocytes leave no room.
    pale : int
        As ``n_pale`` of :class:`Detections`.
    """

    sharpness: float
    evenness: float
    light: Channels
    corners: float
    overexposed: float
    white: float
    in_cells: float
    greenish: float
    bar: float
    nucleus: Channels
    red_cell: Channels
    stained: Channels
    covered: float
    pale: int
