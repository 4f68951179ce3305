"""From a slide's tally to its report: count, test against false blasts, correction, flag."""

import numpy as np

from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL, DifferentialCount
from smearscan.differential.flag import FlagRule, decide
from smearscan.differential.slide_report import SlideReport, StopInfo
from smearscan.differential.statistics.blast_excess import blast_excess
from smearscan.differential.statistics.correction import correct_differential
from smearscan.differential.statistics.group_sequential import look_level
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.differential.tally import SlideTally
from smearscan.results import Scale
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, HEALTHY, UNCLASSIFIED


def report_slide(
    tally: SlideTally, task: str, scale: Scale, rule: FlagRule, weights: tuple[str, ...],
    names: tuple[str, ...] = DIFFERENTIAL_CLASSES, errors: MisclassificationModel | None = None,
    reading: StopInfo | None = None,
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
    errors : MisclassificationModel, optional
        How the two nets together misname cells; used where both ran.
    reading : StopInfo, optional
    """
    counted = tuple(name for name in names if name not in (*EXCLUDED_FROM_DIFFERENTIAL, BLAST))
    classes = {"both": (*counted, BLAST), "blast": (HEALTHY, BLAST), "differential": counted}[task]
    count = DifferentialCount.of(tally.types.elements(), classes)
    reading = reading or StopInfo()
    known = () if task == "blast" else names
    if errors is None or task != "both":
        flag = decide(count, rule, share=reading.share)
        return SlideReport(tally, count, flag, rule, scale, weights, known, reading)
    seen = np.array([[tally.types[name] for name in errors.classes]], np.int64)
    test = blast_excess(seen, errors, classes, rule.level, rule.look_power(reading.share))
    corrected = correct_differential(seen, errors, classes, look_level(reading.share), rule.tiers)
    asked = tally.n_counted + tally.types[UNCLASSIFIED]
    flag = decide(count, rule, test, corrected, reading.share, (tally.n_possible_blasts, asked))
    return SlideReport(tally, count, flag, rule, scale, weights, known, reading, corrected, test)
