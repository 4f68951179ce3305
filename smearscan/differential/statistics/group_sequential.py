"""Reading until it is settled: when to look at a growing count, and how much error each look may spend.

Looking at a count again and again until it pleases is peeking: an interval of 95 % is then right far less
often. Here looks come at counts fixed beforehand, each twice the one before, and the error that all looks
together may make is split among them: a part is kept for the last, when every field was read; of the rest
the first look may spend half, the next a quarter, and so on. By Bonferroni's inequality the whole then errs
no more often than stated, whatever is computed at a look (group-sequential testing with a spending function:
Lan and DeMets, Biometrika 70:659, 1983).

The last look spends whatever the others left: all of the error on a slide that is too small for any other.
How many looks came before it depends on how many cells the slide holds, not on what they are.

Two errors are spent, each by its own measure: that of intervals, detection and suspicions, and that of the
flag, a blast excess where there is none.
"""

from dataclasses import dataclass, replace

ERROR = 0.05
"""Share of slides whose interval, at the end of all looks, may miss the truth."""

KEPT = 0.25
"""Share of the error of intervals that is kept for the last look; with half of it, a class of 60 % is hardly
told within 15 percentage points at 400 cells."""

FLAG_KEPT = 0.9
"""Share of the flag's level that is kept for the last look.

How slides differ limits what many cells can tell: where blasts are few percent, p hardly falls further with
more of them, so a last look left with half of the level says ``insufficient`` where one look at the whole
slide flags (``python -m benchmarks.sequential_reading``). What an early look flags has p far below its small
share: in the worked example 75 of 200 cells in place of 34.
"""


def look_level(share: float) -> float:
    """Confidence of an interval at a look that may spend this share of :data:`ERROR`: 0.95 for all of it."""
    return 1 - ERROR * share


@dataclass(frozen=True, slots=True)
class LookSchedule:
    """The schedule of looks at one slide.

    Attributes
    ----------
    first : int
        Counted cells at the first look; each next look comes at twice as many.
    taken : int
        Looks taken so far; one that the count jumped over counts.
    weight, weights : float
        Of what all looks but the last may spend: the part of the latest look, and of all so far.
    at_end : bool
        Whether the latest look was the last.
    """

    first: int = 100
    taken: int = 0
    weight: float = 0.0
    weights: float = 0.0
    at_end: bool = False

    def due(self, counted: int) -> bool:
        """Whether so many counted cells call for the next look."""
        return counted >= self.first << self.taken

    def next(self, counted: int) -> "LookSchedule":
        """Take a look; a field that carries the count past several looks is looked at once."""
        taken = self.taken + 1
        while counted >= self.first << taken:
            taken += 1
        weight = 1 / (1 << taken)
        return replace(self, taken=taken, weight=weight, weights=self.weights + weight)

    def last(self) -> "LookSchedule":
        """Take the last look, at a slide of which every field was read."""
        return replace(self, at_end=True)

    @property
    def share(self) -> float:
        """Of the error of intervals, what the latest look may spend."""
        return self._spent(KEPT)

    @property
    def flag_share(self) -> float:
        """Of the flag's level, what the latest look may spend."""
        return self._spent(FLAG_KEPT)

    def _spent(self, kept: float) -> float:
        return 1 - (1 - kept) * self.weights if self.at_end else (1 - kept) * self.weight
