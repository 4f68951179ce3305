"""The first inference of a process may come from several threads at once."""

import subprocess
import sys
from pathlib import Path

import small_nets

from smearscan.runtime.openvino_engine import OpenVino

CODE = """
import builtins, faulthandler, sys, threading, time
from pathlib import Path
import numpy as np
from smearscan.runtime.openvino_engine import OpenVinoEngine

engine = OpenVinoEngine(Path(sys.argv[1]).read_bytes(), 4, "f32", at_once=2)
usual = builtins.__import__

def slow(name, *rest):
    if name.startswith("numpy"):
        time.sleep(0.3)  # the other thread comes meanwhile
    return usual(name, *rest)

builtins.__import__ = slow
faulthandler.dump_traceback_later(60, exit=True)
images = np.zeros((4, 64, 64, 3), np.uint8)
threads = [threading.Thread(target=engine._infer, args=(images,)) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


def test_two_threads_begin_together(tmp_path: Path) -> None:
    """OpenVINO's bindings may lock up where two threads are the first to need numpy's types.

    Only with a network from the cache: who compiles one needs these types, too, and is alone then.
    """
    plan, file = small_nets.logits(), tmp_path / "compiled"
    file.write_bytes(OpenVino().compiled(plan.build(), plan, "f32"))
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
