"""Reads a scanned film again in other random orders, without scanning it again.

How far a film is read depends on the order of its fields and on what they hold, and what a field holds does
not depend on the order but for which of two fields has a cell on the line between them. So a film that was
read whole tells what reading a part of it would have told, in as many orders as one likes. The first is the
one that ``smearscan run`` reads in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from smearscan.differential import SlideTally
from smearscan.results import Scale
from smearscan.scan.reading import Outcome, Reading, stratified_order
from smearscan.scan.scanner import SmearScanner
from smearscan.taxonomy import BLAST

Replay = dict[str, Any]
"""What one reading came to: `fields` read, `cells` counted, `blasts` among them, `flag`."""


def replayed(
    scanner: SmearScanner, results: Sequence[Outcome], scale: Scale, read: int | str, seeds: Iterable[int]
) -> list[Replay]:
    """Read a film so far as `read` says, once in the order of each seed.

    Parameters
    ----------
    scanner : SmearScanner
        That scanned it.
    results : sequence of FieldResult or FieldFailure
        Of every field, row by row.
    scale : Scale
    read : int or str
        As the setting of this name.
    seeds : iterable of int
        Of :func:`smearscan.scan.reading.stratified_order`.
    """
    judge = replace(scanner.judge, config=scanner.config.model_copy(update={"read": read}))
    told = []
    for seed in seeds:
        order = stratified_order(len(results), seed=seed)
        paths = [result.path for result in results]
        reading = Reading("film", paths, order, judge.pace(len(results), scale))
        n_read = next((n for n, i in enumerate(order, 1) if reading.add(results[i])), len(order))
        own, stop = reading.done()
        report = judge.report(SlideTally.of("film", own), scale, stop)
        told.append(
            {
                "fields": n_read,
                "cells": report.tally.n_counted,
                "blasts": report.tally.types[BLAST],
                "flag": report.flag.state,
            }
        )
    return told


def in_short(replays: Sequence[Replay], n_fields: int) -> dict[str, Any]:
    """Sum up replays of a film of so many fields: medians, ranges, and how often each flag was raised."""
    flags = [replay["flag"] for replay in replays]
    columns = {name: [replay[name] for replay in replays] for name in ("cells", "blasts")}
    shares = [100 * replay["fields"] / n_fields for replay in replays]
    return {
        "orders": len(replays),
        "read_percent": _spread(shares),
        **{name: _spread(column) for name, column in columns.items()},
        "without_blasts": sum(n == 0 for n in columns["blasts"]),
        "flags": {state: flags.count(state) for state in sorted(set(flags))},
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    least, usual, most = np.percentile(values, [0, 50, 100]).tolist()
    return {"median": usual, "least": least, "most": most}


def in_words(spread: dict[str, float], unit: str = "") -> str:
    """Put a median with its range."""
    usual, least, most = (f"{spread[name]:,.{1 if unit else 0}f}" for name in ("median", "least", "most"))
    return f"{usual}{unit}" if least == most else f"{usual}{unit} ({least} to {most})"
