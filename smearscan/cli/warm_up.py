"""What a scan needs after its networks, imported while they are loaded.

To verify and to load networks, and to compute with them, needs no Python's lock, which imports hold: one core
does either.
"""

from importlib import import_module
from threading import Thread

_MODULES = ("smearscan.cli.run_scan", "cattrs")
"""The second one converts slides for their files. Who needs one before it is there waits for it."""


def warm_up() -> Thread:
    """Import them on a thread; what fails will fail again, and be told, where it is used."""
    thread = Thread(target=_imported, name="smearscan-warm-up")
    thread.start()
    return thread


def _imported() -> None:
    try:
        for module in _MODULES:
            import_module(module)
        from smearscan.numeric import special

        special()
    except ImportError:
        return
