"""Fixed batches, several in flight, each on one core.

Numeric libraries choose their kernels by a batch's shape, and add up in an order that hangs on the number of
threads. So batches have one fixed size, the last one filled up with blanks, and each is run by one thread
alone: a picture's answer depends on that picture, not on its company, on the number of cores or their load.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ConfigError
from smearscan.runtime.process import check_process

Pictures = NDArray[np.uint8]
Answers = NDArray[np.float32]


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than ``SMEARSCAN_CORES`` says.

    Raises
    ------
    ConfigError
        If that is no whole number from 1 on.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = os.environ.get("SMEARSCAN_CORES", "")
    if not told:
        return bound
    if not (told.isdecimal() and int(told)):
        raise ConfigError(f"SMEARSCAN_CORES={told}: is no number of cores; give 1 or more, or leave it out")
    return min(bound, int(told))


@cache
def _pool(at_once: int) -> ThreadPoolExecutor:
    """Threads of all engines together: two networks at work take no more cores than one."""
    return ThreadPoolExecutor(at_once, thread_name_prefix="smearscan-infer")


class Batched(ABC):
    """An engine that runs fixed batches; safe to call from several threads.

    It belongs to the process that made it: in a forked one it raises :class:`smearscan.errors.EngineError`.

    Parameters
    ----------
    name : str
        What it is and runs on, for people.
    batch : int
        Pictures of one fixed batch.
    at_once : int, optional
        Batches in flight, each on one core; by default as many as there are cores. Changes no answer.
    """

    def __init__(self, name: str, batch: int, at_once: int | None = None) -> None:
        self.name, self.batch = name, batch
        self.at_once = at_once or usable_cores()
        self._made_in = os.getpid()

    def run(self, images: Pictures) -> Answers:
        """Map (B, H, W, 3) uint8 RGB to the network's output, (B, ...) float32; B may be 0."""
        check_process(self._made_in, f"engine {self.name}")
        # without pictures the output's shape is known to the network alone: ask it for a blank batch
        starts = range(0, max(len(images), 1), self.batch)
        batches = [_filled(images[start : start + self.batch], self.batch) for start in starts]
        return np.concatenate(list(self._answers(batches)))[: len(images)]

    def _answers(self, batches: Sequence[Pictures]) -> Iterable[Answers]:
        return _pool(self.at_once).map(self._infer, batches)

    @abstractmethod
    def _infer(self, batch: Pictures) -> Answers:
        """Run one full batch on the calling thread's core."""


def _filled(part: Pictures, batch: int) -> Pictures:
    missing = batch - len(part)
    if missing:
        part = np.concatenate([part, np.zeros((missing, *part.shape[1:]), np.uint8)])
    # a reversed batch of one counts as contiguous, and torch refuses it all the same
    return part if part.flags.c_contiguous and min(part.strides) > 0 else part.copy()
