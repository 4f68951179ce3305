"""A scan that is killed at random moments goes on to the same reports; ``make kill-test`` tries fifty."""

import subprocess
import sys
from pathlib import Path


def test_a_killed_scan_is_resumed_to_the_same_bytes() -> None:
    script = Path(__file__).with_name("kill_run.py")
    done = subprocess.run([sys.executable, script, "4"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("4 of 4 resumed to byte-identical reports")
