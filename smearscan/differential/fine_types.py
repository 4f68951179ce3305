"""Fine types of a slide: parts of what its counted leukocytes are called, with exact intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smearscan.differential.statistics.intervals import exact_interval
from smearscan.taxonomy import FINE_PARTS


@dataclass(frozen=True, slots=True)
class FineShare:
    """How many of the counted leukocytes are of a fine type, by a guess within what each is called.

    Attributes
    ----------
    name : str
        One of :data:`smearscan.taxonomy.FINE_PARTS`.
    count : int
        Whatever type the cells have: a promyelocyte may be called blast or immature granulocyte.
    percent, low, high : float
        Of the counted leukocytes, with the exact interval for counting alone; `percent` is NaN where nothing
        was counted.
    """

    name: str
    count: int
    percent: float
    low: float
    high: float


def fine_shares(
    counts: Mapping[str, int], known: Iterable[str], total: int, level: float
) -> tuple[FineShare, ...]:
    """Give the share of each fine type that is a part of a type.

    Parameters
    ----------
    counts : mapping
        Cells by fine type.
    known : iterable of str
        Fine types that the net in use names.
    total : int
        Counted leukocytes, the denominator.
    level : float
        Of the intervals.
    """
    names = [name for name in FINE_PARTS if name in set(known)]
    shares = []
    for name in names:
        n = counts.get(name, 0)
        percent = 100 * n / total if total else float("nan")
        shares.append(FineShare(name, n, percent, *exact_interval(n, total, level)))
    return tuple(shares)
