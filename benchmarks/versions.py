"""This version's scan beside an earlier one's: ``python -m benchmarks.versions CHECKOUT --out FILE``.

CHECKOUT is another version's source, for example of ``git worktree add build/before v0.2.0``. Each scans the
same drawn fields with its own shipped networks, in a process of its own, in turns, and one field as a whole
command. Compared is time of cores, which other programs of the machine disturb least.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import commands, fields, machine
from benchmarks.sessions import Worker, in_turns

_ROUNDS, _FIELDS = 15, 200


def ratios(before: Sequence[float], now: Sequence[float]) -> dict[str, float]:
    """Compare rounds that took turns: the median of their ratios, and the quartiles around it."""
    each = [n / b for b, n in zip(before, now, strict=True)]
    low, _, high = quantiles(each, n=4)
    return {"ratio": round(median(each), 3), "low": round(low, 3), "high": round(high, 3)}


def beside(checkout: Path, kind: fields.Kind, n_fields: int, rounds: int) -> dict[str, Any]:
    """Scan one slide of drawn fields with both versions in turns."""
    slide = fields.slide(kind, n_fields)
    start = {
        "before": partial(Worker, "ours", slide, root=checkout.resolve()),
        "now": partial(Worker, "ours", slide),
    }
    told = in_turns(start, rounds)
    return {
        "kind": kind.name,
        "fields": n_fields,
        **ratios(told["before"]["core_seconds"], told["now"]["core_seconds"]),
        **{
            name: {key: own[key] for key in ("core_ms_per_field", "peak_mb", "types", "stages")}
            for name, own in told.items()
        },
    }


def first_field(checkout: Path, rounds: int) -> dict[str, Any]:
    """Run the whole command for one field with both versions in turns, networks compiled before."""
    roots = {"before": checkout.resolve(), "now": Path(__file__).resolve().parents[1]}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in roots}
    with TemporaryDirectory() as place:
        for _ in range(rounds + 1):
            for name, root in roots.items():
                runs[name].append(commands.taken(commands.scan_of_one_field(place), root))
    # after a round that compiles
    counted = {name: list(zip(*own[1:], strict=True)) for name, own in runs.items()}
    return {
        "rounds": rounds,
        **ratios(counted["before"][1], counted["now"][1]),
        **{
            name: {"seconds": round(median(passed), 3), "core_seconds": round(median(worked), 3)}
            for name, (passed, worked) in counted.items()
        },
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("checkout", type=Path, help="Source of the version before.")
    parser.add_argument("--kind", choices=list(fields.KINDS), default=fields.SMALL.name)
    parser.add_argument("--fields", type=int, default=_FIELDS)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write.")
    given = parser.parse_args()
    commit = ["git", "-C", str(given.checkout), "describe", "--always", "--tags"]
    figures = {
        "command": f"python -m benchmarks.versions CHECKOUT {' '.join(sys.argv[2:])}",
        "before": subprocess.run(commit, capture_output=True, text=True, check=True).stdout.strip(),
        "machine": machine.described(),
        "first_field": first_field(given.checkout, given.rounds),
        "scan": beside(given.checkout, fields.KINDS[given.kind], given.fields, given.rounds),
    }
    machine.write_json(given.out, figures)
    for what in ("first_field", "scan"):
        found = figures[what]
        print(
            f"{what}: {found['ratio']:.3f} times the core time of {figures['before']} "
            f"(quartiles {found['low']:.3f} to {found['high']:.3f})"
        )


if __name__ == "__main__":
    main()
