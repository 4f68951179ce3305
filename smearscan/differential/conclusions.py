"""From a slide's tally to its report: count, test against false blasts, correction, flag."""

from dataclasses import replace
from typing import Final

import numpy as np

from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL, DifferentialCount
from smearscan.differential.flag import Flag, FlagRule, decide, unlike_labeled
from smearscan.differential.reference_ranges import shipped_ranges
from smearscan.differential.slide_report import SlideReport, StopInfo
from smearscan.differential.statistics.blast_excess import blast_excess
from smearscan.differential.statistics.correction import Corrector
from smearscan.differential.statistics.group_sequential import look_level
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.differential.suspects import (
    BLASTS,
    PROMYELOCYTES,
    UNKNOWN,
    Suspect,
    SuspectRule,
    as_emergency,
    find_suspects,
)
from smearscan.differential.tally import SlideTally
from smearscan.results import Scale
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, HEALTHY, UNCLASSIFIED

PROVISO: Final = "if names go wrong here as at the laboratories that the calibration was made at"
"""Of slides with 20 % blasts, pooled at laboratories never seen, over a third are not flagged
(``smearscan evaluate pooled --unseen known``)."""


def report_slide(
    tally: SlideTally, task: str, scale: Scale, rule: FlagRule, weights: tuple[str, ...],
    names: tuple[str, ...] = DIFFERENTIAL_CLASSES, corrector: Corrector | None = None,
    reading: StopInfo | None = None, suspect_rule: SuspectRule | None = None,
    fine_classes: tuple[str, ...] = (),
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
    corrector : Corrector, optional
        Of how the two nets together misname cells; used where both ran.
    reading : StopInfo, optional
    suspect_rule : SuspectRule, optional
        By default the ranges of adults.
    fine_classes : tuple of str
        Fine types that the cells were asked for; empty where no net names them.
    """
    counted = tuple(name for name in names if name not in (*EXCLUDED_FROM_DIFFERENTIAL, BLAST))
    classes = {"both": (*counted, BLAST), "blast": (HEALTHY, BLAST), "differential": counted}[task]
    count = DifferentialCount.of(tally.types.elements(), classes)
    reading = reading or StopInfo()
    known = () if task == "blast" else names
    suspects = suspect_rule or SuspectRule(
        shipped_ranges(), most_unclassified_percent=rule.most_unclassified_percent
    )
    if corrector is None or task != "both":
        flag = decide(count, rule, share=reading.alpha_share)
        found = _suspects(tally, count, flag, suspects, None, reading, fine_classes)
        return SlideReport(
            tally, count, flag, rule, scale, weights, known, reading, suspects=found,
            fine_classes=fine_classes,
        )  # fmt: skip
    errors = corrector.errors
    seen = np.array([[tally.types[name] for name in errors.classes]], np.int64)
    test = blast_excess(seen, errors, classes, rule.level, rule.look_power(reading.alpha_share))[0]
    corrected = corrector.correct(seen, classes, look_level(reading.alpha_share), rule.tiers)[0]
    asked = tally.n_counted + tally.types[UNCLASSIFIED]
    shares = reading.alpha_share, reading.flag_share
    flag = decide(count, rule, test, corrected, *shares, (tally.n_possible_blasts, asked))
    flag = _with_proviso(flag, errors)
    found = _suspects(tally, count, flag, suspects, errors, reading, fine_classes)
    why = unlike_labeled(rule, count.total, asked)
    corrected = corrected.withheld(why) if why else corrected
    return SlideReport(
        tally, count, flag, rule, scale, weights, known, reading, corrected, test, suspects=found,
        fine_classes=fine_classes,
    )  # fmt: skip


def _with_proviso(flag: Flag, errors: MisclassificationModel) -> Flag:
    """Say of a slide that is not flagged on what that rests, where no cell of its laboratory was labeled."""
    if flag.state != "not flagged" or errors.site.any():
        return flag
    return replace(flag, reason=f"{flag.reason}, {PROVISO}")


def _suspects(
    tally: SlideTally, count: DifferentialCount, flag: Flag, rule: SuspectRule,
    errors: MisclassificationModel | None, reading: StopInfo, fine_classes: tuple[str, ...],
) -> tuple[Suspect, ...]:  # fmt: skip
    """Suspicions of the counts, and of blasts where the flag is raised; the most urgent are said first."""
    level = look_level(reading.alpha_share)
    fine = {name: tally.fine_types[name] for name in fine_classes}
    found = find_suspects(count, tally.types, rule, errors, reading.alpha_share, level, fine)
    if flag.state != "flagged":
        return found
    n = count.count(BLAST)
    low, high = count.interval(BLAST, level)
    interval = f"{100 * level:.5g} % interval {low:.1f} to {high:.1f}"
    told = f"{100 * n / count.total:.1f} % blasts ({n} cells, {interval}): the leukemia flag is raised"
    blasts = Suspect(BLASTS, f"{told} ({flag.tier})", flag.p_value)
    unknown = [suspect for suspect in found if suspect.name == UNKNOWN]
    urgent = [as_emergency(suspect) for suspect in found if suspect.name == PROMYELOCYTES]
    others = [suspect for suspect in found if suspect.name not in (UNKNOWN, PROMYELOCYTES)]
    return (*unknown, blasts, *urgent, *others)
