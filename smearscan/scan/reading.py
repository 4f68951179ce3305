"""How much of a slide is read: every field, so many cells, or until its report is settled."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from smearscan.differential import SlideTally, StopInfo
from smearscan.differential.statistics.group_sequential import LookSchedule
from smearscan.results import FieldFailure, FieldResult

Outcome = FieldResult | FieldFailure
Settled = Callable[[SlideTally, StopInfo], bool]

STRATA = 16
"""Parts of a film, side by side, that a random order reads alike."""


class Pace(Protocol):
    """Decides how far a slide is read."""

    def after(self, tally: SlideTally, n_read: int) -> StopInfo | None:
        """After a field: why reading stops here; None where it goes on."""

    def at_end(self, tally: SlideTally) -> StopInfo:
        """When every field was read."""


class EveryField:
    """Reads every field of `n`."""

    def __init__(self, n: int) -> None:
        self._n = n

    def after(self, tally: SlideTally, n_read: int) -> StopInfo | None:
        """See :class:`Pace`."""
        return None

    def at_end(self, tally: SlideTally) -> StopInfo:
        """See :class:`Pace`."""
        return StopInfo(self._n)


class UntilCounted:
    """Reads on until so many leukocytes are counted, whatever they are."""

    def __init__(self, n: int, cells: int) -> None:
        self._n, self._cells = n, cells

    def after(self, tally: SlideTally, n_read: int) -> StopInfo | None:
        """See :class:`Pace`."""
        if tally.n_counted < self._cells:
            return None
        return StopInfo(self._n, f"{tally.n_counted} cells were counted after {n_read} of {self._n} fields")

    def at_end(self, tally: SlideTally) -> StopInfo:
        """See :class:`Pace`."""
        return StopInfo(self._n, f"every field was read, {tally.n_counted} of {self._cells} cells")


class UntilSettled:
    """Reads on until the report is settled.

    It is looked at each time the count has doubled, and at the end; each look spends its share of the error
    (:mod:`smearscan.differential.statistics.group_sequential`).

    Parameters
    ----------
    n : int
        Fields of the slide.
    settled : callable
        Tells of a tally, and of how much was read, whether more fields would change nothing that matters.
    first_look : int
        Counted leukocytes at the first look.
    """

    def __init__(self, n: int, settled: Settled, first_look: int) -> None:
        self._n, self._settled, self._looks = n, settled, LookSchedule(first_look)

    def after(self, tally: SlideTally, n_read: int) -> StopInfo | None:
        """See :class:`Pace`."""
        if not self._looks.due(tally.n_counted):
            return None
        self._looks = self._looks.next(tally.n_counted)
        stop = StopInfo(self._n, f"settled after {n_read} of {self._n} fields", *self._spent())
        return stop if self._settled(tally, stop) else None

    def at_end(self, tally: SlideTally) -> StopInfo:
        """See :class:`Pace`."""
        self._looks = self._looks.last()
        stop = StopInfo(self._n, "every field was read", *self._spent())
        return (
            stop if self._settled(tally, stop) else replace(stop, reason="every field was read, not settled")
        )

    def _spent(self) -> tuple[float, float]:
        return self._looks.share, self._looks.flag_share


class Reading:
    """A slide while it is read: results come in one by one, as far as `pace` says.

    Parameters
    ----------
    slide_id : str
    paths : sequence of Path
        Its fields.
    order : sequence of int
        Every index into `paths` once. A random one makes the fields read so far a sample of the slide,
        wherever reading stops.
    pace : Pace
    """

    def __init__(self, slide_id: str, paths: Sequence[Path], order: Sequence[int], pace: Pace) -> None:
        self._tally, self._pace, self._order = SlideTally(slide_id), pace, order
        self._results: dict[int, Outcome] = {}
        self._stop: StopInfo | None = None
        self.fields = [paths[i] for i in order]

    def add(self, item: Outcome) -> bool:
        """Take the result of the next field; tells whether these are enough."""
        self._results[self._order[len(self._results)]] = item
        self._tally = self._tally.with_field(item)
        self._stop = self._pace.after(self._tally, len(self._results))
        return self._stop is not None

    def done(self) -> tuple[list[Outcome], StopInfo]:
        """Results of the fields read, in the order of the slide's, and why reading stopped."""
        stop = self._stop or self._pace.at_end(self._tally)
        return [self._results[i] for i in sorted(self._results)], stop


def pace_of(read: int | str, n: int, settled: Settled, first_look: int) -> Pace:
    """How far a slide of `n` fields is read, by the setting ``read``.

    Parameters
    ----------
    read : int or str
        So many leukocytes, ``all``, or until `settled` (``resolved``, ``blasts``).
    n : int
    settled, first_look
        See :class:`UntilSettled`.
    """
    if isinstance(read, int):
        return UntilCounted(n, read)
    return EveryField(n) if read == "all" else UntilSettled(n, settled, first_look)


def order_of(n: int, is_film: bool, reads_all: bool) -> Sequence[int]:
    """Order in which `n` fields are read: spread over a film, and at random where some may stay unread."""
    if is_film:
        return stratified_order(n)
    return range(n) if reads_all else random_order(n)


def random_order(n: int) -> list[int]:
    """Order of `n` fields, always the same."""
    order: list[int] = np.random.default_rng(0).permutation(n).tolist()
    return order


def stratified_order(n: int, strata: int = STRATA, seed: int = 0) -> list[int]:
    """Random order of `n` fields of a film, the same for the same seed; its every beginning is spread.

    The fields, row by row, are parted into strata of neighbors of about one size; each stratum is shuffled,
    and all are read at one speed, from a random start. So the k fields read first hold of each stratum its
    share of k but for a field: a sample stratified in proportion, whose counts vary no more than those of a
    plain random one where strata are large (Cochran, Sampling Techniques, 3rd ed., 5.6).
    """
    rng = np.random.default_rng(seed)
    turns = np.empty(n)
    for part in np.array_split(np.arange(n), min(strata, max(n, 1))):
        turns[rng.permutation(part)] = (np.arange(len(part)) + rng.uniform(size=1)) / max(len(part), 1)
    order: list[int] = np.argsort(turns, kind="stable").tolist()
    return order
