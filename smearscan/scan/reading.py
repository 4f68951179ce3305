"""How much of a slide is read: every field, or fields in a random order until its report is settled."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from smearscan.differential import SlideTally, StopInfo
from smearscan.differential.statistics.group_sequential import LookSchedule
from smearscan.io import Slide
from smearscan.results import FieldFailure, FieldResult

Outcome = FieldResult | FieldFailure
ScanFn = Callable[[Iterable[Path]], Generator[Outcome, None, None]]
Settled = Callable[[SlideTally, StopInfo], bool]


def read_all(slide: Slide, scan: ScanFn) -> tuple[list[Outcome], StopInfo]:
    """Read every field of a slide, in the order of their names."""
    return list(scan(slide.paths)), StopInfo(len(slide.paths))


def read_until_settled(
    slide: Slide, scan: ScanFn, settled: Settled, first_look: int
) -> tuple[list[Outcome], StopInfo]:
    """Read fields of a slide in a random order, always the same, until its report is settled.

    The order makes the fields read so far a sample of the slide, wherever reading stops. The report is
    looked at each time the count has doubled, and each look spends its share of the error
    (:mod:`smearscan.differential.statistics.group_sequential`).

    Parameters
    ----------
    slide : Slide
    scan : callable
        Scans pictures one by one, so that no field beyond the last one needed is told.
    settled : callable
        Tells of a tally, and of how much was read, whether more fields would change nothing that matters.
    first_look : int
        Counted leukocytes at the first look.

    Returns
    -------
    results : list of FieldResult or FieldFailure
        Of the fields read, in the order of their names.
    stop : StopInfo
    """
    n = len(slide.paths)
    order = np.random.default_rng(0).permutation(n).tolist()
    fields = scan(slide.paths[i] for i in order)
    results: dict[int, Outcome] = {}
    tally, looks = SlideTally(slide.slide_id), LookSchedule(first_look)
    for i, item in zip(order, fields, strict=True):
        results[i] = item
        tally = tally.with_field(item)
        if not looks.due(tally.n_counted):
            continue
        looks = looks.next(tally.n_counted)
        stop = StopInfo(n, f"settled after {len(results)} of {n} fields", looks.error(1.0))
        if settled(tally, stop):
            fields.close()
            return _in_order(results), stop
    if not looks.fresh(tally.n_counted):
        looks = looks.next(tally.n_counted)
    stop = StopInfo(n, "every field was read", looks.error(1.0))
    if not settled(tally, stop):
        stop = replace(stop, reason="every field was read, not settled")
    return _in_order(results), stop


def _in_order(results: dict[int, Outcome]) -> list[Outcome]:
    return [results[i] for i in sorted(results)]
