"""Logits in bfloat16 where they leave no doubt, in float32 where they do."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smearscan.runtime.self_check import probabilities

if TYPE_CHECKING:
    from smearscan.runtime.network import Engine

CONFIDENT = 0.85
"""From this probability of the likeliest class on bfloat16 is believed.

What it changes of a logit is about the same for all cells; of a probability p it changes p (1 - p) times as
much. So those who are near to 1 stay well within the .01 that every engine keeps to torch, and those in the
middle may not.
"""


class Bf16WithFallback:
    """Two engines of one network as one; what it answers hangs on the picture alone.

    Parameters
    ----------
    quick, exact : Engine
        In bfloat16 and in float32.
    heads : tuple of int
        Of the spec; a picture is computed again if one of them leaves doubt.
    """

    def __init__(self, quick: "Engine", exact: "Engine", heads: tuple[int, ...] = ()) -> None:
        self.quick, self.exact, self._heads = quick, exact, heads
        self.name = quick.name

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map (B, H, W, 3) uint8 RGB to logits, (B, K) float32; B may be 0."""
        logits = self.quick.run(images)
        surest = [probs.max(axis=1, initial=0) for probs in probabilities(logits, self._heads)]
        # `not sure` takes what is no number, too
        doubtful = np.flatnonzero(~(np.min(surest, axis=0) >= CONFIDENT))
        if len(doubtful):
            logits[doubtful] = self.exact.run(images[doubtful])
        return logits
