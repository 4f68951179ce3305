"""A slide: the tally of its fields, and the report made from it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from smearscan.differential import NOT_COUNTED, DifferentialCount
from smearscan.flag import Flag, FlagRule, decide
from smearscan.results import FieldFailure, FieldResult, Scale
from smearscan.statistics.correction import Corrected, corrected_percent
from smearscan.statistics.errors import NamingErrors
from smearscan.statistics.excess import Excess, excess
from smearscan.statistics.reading import look_level
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, HEALTHY, NOTICE, OUTSIDE, UNCLASSIFIED

if TYPE_CHECKING:
    import pandas as pd

COUNTED = tuple(name for name in DIFFERENTIAL_CLASSES if name not in NOT_COUNTED)


@dataclass(frozen=True, slots=True)
class SlideTally:
    """Whole numbers about a slide; tallies of parts add up to the tally of the whole.

    Attributes
    ----------
    slide_id : str
    n_fields, n_failed : int
        Fields read and fields that could not be.
    types : Counter
        Leukocytes by what they were called.
    n_red_cells, n_possible_blasts : int
    failures : tuple of FieldFailure
    """

    slide_id: str
    n_fields: int = 0
    n_failed: int = 0
    types: Counter[str] = field(default_factory=Counter)
    n_red_cells: int = 0
    n_possible_blasts: int = 0
    failures: tuple[FieldFailure, ...] = ()

    @classmethod
    def of(cls, slide_id: str, fields: Iterable[FieldResult | FieldFailure]) -> "SlideTally":
        """Tally the fields of one slide."""
        tally = cls(slide_id)
        for item in fields:
            tally = tally.with_field(item)
        return tally

    def with_field(self, item: FieldResult | FieldFailure) -> "SlideTally":
        """Return the tally with one more field."""
        if isinstance(item, FieldFailure):
            return replace(self, n_failed=self.n_failed + 1, failures=(*self.failures, item))
        return replace(
            self,
            n_fields=self.n_fields + 1,
            types=self.types + Counter(item.types),
            n_red_cells=self.n_red_cells + item.n_red_cells,
            n_possible_blasts=self.n_possible_blasts + item.n_possible_blasts,
        )

    @property
    def n_counted(self) -> int:
        """Leukocytes in the denominator."""
        return sum(n for name, n in self.types.items() if name not in NOT_COUNTED)

    def __add__(self, more: "SlideTally") -> "SlideTally":
        return SlideTally(
            self.slide_id,
            self.n_fields + more.n_fields,
            self.n_failed + more.n_failed,
            self.types + more.types,
            self.n_red_cells + more.n_red_cells,
            self.n_possible_blasts + more.n_possible_blasts,
            self.failures + more.failures,
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a slide was read.

    Attributes
    ----------
    n_available : int
        Fields of the slide; 0 where not known.
    why : str
        Why reading stopped.
    share : float
        Of the error that intervals and flag may make, the share that this look at the slide may spend: 1
        where the slide is looked at once.
    """

    n_available: int = 0
    why: str = "every field was read"
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class SlideReport:
    """What is said of a slide. A research suggestion, never a diagnosis.

    Attributes
    ----------
    tally : SlideTally
    differential : DifferentialCount
        Counted leukocytes by class; the denominator of every percentage.
    flag : Flag
    rule : FlagRule
        Levels of the flag.
    scale : Scale
        Scale of the slide and the ruler it comes from.
    weights : tuple of str
        ``name:hash`` of every network used, and the calibration.
    named : tuple of str
        Classes the differential net knows; empty where it did not run.
    reading : Reading
    corrected : Corrected or None
        The differential corrected for the nets' errors, of one slide; None where these are not known.
    test : Excess or None
        Of the blast count against false blasts, of one slide; None where the nets' errors are not known.
    notice : str
    """

    tally: SlideTally
    differential: DifferentialCount
    flag: Flag
    rule: FlagRule
    scale: Scale
    weights: tuple[str, ...]
    named: tuple[str, ...] = ()
    reading: Reading = Reading()
    corrected: Corrected | None = None
    test: Excess | None = None
    notice: str = NOTICE

    @property
    def slide_id(self) -> str:
        """The slide's name."""
        return self.tally.slide_id

    @property
    def n_leukocytes(self) -> int:
        """Every leukocyte found, with those outside the denominator."""
        return sum(self.tally.types.values())

    @property
    def n_unclassified(self) -> int:
        """Cells below the probability limit."""
        return self.tally.types[UNCLASSIFIED]

    @property
    def n_other(self) -> int:
        """Erythroblasts, smudges, platelets, artifacts."""
        return sum(self.tally.types[name] for name in OUTSIDE)

    @property
    def level(self) -> float:
        """Confidence of each interval; above 95 % where the slide may be looked at several times."""
        return look_level(self.reading.share)

    @property
    def blast_percent(self) -> float:
        """Blasts in percent of counted leukocytes; NaN where none is counted or the blast net did not run."""
        if BLAST not in self.differential.classes or not self.differential.total:
            return float("nan")
        return 100 * self.differential.count(BLAST) / self.differential.total

    @property
    def blast_interval(self) -> tuple[float, float]:
        """Exact interval of :attr:`blast_percent`; NaN where the blast net did not run."""
        if BLAST not in self.differential.classes:
            return float("nan"), float("nan")
        return self.differential.interval(BLAST, self.level)

    @property
    def widest_interval(self) -> float:
        """Width, in percentage points, of the widest interval of the differential."""
        limits = [self.differential.interval(name, self.level) for name in self.differential.classes]
        return max(high - low for low, high in limits)

    @property
    def detection_limit(self) -> str:
        """What share of blasts the count does not exclude, in words; empty without the blast net."""
        if BLAST not in self.differential.classes:
            return ""
        seen, n = self.differential.count(BLAST), self.differential.total
        most = self.differential.not_excluded(BLAST, self.level)
        who = "no blast" if not seen else "1 blast" if seen == 1 else f"{seen} blasts"
        return f"{who} in {n} cells: up to {most:.1f} % cannot be excluded"

    def per_100(self, name: str) -> float:
        """Cells of a class outside the denominator per 100 leukocytes; NaN where none is counted."""
        n = self.differential.total
        return 100 * self.tally.types[name] / n if n else float("nan")

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with the columns of ``report.csv``."""
        from smearscan.report.tables import report_frame

        return report_frame([self])


def report_slide(
    tally: SlideTally, task: str, scale: Scale, rule: FlagRule, weights: tuple[str, ...],
    names: tuple[str, ...] = DIFFERENTIAL_CLASSES, errors: NamingErrors | None = None,
    reading: Reading | None = None,
) -> SlideReport:  # fmt: skip
    """Make a slide's report from its tally.

    Parameters
    ----------
    tally : SlideTally
    task : str
        ``both``, ``blast`` or ``differential``: which classes were counted.
    scale : Scale
    rule : FlagRule
    weights : tuple of str
    names : tuple of str
        Classes of the differential net that named the cells.
    errors : NamingErrors, optional
        How the two nets together misname cells; used where both ran.
    reading : Reading, optional
    """
    counted = tuple(name for name in names if name not in (*NOT_COUNTED, BLAST))
    classes = {"both": (*counted, BLAST), "blast": (HEALTHY, BLAST), "differential": counted}[task]
    count = DifferentialCount.of(tally.types.elements(), classes)
    reading = reading or Reading()
    known = () if task == "blast" else names
    if errors is None or task != "both":
        flag = decide(count, rule, share=reading.share)
        return SlideReport(tally, count, flag, rule, scale, weights, known, reading)
    seen = np.array([[tally.types[name] for name in errors.classes]], np.int64)
    test = excess(seen, errors, classes, rule.level, rule.look_power(reading.share))
    corrected = corrected_percent(seen, errors, classes, look_level(reading.share), rule.tiers)
    asked = tally.n_counted + tally.types[UNCLASSIFIED]
    flag = decide(count, rule, test, corrected, reading.share, (tally.n_possible_blasts, asked))
    return SlideReport(tally, count, flag, rule, scale, weights, known, reading, corrected, test)
