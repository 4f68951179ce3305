"""Fields of other colors than the rest of their slide: one stain, one lamp and one camera made all of them.

Of a single field no rule tells exchanged channels from the blue-gray to pink stains that smears have; beside
the others of its slide it stands out.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from smearscan.numeric import median
from smearscan.results import FieldQuality, FieldResult
from smearscan.results.doubts import COLORS, FIELD_COLORS, Doubt, counted, named_files
from smearscan.weights import QualityLimits

FEWEST_FIELDS = 3
"""Of two fields that differ nothing tells which is wrong."""
_MATTERS = 0.1
"""Share of a slide's leukocytes in such fields from which they matter to what is counted: as much as an exact
interval of a hundred cells is wide to either side."""


def field_colors(quality: FieldQuality) -> tuple[float, float, float, float]:
    """Tell a field's colors, whatever its exposure and however much of it is stained.

    Returns
    -------
    light_red, light_blue : float
        Of the background, over its green; natural logarithm.
    stain_red, stain_green : float
        Share of red in what is absorbed of red and blue by all that is stained; share of green in all that it
        absorbs. NaN where nothing is stained.
    """
    (red, green, blue), stained = quality.light, quality.stained
    return (
        math.log(red / green),
        math.log(blue / green),
        share(stained[0], stained[2]),
        share(stained[1], stained[0] + stained[2]),
    )


def share(part: float, rest: float) -> float:
    """Share of a part in the whole; NaN of nothing."""
    return float(part / (part + rest)) if part + rest > 0 else math.nan


def colors_apart(qualities: Sequence[FieldQuality]) -> NDArray[np.float64]:
    """Tell how far each field lies from the median of all.

    Parameters
    ----------
    qualities : sequence of FieldQuality, (N,)
        Of one slide.

    Returns
    -------
    ndarray, (N, 2) float64
        For the light and for what is stained, the larger of two distances; 0 where nothing is stained, or
        where there are fewer than three fields.
    """
    if len(qualities) < FEWEST_FIELDS:
        return np.zeros((len(qualities), 2))
    colors = np.array([field_colors(quality) for quality in qualities])
    known = ~np.isnan(colors)
    middle = [
        float(median(own[told])) if told.any() else 0.0 for own, told in zip(colors.T, known.T, strict=True)
    ]
    away = np.where(known, np.abs(colors - middle), 0)
    return np.asarray(away.reshape(-1, 2, 2).max(axis=2), np.float64)


def are_odd(apart: NDArray[np.float64], limits: QualityLimits) -> NDArray[np.bool_]:
    """Tell which distances of :func:`colors_apart`, (N, 2), lie beyond a limit of the card, (N,) bool."""
    most = np.array([limits.most_light_apart, limits.most_stain_apart])
    return np.asarray((apart > most).any(axis=1), np.bool_)


def doubts_of_odd_fields(fields: Sequence[FieldResult], limits: QualityLimits) -> Iterator[Doubt]:
    """Doubt fields of other colors than the rest of their slide.

    Where such fields hold a tenth of the slide's leukocytes or more, the doubt concerns the slide's colors
    (:data:`smearscan.results.doubts.COLORS`), and with them what cells are called.

    Parameters
    ----------
    fields : sequence of FieldResult
        Of one slide; those without :attr:`FieldResult.quality` are passed over.
    limits : QualityLimits
        Of the detector's card.
    """
    known = [(field, field.quality) for field in fields if field.quality is not None]
    apart = colors_apart([quality for _, quality in known])
    odd = [known[i][0] for i in np.flatnonzero(are_odd(apart, limits)).tolist()]
    if not odd:
        return
    n, n_odd = sum(len(field) for field, _ in known), sum(map(len, odd))
    paths, names = named_files(field.path for field in odd)
    yield Doubt(
        COLORS if n_odd and n_odd >= _MATTERS * n else FIELD_COLORS,
        f"{len(odd)} of {counted(len(known), 'field', 'fields')} {'has' if len(odd) == 1 else 'have'} other "
        "colors than the rest of the slide: red and blue exchanged (BGR), a negative, another stain? "
        f"Leukocytes there ({n_odd} of {n}) are missed or misnamed; export again, or leave out{names}",
        paths,
    )
