"""What belongs to one process alone: the threads and libraries of engines do not survive a fork."""

import os
from multiprocessing import parent_process
from threading import Thread

from smearscan.errors import EngineError

_CURE = (
    "make the scanner in the new process, and start that with the 'spawn' or 'forkserver' method "
    "(multiprocessing.get_context('spawn'); DataLoader(multiprocessing_context='spawn'))"
)


def check_process(made_in: int, what: str) -> None:
    """Refuse what the parent of a forked process made: it would wait for ever for threads that are gone.

    Parameters
    ----------
    made_in : int
        Number of the process (``os.getpid()``) that made it.
    what : str
        What was made, for the message.

    Raises
    ------
    EngineError
        If this is another process.
    """
    if os.getpid() != made_in:
        raise EngineError(f"{what} was made before this process was forked off and cannot run in it; {_CURE}")


def end_with_parent() -> None:
    """Let this process of a pool end when its parent is killed, in place of training on for nobody."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)  # nothing here is worth to be closed: what is finished is written whole
