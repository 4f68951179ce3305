"""Reading until it is settled: when to look at a growing count, and how much error each look may spend.

Looking at a count again and again until it pleases is peeking: an interval of 95 % is then right far less
often. Here looks come at counts fixed beforehand, each twice the one before, and the error that all looks
together may make is split among them: the first may spend half, the next a quarter, and so on. By
Bonferroni's inequality the whole then errs no more often than stated, whatever is computed at a look
(group-sequential testing with a spending function: Lan and DeMets, Biometrika 70:659, 1983).
"""

from dataclasses import dataclass, replace

ERROR = 0.05
"""Share of slides whose interval, at the end of all looks, may miss the truth."""


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
        Looks taken so far.
    counted : int
        Counted cells at the latest look.
    """

    first: int = 100
    taken: int = 0
    counted: int = -1

    def due(self, counted: int) -> bool:
        """Whether so many counted cells call for the next look."""
        return counted >= self.first << self.taken

    def next(self, counted: int) -> "LookSchedule":
        """Take a look; a field that carries the count past several looks is looked at once."""
        taken = self.taken + 1
        while counted >= self.first << taken:
            taken += 1
        return replace(self, taken=taken, counted=counted)

    def fresh(self, counted: int) -> bool:
        """Whether the latest look was at this very count: looking once more would show nothing new."""
        return counted == self.counted

    def error(self, whole: float) -> float:
        """Error that the latest look may make, of the whole error that all looks may make."""
        return whole / (1 << max(self.taken, 1))
