"""The leukemia flag: a test whether a slide holds more blasts than the nets' own errors explain.

Where no calibration belongs to the nets in use, the older rule by percentage stands in. A flag is a reason
to look at the slide, never a diagnosis.

The tiers follow the classifications, which count blasts with their equivalents. 10 % is the limit of the ICC
for acute myeloid leukemia with most of its defining genetic changes (Arber et al., Blood 140:1200, 2022); 20
% that of both where no such change defines the disease (WHO, 5th ed.: Khoury et al., Leukemia 36:1703,
2022). Blasts in blood are not normal at any percentage: hence ``any excess``.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from smearscan.config import ScanConfig
from smearscan.differential.count import DifferentialCount
from smearscan.differential.statistics.blast_excess import BlastExcessTest
from smearscan.differential.statistics.correction import CorrectedDifferential
from smearscan.differential.statistics.group_sequential import look_level
from smearscan.differential.statistics.intervals import exact_interval
from smearscan.taxonomy import BLAST

FlagState = Literal["flagged", "not flagged", "insufficient"]
ANY_EXCESS = "any excess"
POSSIBLE = "possible blasts"


@dataclass(frozen=True, slots=True)
class FlagRule:
    """Levels of the flag.

    Attributes
    ----------
    level : float
        Share of slides without blasts that may be flagged.
    tiers : tuple of float
        Blast percentages that matter, ascending.
    tier_probability : float
        A flagged slide reaches a tier if its blast percentage is at or above it with this probability.
    power, min_detectable_percent : float
        A slide is cleared only if this blast percentage would have been found with this probability.
    min_cells : int
        Fewer counted leukocytes never clear a slide (100 is the smallest usual manual count).
    blast_percent : float
        Guide: a slide of which so many percent may be blasts, by the blast net's sensitive threshold, is
        flagged without an excess, too; and the limit of the rule by percentage, used where the nets have no
        calibration.
    most_unclassified_percent : float
        A slide of which more leukocytes have no name is never cleared: it is unlike the labeled ones.
    """

    level: float = 0.01
    tiers: tuple[float, ...] = (10.0, 20.0)
    tier_probability: float = 0.5
    power: float = 0.95
    min_detectable_percent: float = 20.0
    min_cells: int = 100
    blast_percent: float = 20.0
    most_unclassified_percent: float = 33.0

    @classmethod
    def of(cls, config: ScanConfig) -> "FlagRule":
        """Take each level from the setting of its name, ``flag_level`` and so on."""
        return cls(**{level.name: getattr(config, f"flag_{level.name}") for level in fields(cls)})

    def look_power(self, share: float) -> float:
        """Power of one look that may spend a share of the error of missing `min_detectable_percent`."""
        return 1 - (1 - self.power) * share


@dataclass(frozen=True, slots=True)
class Flag:
    """A suggestion and its reasons in words.

    Attributes
    ----------
    state : str
    reason : str
    tier : str
        ``any excess``, ``>= 10 %``, ``>= 20 %`` (as of the rule); ``possible blasts`` where the guide alone
        flags; empty where not flagged.
    p_value : float
        Of the test for any excess; NaN where the nets have no calibration.
    """

    state: FlagState
    reason: str
    tier: str = ""
    p_value: float = float("nan")


def decide(
    count: DifferentialCount, rule: FlagRule, test: BlastExcessTest | None = None, corrected:
    CorrectedDifferential | None = None, share: float = 1.0, flag_share: float = 1.0,
    possible: tuple[int, int] = (0, 0),
) -> Flag:  # fmt: skip
    """Decide about one slide.

    Parameters
    ----------
    count : DifferentialCount
        Must count blasts; without that class the flag is ``insufficient``.
    rule : FlagRule
    test, corrected : BlastExcessTest, CorrectedDifferential, optional
        With the levels and tiers of `rule`. Without them the rule by percentage decides.
    share : float
        Of the error of intervals and of missing blasts, what this look at the slide may spend; below 1 where
        a slide may be looked at several times, so that all looks together keep the power and the 95 % of the
        interval. `test` is then to be made with the power of the look, see :meth:`FlagRule.look_power`.
    flag_share : float
        Of the rule's level, what this look may spend.
    possible : tuple of int
        Cells that may be blasts at the blast net's own, sensitive threshold; leukocytes asked, with the
        unclassified.

    Returns
    -------
    Flag
    """
    if BLAST not in count.classes:
        return Flag("insufficient", "the blast net did not run")
    if count.total == 0:
        return Flag("insufficient", "no leukocyte was counted")
    low, high = count.interval(BLAST, look_level(share))
    told = (
        f"{count.count(BLAST)} of {count.total} leukocytes look like blasts: "
        f"{100 * count.count(BLAST) / count.total:.1f} % "
        f"({100 * look_level(share):.6g} % interval {low:.1f} to {high:.1f} %)"
    )
    if test is None or corrected is None:
        return _by_percentage(count, rule, told, low)
    found = _by_test(count, rule, told, test, corrected, flag_share)
    if found.state != "flagged":
        found = _apply_possible_blast_rule(found, rule, share, possible)
    return _withhold_if_unclassified(found, rule, count.total, possible[1])


def is_settled(flag: Flag, widest_interval: float, width: float, blasts_asked: bool = True) -> bool:
    """Whether reading more of a slide would change nothing that matters: ``--until-resolved`` stops then.

    Parameters
    ----------
    flag : Flag
    widest_interval, width : float
        Width of the widest interval of the differential, and the one asked for, in percentage points.
    blasts_asked : bool
        Whether the blast net ran; without it there is no flag to wait for.
    """
    return (flag.state != "insufficient" or not blasts_asked) and widest_interval <= width


def _by_test(
    count: DifferentialCount,
    rule: FlagRule,
    told: str,
    test: BlastExcessTest,
    corrected: CorrectedDifferential,
    flag_share: float,
) -> Flag:
    p_value = test.p_value
    told += f"; {test.expected:.1f} are expected in such a slide without blasts ({_chance(p_value)})"
    if p_value <= rule.level * flag_share:
        tier, words = _tier(rule, corrected)
        few = f"; only {count.total} cells, count more" if count.total < rule.min_cells else ""
        return Flag("flagged", f"{told}: an excess{words}{few}", tier, p_value)
    found = test.detectable_percent
    power = f"{100 * rule.power:g} of 100 slides"
    if np.isnan(found):
        told += f"; no share of blasts would be found in {power} like this one"
    else:
        told += f"; {found:.1f} % blasts or more would be found in {power} like this one"
    if count.total < rule.min_cells:
        return Flag(
            "insufficient", f"{told}; {count.total} cells are fewer than {rule.min_cells}", "", p_value
        )
    if p_value <= rule.level:
        return Flag("insufficient", f"{told}; an excess for one look, not yet for several", "", p_value)
    if not found <= rule.min_detectable_percent:
        return Flag(
            "insufficient",
            f"{told}, too few cells to rule out {rule.min_detectable_percent:g} %: count more",
            "",
            p_value,
        )
    return Flag("not flagged", f"{told}: no excess", "", p_value)


def _apply_possible_blast_rule(found: Flag, rule: FlagRule, share: float, possible: tuple[int, int]) -> Flag:
    """Flag a slide without an excess, of which the guide's share may be blasts: the net knows few patients.

    The blasts of some patients look to the net like other cells; on their slides hardly any reaches the
    threshold of the test, and many reach the sensitive one.
    """
    cells, n = possible
    # of a slide that may be looked at several times the whole interval is to lie above the guide
    percent = exact_interval(cells, n, look_level(share))[0] if share < 1 else 100 * cells / max(n, 1)
    if n < rule.min_cells or percent < rule.blast_percent:
        return found
    told = f"; but {cells} of {n} may be blasts, {rule.blast_percent:g} % or more: have the slide read"
    return Flag("flagged", found.reason + told, POSSIBLE, found.p_value)


def _withhold_if_unclassified(found: Flag, rule: FlagRule, named: int, asked: int) -> Flag:
    """Clear no slide of which many cells have no name: what is known of the nets may not hold for it."""
    if not (why := unlike_labeled(rule, named, asked)):
        return found
    state: FlagState = "insufficient" if found.state == "not flagged" else found.state
    return replace(found, state=state, reason=f"{found.reason}; {why}")


def unlike_labeled(rule: FlagRule, named: int, asked: int) -> str:
    """Why what is known of the nets may not hold for a slide: cells without a name; empty where it does."""
    unnamed = 100 * (asked - named) / max(asked, 1)
    if unnamed <= rule.most_unclassified_percent:
        return ""
    return (
        f"{unnamed:.0f} % of the leukocytes have no name: "
        "the nets do not know such slides, calibrate with more cells of it or retrain"
    )


def _tier(rule: FlagRule, corrected: CorrectedDifferential) -> tuple[str, str]:
    """Highest tier reached, and the probabilities in words."""
    above = corrected.exceedance_prob
    if np.isnan(above).any():
        return ANY_EXCESS, "; the nets' errors do not allow to say how large"
    reached = [tier for tier, p in zip(rule.tiers, above, strict=True) if p >= rule.tier_probability]
    k = corrected.classes.index(BLAST)
    low, high = corrected.low[k], corrected.high[k]
    words = f"; corrected {corrected.percent[k]:.1f} % ({low:.1f} to {high:.1f} %)"
    chances = [f"{tier:g} % or more: {_probability(p)}" for tier, p in zip(rule.tiers, above, strict=True)]
    return (f">= {reached[-1]:g} %" if reached else ANY_EXCESS), f"{words}; {', '.join(chances)}"


def _by_percentage(count: DifferentialCount, rule: FlagRule, told: str, low: float) -> Flag:
    """Apply the rule for nets whose errors are not known: blast percentage against a limit."""
    share, limit = 100 * count.count(BLAST) / count.total, rule.blast_percent
    tier = f">= {limit:g} %"
    told += "; how often these nets err is not known"
    if low >= limit:
        return Flag("flagged", f"{told}; the whole interval is at or above {limit:g} %", tier)
    if count.total < rule.min_cells:
        return Flag("insufficient", f"{told}; {count.total} cells are fewer than {rule.min_cells}")
    if share >= limit:
        return Flag("flagged", f"{told}; at or above {limit:g} %", tier)
    return Flag("not flagged", f"{told}; below {limit:g} %")


def _chance(p: float) -> str:
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def _probability(p: float) -> str:
    return "below 0.001" if p < 0.001 else "above 0.999" if p > 0.999 else f"{p:.3f}"
