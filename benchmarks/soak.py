"""Scans thousands of drawn fields in one process and keeps its memory, slide by slide: ``make soak``.

A few fields are drawn; each picture of the slides is one of them with a number of its own after its end, so
that no file is another's copy. With the shipped networks. ``--minutes`` ends the scan after the slide at
hand; what was scanned by then is told. Exit code 1: memory grew.
"""

import argparse
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.fields import write_slides
from smearscan.differential.slide_report import SlideReport
from smearscan.scan.run import run_slides
from smearscan.scan.run_reports import write_run_reports
from smearscan.scan.scanner import SmearScanner
from smearscan.synthetic import BEIGE, HEALTHY

FIELDS, FIELDS_A_SLIDE, DRAWN = 20_000, 50, 40
SPEC = replace(HEALTHY, height=240, width=320, um_per_px=0.2, leukocytes=2.0, stain=BEIGE)
GROWTH_MB = 20.0
"""How much the memory may grow over the last two thirds of the slides: some pages of an allocator."""


class _TimeIsUpError(Exception):
    """Ends a scan that was given so many minutes."""


def resident_mb() -> float:
    """Memory that this process holds now, MB (10^6 bytes)."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(line[1]) * 1024 / 1e6 for line in lines if line[0] == "VmRSS:")


def growth_mb(curve: list[tuple[int, float]]) -> float:
    """Growth of memory over the last two thirds of a curve of (fields, MB), by a straight line through it."""
    fields, held = np.array(curve[len(curve) // 3 :], float).T
    if len(fields) < 2:
        return float("nan")
    slope = np.polyfit(fields, held, 1)[0]
    return float(slope * (fields[-1] - fields[0]))


def soak(n_fields: int, minutes: float | None) -> dict[str, Any]:
    """Scan and measure; returns the figures."""
    told = machine.described()
    with tempfile.TemporaryDirectory() as place:
        root, run = Path(place) / "slides", Path(place) / "soak.run"
        write_slides(root, SPEC, n_fields, FIELDS_A_SLIDE, DRAWN)
        curve: list[tuple[int, float]] = []
        cells = failed = 0
        began, cpu = time.monotonic(), time.process_time()

        def weigh(report: SlideReport) -> None:
            nonlocal cells, failed
            cells, failed = cells + report.n_leukocytes, failed + report.tally.n_failed
            done = (curve[-1][0] if curve else 0) + report.tally.n_fields + report.tally.n_failed
            curve.append((done, round(resident_mb(), 1)))
            if minutes is not None and time.monotonic() - began > 60 * minutes:
                raise _TimeIsUpError

        with suppress(_TimeIsUpError):
            run_slides(SmearScanner(), root, run, on_slide=weigh)
        seconds, core_seconds = time.monotonic() - began, time.process_time() - cpu
        write_run_reports(run, report=Path(place) / "report.csv", cells=Path(place) / "cells.csv")
        return {
            "command": "python -m benchmarks.soak " + " ".join(sys.argv[1:]),
            "machine": told,
            "fields_wanted": n_fields,
            "fields": curve[-1][0],
            "slides": len(curve),
            "leukocytes": cells,
            "failed": failed,
            "seconds": round(seconds),
            "core_seconds": round(core_seconds),
            "growth_mb": round(growth_mb(curve), 1),
            "after_reports_mb": round(resident_mb(), 1),
            "peak_mb": round(machine.peak_mb(), 1),
            "curve": curve,
        }


def main() -> int:
    """Measure, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fields", type=int, default=FIELDS)
    parser.add_argument("--minutes", type=float, help="End after the slide at hand.")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write.")
    given = parser.parse_args()
    found = soak(given.fields, given.minutes)
    machine.write_json(given.out, found)
    print(
        f"{found['fields']} of {found['fields_wanted']} fields, {found['failed']} failed: memory grew by "
        f"{found['growth_mb']} MB over the last two thirds ({GROWTH_MB:g} MB are allowed), "
        f"{found['peak_mb']} MB at most"
    )
    return int(not found["growth_mb"] <= GROWTH_MB or found["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
