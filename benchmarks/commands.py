"""Times whole commands, from the shell's return key to the prompt: start, networks and tables included."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from benchmarks.fields import SMALL, slide
from benchmarks.sessions import Worker

_ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
_COMMAND = ("-c", "import sys; from smearscan.cli import main; sys.exit(main())")
LIBRARIES = "numpy, cv2, openvino"
"""What computes in a scan, imported as anybody does."""
_ROUNDS_OF_COMMANDS = 3
_ROUNDS_OF_MANY, _MANY = 1, 100  # of so many fields, of which the peer takes minutes


def whole_command(quick: bool) -> dict[str, Any]:
    """Time ``smearscan run`` and the peer script as commands in turns, over numbers of drawn fields."""
    rounds = 1 if quick else _ROUNDS_OF_COMMANDS
    return {
        f"{n} drawn": _beside_peer(slide(SMALL, n), rounds)
        for n in ((1, 20) if quick else (1, 10, 100, 1000))
    }


def whole_command_real(quick: bool, data: Path | None) -> dict[str, Any]:
    """Time both as commands on photographs."""
    if data is None or quick:
        return {}
    return {"364 of BCCD": _beside_peer(data / "bccd" / "images", _ROUNDS_OF_COMMANDS)}


def _beside_peer(folder: Path, rounds: int) -> dict[str, Any]:
    with Worker("ours", folder) as once, TemporaryDirectory() as place:
        once.ready()
        told = once.go()
        boxes, out = Path(place) / "boxes.json", Path(place) / "report.csv"
        boxes.write_text(json.dumps([field["xyxy"] for field in once.cells()]))
        ours = [*_COMMAND, "run", str(folder)]
        ours += ["--out", str(out), "--one-slide", "--no-resume", "--quiet"]
        seconds(ours)
        report = pd.read_csv(out).iloc[0]
        n_pictures = len(list(folder.rglob("*.jpg")))
        if not report["n_fields"] == told["fields"] == n_pictures:
            raise RuntimeError(f"{folder}: {n_pictures} pictures, and {report['n_fields']} were read")
        scale = float(report["um_per_px"])
        peer = ["-m", "benchmarks.peer", str(folder), "--um-per-px", str(scale), "--boxes", str(boxes)]
        few = min(rounds, _ROUNDS_OF_MANY) if told["fields"] >= _MANY else rounds
        passed = in_turns({"smearscan": ours, "peer": peer}, few, uncounted=few == rounds)
    return {
        "fields": told["fields"],
        "rounds": few,
        "seconds": passed,
        "times_faster": round(passed["peer"] / passed["smearscan"], 2),
    }


def in_turns(calls: Mapping[str, Sequence[str]], rounds: int, uncounted: bool = True) -> dict[str, float]:
    """Median seconds of Python programs that take turns in new processes.

    Parameters
    ----------
    calls : mapping
        Options of Python, by the program's name.
    rounds : int
    uncounted : bool
        Whether a round goes before that fills caches and counts for nothing.
    """
    runs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + uncounted):
        for name, call in calls.items():
            runs[name].append(seconds(call))
    return {name: round(median(own[int(uncounted) :]), 3) for name, own in runs.items()}


def seconds(options: Sequence[str]) -> float:
    """Seconds of ``python OPTIONS``, see :func:`taken`."""
    return taken(options)[0]


def taken(options: Sequence[str], root: Path = _ROOT) -> tuple[float, float]:
    """Run ``python OPTIONS`` in a new process as a user does: it keeps what it compiles, on all threads.

    Parameters
    ----------
    options : sequence of str
    root : Path
        Source of the version that is run.

    Returns
    -------
    seconds, core_seconds : float
        That passed, and that cores worked.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.endswith("_NUM_THREADS")
    }
    env["PYTHONPATH"] = str(root)
    began, worked = time.perf_counter(), _core_seconds()
    subprocess.run([sys.executable, *options], check=True, capture_output=True, env=env, cwd=root)
    return time.perf_counter() - began, _core_seconds() - worked


def _core_seconds() -> float:
    """Seconds that cores worked for the processes that ended so far."""
    told = resource.getrusage(resource.RUSAGE_CHILDREN)
    return told.ru_utime + told.ru_stime


def scan_of_one_field(place: str) -> list[str]:
    """Options of Python for a scan of one drawn field, as a command that writes to a folder."""
    field = sorted(slide(SMALL, SMALL.distinct).rglob("*.jpg"))[0]
    return [*_COMMAND, "run", str(field), "--out", str(Path(place) / "report.csv")]


def start_up(quick: bool) -> dict[str, Any]:
    """Time new processes: help text, libraries alone, and one field with compiled networks in the cache."""
    rounds = 3 if quick else ROUNDS
    with TemporaryDirectory() as place:
        libraries = ["-c", f"import {LIBRARIES}"]
        scan = scan_of_one_field(place)
        found = in_turns({"help": [*_COMMAND, "--help"], "libraries": libraries, "first_field": scan}, rounds)
    return {"rounds": rounds, **{f"{name}_seconds": value for name, value in found.items()}}
