"""Stage two: cuts a crop of constant physical size around each leukocyte and names what is in it."""

from smearscan.classification.classifier import Classifier
from smearscan.classification.crops import BACKGROUND, Geometry, cut_crops
from smearscan.classification.naming import NamingRule, Recalibration, fine_names

__all__ = ["BACKGROUND", "Classifier", "Geometry", "NamingRule", "Recalibration", "cut_crops", "fine_names"]
