"""Kill a scan with fake networks at random moments, resume it, compare its reports with a whole run's.

    python tests/unit/kill_run.py 50 docs/results/kill_test.json

Each scan is a process of its own, forked from this one before any network has run, and goes through the
command line. Exit code 0: every resumed run gave the same bytes.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import fakes
import pytest

import smearscan.cli.run_scan
import smearscan.report.scan_page  # noqa: F401  (imported once, here)
from smearscan.cli import main
from smearscan.io import write_image

SLIDES, FIELDS = 5, 2
REPORTS = ("report.csv", "cells.csv", "summary.csv", "report.html")


def draw(root: Path) -> None:
    for slide in range(SLIDES):
        (root / f"slide_{slide}").mkdir(parents=True)
        for i in range(FIELDS):
            write_image(root / f"slide_{slide}" / f"{i}.png", fakes.field(FIELDS * slide + i))


def options(root: Path, out: Path) -> list[str]:
    cells, summary, page = (str(out / name) for name in REPORTS[1:])
    settings = root.parent / "settings.yaml"
    settings.write_text("ruler_fields: 1\n")  # measuring takes the longest of a scan with fake networks
    given = [
        "--config",
        str(settings),
        "--cells",
        cells,
        "--summary",
        summary,
        "--html",
        page,
        "--quiet",
        "--resume",
    ]
    return ["run", str(root), "--out", str(out / REPORTS[0]), *given]


def scan(args: list[str]) -> int:
    """Start a scan in a process of its own; return its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        fakes.use_fake_nets(pytest.MonkeyPatch())
        main(args, standalone_mode=True)
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        os._exit(code)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def contents(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in REPORTS]


def kill_and_resume(n: int, seed: int = 0) -> tuple[int, int, int]:
    """Return how many runs were killed, had read some slides by then, and ended as a whole one."""
    rng = random.Random(seed)
    killed = partly = same = 0
    with TemporaryDirectory() as place:
        root, whole = Path(place) / "slides", Path(place) / "whole"
        draw(root)
        began = time.monotonic()
        assert ended(scan(options(root, whole))) == 0
        taken = time.monotonic() - began
        expected = contents(whole)
        for _ in range(n):
            out = Path(place) / "killed"
            child = scan(options(root, out))
            time.sleep(rng.uniform(0, taken))
            os.kill(child, signal.SIGKILL)
            killed += ended(child) == -signal.SIGKILL
            partly += 0 < len(list(out.rglob("*.npz"))) < SLIDES
            assert ended(scan(options(root, out))) == 0
            same += contents(out) == expected and not list(out.rglob("*.part"))
            shutil.rmtree(out)
    return killed, partly, same


if __name__ == "__main__":
    cv2.setNumThreads(1)
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    n_killed, n_partly, n_same = kill_and_resume(wanted)
    print(f"{n_same} of {wanted} resumed to byte-identical reports")
    print(f"{n_killed} killed before their end, {n_partly} between their first and their last slide")
    if len(sys.argv) > 2:
        told = {"runs": wanted, "killed": n_killed, "between_slides": n_partly, "same_bytes": n_same}
        Path(sys.argv[2]).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    sys.exit(n_same != wanted)
