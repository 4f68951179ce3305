"""Several slides against one of all their fields: ``make in-flight`` fills docs/many_slides.md.

Both are scanned in turn, again and again, by one scanner into a run folder, as ``smearscan run`` does; every
second turn begins with the other one. Core seconds are told beside the time, which other work on the machine
lengthens.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.fields import SMALL, write_slides
from benchmarks.performance import filled
from smearscan.scan.run import run_slides
from smearscan.scan.scanner import SmearScanner

_ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = _ROOT / "docs/results/slides_in_flight.json", _ROOT / "docs/many_slides.md"
DRAWN = 10


def measured(slides: int, fields: int, turns: int) -> dict[str, Any]:
    """Scan `slides` slides of `fields` fields and one slide of all, `turns` times each."""
    told, total = machine.described(), slides * fields
    kinds = {"many": (slides, fields), "one": (1, total)}
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in kinds}
    with tempfile.TemporaryDirectory() as place:
        for name, (n, each) in kinds.items():
            write_slides(Path(place) / name, SMALL.spec, n * each, each, DRAWN)
        scanner = SmearScanner()
        run_slides(scanner, Path(place) / "one", Path(place) / "warm.run")
        for turn in range(turns):
            for name in list(kinds)[:: 1 if turn % 2 else -1]:
                began, cores = time.perf_counter(), time.process_time()
                run_slides(scanner, Path(place) / name, Path(place) / f"{name}.run", resume=False)
                seconds, core_seconds = time.perf_counter() - began, time.process_time() - cores
                taken[name].append(
                    {"ms": round(1e3 * seconds / total, 3), "core_ms": round(1e3 * core_seconds / total, 3)}
                )
    ratios = {
        unit: [round(m[unit] / o[unit], 4) for m, o in zip(taken["many"], taken["one"], strict=True)]
        for unit in ("ms", "core_ms")
    }
    return {
        "command": " ".join(["python -m benchmarks.slides_in_flight", *sys.argv[1:]]),
        "machine": told,
        "slides": slides,
        "fields": fields,
        "turns": taken,
        "ratios": ratios,
    }


def table(figures: dict[str, Any]) -> str:
    """Tell the figures as a table."""
    n, each = figures["slides"], figures["fields"]
    rows = {"many": f"{n} slides of {each} fields", "one": f"1 slide of {n * each:,} fields"}
    units = ("ms", "core_ms")
    lines = ["| slides | ms a field | core ms a field |", "|---|---|---|"]
    for name, words in rows.items():
        usual = [statistics.median(turn[unit] for turn in figures["turns"][name]) for unit in units]
        lines.append(f"| {words} | {usual[0]:.2f} | {usual[1]:.2f} |")
    ratios = [figures["ratios"][unit] for unit in units]
    told = [f"{statistics.median(own):.3f} ({min(own):.3f} to {max(own):.3f})" for own in ratios]
    lines.append(f"| many / one, median of {len(ratios[0])} turns (range) | {' | '.join(told)} |")
    return "\n".join([*lines, "", machine.in_words(figures["machine"])])


def main() -> None:
    """Measure, write, fill the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--slides", type=int, default=20)
    parser.add_argument("--fields", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--into", type=Path, default=PAGE)
    asked: Any = parser.parse_args()
    figures = measured(asked.slides, asked.fields, asked.turns)
    machine.write_json(asked.out, figures)
    text = asked.into.read_text(encoding="utf-8")
    asked.into.write_text(filled(text, "in flight", table(figures)), encoding="utf-8")


if __name__ == "__main__":
    main()
