"""Where the time of a scan goes: seconds of each stage, added up over threads."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
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
