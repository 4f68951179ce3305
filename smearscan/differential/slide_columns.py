"""Groups of columns of ``report.csv``, each of its own part of a slide's report."""

from collections.abc import Callable, Mapping

import numpy as np

from smearscan.differential.count import COUNTED, DifferentialCount
from smearscan.differential.fine_types import FineShare
from smearscan.differential.statistics.correction import CorrectedDifferential
from smearscan.differential.suspects import Suspect
from smearscan.results import STAIN_COLUMNS, FilmMap, Stain, five_digits
from smearscan.results.doubts import Doubt
from smearscan.taxonomy import BLAST, NON_LEUKOCYTES, OTHER

Row = dict[str, object]


def rounded(value: float, digits: int = 2) -> float:
    """Round to so many digits after the point; NaN stays."""
    return round(float(value), digits)


def intervals(count: DifferentialCount, level: float) -> Row:
    """Exact intervals, for counting alone, of each class of the full differential."""
    row: Row = {}
    for name in COUNTED:
        low, high = count.interval(name, level) if name in count.classes else (np.nan, np.nan)
        row |= {f"{name}_low": rounded(low), f"{name}_high": rounded(high)}
    return row


def outside(types: Mapping[str, int], known: tuple[str, ...], per_100: Callable[[str], float]) -> Row:
    """Cells outside the denominator, and how many come to 100 leukocytes.

    Nothing is told of classes that the net does not know.
    """
    names = [name for name in NON_LEUKOCYTES if name != OTHER]
    row: Row = {name: types[name] if name in known else None for name in names}
    return row | {f"{name}_per_100": rounded(per_100(name)) if name in known else None for name in names}


def corrections(corrected: CorrectedDifferential | None) -> Row:
    """Percentages corrected for the nets' errors, with intervals for counting and naming together."""
    row: Row = {}
    for name in (*COUNTED, BLAST):
        k = corrected.classes.index(name) if corrected and name in corrected.classes else None
        for part in ("percent", "low", "high"):
            value = getattr(corrected, part)[k] if k is not None else np.nan
            row[f"{name}_corrected_{part}"] = rounded(value)
    row["correction"] = corrected.reason if corrected else "not known how these nets err"
    return row


def remarks(suspects: tuple[Suspect, ...], doubts: tuple[Doubt, ...]) -> Row:
    """Tell what lies outside the reference ranges, and what should not be believed unlooked."""
    return {
        "suspect": ";".join(suspect.name for suspect in suspects),
        "suspect_reasons": "; ".join(suspect.reason for suspect in suspects),
        "doubt": ";".join(doubt.name for doubt in doubts),
        "doubt_reasons": "; ".join(doubt.reason for doubt in doubts),
    }


def film_columns(film: FilmMap | None) -> Row:
    """How much of a whole slide was read; nothing for a slide of photographs."""
    if film is None:
        return {}
    return {
        "film_read_percent": rounded(film.read_percent),
        "film_left_out": film.left_out,
        "um_per_px_by_red_cells": five_digits(film.measured_um_per_px),
    }


def fine_columns(shares: tuple[FineShare, ...]) -> Row:
    """Count fine types; nothing where no net names them."""
    row: Row = {}
    for share in shares:
        named = f"fine_{share.name}"
        row |= {f"{named}_count": share.count, f"{named}_percent": rounded(share.percent)}
        row |= {f"{named}_low": rounded(share.low), f"{named}_high": rounded(share.high)}
    return row


def stain_columns(stain: Stain) -> Row:
    """How cells were shown to the networks, on how many it was measured, and the channels' factors."""
    row: Row = {"stain": stain.source, "stain_cells": stain.n_cells}
    return row | dict(zip(STAIN_COLUMNS, map(five_digits, stain.gain), strict=True))
