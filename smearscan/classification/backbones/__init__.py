"""Networks of stage two: one function builds every backbone, with its own input, head and normalization.

Batch statistics learned at one site are wrong at the next and make most leukocyte classifiers collapse there
(arXiv:2303.01777), so by default normalization layers keep the statistics they come with, and only their gain
and offset learn (:func:`hold_normalization`).

Every network maps (B, 3, H, W) normalized pictures (see :func:`input_of`) to logits (B, n_classes) by
``head(features(images))``; its parameters outside the features are named ``head.*``.
"""

from smearscan.classification.backbones.build import ARCHITECTURES, build, default_head, input_of, trunk_of
from smearscan.classification.backbones.heads import HEADS, Head
from smearscan.classification.backbones.networks import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    FeaturesOf,
    Input,
    Joined,
    Network,
    Trunked,
)
from smearscan.classification.backbones.normalization import NORMS, Norm, hold_normalization
from smearscan.classification.backbones.start import start_from

__all__ = [
    "ARCHITECTURES",
    "HEADS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "NORMS",
    "FeaturesOf",
    "Head",
    "Input",
    "Joined",
    "Network",
    "Norm",
    "Trunked",
    "build",
    "default_head",
    "hold_normalization",
    "input_of",
    "start_from",
    "trunk_of",
]
