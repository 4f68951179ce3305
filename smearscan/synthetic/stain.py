"""Colors of Wright-Giemsa stained blood as dyes in light (Beer-Lambert), and how they vary.

A dye is three optical densities, one each for red, green and blue: the picture is ``light * exp(-density)``.
So cells that overlap darken each other as they do on glass, and one number makes a stain weaker or stronger.
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ConfigError

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Stain:
    """Light and dyes of one slide; dyes are natural-log optical densities of (red, green, blue).

    Attributes
    ----------
    light : tuple of float
        Color of the empty background, 0 to 255.
    chromatin : tuple of float
        Nuclei: azure-eosin complex, purple.
    basophilia : tuple of float
        RNA-rich cytoplasm, blue.
    pink : tuple of float
        Cytoplasm and fine granules of neutrophils.
    orange : tuple of float
        Granules of eosinophils.
    violet : tuple of float
        Granules of basophils, azurophil granules and platelets.
    hemoglobin : tuple of float
        Red cells.
    """

    light: Rgb = (252.0, 228.0, 203.0)
    chromatin: Rgb = (1.25, 2.05, 0.42)
    basophilia: Rgb = (0.58, 0.50, 0.14)
    pink: Rgb = (0.26, 0.40, 0.20)
    orange: Rgb = (0.34, 0.86, 0.58)
    violet: Rgb = (1.30, 2.10, 0.62)
    hemoglobin: Rgb = (0.24, 0.36, 0.25)

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            limit = 255.0 if part.name == "light" else 8.0
            if len(value) != 3 or not all(0.0 <= float(v) <= limit for v in value):
                raise ConfigError(
                    f"Stain.{part.name} is {value!r}; give (red, green, blue) from 0 to {limit:g}"
                )

    def dye(self, name: str) -> NDArray[np.float32]:
        """Return one dye.

        Parameters
        ----------
        name : str
            Name of an attribute, for example ``"chromatin"``.

        Returns
        -------
        ndarray, (3,) float32
            Optical density of red, green, blue.
        """
        return np.asarray(getattr(self, name), dtype=np.float32)


BEIGE: Final = Stain()
"""May-Grunwald-Giemsa under the warm light of an automated slide reader."""

GREY: Final = Stain(
    light=(206.0, 212.0, 208.0),
    chromatin=(0.70, 1.12, 0.12),
    basophilia=(0.46, 0.46, 0.02),
    pink=(0.20, 0.40, 0.06),
    orange=(0.22, 0.80, 0.46),
    violet=(1.10, 1.50, 0.40),
    hemoglobin=(0.17, 0.42, 0.36),
)
"""Weak, bluish stain under a grey-green camera balance."""

WHITE: Final = Stain(
    light=(243.0, 238.0, 241.0),
    chromatin=(1.02, 2.45, 0.34),
    basophilia=(0.52, 0.62, 0.10),
    pink=(0.22, 0.46, 0.10),
    orange=(0.30, 0.82, 0.36),
    violet=(0.95, 2.30, 0.36),
    hemoglobin=(0.22, 0.40, 0.22),
)
"""Strong violet stain, white balanced."""


def random_stain(rng: np.random.Generator) -> Stain:
    """Draw the stain of one slide.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.

    Returns
    -------
    Stain
        Mostly near one of `BEIGE`, `GREY`, `WHITE`, with its own light, strength and hue.
    """
    share = rng.dirichlet((0.6, 0.3, 0.15))
    strength = rng.lognormal(0.0, 0.10)
    parts: dict[str, Rgb] = {}
    for part in fields(Stain):
        mixed = sum(
            w * np.asarray(getattr(s, part.name)) for w, s in zip(share, (BEIGE, GREY, WHITE), strict=True)
        )
        if part.name == "light":
            value = np.clip(mixed * rng.normal(1.0, 0.02, 3), 120.0, 254.0)
        else:
            value = np.clip(mixed * strength * rng.lognormal(0.0, 0.07) * rng.normal(1.0, 0.04, 3), 0.0, 6.0)
        parts[part.name] = (float(value[0]), float(value[1]), float(value[2]))
    return Stain(**parts)
