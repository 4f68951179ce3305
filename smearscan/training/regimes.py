"""Fine-tuning regimes by name: which part of a net learns, from what, and with which head."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smearscan.classification.backbones import Head

Name = Literal["full", "scratch", "features", "SFT", "DFT", "mSFT", "mDFT"]


@dataclass(frozen=True, slots=True)
class Regime:
    """How a net is fine-tuned.

    Attributes
    ----------
    head : str or None
        The head it has unless told otherwise; None: the architecture's.
    body_learns : bool
        Else the features are as they came, statistics and all, and only the head is trained.
    pretrained : bool
        Starts from given weights; else from random ones, whatever was given.
    cached : bool
        The features of each cell are computed once, of its crop without augmentation.
    """

    head: Head | None = None
    body_learns: bool = True
    pretrained: bool = True
    cached: bool = False

    def start(self, given: Path | None) -> Path | None:
        """Pick the weights to start from, None for random ones, if these were given."""
        return given if self.pretrained else None


REGIMES: dict[Name, Regime] = {
    "full": Regime(),
    "scratch": Regime(pretrained=False),
    "features": Regime("dense256", body_learns=False, cached=True),
    "SFT": Regime("own", body_learns=False),
    "DFT": Regime("own"),
    "mSFT": Regime("leuknet", body_learns=False),
    "mDFT": Regime("leuknet"),
}
"""``full`` is how the shipped nets are trained; ``features`` is Beato's way (a frozen net, Dense 256).

The other four are LeukNet's (Vogado et al., Sensors 21:2989, 2021): *shallow* fine-tuning trains the fully
connected part, *deep* fine-tuning the whole net; *modified* replaces the fully connected part by smaller
layers, otherwise it is the network's own and starts from its published weights but for the last layer. The
meaning of the two depths is the field's; the work itself could be read in its abstracts only.
"""
