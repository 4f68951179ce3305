"""The scan itself: detect, crop, classify, hand back; fields, slides, and pictures of single cells."""

from smearscan.scan.cell_classifier import CellClassifier
from smearscan.scan.scanner import SmearScanner

__all__ = ["CellClassifier", "SmearScanner"]
