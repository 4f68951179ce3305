"""Modules that only the end of a slide needs, imported while its first fields are read.

The networks compute without Python's lock, which imports hold: one core does either.
"""

from importlib import import_module
from threading import Thread

AT_THE_END = ("cattrs", "scipy.special")
"""A third of a second of a core; what needs one before it is there waits for it, as for any import."""


def warm_up() -> Thread:
    """Import them on a thread; one that fails will fail again, and be told, where it is used."""
    thread = Thread(target=_import_each, name="smearscan-warm-up")
    thread.start()
    return thread


def _import_each() -> None:
    for name in AT_THE_END:
        try:
            import_module(name)
        except ImportError:
            return
