"""smearscan: finds and names every leukocyte of a stained blood smear.

A research aid that suggests, never a diagnosis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smearscan.differential.slide_report import SlideReport
    from smearscan.results import Cell, Detections, Field, FieldFailure, FieldResult
    from smearscan.scan.scanner import SmearScanner

__version__ = "0.2.0"

# Loaded on first use: importing the package must not import torch (the command line answers --help at once).
_WHERE = {
    "SmearScanner": "smearscan.scan.scanner",
    "Cell": "smearscan.results",
    "Detections": "smearscan.results",
    "Field": "smearscan.results",
    "FieldResult": "smearscan.results",
    "FieldFailure": "smearscan.results",
    "SlideReport": "smearscan.differential.slide_report",
}
__all__ = ["Cell", "Detections", "Field", "FieldFailure", "FieldResult", "SlideReport", "SmearScanner"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'smearscan' has no attribute {name!r}")
