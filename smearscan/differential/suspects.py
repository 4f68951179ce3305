"""What of a slide's counts lies outside the reference ranges of adults: a test for each, with its interval.

A smear holds percentages alone, no cells per liter: *relative* neutropenia, lymphocytosis and so on. A
suspicion is a reason to look at the slide, never a diagnosis.

All tests of a slide together keep one level: of slides whose blood lies inside every range, at most that
share gets any suspicion of these tests (Holm's procedure at a fifth of it, see :data:`CAUTION`). Two come
from elsewhere: ``blasts`` where the leukemia flag is raised, at the flag's own level, and ``unknown_cells``,
a rule rather than a test.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from smearscan.config import ScanConfig
from smearscan.differential.count import DifferentialCount
from smearscan.differential.reference_ranges import SHIPPED, ReferenceRanges, load_ranges
from smearscan.differential.statistics.intervals import clopper_pearson, exact_interval
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.differential.statistics.range_tests import (
    Side,
    holm,
    misnamed_range_p_value,
    range_p_value,
)
from smearscan.results.doubts import counted
from smearscan.taxonomy import BLAST, HEALTHY, NON_LEUKOCYTES, UNCLASSIFIED

UNKNOWN = "unknown_cells"
BLASTS = "blasts"
TOLD_BY_THE_FLAG = (UNKNOWN, BLASTS)
"""Left out where the flag's own reason stands beside the suspicions."""
ALONE = "one_type_alone"
NO_NEUTROPHILS = "neutrophils_nearly_absent"
PROMYELOCYTES = "promyelocytes"

_BELOW = {"neutrophil": "neutropenia", "lymphocyte": "lymphopenia"}
_ABOVE = {
    "neutrophil": "neutrophilia",
    "lymphocyte": "lymphocytosis",
    "monocyte": "monocytosis",
    "eosinophil": "eosinophilia",
    "basophil": "basophilia",
    "immature_granulocyte": "left_shift",
    "promyelocyte": PROMYELOCYTES,
    "abnormal_lymphocyte": "abnormal_lymphocytes",
    "erythroblast": "erythroblasts",
    "smudge_cell": "smudge_cells",
}
_MEMBERS = {
    "neutrophil": ("neutrophil", "segmented_neutrophil", "band_neutrophil"),
    "immature_granulocyte": ("immature_granulocyte", "promyelocyte", "myelocyte", "metamyelocyte"),
    "lymphocyte": ("lymphocyte", "abnormal_lymphocyte"),
}
"""Classes of a finer net that belong to a range; those that the net does not have are left out."""
_BY_FINE_TYPE = ("promyelocyte", "abnormal_lymphocyte")
"""Ranges of what only a net of fine types tells, where it counts whatever type the cells have."""
CAUTION = 5
"""The tests are made at the level over this. A few slides in a thousand misname a type far more often than
others, beyond what the distribution of the tests holds: at the level itself, simulated healthy slides were
suspected up to four times too often (``smearscan evaluate coverage``, ``suspects``)."""
MIN_ASKED = 20
"""Of fewer leukocytes the share without a name says nothing."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One suspicion.

    Attributes
    ----------
    name : str
        Stable, as in ``report.csv``.
    reason : str
        A plain sentence, the number first.
    p_value : float
        Of its test; NaN where it is a rule.
    """

    name: str
    reason: str
    p_value: float = float("nan")


@dataclass(frozen=True, slots=True)
class SuspectRule:
    """Against what, and how strictly, counts are tested.

    Attributes
    ----------
    ranges : ReferenceRanges
    level : float
        Share of slides inside every range that may get any suspicion.
    most_unclassified_percent : float
        From which share of leukocytes without a name on a slide is unlike those the nets know.
    """

    ranges: ReferenceRanges
    level: float = 0.05
    most_unclassified_percent: float = 33.0

    @classmethod
    def of(cls, config: ScanConfig) -> "SuspectRule":
        """Take ranges and levels from the settings of a scan."""
        ranges = load_ranges(config.reference_ranges or SHIPPED)
        return cls(ranges, config.suspect_level, config.flag_most_unclassified_percent)


