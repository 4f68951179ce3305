"""smearscan: finds and names every leukocyte of a stained blood smear.

A research aid that suggests, never a diagnosis.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smearscan.differential.slide_report import SlideReport
    from smearscan.errors import (
        ConfigError,
        DatasetError,
        EngineError,
        ImageError,
        LeakError,
        SmearscanError,
        WeightsError,
    )
    from smearscan.io.decode import read_image
    from smearscan.report.overlay import draw_overlay
    from smearscan.results import Cell, Detections, Field, FieldFailure, FieldResult
    from smearscan.scan.scanner import SmearScanner

__version__ = "0.3.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())  # who uses the package decides what is shown

# Loaded on first use: importing the package must not import torch (the command line answers --help at once).
_WHERE = {
    "SmearScanner": "smearscan.scan.scanner",
    "Cell": "smearscan.results",
    "Detections": "smearscan.results",
    "Field": "smearscan.results",
    "FieldResult": "smearscan.results",
    "FieldFailure": "smearscan.results",
    "SlideReport": "smearscan.differential.slide_report",
    "draw_overlay": "smearscan.report.overlay",
    "read_image": "smearscan.io.decode",
    "SmearscanError": "smearscan.errors",
    "ConfigError": "smearscan.errors",
    "ImageError": "smearscan.errors",
    "DatasetError": "smearscan.errors",
    "LeakError": "smearscan.errors",
    "WeightsError": "smearscan.errors",
    "EngineError": "smearscan.errors",
}
__all__ = [
    "Cell",
    "ConfigError",
    "DatasetError",
    "Detections",
    "EngineError",
    "Field",
    "FieldFailure",
    "FieldResult",
    "ImageError",
    "LeakError",
    "SlideReport",
    "SmearScanner",
    "SmearscanError",
    "WeightsError",
    "draw_overlay",
    "read_image",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'smearscan' has no attribute {name!r}")
