"""The glass and the camera: cells are laid on a field as optical density, then photographed."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.synthetic.cells import Cell
from smearscan.synthetic.stain import Stain
from smearscan.synthetic.texture import DRAW_UM, FloatImage

MIN_VISIBLE: Final = 0.25
"""A cell of which less than this part lies inside the image is not drawn."""

_STACKING: Final = 0.5
"""How much of a red cell's density shows where it lies on another: they flatten each other."""

Box = tuple[int, int, int, int]


class Canvas:
    """Optical density of one field.

    Parameters
    ----------
    height, width : int
        Pixels.
    um_per_px : float
        Micrometers a pixel.

    Attributes
    ----------
    density : ndarray, (height, width, 3) float32
        What has been laid so far.
    """

    def __init__(self, height: int, width: int, um_per_px: float) -> None:
        self.density: FloatImage = np.zeros((height, width, 3), dtype=np.float32)
        self._um_per_px = um_per_px

    def lay(self, cell: Cell, at_um: NDArray[np.float64], *, opaque: bool) -> Box | None:
        """Lay a cell on the glass.

        Parameters
        ----------
        cell : Cell
            What to lay.
        at_um : ndarray, (2,)
            Its center, x and y, in micrometers from the upper left corner.
        opaque : bool
            True hides what lies beneath; False adds to it (red cells shine through each other).

        Returns
        -------
        tuple of int, or None
            Box ``(x0, y0, x1, y1)`` of the cell's pixels inside the image, half-open; None, and nothing laid,
            where less than `MIN_VISIBLE` of the cell would be seen.
        """
        density, alpha = self._scaled(cell)
        side_y, side_x = alpha.shape
        left = round(float(at_um[0]) / self._um_per_px - side_x / 2.0)
        top = round(float(at_um[1]) / self._um_per_px - side_y / 2.0)
        height, width = self.density.shape[:2]
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side_x, width), min(top + side_y, height)
        if x0 >= x1 or y0 >= y1:
            return None
        part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        mask = alpha >= 0.5
        seen = mask[part]
        total = int(np.count_nonzero(mask))
        if total == 0 or np.count_nonzero(seen) < MIN_VISIBLE * total:
            return None
        field = self.density[y0:y1, x0:x1]
        if opaque:
            field *= 1.0 - alpha[part][..., None]
            field += density[part]
        else:
            beneath = np.minimum(field[..., 1:2] / (density[..., 1].max() + 1e-6), 1.0)
            field += density[part] * (1.0 - (1.0 - _STACKING) * beneath)
        columns, rows = np.flatnonzero(seen.any(axis=0)), np.flatnonzero(seen.any(axis=1))
        return (x0 + int(columns[0]), y0 + int(rows[0]), x0 + int(columns[-1]) + 1, y0 + int(rows[-1]) + 1)

    def _scaled(self, cell: Cell) -> tuple[FloatImage, FloatImage]:
        size = max(1, round(cell.alpha.shape[0] * DRAW_UM / self._um_per_px))
        shrinks = size < cell.alpha.shape[0]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        density = cv2.resize(cell.density, (size, size), interpolation=how)
        alpha = cv2.resize(cell.alpha, (size, size), interpolation=how)
        return np.asarray(density, dtype=np.float32), np.asarray(alpha, dtype=np.float32)


def photograph(
    rng: np.random.Generator,
    density: FloatImage,
    stain: Stain,
    *,
    um_per_px: float,
    blur_px: float,
    halo: float,
    vignette: float,
    noise: float,
) -> NDArray[np.uint8]:
    """Let light through a field and take its picture.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    density : ndarray, (H, W, 3) float32
        Optical density; changed in place.
    stain : Stain
        For its light.
    um_per_px : float
        Micrometers a pixel.
    blur_px, halo, vignette, noise : float
        As in `SmearSpec`.

    Returns
    -------
    ndarray, (H, W, 3) uint8
        RGB.
    """
    height, width = density.shape[:2]
    if halo > 0.0:
        wide = cv2.GaussianBlur(density, (0, 0), max(0.45 / um_per_px, 0.6))
        # Deep colors need no sharpening: without the limit nuclei would get a glowing rim.
        density += np.clip(np.float32(halo) * (density - wide), -0.06, 0.12)
    light = np.asarray(stain.light, dtype=np.float32)
    picture = np.exp(-density) * light
    if blur_px > 0.0:
        picture = cv2.GaussianBlur(picture, (0, 0), blur_px)
    picture *= _illumination(rng, height, width, vignette)[..., None]
    if noise > 0.0:
        grain = rng.standard_normal((height, width, 3), dtype=np.float32)
        # Neighboring pixels share noise: cameras interpolate colors.
        grain = cv2.GaussianBlur(grain, (3, 3), 0.6) * np.float32(1.6 * noise)
        picture += grain
    return np.asarray(np.clip(picture + 0.5, 0.0, 255.0), dtype=np.uint8)


def stacked(layers: Sequence[NDArray[np.uint8]], light: Sequence[float]) -> NDArray[np.uint8]:
    """Lay fields on each other, as cells lie in the thick part of a film: each takes its share of the light.

    Parameters
    ----------
    layers : sequence of ndarray, (H, W, 3) uint8
        RGB, of one size; drawn or photographed.
    light : sequence of float
        RGB of the glass beside their cells.

    Returns
    -------
    ndarray, (H, W, 3) uint8
        RGB.
    """
    glass = np.asarray(light, np.float32)
    shares = [np.minimum(layer / glass, np.float32(1)) for layer in layers]
    return np.asarray(np.prod(shares, axis=0) * glass + 0.5, np.uint8)


def _illumination(rng: np.random.Generator, height: int, width: int, vignette: float) -> FloatImage:
    middle = rng.uniform(0.4, 0.6, 2)
    y = (np.arange(height, dtype=np.float32) + 0.5) / height - np.float32(middle[0])
    x = (np.arange(width, dtype=np.float32) + 0.5) / width - np.float32(middle[1])
    uneven = cv2.resize(
        rng.normal(1.0, 0.012, (3, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
    )
    fall = 1.0 - np.float32(2.0 * vignette) * (y[:, None] ** 2 + x[None, :] ** 2)
    return np.asarray(fall * uneven, dtype=np.float32)
