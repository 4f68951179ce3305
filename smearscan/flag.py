"""The leukemia flag, first rule: blast percentage against the 20 % guide, given enough cells.

20 % blasts (with blast equivalents) in blood or marrow define acute leukemia in most entities of the WHO
(5th ed., 2022) and ICC (2022) classifications. A flag is a reason to look at the slide, never a diagnosis.
"""

from dataclasses import dataclass
from typing import Literal

from smearscan.differential import DifferentialCount
from smearscan.taxonomy import BLAST

FlagState = Literal["flagged", "not flagged", "insufficient"]


@dataclass(frozen=True, slots=True)
class FlagRule:
    """Limits of the flag.

    Attributes
    ----------
    blast_percent : float
        Flag at and above this percentage of blasts.
    min_cells : int
        Fewer counted leukocytes decide nothing, unless the whole 95 % interval is above the limit
        (100 is the smallest usual manual count).
    """

    blast_percent: float = 20.0
    min_cells: int = 100


@dataclass(frozen=True, slots=True)
class Flag:
    """A suggestion and its reason in words."""

    state: FlagState
    reason: str


def decide(count: DifferentialCount, rule: FlagRule) -> Flag:
    """Apply the rule.

    Parameters
    ----------
    count : DifferentialCount
        Must count blasts; without that class the flag is ``insufficient``.
    rule : FlagRule

    Returns
    -------
    Flag
    """
    if BLAST not in count.classes:
        return Flag("insufficient", "the blast net did not run")
    n, blasts = count.total, count.count(BLAST)
    if n == 0:
        return Flag("insufficient", "no leukocyte was counted")
    low, high = count.interval(BLAST)
    share = 100 * blasts / n
    told = (
        f"{blasts} of {n} leukocytes look like blasts: "
        f"{share:.1f} % (95 % interval {low:.1f} to {high:.1f} %)"
    )
    if low >= rule.blast_percent:
        return Flag("flagged", f"{told}; the whole interval is at or above {rule.blast_percent:g} %")
    if n < rule.min_cells:
        return Flag("insufficient", f"{told}; {n} cells are fewer than {rule.min_cells}")
    if share >= rule.blast_percent:
        return Flag("flagged", f"{told}; at or above {rule.blast_percent:g} %")
    return Flag("not flagged", f"{told}; below {rule.blast_percent:g} %")
