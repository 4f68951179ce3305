"""What of a whole slide was read, and what the parts are that were left out."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FILM_PARTS = ("empty", "thin", "thick", "blurred", "one layer")
"""Parts of a film, by their numbers in a :class:`FilmMap`; the last alone is read."""

EMPTY, THIN, THICK, BLURRED, LAYER = range(len(FILM_PARTS))


@dataclass(frozen=True, slots=True)
class FilmMap:
    """A whole slide as a grid of square parts: what each is, and whether it was read.

    Attributes
    ----------
    shape : tuple of int
        ``(height, width)`` of the slide, pixels of level 0.
    side : int
        Of a part, pixels; those at the right and lower edge may be smaller.
    parts : ndarray, (R, C) uint8
        Index into :data:`FILM_PARTS`, row by row from the upper left.
    read : ndarray, (R, C) bool
    measured_um_per_px : float
        Micrometers a pixel by the slide's red cells; NaN where they could not be measured.
    """

    shape: tuple[int, int]
    side: int
    parts: NDArray[np.uint8]
    read: NDArray[np.bool_]
    measured_um_per_px: float = float("nan")

    def __post_init__(self) -> None:
        if self.parts.shape != self.read.shape or self.parts.ndim != 2:
            raise ValueError(f"parts {self.parts.shape} and read {self.read.shape} must be alike, (R, C)")

    @property
    def read_percent(self) -> float:
        """Share of the readable parts that was read, percent; NaN where none is readable."""
        n = int((self.parts == LAYER).sum())
        return 100 * float(self.read.sum()) / n if n else float("nan")

    @property
    def left_out(self) -> str:
        """What was left out, in words."""
        counts = Counter(self.parts.ravel().tolist())
        told = [f"{counts[k]} {FILM_PARTS[k]}" for k in range(LAYER) if counts[k]]
        return ", ".join(told) or "nothing"
