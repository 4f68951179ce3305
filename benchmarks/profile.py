"""Where each millisecond of the cores goes in a scan.

A sampling profiler sees Python's stack alone and not what is done without it. So the functions that do a
scan's work are wrapped: each adds up the processor time of its thread, without that of a wrapped one that it
calls. Networks compute on threads of their engine; what these took, the system tells.
"""

import importlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from benchmarks.ours import Ours

DECODING, NETWORKS, REST = "decoding", "networks", "Python between the steps, threads, locks"

_STEPS = {
    DECODING: ("simplejpeg:decode_jpeg",),
    "files: reading, headers": (
        "smearscan.scan.slide_opening:load_field", "smearscan.rulers.slide_scale:load_field",
        "smearscan.scan.scanner:find_slides",
    ),
    "colors: gray or negative": ("smearscan.io.fields:check_colors",),
    "resizing to the working scale": ("smearscan.detection.detector:resized",),
    "padding, answers of the detector's network to boxes": ("smearscan.detection.detector:Detector.raw",),
    "suppression, one name each": ("smearscan.detection.detector:Detector.select",),
    "tiles, boxes back to the field": ("smearscan.detection.detector:Detector.detect",),
    "batches to and from the engine": ("smearscan.runtime.batches:Batched.run",),
    "level of the background": ("smearscan.classification.crops:background_gain",),
    "cutting crops": ("smearscan.scan.pipeline:cut_crops",),
    "quality of the field": ("smearscan.scan.pipeline:measure_quality",),
    "names of cells": (
        "smearscan.scan.cell_classifier:CellClassifier.predict_probs",
        "smearscan.scan.pipeline:Pipeline._result",
    ),
    "the ruler, but for what is told above": ("smearscan.scan.slide_opening:SlideOpener.measure_scale",),
    "report of the slide": (
        "smearscan.scan.slide_judge:SlideJudge.report", "smearscan.scan.slide_judge:doubts_of_fields",
    ),
    "tables": (
        "benchmarks.ours:write_report_csv", "benchmarks.ours:write_cells_csv",
    ),
}  # fmt: skip
"""Step to the functions that do it, named where their callers find them."""

_INFER = "smearscan.runtime.openvino_engine:OpenVinoEngine._infer"


class Meter:
    """Adds up the processor time of wrapped functions, seconds by step; several threads may run them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock, self._here = threading.Lock(), threading.local()

    def wrapped(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock around it that stands still while another wrapped one runs."""

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            before: float = getattr(self._here, "inner", 0.0)
            self._here.inner = 0.0
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                taken = time.thread_time() - began
                own = taken - self._here.inner
                self._here.inner = before + taken
                with self._lock:
                    self.seconds[step] += own

        return timed


class Profile:
    """Scans the slides of a folder as :class:`benchmarks.ours.Ours`, and tells what each step took.

    Parameters
    ----------
    folder : Path
    **settings
        Of :class:`smearscan.scan.scanner.SmearScanner`.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self._meter = Meter()
        for step, places in {**_STEPS, NETWORKS: (_INFER,)}.items():
            for place in places:
                owner, name = _owner(place)
                setattr(owner, name, self._meter.wrapped(step, getattr(owner, name)))
        self._scan = Ours(folder, **settings)

    def __call__(self) -> dict[str, Any]:
        """Scan; processor seconds by step, what is in none of them as the last."""
        self._meter.seconds.clear()
        native, whole = _seconds_of_engines(), time.process_time()
        told = self._scan()
        whole = time.process_time() - whole
        steps = dict.fromkeys((NETWORKS, *_STEPS), 0.0) | self._meter.seconds
        steps[NETWORKS] += _seconds_of_engines() - native
        steps[REST] = whole - sum(steps.values())
        return {"fields": told["fields"], "steps": steps}


def _owner(place: str) -> tuple[Any, str]:
    """Where a function is looked up: its module or class, and its name there."""
    module, _, path = place.partition(":")
    *classes, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in classes:
        owner = getattr(owner, each)
    return owner, name


def _seconds_of_engines() -> float:
    """Processor time so far of all threads that are not Python's: of engines, and of OpenCV."""
    known = {thread.native_id for thread in threading.enumerate()}
    others = (task for task in Path("/proc/self/task").iterdir() if int(task.name) not in known)
    return sum(int((task / "schedstat").read_text().split()[0]) for task in others) / 1e9