@dataclass(frozen=True, slots=True)
class _RangeTest:
    name: str
    members: tuple[str, ...]
    limit: float
    side: Side
    count: int
    of: int
    percent: float
    interval: tuple[float, float]
    p_value: float


def as_emergency(promyelocytes: Suspect) -> Suspect:
    """Return the suspicion of promyelocytes as it is told where the leukemia flag is raised, too.

    Acute promyelocytic leukemia can kill by bleeding within days; treatment is to begin as soon as it is
    suspected (Sanz et al., Blood 2019;133:1630).
    """
    told = (
        "many promyelocytes and a raised flag are what acute promyelocytic leukemia looks like, which is an "
        "emergency: show the slide to a hematologist now (a suggestion, no diagnosis)"
    )
    return replace(promyelocytes, reason=f"{promyelocytes.reason}: {told}")


def find_suspects(
    count: DifferentialCount, types: Mapping[str, int], rule: SuspectRule,
    errors: MisclassificationModel | None = None, share: float = 1.0, level: float = 0.95,
    fine: Mapping[str, int] | None = None,
) -> tuple[Suspect, ...]:  # fmt: skip
    """Test a slide's counts against reference ranges.

    Parameters
    ----------
    count : DifferentialCount
    types : mapping
        All leukocytes by name, with those outside the denominator and ``unclassified``.
    rule : SuspectRule
    errors : MisclassificationModel, optional
        How the nets misname cells; without it counting alone is tested.
    share : float
        Of the error that this look at the slide may spend.
    level : float
        Of the intervals that are told.
    fine : mapping, optional
        Leukocytes by fine type, with a 0 for each that was asked for and not found. Promyelocytes and
        abnormal lymphocytes are then tested by these, for counting alone: how often fine types are wrong is
        not modeled, so the level of all tests together does not hold for these two.

    Returns
    -------
    tuple of Suspect
        The share without a name first, then by p-value.
    """
    found = list(_unknown(types, rule))
    if set(count.classes) - {BLAST, HEALTHY} and count.total:
        tests = [*_range_tests(count, types, rule, errors, level, fine or {})]
        rejected = holm([test.p_value for test in tests], rule.level / CAUTION * share)
        outside = [test for test, out in zip(tests, rejected, strict=True) if out]
        found += [
            Suspect(test.name, _sentence(test, level), test.p_value)
            for test in sorted(outside, key=lambda t: t.p_value)
        ]
    return tuple(found)


def _unknown(types: Mapping[str, int], rule: SuspectRule) -> Iterator[Suspect]:
    asked = sum(n for name, n in types.items() if name not in NON_LEUKOCYTES)
    unnamed = types.get(UNCLASSIFIED, 0)
    percent = 100 * unnamed / max(asked, 1)
    if asked >= MIN_ASKED and percent > rule.most_unclassified_percent:
        who = "most cells are" if percent > 50 else "many cells are"
        told = f"{percent:.0f} % of the leukocytes ({unnamed} of {asked}) have no name"
        yield Suspect(UNKNOWN, f"{told}: {who} unlike any known")


def _range_tests(
    count: DifferentialCount, types: Mapping[str, int], rule: SuspectRule,
    errors: MisclassificationModel | None, level: float, fine: Mapping[str, int],
) -> Iterator[_RangeTest]:  # fmt: skip
    for name, word in _BELOW.items():
        if (range_ := rule.ranges.get(name)) and range_.low is not None:
            yield from _test(word, name, range_.low, "below", count, types, errors, level)
    for name, word in _ABOVE.items():
        if not (range_ := rule.ranges.get(name)) or range_.high is None:
            continue
        if name in _BY_FINE_TYPE and name in fine:
            yield _fine_test(word, name, range_.high, fine[name], count.total, level)
        else:
            yield from _test(word, name, range_.high, "above", count, types, errors, level)
    if (range_ := rule.ranges.get(NO_NEUTROPHILS)) and range_.low is not None:
        yield from _test(NO_NEUTROPHILS, "neutrophil", range_.low, "below", count, types, errors, level)
    if (range_ := rule.ranges.get(ALONE)) and range_.high is not None:
        most = count.classes[int(count.counts.argmax())]
        if most not in (HEALTHY, BLAST):
            yield from _test(ALONE, most, range_.high, "above", count, types, errors, level)


