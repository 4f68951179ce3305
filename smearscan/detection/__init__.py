"""Stage one: finds leukocytes, red cells and platelets in whole fields."""

from smearscan.detection.detector import Detector

__all__ = ["Detector"]
