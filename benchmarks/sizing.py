"""Slides an hour for machines of any size: ``make sizing`` fills docs/sizing.md from measured figures.

Measured are core seconds; all else is stated: the price of a core, and what storage gives, can be given.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.fields import LARGE, SMALL
from benchmarks.performance import filled

_ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = _ROOT / "docs/results", _ROOT / "docs/sizing.md"

FIELDS = 100
"""Of a slide of photographs."""

MACHINES = {
    "laptop, 8 cores": 8,
    "workstation, 32 cores": 32,
    "8 nodes of 64 cores": 512,
    "100 nodes of 64 cores": 6400,
}
_MEGABYTES = {SMALL.name: 0.06, LARGE.name: 0.5}
"""Of a field's JPEG file, as docs/performance.md tells."""


def slides(results: Path = RESULTS) -> Iterator[tuple[str, float, float, float]]:
    """Give each kind of slide: its name, core seconds to scan, core seconds to decode alone, megabytes."""
    measured = json.loads((results / "performance.json").read_text(encoding="utf-8"))
    for kind, told in measured["limits"]["figures"].items():
        runs = told["runs"]
        scan, decode = (FIELDS * runs[run]["core_ms_per_field"] / 1e3 for run in ("smearscan", "decode"))
        yield f"{FIELDS} photographs of {kind}", scan, decode, FIELDS * _MEGABYTES[kind]
    if (results / "whole_film.json").exists():
        film = json.loads((results / "whole_film.json").read_text(encoding="utf-8"))["film"]
        name = "whole slide of {:,} x {:,} px".format(*film["size_px"])
        for read, told in film["ways"].items():
            share = told["fields"] / film["ways"]["all"]["fields"]
            yield f"{name}, --read {read}", told["core_seconds"], float("nan"), film["file_mb"] * share


def table(price: float, shared_mb: float, results: Path = RESULTS) -> str:
    """Tell slides an hour, cost, and where shared storage ends it.

    Parameters
    ----------
    price : float
        Of a core for an hour, any currency.
    shared_mb : float
        What shared storage gives all machines together, MB/s.
    results : Path
        Folder of the figures.
    """
    lines = [
        f"| slide | core s | of these decoding | {' | '.join(MACHINES)} | cost at {price:g} a core hour "
        f"| cores that {shared_mb:,.0f} MB/s feed |",
        "|---" * (5 + len(MACHINES)) + "|",
    ]
    for name, scan, decode, size in slides(results):
        most = shared_mb / size * 3600
        hourly = [min(3600 * cores / scan, most) for cores in MACHINES.values()]
        cells = [f"{n:,.0f}{' (storage)' if n == most else ''}" for n in hourly]
        share = f"{100 * decode / scan:.0f} %" if decode == decode else "-"
        lines.append(
            f"| {name} | {scan:.2f} | {share} | {' | '.join(cells)} | {price * scan / 3600:.2g} | "
            f"{shared_mb / size * scan:,.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Fill the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--price", type=float, default=0.05, help="of a core for an hour")
    parser.add_argument("--shared-mb", type=float, default=1000, help="MB/s of shared storage")
    parser.add_argument("--into", type=Path, default=PAGE)
    asked: Any = parser.parse_args()
    text = asked.into.read_text(encoding="utf-8")
    told = filled(text, "sizing", table(asked.price, asked.shared_mb))
    asked.into.write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
