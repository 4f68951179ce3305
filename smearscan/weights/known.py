"""What a network knows, as its card tells it: the photographs it may be given, the cells it learned from."""

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[float, Field(ge=0, le=255)]
Positive = Annotated[float, Field(gt=0)]
Figures = Annotated[tuple[float, ...], Field(min_length=6, max_length=6)]
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class QualityLimits(BaseModel):
    """How a field may be photographed: beyond one of these its slide is in doubt.

    Each stands in a detector's card beside what sound fields show (``metrics``); a card without them takes
    these. The figures are those of :class:`smearscan.results.FieldQuality` and
    :func:`smearscan.rulers.quality_doubts.color_shares`.

    Attributes
    ----------
    least_sharpness, least_evenness : float
        Details at all, and in the direction of the fewest.
    least_light : float
        Level of the background's brightest channel, 0 to 255.
    least_corners : float
        Light in the second darkest corner, share of the field's.
    least_in_cells : float
        Share of what is dark that lies within boxes of cells.
    most_overexposed, most_white : float
        Share of what is white in a channel, though it is a red cell's; share of the pixels that are white in
        all channels.
    most_greenish : float
        Share of the pixels that are greener than the background: every stain takes green light away.
    least_nucleus_red, least_red_cell_red : float
        Least share of red in what nuclei, and red cells, absorb of red and blue. Nuclei, whose dye is blue,
        absorb red light rather than blue in every Romanowsky stain.
    least_nucleus_green, least_red_cell_green : float
        Least share of green in what they absorb.
    most_covered : float
        Share of a part of the field, about 60 um wide, that cells may cover beside the leukocytes: more is
        the thick part.
    most_light_apart, most_stain_apart : float
        How far one field's light, and what is stained in it, may lie from the median of its slide in color:
        :func:`smearscan.rulers.odd_fields.field_colors`.
    """

    model_config = _STRICT

    least_sharpness: Share = 0.055
    least_evenness: Share = 0.55
    least_light: Level = 80.0
    least_corners: Share = 0.35
    least_in_cells: Share = 0.3
    most_overexposed: Share = 0.25
    most_white: Share = 0.6
    most_greenish: Share = 0.01
    least_nucleus_red: Share = 0.33
    least_nucleus_green: Share = 0.33
    least_red_cell_red: Share = 0.28
    least_red_cell_green: Share = 0.28
    most_covered: Share = 0.85
    most_light_apart: Positive = 0.12
    most_stain_apart: Share = 0.12


class KnownCells(BaseModel):
    """How the cells that a classifier learned from are stained, as a normal distribution of six densities.

    Attributes
    ----------
    mean : tuple of float
        Optical density of nucleus (red, green, blue) and of the red cells around, as
        :func:`smearscan.rulers.stain.measure_cells` measures it in the classifier's crops.
    covariance : tuple of tuple of float
        Of the same, over cells; each training site counts alike.
    most_distance : float
        Mahalanobis distance that one in a hundred of these cells exceeds.
    most_unlike : float
        Share of a slide's cells beyond it from which the slide is in doubt.
    """

    model_config = _STRICT

    mean: Figures
    covariance: Annotated[tuple[Figures, ...], Field(min_length=6, max_length=6)]
    most_distance: Annotated[float, Field(gt=0)]
    most_unlike: Share

    @model_validator(mode="after")
    def _is_a_distribution(self) -> Self:
        spread = np.array(self.covariance)
        if not np.allclose(spread, spread.T) or np.linalg.eigvalsh(spread).min() <= 0:
            raise ValueError("covariance must be symmetric and positive definite")
        return self

    def distances(self, densities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mahalanobis distances, (N,), of densities (N, 6)."""
        off = densities - np.array(self.mean)
        weighed = np.linalg.solve(np.array(self.covariance), off.T).T
        return np.asarray(np.sqrt((off * weighed).sum(axis=1)), np.float64)
