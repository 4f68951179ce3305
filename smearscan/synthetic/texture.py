"""Band-limited noise, granules and soft shapes: what a drawn cell is made of.

Everything here lives on one physical grid of `DRAW_UM` micrometers a pixel, whatever the magnification of
the field: a cell is drawn first and then scaled to the field, so its look does not depend on the camera.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

DRAW_UM: Final = 0.1
"""Micrometers a pixel of the grid on which cells are drawn; an oil immersion lens resolves about 0.2 um."""

OUTLINE_SAMPLES: Final = 1024
"""Directions in which the radius of an outline is known."""

FloatImage = NDArray[np.float32]


def band_noise(rng: np.random.Generator, shape: tuple[int, int], wavelength_um: float) -> FloatImage:
    """Draw noise with structure of about one size.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    shape : tuple of int
        ``(height, width)`` in pixels of the drawing grid.
    wavelength_um : float
        Distance from one dark clump to the next, in micrometers.

    Returns
    -------
    ndarray, (height, width) float32
        Mean near 0, standard deviation 1.
    """
    sigma = wavelength_um / DRAW_UM / 4.0
    step = max(1, int(sigma / 2.0))  # a wide blur loses nothing on a coarser grid, and costs step**2 less
    coarse = (-(-shape[0] // step), -(-shape[1] // step))
    white = rng.standard_normal(coarse, dtype=np.float32)
    fine = cv2.GaussianBlur(white, (0, 0), sigma / step)
    wide = cv2.GaussianBlur(white, (0, 0), 2.0 * sigma / step)
    noise = fine - wide
    noise /= float(noise.std()) + 1e-6
    if step > 1:
        noise = cv2.resize(noise, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(noise, dtype=np.float32)


def speckle(rng: np.random.Generator, shape: tuple[int, int], per_um2: float, sigma_um: float) -> FloatImage:
    """Scatter round granules.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    shape : tuple of int
        ``(height, width)`` in pixels of the drawing grid.
    per_um2 : float
        Mean number of granules a square micrometer.
    sigma_um : float
        Half of a granule's radius, roughly, in micrometers.

    Returns
    -------
    ndarray, (height, width) float32
        0 between granules, towards 1 inside them; granules that meet saturate as dye does.
    """
    height, width = shape
    count = int(rng.poisson(per_um2 * height * width * DRAW_UM**2))
    spots = np.zeros(shape, dtype=np.float32)
    rows, columns = rng.integers(0, height, count), rng.integers(0, width, count)
    np.add.at(spots, (rows, columns), rng.uniform(0.5, 1.2, count).astype(np.float32))
    sigma = max(sigma_um / DRAW_UM, 0.6)
    spots = cv2.GaussianBlur(spots, (0, 0), sigma) * np.float32(2.0 * np.pi * sigma**2)
    return np.asarray(1.0 - np.exp(-1.6 * spots), dtype=np.float32)


@lru_cache(maxsize=8)
def _centered_grid(size: int) -> tuple[FloatImage, FloatImage]:
    axis = (np.arange(size, dtype=np.float32) - (size - 1) / 2.0) * np.float32(DRAW_UM)
    x, y = np.meshgrid(axis, axis)
    x.flags.writeable = y.flags.writeable = False  # shared by every cell of this size
    return x, y


@lru_cache(maxsize=8)
def _centered_polar(size: int) -> tuple[FloatImage, NDArray[np.intp]]:
    rho, index = _polar(*_centered_grid(size))
    rho.flags.writeable = index.flags.writeable = False
    return rho, index


def _polar(x: FloatImage, y: FloatImage) -> tuple[FloatImage, NDArray[np.intp]]:
    rho, angle = cv2.cartToPolar(x, y)
    index = (angle * np.float32(OUTLINE_SAMPLES / (2.0 * np.pi))).astype(np.intp) % OUTLINE_SAMPLES
    return rho, index


def grid(size: int) -> tuple[FloatImage, FloatImage]:
    """Return x and y in micrometers from the middle of a square window.

    Parameters
    ----------
    size : int
        Side of the window in pixels of the drawing grid.

    Returns
    -------
    tuple of two ndarrays, (size, size) float32
        Read-only.
    """
    return _centered_grid(size)


def outline(
    rng: np.random.Generator, radius_um: float, wobble: float = 0.02, elongation: float = 1.0
) -> NDArray[np.float32]:
    """Draw a star-shaped, closed outline.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    radius_um : float
        Mean radius in micrometers.
    wobble : float, optional
        Amplitude of the irregularity as a part of the radius.
    elongation : float, optional
        Long axis divided by the short one, in a random direction.

    Returns
    -------
    ndarray, (OUTLINE_SAMPLES,) float32
        Radius in micrometers by direction, from the x axis towards the y axis (clockwise on the screen).
    """
    angle = np.linspace(0.0, 2.0 * np.pi, OUTLINE_SAMPLES, endpoint=False)
    turn = rng.uniform(0.0, np.pi)
    long, short = np.sqrt(elongation), 1.0 / np.sqrt(elongation)
    radii = 1.0 / np.hypot(np.cos(angle - turn) / long, np.sin(angle - turn) / short)
    for k, (size, phase) in enumerate(zip(rng.normal(size=6), rng.uniform(0, 2 * np.pi, 6), strict=True), 2):
        radii += wobble * size * 1.6 / k * np.cos(k * angle + phase)
    return np.asarray(radius_um * np.clip(radii, 0.5, 1.7), dtype=np.float32)


def star_depth(size: int, radii: NDArray[np.float32], at_um: tuple[float, float] = (0.0, 0.0)) -> FloatImage:
    """Return how deep every pixel of a window lies inside an outline.

    Parameters
    ----------
    size : int
        Side of the window in pixels of the drawing grid.
    radii : ndarray, (OUTLINE_SAMPLES,) float32
        An outline.
    at_um : tuple of float, optional
        Where the outline's center lies, from the middle of the window.

    Returns
    -------
    ndarray, (size, size) float32
        Micrometers towards the center from the outline; negative outside.
    """
    if at_um == (0.0, 0.0):
        rho, index = _centered_polar(size)
    else:
        x, y = _centered_grid(size)
        rho, index = _polar(x - np.float32(at_um[0]), y - np.float32(at_um[1]))
    return np.asarray(radii[index] - rho, dtype=np.float32)


def chain_depth(size: int, points_um: NDArray[np.float64], radii_um: NDArray[np.float64]) -> FloatImage:
    """Return how deep every pixel lies inside a chain of discs: lobes and the strands between them.

    Parameters
    ----------
    size : int
        Side of the window in pixels of the drawing grid.
    points_um : ndarray, (M, 2)
        Centers of the discs, x and y from the middle of the window.
    radii_um : ndarray, (M,)
        Their radii.

    Returns
    -------
    ndarray, (size, size) float32
        Micrometers inside the union of the discs; negative outside.
    """
    x, y = _centered_grid(size)
    x, y = x[::3, ::3], y[::3, ::3]  # depth is smooth: a third of the grid, scaled up, is the same shape
    depth = np.full(x.shape, -1e3, dtype=np.float32)
    for (px, py), radius in zip(points_um, radii_um, strict=True):
        np.maximum(
            depth, np.float32(radius) - cv2.magnitude(x - np.float32(px), y - np.float32(py)), out=depth
        )
    # Pixel i of the coarse grid is pixel 3*i of the fine one; resize would put it at 3*i + 1.
    matrix = np.array([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]])
    fine = cv2.warpAffine(
        depth, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(fine, dtype=np.float32)


def cover(depth: FloatImage, edge_um: float) -> FloatImage:
    """Turn depth into coverage with a soft edge.

    Parameters
    ----------
    depth : ndarray, float32
        Micrometers inside a shape.
    edge_um : float
        Width over which coverage goes from 0 to 1, centered on the edge.

    Returns
    -------
    ndarray, float32
        0 outside, 1 inside.
    """
    return np.asarray(np.clip(depth / np.float32(edge_um) + np.float32(0.5), 0.0, 1.0), dtype=np.float32)
