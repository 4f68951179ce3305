"""A slide in a line: what a person wants to know first, and why the flag is what it is."""

import math
from dataclasses import dataclass

import numpy as np

from smearscan.differential import SlideReport
from smearscan.differential.flag import ANY_EXCESS, POSSIBLE
from smearscan.results.doubts import caution, counted
from smearscan.taxonomy import BLAST

_FEWEST_JUDGED = 10
"""Of fewer leukocytes the share without a name says nothing of the slide."""
_SHOWN_CLASSES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil")


@dataclass(frozen=True, slots=True)
class SlideSummary:
    """The twelve things that people look at; percentages are of counted leukocytes.

    Attributes
    ----------
    slide : str
    counted : int
        Leukocytes with a name: the denominator.
    no_name_percent : float or None
        Share of the leukocytes that the networks gave no name; None where no leukocyte was found.
    neutrophil_percent, lymphocyte_percent, ... : float or None
        None where the class was not looked for, or nothing was counted.
    blast_percent : float or None
        None where it would mislead, too: of a slide of which too many leukocytes have no name.
    blast_interval : str
        Lower and upper limit of `blast_percent`, or a dash.
    flag, why : str
        The flag, and its reason in a sentence.
    """

    slide: str
    counted: int
    no_name_percent: float | None
    neutrophil_percent: float | None
    lymphocyte_percent: float | None
    monocyte_percent: float | None
    eosinophil_percent: float | None
    basophil_percent: float | None
    blast_percent: float | None
    blast_interval: str
    flag: str
    why: str


def summarize(report: SlideReport) -> SlideSummary:
    """Say of a slide what a person wants to know first."""
    count = report.differential
    percent = dict(zip(count.classes, count.percent, strict=True)) if count.total else {}
    shares = {
        f"{name}_percent": round(float(percent[name]), 1) if name in percent else None
        for name in _SHOWN_CLASSES
    }
    blasts = None if not report.is_like_labeled or BLAST not in percent else round(report.blast_percent, 1)
    low, high = report.blast_interval
    no_name = report.unclassified_percent
    return SlideSummary(
        slide=report.slide_id,
        counted=count.total,
        no_name_percent=None if np.isnan(no_name) else round(no_name, 1),
        **shares,
        blast_percent=blasts,
        blast_interval="-" if blasts is None else f"{low:.1f} to {high:.1f}",
        flag=report.flag.state,
        why=why(report),
    )


def whole_percent(percent: float) -> str:
    """Write a percentage without decimals, rounded from the one decimal that tables show; halves go up."""
    return f"{math.floor(round(percent, 1) + 0.5)}"


def why(report: SlideReport) -> str:
    """Reason of the flag in one plain sentence: any doubt of the names, the number, last the cure."""
    doubt = caution(report.doubts)
    return f"{doubt[:1].upper()}{doubt[1:]}{_why(report)}"


def _why(report: SlideReport) -> str:
    count, rule, flag = report.differential, report.rule, report.flag
    n, n_fields = count.total, report.tally.n_fields
    if BLAST not in count.classes:
        return "Blasts were not looked for: the blast network did not run."
    if not n_fields:
        return f"No picture could be read ({report.tally.n_failed} failed): see 'failures' in the report."
    if flag.state == "flagged":
        return _why_flagged(report)
    asked = n + report.n_unclassified
    if not report.is_like_labeled and asked < _FEWEST_JUDGED:
        return f"{n} of {asked} leukocytes have a name, {rule.min_cells} are needed: photograph more fields."
    if not report.is_like_labeled:
        no_name = whole_percent(report.unclassified_percent)
        return (
            f"{no_name} % of the leukocytes have no name: the networks do not know such slides, read it by "
            "eye, and calibrate with more cells of it or retrain."
        )
    if not n:
        fields = counted(n_fields, "field", "fields")
        return f"No leukocyte was counted in {fields}: check the scale and the pictures."
    if n < rule.min_cells:
        told = counted(n, "leukocyte is", "leukocytes are")
        return f"{told} fewer than the {rule.min_cells} needed: photograph more fields."
    if flag.state == "insufficient":
        most = rule.min_detectable_percent
        return f"{n} leukocytes do not exclude {most:g} % of blasts: photograph more fields."
    return (
        f"{count.count(BLAST)} of {n} leukocytes are called blast: no more than the networks err at the "
        "laboratories of their calibration."
    )


def _why_flagged(report: SlideReport) -> str:
    seen, n = report.differential.count(BLAST), report.differential.total
    if report.flag.tier == POSSIBLE:
        asked = report.tally.n_counted + report.n_unclassified
        return f"{report.tally.n_possible_blasts} of {asked} leukocytes may be blasts: have the slide read."
    if report.test is None:
        return f"{seen} of {n} leukocytes are called blast: have the slide read."
    tier = "" if report.flag.tier == ANY_EXCESS else f" (tier {report.flag.tier})"
    called = f"{seen} of {n} leukocytes are called blast"
    return f"{called}, more than the networks' errors explain{tier}: have it read."


def printable(text: str) -> str:
    """Return text with what no screen can show escaped: control characters, a name that is no UTF-8."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
