"""Red cells and platelets, drawn on the physical grid as optical density and coverage."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smearscan.synthetic.stain import Stain
from smearscan.synthetic.texture import DRAW_UM, FloatImage, band_noise, cover, outline, speckle, star_depth
from smearscan.taxonomy import RED_CELL_UM

_RED_WINDOW_UM: Final = 13.0
_PLATELET_WINDOW_UM: Final = 7.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One drawn cell on the grid of `DRAW_UM`.

    Attributes
    ----------
    density : ndarray, (h, w, 3) float32
        Optical density of red, green, blue, already weighted by `alpha`.
    alpha : ndarray, (h, w) float32
        Coverage, 0 to 1; the cell's own pixels are those from 0.5.
    radii_um : ndarray, (OUTLINE_SAMPLES,) float32
        Outline, used to let cells touch.
    """

    density: FloatImage
    alpha: FloatImage
    radii_um: NDArray[np.float32]

    @property
    def radius_um(self) -> float:
        """Mean radius in micrometers."""
        return float(self.radii_um.mean())

    def reach_um(self, angle: float) -> float:
        """Return the radius in a direction (radians, x towards y) in micrometers."""
        n = len(self.radii_um)
        return float(self.radii_um[int(angle / (2.0 * np.pi) * n) % n])


def window(side_um: float) -> int:
    """Return the side in pixels of a square drawing window of `side_um` micrometers."""
    return round(side_um / DRAW_UM)


def draw_red_cell(rng: np.random.Generator, stain: Stain, hypochromia: float = 0.5) -> Cell:
    """Draw a red cell: 7.2 um across on average (Bain, Blood Cells, 5th ed., ch. 3), a biconcave disc.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stain : Stain
        Dyes of the slide.
    hypochromia : float, optional
        How pale the middle is, 0 (dense, as in a thick part of the smear) to 1.

    Returns
    -------
    Cell
        With its outline and density.
    """
    size = window(_RED_WINDOW_UM)
    radius = float(np.clip(rng.normal(RED_CELL_UM / 2.0, 0.22), 2.7, 4.6))
    wobble = float(rng.uniform(0.01, 0.035))
    radii = outline(rng, radius, wobble, elongation=float(1 + rng.gamma(2, 0.05)))
    depth = star_depth(size, radii)
    pallor = float(np.clip(rng.normal(hypochromia, 0.2), 0.0, 0.9))
    pale_edge = radius * float(rng.uniform(0.42, 0.62))  # depth at which the thick rim has given way
    softness = float(rng.uniform(0.8, 1.6))
    inner = cover(depth - np.float32(pale_edge), softness)
    rim = np.exp(-(((depth - 0.5) / 0.55) ** 2)).astype(np.float32)
    thick = (1.0 - pallor * inner) * (0.92 + 0.14 * rim)
    thick *= np.float32(rng.lognormal(0.0, 0.10)) * (1.0 + 0.03 * band_noise(rng, (size, size), 2.5))
    alpha = cover(depth, 0.35)
    density = (thick * alpha)[..., None] * stain.dye("hemoglobin")
    return Cell(density.astype(np.float32), alpha, radii)


def draw_platelet(rng: np.random.Generator, stain: Stain) -> Cell:
    """Draw a platelet: 2 to 3 um, granular, violet on pale blue (Bain, Blood Cells, 5th ed., ch. 3).

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stain : Stain
        Dyes of the slide.

    Returns
    -------
    Cell
        With its outline and density.
    """
    size = window(_PLATELET_WINDOW_UM)
    radius = float(np.clip(rng.normal(1.3, 0.22), 0.9, 2.1))
    radii = outline(rng, radius, wobble=0.09, elongation=float(1 + rng.gamma(2, 0.1)))
    depth = star_depth(size, radii)
    alpha = cover(depth, 0.4)
    grains = speckle(rng, (size, size), 4.0, 0.17) * cover(depth - 0.25, 0.8)
    strength = float(rng.uniform(0.5, 0.95))
    density = (0.42 * alpha)[..., None] * (0.6 * stain.dye("basophilia") + 0.5 * stain.dye("pink"))
    density = density + (strength * (0.18 + 0.6 * grains) * alpha)[..., None] * stain.dye("violet")
    return Cell(density.astype(np.float32), alpha, radii)
