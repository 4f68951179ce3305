"""The stain ruler: how deep a slide's nuclei and red cells are stained, and what brings them to a reference.

Dyes absorb, so a deeper stain multiplies optical density (Beer and Lambert) and leaves the white background
white. A slide's mean color is no ruler, for it depends on which cells lie there: on a leukemic slide it is
the blasts'. So two *kinds of pixel* are measured that every slide has, whatever its cells: nucleus (the
darkest part of a leukocyte's middle) and red cells (what lies around it). The median over a slide's cells is
taken, so neither one cell nor a rare type decides.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smearscan.numeric import median, quantile
from smearscan.rulers.optical_density import GAIN_LIMITS, MEASURED_DENSITY, multiply_density

Floats = NDArray[np.float64]

REFERENCE: Final = ((0.897, 1.9744, 0.3777), (0.232, 0.3851, 0.2304))
"""Optical density (red, green, blue; natural logarithm) of nuclei and red cells that slides are brought to:
the mean over eight published sets of their medians."""

FEWEST_CELLS: Final = 5
"""Fewer leukocytes tell no slide's stain: it is left as photographed."""
_NUCLEUS_UM, _NUCLEUS_SHARE = 4.0, 0.4
_AROUND_UM = (8.0, 14.0)
_RED_CELL_WEIGHT = 0.5
_FEWEST_PIXELS = 80
_LEAST_DENSITY = 0.02
_ENOUGH_PX = 40
"""Crops of so many pixels each way tell the same as larger ones, and take a quarter of the time."""


def measure_cells(crops: NDArray[np.uint8], side_um: float) -> Floats:
    """Measure the optical density of nucleus and red cells in each leukocyte's crop.

    Parameters
    ----------
    crops : ndarray, (N, S, S, 3) uint8 RGB
        From the crop function, the leukocyte in the middle.
    side_um : float
        Side of a crop on the slide, micrometers.

    Returns
    -------
    ndarray, (N, 2, 3) float64
        Of nucleus and red cells, each red, green, blue. NaN for red cells where there are hardly any.
    """
    step = max(1, crops.shape[1] // _ENOUGH_PX)
    return np.array([_measure(crop, side_um) for crop in crops[:, ::step, ::step]]).reshape(-1, 2, 3)


def _measure(crop: NDArray[np.uint8], side_um: float) -> Floats:
    middle, ring = _zones(crop.shape[0], side_um)
    pixels = crop.reshape(-1, 3)
    nucleus = _nucleus(pixels[middle])
    outer = MEASURED_DENSITY[pixels[ring]]
    depth = outer.mean(axis=1)
    around = (depth > 0.1) & (depth < 0.75 * nucleus.mean())
    red_cells = median(outer[around]) if around.sum() > _FEWEST_PIXELS else np.full(3, np.nan)
    return np.stack([nucleus, red_cells])


def _nucleus(middle: NDArray[np.uint8]) -> Floats:
    """Mean density, (3,), of the darkest of a cell's middle pixels, (P, 3)."""
    inner = MEASURED_DENSITY[middle]
    depth = inner.mean(axis=1)
    return np.asarray(inner[depth >= quantile(depth, 1 - _NUCLEUS_SHARE)].mean(axis=0), np.float64)


def nucleus_at_reference(crop: NDArray[np.uint8], side_um: float) -> NDArray[np.uint8]:
    """Bring one cell's own nucleus to the reference, channel by channel; all else goes with it.

    No slide is shown so: what sets one type's nucleus apart from another's is lost. A network that also
    learns from such crops relies less on how deep, and in which hue, a laboratory stains.

    Parameters
    ----------
    crop : ndarray, (S, S, 3) uint8 RGB
        The leukocyte in the middle.
    side_um : float
        Side of the crop on the slide, micrometers.

    Returns
    -------
    ndarray, (S, S, 3) uint8 RGB
        A new array; the background's gray stays. No channel is multiplied beyond
        :data:`smearscan.rulers.optical_density.GAIN_LIMITS`.
    """
    step = max(1, crop.shape[0] // _ENOUGH_PX)
    seen = crop[::step, ::step]
    middle, _ = _zones(seen.shape[0], side_um)
    nucleus = _nucleus(seen.reshape(-1, 3)[middle])
    return multiply_density(crop, np.array(REFERENCE[0]) / np.maximum(nucleus, _LEAST_DENSITY))


@cache
def _zones(side: int, side_um: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Places, in a crop laid out row by row, of the nucleus and of what lies around the cell."""
    at = (np.arange(side) - (side - 1) / 2) * side_um / side
    radius = np.hypot(at[:, None], at).ravel()
    is_around = (radius > _AROUND_UM[0]) & (radius < _AROUND_UM[1])
    return np.flatnonzero(radius < _NUCLEUS_UM), np.flatnonzero(is_around)


def slide_gain(cells: Floats, site: Floats | None = None) -> Floats:
    """Give the factor of each channel's optical density that brings a slide to the reference.

    It fits nuclei and red cells together, by least squares of what each is off as a share of the reference;
    nuclei, which cells are named by, count twice.

    Parameters
    ----------
    cells : ndarray, (N, 2, 3)
        Of :func:`measure_cells`, of one slide.
    site : ndarray, (M, 2, 3), optional
        Cells of the same laboratory, whose red cells are taken where the slide shows none; without any
        nuclei decide alone.

    Returns
    -------
    ndarray, (3,) float64
        Within :data:`smearscan.rulers.optical_density.GAIN_LIMITS`; ones of fewer than
        :data:`FEWEST_CELLS` cells.
    """
    if len(cells) < FEWEST_CELLS:
        return np.ones(3)
    nuclei, red_cells = np.array(REFERENCE)
    nucleus = median(cells[:, 0]) / nuclei
    red = nucleus
    for seen in (cells, site):
        if seen is not None and (known := ~np.isnan(seen[:, 1]).any(axis=1)).any():
            red = median(seen[known, 1]) / red_cells
            break
    gain = (nucleus + _RED_CELL_WEIGHT * red) / (nucleus**2 + _RED_CELL_WEIGHT * red**2)
    return np.asarray(np.clip(gain, *GAIN_LIMITS), np.float64)
