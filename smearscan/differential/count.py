"""The differential count: integers, their percentages and exact intervals. Pure functions; tallies add up."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.statistics.intervals import exact_interval, upper_limit
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, NON_LEUKOCYTES, UNCLASSIFIED

EXCLUDED_FROM_DIFFERENTIAL = (*NON_LEUKOCYTES, UNCLASSIFIED)
"""Outside the denominator: erythroblasts, smudges, platelets and artifacts are no leukocytes of a
differential (CLSI H20-A2), and a cell without a name cannot be in one."""

COUNTED = tuple(name for name in DIFFERENTIAL_CLASSES if name not in EXCLUDED_FROM_DIFFERENTIAL)
"""Classes of the full differential that the denominator is made of, but for blasts."""


@dataclass(frozen=True, slots=True)
class DifferentialCount:
    """Counted cells by class.

    Attributes
    ----------
    classes : tuple of str, (K,)
    counts : ndarray, (K,) int64
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.counts.shape != (len(self.classes),) or (self.counts < 0).any():
            raise ValueError(
                f"{len(self.classes)} classes need as many counts of 0 or more, got {self.counts}"
            )

    @classmethod
    def of(cls, types: Iterable[str], classes: tuple[str, ...]) -> "DifferentialCount":
        """Count the cells of `classes` among `types`; others are left out."""
        counted: Mapping[str, int] = Counter(types)
        return cls(classes, np.array([counted.get(name, 0) for name in classes], np.int64))

    def __add__(self, more: "DifferentialCount") -> "DifferentialCount":
        if more.classes != self.classes:
            raise ValueError(f"counts of {self.classes} and {more.classes} do not add up")
        return DifferentialCount(self.classes, self.counts + more.counts)

    @property
    def total(self) -> int:
        """Cells in the denominator."""
        return int(self.counts.sum())

    @property
    def percent(self) -> NDArray[np.float64]:
        """Percentage of each class, (K,); NaN where nothing was counted."""
        return 100 * self.counts / self.total if self.total else np.full(len(self.classes), np.nan)

    def count(self, name: str) -> int:
        """Cells of one class; 0 for a class that is not counted."""
        return int(self.counts[self.classes.index(name)]) if name in self.classes else 0

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Exact interval of one class's percentage; see :func:`exact_interval`."""
        return exact_interval(self.count(name), self.total, level)

    def not_excluded(self, name: str, level: float = 0.95) -> float:
        """Largest percentage of a class that the count does not exclude, one-sided."""
        return float(upper_limit(self.count(name), self.total, level)) if self.total else 100.0
