"""Colors that no stained smear has: of gray photographs and of negatives, in which cells are missed."""

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ImageError
from smearscan.numeric import median

_SIDE = 128  # pixels looked at each way are at most so many
_BLANK = 3.0
"""Standard deviation, of 255 levels, below which a picture shows nothing whose colors could be judged."""

_GRAY = 1.0
"""Spread of colors beside the lightness, of 255 levels: rounding gives .4, the palest stain over 2."""

_GREENISH = 25.0
"""By how much what stands out is greener than the background, levels: a stain's negative is green."""

_DARK = 0.25
"""Where the background lies between the darkest and the brightest, in a negative; in a smear above .3."""


def check_colors(image: NDArray[np.uint8], name: str) -> None:
    """Refuse a field without colors, or in negative colors.

    Every usual stain takes most out of the green light, so that cells are pink to blue before a bright
    background. A negative has them greenish before a dark one; where neither is plain, it may pass. Channels
    in a wrong order (BGR) are not noticed: of a single field no rule tells them from the blue-gray to pink
    stains that smears have.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
    name : str
        For the message.

    Raises
    ------
    ImageError
        With the reason and its cure. A blank picture passes.
    """
    step = max(1, -(-max(image.shape[:2]) // _SIDE))
    # a channel a row: sums over rows of three are five times as slow
    channels = image[::step, ::step].reshape(-1, 3).T.astype(np.float64, order="C")
    apart = channels - channels.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(apart @ apart.T / max(1, apart.shape[1] - 1)), 0))
    if spread[2] < _BLANK:
        return
    cure = "photograph it in color, or set 'false_colors: read' to have it read all the same"
    if spread[1] < _GRAY:
        raise ImageError(f"{name}: is a gray photograph, in which leukocytes are missed; {cure}")
    lightness = channels.sum(axis=0)
    green = 1.5 * channels[1] - lightness / 2  # green beside the mean of red and blue
    n, n_ends = len(lightness), max(1, len(lightness) * 3 // 100)
    ranks = (n // 100, n // 2, n - 1 - n // 100)
    order = np.argpartition(lightness, sorted({*ranks, n_ends - 1, n - n_ends}))
    low, middle, high = lightness[order[list(ranks)]]
    ends = green[order[-n_ends:]].mean() + green[order[:n_ends]].mean()
    greener = ends - 2 * median(green)
    dark_ground = (middle - low) / max(high - low, 1.0) < _DARK
    if greener > _GREENISH or (dark_ground and greener > 0):
        raise ImageError(f"{name}: has the colors of a negative, in which leukocytes are missed; {cure}")
