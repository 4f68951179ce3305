"""The report of a slide, made from the tally of its fields."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from smearscan.differential import slide_columns as columns
from smearscan.differential.count import COUNTED, DifferentialCount
from smearscan.differential.fine_types import FineShare, fine_shares
from smearscan.differential.flag import Flag, FlagRule
from smearscan.differential.slide_columns import rounded
from smearscan.differential.statistics.blast_excess import BlastExcessTest
from smearscan.differential.statistics.correction import CorrectedDifferential
from smearscan.differential.statistics.group_sequential import look_level
from smearscan.differential.suspects import Suspect
from smearscan.differential.tally import SlideTally
from smearscan.results import AS_PHOTOGRAPHED, FilmMap, Scale, Stain, five_digits
from smearscan.results.doubts import Doubt, caution, counted
from smearscan.results.names import escaped
from smearscan.results.plots import plot_percentages
from smearscan.taxonomy import (
    BLAST,
    DIFFERENTIAL_CLASSES,
    HEALTHY,
    NON_LEUKOCYTES,
    NOTICE,
    OTHER,
    UNCLASSIFIED,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class StopInfo:
    """How much of a slide was read.

    Attributes
    ----------
    n_available : int
        Fields of the slide; 0 where not known.
    reason : str
        Why reading stopped.
    alpha_share : float
        Of the error that intervals and suspicions may make, and of missing blasts, the share that this look
        at the slide may spend: 1 where the slide is looked at once.
    flag_share : float
        The same of the flag's level.
    """

    n_available: int = 0
    reason: str = "every field was read"
    alpha_share: float = 1.0
    flag_share: float = 1.0


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
    reading : StopInfo
    corrected : CorrectedDifferential or None
        The differential corrected for the nets' errors; None where these are not known.
    test : BlastExcessTest or None
        Of the blast count against false blasts; None where the nets' errors are not known.
    suspects : tuple of Suspect
        What of the counts lies outside the reference ranges; a slide of unknown cells says so first.
    doubts : tuple of Doubt
        What was read and should not be believed unlooked.
    film : FilmMap or None
        Of a whole slide: its parts, and which of them were read.
    notice : str
    fine_classes : tuple of str
        Fine types that the cells were asked for; empty where no net names them.
    stain : Stain
        What brought the slide's cells to the reference stain before they were named.
    """

    tally: SlideTally
    differential: DifferentialCount
    flag: Flag
    rule: FlagRule
    scale: Scale
    weights: tuple[str, ...]
    named: tuple[str, ...] = ()
    reading: StopInfo = StopInfo()
    corrected: CorrectedDifferential | None = None
    test: BlastExcessTest | None = None
    suspects: tuple[Suspect, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    film: FilmMap | None = None
    notice: str = NOTICE
    fine_classes: tuple[str, ...] = ()
    stain: Stain = AS_PHOTOGRAPHED

    @property
    def slide_id(self) -> str:
        """The slide's name."""
        return self.tally.slide_id

    @property
    def flag_reason(self) -> str:
        """Reason of the flag; where what cells are called is in doubt, that comes first."""
        return caution(self.doubts) + self.flag.reason

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
        return sum(self.tally.types[name] for name in NON_LEUKOCYTES)

    @property
    def level(self) -> float:
        """Confidence of each interval; above 95 % where the slide may be looked at several times."""
        return look_level(self.reading.alpha_share)

    @property
    def flag_p_limit(self) -> float:
        """Largest p of the test for a blast excess that raises the flag; NaN where no such test was made."""
        return self.rule.level * self.reading.flag_share if self.test else float("nan")

    @property
    def unclassified_percent(self) -> float:
        """Leukocytes without a name in percent of those that were asked for one; NaN where none was."""
        asked = self.differential.total + self.n_unclassified
        return 100 * self.n_unclassified / asked if asked else float("nan")

    @property
    def is_like_labeled(self) -> bool:
        """Whether so many cells have a name that a blast percentage means something."""
        return not self.unclassified_percent > self.rule.most_unclassified_percent

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

    @property
    def fine_shares(self) -> tuple[FineShare, ...]:
        """Share of each fine type that is a part of a type; empty where no net names them."""
        return fine_shares(self.tally.fine_types, self.fine_classes, self.differential.total, self.level)

    def per_100(self, name: str) -> float:
        """Cells of a class outside the denominator per 100 leukocytes; NaN where none is counted."""
        n = self.differential.total
        return 100 * self.tally.types[name] / n if n else float("nan")

    def __repr__(self) -> str:
        low, high = self.blast_interval
        known = np.isfinite(self.blast_percent)
        blasts = f"{self.blast_percent:.1f} % blasts ({low:.1f} to {high:.1f}), " if known else ""
        return (
            f"SlideReport({self.slide_id}: {counted(self.tally.n_fields, 'field', 'fields')}, "
            f"{counted(self.n_leukocytes, 'leukocyte', 'leukocytes')}, "
            f"{self.n_unclassified} without a name, {blasts}{self.flag.state}; {self.flag_reason})"
        )

    def _repr_html_(self) -> str:
        """Table of the differential, for notebooks."""
        import pandas as pd  # a scan needs none of it, and does not wait for it

        count = self.differential
        limits = [self.differential.interval(name, self.level) for name in count.classes]
        shown = pd.DataFrame(
            {
                "type": count.classes,
                "cells": count.counts,
                "percent": count.percent.round(1),
                "interval": [f"{low:.1f} to {high:.1f}" for low, high in limits],
            }
        )
        told = f"<p>{escape(repr(self))}</p>{shown.to_html(index=False, na_rep='')}"
        return f"{told}<p>{escape(self.notice)}</p>"

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the differential as bars with exact intervals; the title says the flag.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default those of a new figure.
        """
        count = self.differential
        limits = [count.interval(name, self.level) for name in count.classes]
        title = f"{self.slide_id}: {count.total} leukocytes counted, {self.flag.state}"
        return plot_percentages(count.classes, count.percent, limits, self.level, title, ax)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row with the columns of ``report.csv``."""
        return report_frame([self])


def report_frame(reports: Iterable[SlideReport]) -> "pd.DataFrame":
    """Return one row a slide; percentages are of counted leukocytes."""
    import pandas as pd

    rows = [report_row(report) for report in reports]
    return pd.DataFrame(
        [{k: escaped(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    )


def report_row(report: SlideReport) -> dict[str, object]:
    """Return the row of ``report.csv``, column by column; percentages are of counted leukocytes."""
    count = report.differential
    low, high = report.blast_interval
    percent = dict(zip(count.classes, count.percent, strict=True))
    row: dict[str, object] = {
        "slide": report.slide_id,
        "n_fields": report.tally.n_fields,
        "n_failed_fields": report.tally.n_failed,
        "n_leukocytes": report.n_leukocytes,
        "n_unclassified": report.n_unclassified,
    }
    # a class that the net in use does not know was not looked for, which is not the same as none found
    row |= {name: count.count(name) if name in count.classes else None for name in COUNTED}
    row |= {OTHER: report.n_other if set(NON_LEUKOCYTES) & set(report.named) else None}
    row |= {f"{name}_percent": rounded(percent.get(name, np.nan)) for name in COUNTED}
    row |= {
        "blast_count": report.tally.types[BLAST] if BLAST in count.classes else None,
        "blast_percent": rounded(report.blast_percent),
        "blast_low": rounded(low),
        "blast_high": rounded(high),
        "flag": report.flag.state,
        "flag_reason": report.flag_reason,
        "um_per_px": float(f"{report.scale.um_per_px:.5g}"),
        "ruler": report.scale.source,
        "weights": " ".join(report.weights),
        "n_counted": count.total,
        "n_red_cells": report.tally.n_red_cells,
        "failures": "; ".join(failure.reason for failure in report.tally.failures),
        "notice": report.notice,
    }
    row |= columns.outside(report.tally.types, report.named, report.per_100)
    row |= columns.intervals(count, report.level) | _certainty(report) | columns.corrections(report.corrected)
    own = [name for name in count.classes if name not in (*DIFFERENTIAL_CLASSES, HEALTHY, BLAST)]
    row |= {name: count.count(name) for name in own}
    row |= {f"{name}_percent": rounded(percent[name]) for name in own}
    row |= columns.remarks(report.suspects, report.doubts) | columns.film_columns(report.film)
    row |= columns.fine_columns(report.fine_shares) | columns.stain_columns(report.stain)
    return row | {"flag_p_limit": five_digits(report.flag_p_limit)}


def _certainty(report: SlideReport) -> dict[str, object]:
    """Tell the flag as a test, and how much was read."""
    test, flag, corrected = report.test, report.flag, report.corrected
    above = dict(zip(report.rule.tiers, corrected.exceedance_prob, strict=True)) if corrected else {}
    return {
        "interval_level": round(report.level, 6),
        "detection_limit": report.detection_limit,
        "possible_blasts": report.tally.n_possible_blasts if BLAST in report.differential.classes else None,
        "flag_tier": flag.tier,
        "flag_p_value": five_digits(flag.p_value),
        "expected_false_blasts": rounded(test.expected) if test else None,
        "detectable_blast_percent": rounded(test.detectable_percent) if test else None,
        **{f"blast_at_least_{tier:g}": rounded(above.get(tier, np.nan), 4) for tier in report.rule.tiers},
        "n_fields_available": report.reading.n_available or None,
        "stopped": report.reading.reason,
    }
