"""The types that travel through smearscan: frozen, pixel-free once a field is read; empty is normal."""

from smearscan.results.doubts import Doubt
from smearscan.results.field_quality import FieldQuality
from smearscan.results.field_results import (
    Cell,
    FieldFailure,
    FieldResult,
    cell_columns,
    cells_frame,
)
from smearscan.results.fields import AS_PHOTOGRAPHED, Detections, Field, Scale, Stain
from smearscan.results.film_map import FILM_PARTS, LAYER, FilmMap
from smearscan.results.table_columns import CELL_COLUMNS, FINE_COLUMNS, STAIN_COLUMNS, five_digits

__all__ = [
    "AS_PHOTOGRAPHED",
    "CELL_COLUMNS",
    "FILM_PARTS",
    "FINE_COLUMNS",
    "LAYER",
    "STAIN_COLUMNS",
    "Cell",
    "Detections",
    "Doubt",
    "Field",
    "FieldFailure",
    "FieldQuality",
    "FieldResult",
    "FilmMap",
    "Scale",
    "Stain",
    "cell_columns",
    "cells_frame",
    "five_digits",
]
