"""Shapes of nuclei, as depth inside the nucleus in micrometers."""

from typing import Final

import numpy as np

from smearscan.synthetic.texture import FloatImage, band_noise, chain_depth, outline, star_depth

_LINKS: Final = 26


def round_nucleus(
    rng: np.random.Generator, size: int, cell_um: float, share: float, wobble: float, eccentric: float
) -> FloatImage:
    """Draw a round or oval nucleus.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    size : int
        Side of the window in pixels of the drawing grid.
    cell_um : float
        Radius of the cell.
    share : float
        Area of the nucleus divided by the area of the cell.
    wobble : float
        Irregularity of its outline.
    eccentric : float
        How far it is pushed to the side, 0 in the middle to 1 at the membrane.

    Returns
    -------
    ndarray, (size, size) float32
        Micrometers inside the nucleus; negative outside.
    """
    radius = cell_um * share**0.5
    angle = rng.uniform(0.0, 2.0 * np.pi)
    push = eccentric * (cell_um - radius)
    at = (float(push * np.cos(angle)), float(push * np.sin(angle)))
    return star_depth(size, outline(rng, radius, wobble, float(1 + rng.gamma(2.0, 0.05))), at)


def lobed_nucleus(
    rng: np.random.Generator,
    size: int,
    *,
    lobes: int,
    lobe_um: float,
    strand_um: float,
    bend_um: float,
    span: float,
    pinch: float = 1.7,
) -> FloatImage:
    """Draw a nucleus of lobes along a bent line: segmented, band, kidney or horseshoe.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    size : int
        Side of the window in pixels of the drawing grid.
    lobes : int
        Number of lobes.
    lobe_um, strand_um : float
        Radius of a lobe and of the strand between two.
    bend_um : float
        Radius of the bent line.
    span : float
        Its length in radians.
    pinch : float, optional
        How suddenly a lobe narrows to a strand: above 1 gives long strands, below 1 plump lobes.

    Returns
    -------
    ndarray, (size, size) float32
        Micrometers inside the nucleus; negative outside.
    """
    along = np.linspace(0.0, 1.0, _LINKS)
    bend = bend_um * (1.0 + rng.normal(0.0, 0.13) * np.cos(2 * np.pi * along + rng.uniform(0, 2 * np.pi)))
    angle = rng.uniform(0.0, 2.0 * np.pi) + span * (along - 0.5)
    points = np.stack([bend * np.cos(angle), bend * np.sin(angle)], axis=1)
    swell = np.abs(np.sin(np.pi * lobes * along)) ** pinch
    each = rng.normal(1.0, 0.13, lobes)[np.minimum((along * lobes).astype(int), lobes - 1)]
    radii = strand_um + (lobe_um * each - strand_um) * swell
    # A line bent round the middle is not centered on it: bring the nucleus back to where its mass is.
    points -= np.average(points, axis=0, weights=radii**2) * rng.uniform(0.7, 1.0)
    return chain_depth(size, points, radii)


def roughen(
    rng: np.random.Generator, depth: FloatImage, amount_um: float, wavelength_um: float
) -> FloatImage:
    """Return `depth` with an uneven edge.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    depth : ndarray, (size, size) float32
        Micrometers inside a shape.
    amount_um, wavelength_um : float
        Size of the unevenness, out and along the edge.

    Returns
    -------
    ndarray, (size, size) float32
        A new array.
    """
    shape = (depth.shape[0], depth.shape[1])
    return depth + np.float32(amount_um) * band_noise(rng, shape, wavelength_um)