def _test(
    word: str, name: str, limit: float, side: Side, count: DifferentialCount, types: Mapping[str, int],
    errors: MisclassificationModel | None, level: float,
) -> Iterator[_RangeTest]:  # fmt: skip
    """Test one class, if the nets in use know it."""
    known = (*count.classes, *NON_LEUKOCYTES) if errors is None else (*count.classes, *errors.classes)
    members = tuple(m for m in _MEMBERS.get(name, (name,)) if m in known)
    if word == ALONE:
        members = (name,)
    if not members or (name in NON_LEUKOCYTES and not types.get(name)):
        return
    outside = name in NON_LEUKOCYTES
    n = sum(types.get(m, 0) for m in members)
    of = count.total + (n if outside else 0)
    of_all = limit / (100 + limit) if outside else limit / 100  # per 100 leukocytes, or of them
    if errors is None or not set(members) <= set(errors.classes):
        p_value = range_p_value(n, of, of_all, side)
    else:
        seen = np.array([types.get(m, 0) for m in errors.classes], np.int64)
        counted = np.array([m in count.classes for m in errors.classes])
        target = np.array([m in members for m in errors.classes])
        p_value = misnamed_range_p_value(seen, errors, counted, target, of_all, side)
    low, high = (float(v) / 100 for v in clopper_pearson(n, of, level))
    if outside:
        low, high = low / (1 - low), high / max(1 - high, 1e-9)
    percent = 100 * n / count.total
    yield _RangeTest(word, members, limit, side, n, of, percent, (100 * low, 100 * high), p_value)


def _fine_test(word: str, name: str, limit: float, n: int, total: int, level: float) -> _RangeTest:
    """Test `n` cells of a fine type among `total` counted leukocytes, for counting alone."""
    p_value = range_p_value(n, total, limit / 100, "above")
    interval = exact_interval(n, total, level)
    return _RangeTest(word, (name,), limit, "above", n, total, 100 * n / total, interval, p_value)


_SUBJECT = {
    "neutropenia": "neutrophils",
    "neutrophilia": "neutrophils",
    NO_NEUTROPHILS: "neutrophils",
    "lymphopenia": "lymphocytes",
    "lymphocytosis": "lymphocytes",
    "monocytosis": "monocytes",
    "eosinophilia": "eosinophils",
    "basophilia": "basophils",
    "left_shift": "immature granulocytes",
}


def _sentence(test: _RangeTest, level: float) -> str:
    low, high = test.interval
    subject = _SUBJECT.get(test.name, test.name.replace("_", " "))
    unit, said = " %", f"{test.percent:.1f} % {subject}"
    if test.name == ALONE:
        one = test.members[0].replace("_", " ")
        said = f"{test.percent:.1f} % of the counted leukocytes are of one type, {one}"
    elif test.name in ("erythroblasts", "smudge_cells"):
        unit, said = " per 100 leukocytes", f"{test.percent:.1f} {subject} per 100 leukocytes"
    interval = f"{100 * level:.5g} % interval {low:.1f} to {high:.1f}"
    words = "hardly a neutrophil is left: " if test.name == NO_NEUTROPHILS else ""
    limit = f"{'above' if test.side == 'above' else 'below'} the limit of {test.limit:g}{unit}"
    return f"{words}{said} ({counted(test.count, 'cell', 'cells')}, {interval}), {limit}"
