"""Where the time of a scan goes: seconds of each stage, over all threads, and an account of the whole."""

import importlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

STAGES = ("scale", "decode", "detect", "quality", "crop", "classify", "report", "write")
"""In the order of the work: measuring the scale, ..., a slide's statistics, files written."""

_BUSY = 0.85
"""From this share of the cores' time on, the processor is what bounds a scan."""


class StageTimer:
    """Adds up how long each stage was busy; several threads may use it at once.

    Attributes
    ----------
    seconds : dict
        Stage to seconds. Stages run side by side, so these may add up to more than the time that passed.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done inside as part of a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            taken = time.perf_counter() - began
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + taken


@dataclass(frozen=True, slots=True)
class TimingReport:
    """What a scan took.

    Attributes
    ----------
    n_fields, n_cells : int
        Fields read (failed ones too) and leukocytes found.
    seconds : float
        From the first field asked for to the last file written; networks are ready before.
    processor_seconds : float
        Of all cores together in that time.
    cores : int
        That this process may use.
    stages : dict
        Stage to seconds of all threads together; a thread that waits for a core counts too.
    peak_bytes : int or None
        Most memory the process has held; None where the system does not tell.
    """

    n_fields: int
    n_cells: int
    seconds: float
    processor_seconds: float
    cores: int
    stages: dict[str, float]
    peak_bytes: int | None

    @property
    def share_busy(self) -> float:
        """Share of the cores' time that was used, 0 to 1."""
        return min(1.0, self.processor_seconds / max(self.seconds * self.cores, 1e-9))

    @property
    def shares(self) -> dict[str, float]:
        """Stage to its share of all stages' seconds, in the order of the work."""
        total = max(sum(self.stages.values()), 1e-9)
        return {stage: self.stages.get(stage, 0.0) / total for stage in STAGES}

    @property
    def bound(self) -> str:
        """What a quicker scan would need, in words."""
        longest = max(self.shares, key=self.shares.__getitem__)
        if self.share_busy >= _BUSY:
            return f"the processor, {self.share_busy:.0%} of {self.cores} cores busy; most of it: {longest}"
        return f"waiting: only {self.share_busy:.0%} of {self.cores} cores busy; longest: {longest}"

    def lines(self) -> list[str]:
        """Return the account as lines of text."""
        rate = 1 / max(self.seconds, 1e-9)
        memory = f"{self.peak_bytes / 2**20:.0f} MiB" if self.peak_bytes is not None else "not known here"
        return [
            f"{self.n_fields} fields in {self.seconds:.2f} s: {self.n_fields * rate:.1f} fields/s, "
            f"{self.n_cells * rate:.1f} leukocytes/s",
            "share of the threads' time: "
            + ", ".join(f"{stage} {share:.1%}" for stage, share in self.shares.items()),
            f"bound: {self.bound}",
            f"peak memory: {memory}",
        ]


class Stopwatch:
    """Takes the account of what happens between its making and :meth:`stop`."""

    def __init__(self) -> None:
        self._began, self._processor = time.perf_counter(), time.process_time()

    def stop(self, clock: StageTimer, n_fields: int, n_cells: int, cores: int) -> TimingReport:
        """Give the account."""
        return TimingReport(
            n_fields,
            n_cells,
            time.perf_counter() - self._began,
            time.process_time() - self._processor,
            cores,
            dict(clock.seconds),
            peak_memory(),
        )


def peak_memory() -> int | None:
    """Most memory this process has held, bytes; None where the system does not tell (Windows)."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:
        return None
    most = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return most if sys.platform == "darwin" else most * 1024
