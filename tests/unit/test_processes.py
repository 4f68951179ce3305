"""Engines and processes: a forked one is refused, threads share what is the process's, none phones home."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import small_nets
import torch

from smearscan.runtime import openvino_engine
from smearscan.runtime.torch_engine import TorchEngine

FORK = """
import os, sys
import numpy as np
import small_nets
from smearscan.errors import EngineError
from smearscan.runtime import make_engine

engine = make_engine(small_nets.logits(), "cpu", {engine!r})
crops = np.zeros((3, *small_nets.logits().example, 3), np.uint8)
engine.run(crops)
child = os.fork()
if not child:
    try:
        {use}
    except EngineError as error:
        print(error, flush=True)
        os._exit(3)
    os._exit(0)
_, status = os.waitpid(child, 0)
engine.run(crops)  # the parent goes on
sys.exit(os.waitstatus_to_exitcode(status))
"""

SILENT = """
import socket
def refused(*args, **kwargs):
    raise AssertionError(f"a socket was opened: {args} {kwargs}")
socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refused
import threading
threads = []
start = threading.Thread.start
threading.Thread.start = lambda self: (threads.append(self), start(self))[1]
import sys
import numpy as np
import small_nets
from smearscan.runtime import make_engine
from smearscan.runtime.openvino_engine import import_openvino
openvino = import_openvino()
assert "openvino.tools.ovc" not in sys.modules, "the converter was imported before it is needed"
make_engine(small_nets.logits(), "cpu", "openvino")
import openvino.tools.ovc
assert openvino.convert_model is openvino.tools.ovc.convert_model
for thread in threads:  # telemetry would be sent on a thread of its own
    if "smearscan" not in thread.name:
        thread.join(5)
assert not any(name.startswith("openvino_telemetry") for name in sys.modules), "telemetry was imported"
print("silent")
"""


def run(code: str, timeout: float = 90) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=timeout,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
@pytest.mark.parametrize("engine", ["openvino", "torch"])
def test_an_engine_in_a_forked_process_says_what_to_do(engine: str) -> None:
    done = run(FORK.format(engine=engine, use="engine.run(crops)"))
    assert done.returncode == 3, done.stderr
    assert "spawn" in done.stdout


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system has no fork")
def test_a_forked_process_cannot_make_engines_of_openvino_anew() -> None:
    done = run(FORK.format(engine="openvino", use='make_engine(small_nets.boxes(), "cpu", "openvino").run'))
    assert done.returncode == 3, done.stderr
    assert "OpenVINO was made before" in done.stdout


def test_openvino_sends_no_usage_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SMEARSCAN_CACHE", "off")
    done = run(SILENT)
    assert (done.returncode, done.stdout) == (0, "silent\n"), done.stderr


def test_threads_that_ask_at_once_get_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def slow_core() -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    types = SimpleNamespace(u8=SimpleNamespace(to_dtype=lambda: None))
    library = SimpleNamespace(Core=slow_core, Type=types)

    monkeypatch.setattr(openvino_engine, "_core", None)
    monkeypatch.setattr(openvino_engine, "import_openvino", lambda: library)
    with ThreadPoolExecutor(4) as pool:
        cores = list(pool.map(lambda _: openvino_engine.core(), range(4)))
    assert len(made) == 1
    assert all(core is made[0] for core in cores)


def test_engines_on_a_gpu_take_turns_with_the_flags_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0
    counting = threading.Lock()

    @contextmanager
    def flags(**_: object) -> Iterator[None]:
        nonlocal inside, most
        with counting:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)
        yield
        with counting:
            inside -= 1

    monkeypatch.setattr(torch.backends.cudnn, "flags", flags)
    engines = [TorchEngine(small_nets.logits().build(), "cpu", 2) for _ in range(2)]
    crops = np.zeros((2, *small_nets.logits().example, 3), np.uint8)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: list(engines[i % 2]._on_device([crops])), range(8)))
    assert most == 1


POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from smearscan.runtime.process import end_with_parent

if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_parent) as processes:
        print(processes.submit(os.getpid).result(), flush=True)
        processes.submit(time.sleep, 300).result()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_ends_with_the_process_that_waits_for_it(tmp_path: Path) -> None:
    """A training whose command was killed would go on for hours, and write over the next one's files."""
    (tmp_path / "pool.py").write_text(POOL)
    with subprocess.Popen(
        [sys.executable, tmp_path / "pool.py"], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = Path("/proc", parent.stdout.readline().strip())
        assert worker.exists()
        parent.kill()
    until = time.monotonic() + 60
    while worker.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not worker.exists()
