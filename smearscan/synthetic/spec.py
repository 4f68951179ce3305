"""What to draw, what was drawn, and the two presets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ConfigError
from smearscan.synthetic.leukocytes import LEUKOCYTE_TYPES
from smearscan.synthetic.stain import Stain

HEALTHY_COMPOSITION: Final[Mapping[str, float]] = {
    "neutrophil": 60.0,
    "lymphocyte": 28.0,
    "monocyte": 7.0,
    "eosinophil": 3.0,
    "basophil": 1.0,
    "other": 1.0,
}
"""Percent of each type in an adult's blood, within the reference ranges of Bain, Blood Cells, ch. 5."""

LEUKEMIC_COMPOSITION: Final[Mapping[str, float]] = {
    "blast": 66.0,
    "lymphocyte": 13.0,
    "neutrophil": 7.0,
    "immature_granulocyte": 5.0,
    "monocyte": 4.0,
    "other": 4.0,
    "eosinophil": 0.5,
    "basophil": 0.5,
}
"""Acute leukemia with a high count; 20 % blasts make the diagnosis (WHO, 5th ed., 2022)."""


@dataclass(frozen=True, slots=True)
class DrawnField:
    """A drawn field and the truth about it.

    Attributes
    ----------
    image : ndarray, (H, W, 3) uint8
        RGB.
    xyxy : ndarray, (N, 4) float32
        Boxes in field pixels, half-open, clipped to the image. A box is the extent of the cell's own pixels,
        also of those that a neighbor covers.
    labels : ndarray, (N,) int64
        Index into `smearscan.taxonomy.DETECTOR_CLASSES`.
    types : tuple of str
        Type of each leukocyte, ``""`` for the rest.
    um_per_px : float
        Micrometers a pixel.
    """

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    types: tuple[str, ...]
    um_per_px: float

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.xyxy.shape != (n, 4) or len(self.types) != n:
            raise ConfigError(
                f"got {n} labels, {self.xyxy.shape} boxes, {len(self.types)} types; give one each"
            )


@dataclass(frozen=True, slots=True)
class SmearSpec:
    """What to draw.

    Attributes
    ----------
    height, width : int
        Size of the field in pixels, from 1.
    um_per_px : float
        Micrometers a pixel, 0.02 to 1. The default is that of the BCCD images, where a red cell of 7.2 um is
        about 105 px across.
    leukocytes : float
        Mean number of leukocytes a field (Poisson).
    min_leukocytes : int
        At least this many are laid, as far as the field has room.
    composition : mapping of str to float
        Weights of the leukocyte types; they need not add up to anything.
    red_cell_density, platelet_density : float
        Mean number in 1,000 square micrometers.
    rouleaux : float
        Part of the red cells that stack, 0 to 1.
    hypochromia : float
        How pale the middle of red cells is, 0 to 1.
    clump : tuple of int, optional
        Leukocytes lie in touching clumps of ``(smallest, largest)`` size; None lays them apart.
    stain : Stain, optional
        None draws one from the seed, the same for all fields of a slide.
    blur_px : float
        Standard deviation of the defocus in pixels.
    halo : float
        Strength of the bright seam around cells (refraction, or the camera's sharpening), 0 to 2.
    vignette : float
        Loss of light in the corners, 0 to 1.
    noise : float
        Standard deviation of the sensor noise in gray levels.

    Raises
    ------
    ConfigError
        A value is out of its range.
    """

    height: int = 480
    width: int = 640
    um_per_px: float = 7.2 / 105
    leukocytes: float = 1.3
    min_leukocytes: int = 1
    composition: Mapping[str, float] = field(default_factory=lambda: HEALTHY_COMPOSITION)
    red_cell_density: float = 14.0
    platelet_density: float = 1.5
    rouleaux: float = 0.12
    hypochromia: float = 0.5
    clump: tuple[int, int] | None = None
    stain: Stain | None = None
    blur_px: float = 0.8
    halo: float = 0.35
    vignette: float = 0.08
    noise: float = 1.8

    def __post_init__(self) -> None:
        limits: dict[str, tuple[float, float]] = {
            "height": (1, 20_000),
            "width": (1, 20_000),
            "um_per_px": (0.02, 1.0),
            "leukocytes": (0.0, 1_000.0),
            "min_leukocytes": (0, 1_000),
            "red_cell_density": (0.0, 60.0),
            "platelet_density": (0.0, 60.0),
            "rouleaux": (0.0, 1.0),
            "hypochromia": (0.0, 1.0),
            "blur_px": (0.0, 50.0),
            "halo": (0.0, 2.0),
            "vignette": (0.0, 1.0),
            "noise": (0.0, 100.0),
        }
        for name in ("height", "width", "min_leukocytes"):
            if not isinstance(getattr(self, name), int):
                raise ConfigError(f"SmearSpec.{name} is {getattr(self, name)!r}; give a whole number")
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"SmearSpec.{name} is {value!r}; give a number from {low:g} to {high:g}")
        # A copy of its own: what the caller does to the mapping later must not change what is drawn.
        object.__setattr__(self, "composition", dict(self.composition))
        unknown = sorted(set(self.composition) - set(LEUKOCYTE_TYPES))
        if unknown:
            raise ConfigError(f"SmearSpec.composition names {unknown}; use only {', '.join(LEUKOCYTE_TYPES)}")
        weights = list(self.composition.values())
        if not all(0.0 <= w < np.inf for w in weights) or sum(weights) <= 0.0:
            raise ConfigError(
                f"SmearSpec.composition is {dict(self.composition)}; give weights from 0, one above 0"
            )
        if self.clump is not None and not 1 <= self.clump[0] <= self.clump[1] <= 50:
            raise ConfigError(
                f"SmearSpec.clump is {self.clump}; give None or (smallest, largest), both from 1 to 50"
            )


HEALTHY: Final = SmearSpec()
"""An adult's blood through a 100x lens: one or two leukocytes a field."""

LEUKEMIC: Final = SmearSpec(
    um_per_px=0.14,
    leukocytes=10.0,
    min_leukocytes=6,
    composition=LEUKEMIC_COMPOSITION,
    red_cell_density=11.0,
    platelet_density=0.3,
    clump=(1, 5),
)
"""Acute leukemia at half that magnification: six to fifteen leukocytes a field, mostly touching blasts."""
