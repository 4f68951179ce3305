"""A slide: the tally of its fields, and the report made from it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from smearscan.differential import NOT_COUNTED, DifferentialCount
from smearscan.flag import Flag, FlagRule, decide
from smearscan.results import FieldFailure, FieldResult, Scale
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, NOTICE, OTHER, UNCLASSIFIED

if TYPE_CHECKING:
    import pandas as pd

HEALTHY = "healthy"
"""What a cell that is no blast is called where the differential did not run."""

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
    n_red_cells : int
    failures : tuple of FieldFailure
    """

    slide_id: str
    n_fields: int = 0
    n_failed: int = 0
    types: Counter[str] = field(default_factory=Counter)
    n_red_cells: int = 0
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
        )

    def __add__(self, more: "SlideTally") -> "SlideTally":
        return SlideTally(
            self.slide_id,
            self.n_fields + more.n_fields,
            self.n_failed + more.n_failed,
            self.types + more.types,
            self.n_red_cells + more.n_red_cells,
            self.failures + more.failures,
        )


@dataclass(frozen=True, slots=True)
class SlideReport:
    """What is said of a slide. A research suggestion, never a diagnosis.

    Attributes
    ----------
    tally : SlideTally
    differential : DifferentialCount
        Counted leukocytes by class; the denominator of every percentage.
    flag : Flag
    scale : Scale
        Scale of the slide and the ruler it comes from.
    weights : tuple of str
        ``name:hash`` of every network used.
    notice : str
    """

    tally: SlideTally
    differential: DifferentialCount
    flag: Flag
    scale: Scale
    weights: tuple[str, ...]
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
        """Erythroblasts, smudges, platelet clumps, artifacts."""
        return self.tally.types[OTHER]

    @property
    def blast_percent(self) -> float:
        """Blasts in percent of counted leukocytes; NaN where none is counted or the blast net did not run."""
        if BLAST not in self.differential.classes or not self.differential.total:
            return float("nan")
        return 100 * self.differential.count(BLAST) / self.differential.total

    @property
    def blast_interval(self) -> tuple[float, float]:
        """Exact 95 % interval of :attr:`blast_percent`; NaN where the blast net did not run."""
        if BLAST not in self.differential.classes:
            return float("nan"), float("nan")
        return self.differential.interval(BLAST)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with the columns of ``report.csv``."""
        from smearscan.report.tables import report_frame

        return report_frame([self])


def report_slide(
    tally: SlideTally,
    task: str,
    scale: Scale,
    rule: FlagRule,
    weights: tuple[str, ...],
    names: tuple[str, ...] = DIFFERENTIAL_CLASSES,
) -> SlideReport:
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
    """
    counted = tuple(name for name in names if name not in (*NOT_COUNTED, BLAST))
    classes = {"both": (*counted, BLAST), "blast": (HEALTHY, BLAST), "differential": counted}[task]
    count = DifferentialCount.of(tally.types.elements(), classes)
    return SlideReport(tally, count, decide(count, rule), scale, weights)
