"""Modules that only the end of a slide needs, imported while its first fields are read.

The networks compute without Python's lock, which imports hold: one core does either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Thread

AT_THE_END = ("cattrs", "scipy.special")
"""A third of a second of a core; what needs one before it is there waits for it, as for any import."""

_IDLE = ("f2py", "testing")
"""Parts of numpy that scipy takes over with all others, a tenth of a second: for Fortran, and for tests.

Nothing of a scan asks for these; others, such as ``numpy.ma``, numpy's own functions ask for.
"""


def warm_up() -> Thread:
    """Import them on a thread; one that fails will fail again, and be told, where it is used."""
    thread = Thread(target=_import_each, name="smearscan-warm-up")
    thread.start()
    return thread


def _import_each() -> None:
    with _left_alone("numpy", _IDLE):
        for name in AT_THE_END:
            try:
                import_module(name)
            except ImportError:
                return


@contextmanager
def _left_alone(package: str, parts: tuple[str, ...]) -> Iterator[None]:
    """Keep those parts of a package from being loaded that it loads when somebody asks for them."""
    own = vars(import_module(package))
    absent = dict.fromkeys(part for part in parts if part not in own)
    own.update(absent)
    try:
        yield
    finally:
        for part in absent:
            if own[part] is None:
                del own[part]
