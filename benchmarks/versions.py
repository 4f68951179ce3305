"""This version's scan beside an earlier one's: ``python -m benchmarks.versions CHECKOUT --out FILE``.

CHECKOUT is another version's source, for example of ``git worktree add build/before v0.2.0``. Each scans the
same drawn fields with its own shipped networks, in a process of its own, in turns. Compared is time of cores,
which other programs of the machine disturb least.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks import fields, machine
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
        "scan": beside(given.checkout, fields.KINDS[given.kind], given.fields, given.rounds),
    }
    machine.write_json(given.out, figures)
    found = figures["scan"]
    print(
        f"{found['kind']}: {found['ratio']:.3f} times the core time of {figures['before']} "
        f"(quartiles {found['low']:.3f} to {found['high']:.3f})"
    )


if __name__ == "__main__":
    main()
