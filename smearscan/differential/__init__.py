"""Counts to conclusions: tally, differential count, leukemia flag, calibration card and their statistics."""

from smearscan.differential.calibration_card import Calibration, load_calibration, shipped_calibration
from smearscan.differential.conclusions import report_slide
from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL, DifferentialCount
from smearscan.differential.flag import Flag, FlagRule
from smearscan.differential.slide_report import SlideReport, StopInfo
from smearscan.differential.suspects import Suspect, SuspectRule
from smearscan.differential.tally import SlideTally

__all__ = [
    "EXCLUDED_FROM_DIFFERENTIAL",
    "Calibration",
    "DifferentialCount",
    "Flag",
    "FlagRule",
    "SlideReport",
    "SlideTally",
    "StopInfo",
    "Suspect",
    "SuspectRule",
    "load_calibration",
    "report_slide",
    "shipped_calibration",
]
