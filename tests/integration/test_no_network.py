"""No command of a laboratory's day looks for a network: every socket is refused, and each attempt kept."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from smearscan.synthetic import BEIGE, LEUKEMIC, write_slides

pytestmark = [pytest.mark.weights, pytest.mark.slow]

CODE = """
import sys, traceback
from pathlib import Path

attempts = Path("attempts.txt")

def watch(event, args):
    # an audit hook hears of every socket of the process, and cannot be taken off again
    if event.startswith("socket.") and event not in ("socket.__new__", "socket.gethostname"):
        with attempts.open("a") as file:
            file.write(f"{event} {args}\\n{''.join(traceback.format_stack(limit=8))}\\n")
        raise OSError("no network here")

sys.addaudithook(watch)

from click.testing import CliRunner
from smearscan.cli import main

def smearscan(*told):
    done = CliRunner().invoke(main, list(told))
    assert done.exit_code == 0, (told, done.output, done.exception)

smearscan("doctor")
smearscan("run", "slides", "--out", "report.csv", "--cells", "cells.csv", "--html", "page.html")
smearscan("classify", "slides/one", "--out", "named.csv", "--um-per-px", "0.14")

import pandas as pd
cells = pd.read_csv("cells.csv")
cells.assign(truth=cells["type"].replace("unclassified", "neutrophil")).to_csv("labeled.csv", index=False)
smearscan("calibrate", "--cells", "labeled.csv", "--out", "site.yaml", "--force")
print("done")
"""


def test_run_classify_calibrate_and_doctor_open_no_socket_at_a_first_start(tmp_path: Path) -> None:
    """With a home that holds nothing: no settings of libraries, no compiled network, no cache of fonts."""
    write_slides(tmp_path / "slides", {"one": replace(LEUKEMIC, stain=BEIGE)}, 3, seed=5)
    keep = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "SYSTEMROOT")
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500,
        env={"HOME": str(home), **{name: os.environ[name] for name in keep if name in os.environ}},
    )  # fmt: skip
    attempts = tmp_path / "attempts.txt"
    assert not attempts.exists(), attempts.read_text()
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    assert (home / ".cache" / "smearscan").is_dir()  # it was a first start
