"""Signals find a process alive after networks have come and gone."""

import subprocess
import sys
from pathlib import Path

CODE = """
import gc, os, signal
import small_nets
from smearscan.runtime import make_engine

signal.signal(signal.SIGUSR1, lambda *_: print("alive"))
first = make_engine(small_nets.logits(), "cpu", "openvino")
second = make_engine(small_nets.boxes(), "cpu", "openvino")
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_signal_after_networks_are_gone_is_handled() -> None:
    """Two cores of OpenVINO, gone in the order they came, leave a stack for signals that is unmapped."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
