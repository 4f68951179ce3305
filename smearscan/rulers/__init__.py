"""What is measured of a slide before it is read: its physical scale, by its red cells, and its stain."""

from smearscan.rulers.scale import measure_scale

__all__ = ["measure_scale"]
