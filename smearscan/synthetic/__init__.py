"""Drawn blood smears with exact ground truth, for tests, benchmarks and the demo: no real pixels."""

from smearscan.synthetic.canvas import stacked
from smearscan.synthetic.leukocytes import LEUKOCYTE_TYPES
from smearscan.synthetic.slides import write_slides
from smearscan.synthetic.smear import draw_clump, draw_field, draw_slide
from smearscan.synthetic.spec import (
    HEALTHY,
    HEALTHY_COMPOSITION,
    LEUKEMIC,
    LEUKEMIC_COMPOSITION,
    DrawnField,
    SmearSpec,
)
from smearscan.synthetic.stain import BEIGE, GREY, WHITE, Stain, random_stain

__all__ = [
    "BEIGE",
    "GREY",
    "HEALTHY",
    "HEALTHY_COMPOSITION",
    "LEUKEMIC",
    "LEUKEMIC_COMPOSITION",
    "LEUKOCYTE_TYPES",
    "WHITE",
    "DrawnField",
    "SmearSpec",
    "Stain",
    "draw_clump",
    "draw_field",
    "draw_slide",
    "random_stain",
    "stacked",
    "write_slides",
]
