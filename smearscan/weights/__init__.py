"""Weights files and their cards: NAME.safetensors + NAME.yaml, verified together; nothing is unpickled."""

from smearscan.weights.known import KnownCells, QualityLimits
from smearscan.weights.pairs import (
    Card,
    ClassifierCard,
    DetectorCard,
    load_any_card,
    load_card,
    load_weights,
    read_pair,
    save_card,
    save_weights,
    shipped,
    shipped_folder,
    stage_of,
)

__all__ = [
    "Card",
    "ClassifierCard",
    "DetectorCard",
    "KnownCells",
    "QualityLimits",
    "load_any_card",
    "load_card",
    "load_weights",
    "read_pair",
    "save_card",
    "save_weights",
    "shipped",
    "shipped_folder",
    "stage_of",
]
