"""SIGTERM stops a command as Ctrl-C does: what is read is kept, and the way on is said."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPED_BY_KEYBOARD = 128 + signal.SIGINT
STOPPED_BY_SIGTERM = 128 + signal.SIGTERM
"""Exit codes, as shells give them."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM)."""


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into :class:`Terminated` within the block; only the main thread hears of signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise Terminated

    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
