"""Logits in bfloat16 where they leave no doubt, in float32 where they do."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

if TYPE_CHECKING:
    from smearscan.runtime.engine import Engine

SURE = 0.85
"""From this probability of the likeliest class on bfloat16 is believed.

What it changes of a logit is about the same for all cells; of a probability p it changes p (1 - p) times as
much. So those who are near to 1 stay well within the .01 that every engine keeps to torch, and those in the
middle may not.
"""


class Sure:
    """Two engines of one network as one; what it answers hangs on the picture alone.

    Parameters
    ----------
    quick, exact : Engine
        In bfloat16 and in float32.
    """

    def __init__(self, quick: "Engine", exact: "Engine") -> None:
        self.quick, self.exact = quick, exact
        self.name = quick.name

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map (B, H, W, 3) uint8 RGB to logits, (B, K) float32; B may be 0."""
        logits = self.quick.run(images)
        # `not sure` takes what is no number, too
        doubtful = np.flatnonzero(~(softmax(logits, axis=1).max(axis=1, initial=0) >= SURE))
        if len(doubtful):
            logits[doubtful] = self.exact.run(images[doubtful])
        return logits
