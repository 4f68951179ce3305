"""What is measured of a slide before it is read: its physical scale, by its red cells, and its stain."""

from smearscan.rulers.scale import measure_scale
from smearscan.rulers.slide_scale import measure_slide_scale

__all__ = ["measure_scale", "measure_slide_scale"]
