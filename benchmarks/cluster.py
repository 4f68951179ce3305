"""A scan by one worker of Ray against the plain scan, on the same cores: ``make cluster-cost``.

Each scan is a process of its own, in turn, of few and of many slides: what more slides take more is the cost
of a slide, the rest is the start. Core seconds are those of all processes of a scan, Ray's own among them.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks import machine
from benchmarks.fields import SMALL, write_slides
from benchmarks.performance import filled
from smearscan.io import find_slides
from smearscan.io.naming import OutputNames
from smearscan.runtime import usable_cores
from smearscan.scan.cluster import scan_on_ray
from smearscan.scan.run import answer_settings, open_run, scan_into
from smearscan.scan.scanner import SmearScanner

_ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = _ROOT / "docs/results/cluster.json", _ROOT / "docs/many_slides.md"
DRAWN = 10
WAYS = ("plain", "ray")


def scan(root: Path, way: str) -> dict[str, float]:
    """Scan a folder and tell what it took from the start of the scanner on."""
    began = time.perf_counter()
    taken: dict[int, float] = {}

    def weigh(_: object = None) -> None:
        own = psutil.Process()
        for process in (own, *own.children(recursive=True)):
            try:
                spent = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            taken[process.pid] = spent.user + spent.system

    slides, names, scanner = find_slides(root), OutputNames(root), SmearScanner()
    cluster = (
        scan_on_ray(scanner.config, answer_settings(scanner, names), names, cores=usable_cores())
        if way == "ray"
        else None
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        open_run(scanner, slides, names, Path(folder), None) as state,
    ):
        scan_into(state, scanner, slides, names, on_slide=weigh, scan_all=cluster)
        weigh()
    return {"seconds": time.perf_counter() - began, "core_seconds": sum(taken.values())}


def measured(few: int, many: int, fields: int, turns: int) -> dict[str, Any]:
    """Scan `few` and `many` slides of `fields` fields both ways, `turns` times, in turn."""
    taken: dict[str, dict[int, list[dict[str, float]]]] = {way: {few: [], many: []} for way in WAYS}
    with tempfile.TemporaryDirectory() as place:
        for n in (few, many):
            write_slides(Path(place) / str(n), SMALL.spec, n * fields, fields, DRAWN)
        for turn in range(turns):
            for n in (few, many):
                for way in WAYS[:: 1 if turn % 2 else -1]:
                    command = [
                        sys.executable,
                        "-m",
                        "benchmarks.cluster",
                        "--one",
                        way,
                        str(Path(place) / str(n)),
                    ]
                    done = subprocess.run(command, check=True, capture_output=True, text=True)
                    taken[way][n].append(json.loads(done.stdout.splitlines()[-1]))
    return {"few": few, "many": many, "fields": fields, "turns": taken, "cost": costs(taken, few, many)}


def costs(taken: dict[str, dict[int, list[dict[str, float]]]], few: int, many: int) -> dict[str, Any]:
    """Tell, of each way, what a slide takes and what the start does (medians of turns)."""
    told: dict[str, Any] = {}
    for way, of_n in taken.items():
        for unit in ("seconds", "core_seconds"):
            least, most = (statistics.median(t[unit] for t in of_n[n]) for n in (few, many))
            a_slide = (most - least) / (many - few)
            told.setdefault(way, {})[unit] = {"all": most, "a_slide": a_slide, "start": least - few * a_slide}
    return told


def table(figures: dict[str, Any]) -> str:
    """Tell the figures as a table."""
    many, fields = figures["many"], figures["fields"]
    lines = [
        f"| {many} slides of {fields} fields | s | s a slide | s to start | core s | core s a slide |",
        "|---" * 6 + "|",
    ]
    for way, cost in figures["cost"].items():
        s, c = cost["seconds"], cost["core_seconds"]
        values = s["all"], s["a_slide"], s["start"], c["all"], c["a_slide"]
        lines.append(f"| {way} | " + " | ".join(f"{value:.2f}" for value in values) + " |")
    plain, ray = (figures["cost"][way] for way in WAYS)
    more = [
        f"{100 * (ray[unit][part] / plain[unit][part] - 1):+.0f} %"
        for unit, part in (
            ("seconds", "all"), ("seconds", "a_slide"), ("core_seconds", "all"), ("core_seconds", "a_slide"),
        )
    ]  # fmt: skip
    lines.append(f"| Ray takes | {more[0]} | {more[1]} | | {more[2]} | {more[3]} |")
    return "\n".join([*lines, "", machine.in_words(figures["machine"])])


def main() -> None:
    """Measure, write, fill the page; or scan once, for a process of its own."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--few", type=int, default=4)
    parser.add_argument("--many", type=int, default=20)
    parser.add_argument("--fields", type=int, default=25)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "SLIDES"), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--into", type=Path, default=PAGE)
    asked: Any = parser.parse_args()
    if asked.one:
        sys.stdout.write(json.dumps(scan(Path(asked.one[1]), asked.one[0])) + "\n")
        return
    told = machine.described()
    figures = {
        "command": " ".join(["python -m benchmarks.cluster", *sys.argv[1:]]),
        "machine": told,
        **measured(asked.few, asked.many, asked.fields, asked.turns),
    }
    machine.write_json(asked.out, figures)
    text = asked.into.read_text(encoding="utf-8")
    asked.into.write_text(filled(text, "cluster", table(figures)), encoding="utf-8")


if __name__ == "__main__":
    main()
