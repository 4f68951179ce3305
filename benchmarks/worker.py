"""A process of its own that does one job whenever it is told to: ``python -m benchmarks.worker JOB FOLDER``.

Reads ``go``, ``cells`` or the end of input from stdin, answers with one line of JSON. So two programs can
take turns without sharing threads, memory or state, and without the time they need to start.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.fields import KINDS


def job(name: str, folder: Path, options: dict[str, Any]) -> Any:
    """Make the callable of a job."""
    from benchmarks import limits
    from benchmarks.ours import Ours

    if name == "peer":
        from benchmarks.peer import Peer

        return Peer(folder, **options)
    if name == "ours":
        return Ours(folder, **options)
    if name == "profile":
        from benchmarks.profile import Profile

        return Profile(folder, **options)
    ways: dict[str, Any] = {"decode": limits.Decode, "network": limits.Network, "both": limits.Both}
    return ways[name](folder, KINDS[options.pop("kind")], **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("job", choices=["ours", "peer", "decode", "network", "both", "profile"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("options", type=json.loads, nargs="?", default={})
    asked = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print
    began = time.perf_counter()
    run = job(asked.job, asked.folder, asked.options)
    ready = {"ready_seconds": time.perf_counter() - began, "peak_mb": machine.peak_mb()}
    print(json.dumps(ready), file=answers, flush=True)
    for line in sys.stdin:
        if line.strip() == "cells":
            told: Any = run.cells()
        else:
            began, busy = time.perf_counter(), time.process_time()
            told = run()
            told["seconds"] = time.perf_counter() - began
            told["core_seconds"] = time.process_time() - busy
            told["peak_mb"] = machine.peak_mb()
        print(json.dumps(told), file=answers, flush=True)


if __name__ == "__main__":
    main()
