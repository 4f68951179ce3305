"""Compiled networks kept in the user's cache folder, each with the outcome of its self-check.

``SMEARSCAN_CACHE`` names another folder; ``off`` keeps none. What is there can be deleted at any time. A file
that is broken, or that cannot be written, costs the time to compile again, never an answer.
"""

import hashlib
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

from smearscan import __version__
from smearscan.errors import OutputError
from smearscan.io.atomic import write_bytes
from smearscan.runtime.self_check import Difference

_UNUSED_SECONDS = 60 * 24 * 3600.0
"""A file that nobody has read for so long (60 days) goes: every version leaves its own."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A compiled network and how far it was from torch; empty where that was too far to keep it."""

    apart: Difference
    payload: bytes


def folder() -> Path | None:
    """Where compiled networks are kept; None where they are not."""
    given = os.environ.get("SMEARSCAN_CACHE", "")
    if given.lower() == "off":
        return None
    return Path(given) if given else platformdirs.user_cache_path("smearscan", appauthor=False)


def file_of(engine: str, made_with: tuple[str, ...], *made_from: object) -> Path | None:
    """Name the file of a compiled network; None where none is kept.

    Parameters
    ----------
    engine : str
    made_with : tuple of str
        Packages whose versions it depends on.
    *made_from : object
        All else that it depends on; their ``repr`` must tell them apart.
    """
    place = folder()
    if place is None:
        return None
    versions = [(name, _version(name)) for name in made_with]
    told = repr((engine, __version__, _code(), versions, _processor(), made_from))
    return place / f"{engine}-{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def read(file: Path | None) -> Entry | None:
    """Read an entry; None where there is none that is whole."""
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            told, payload = json.loads(opened.readline()), opened.read()
        if told["sha256"] != hashlib.sha256(payload).hexdigest():
            return None
        entry = Entry(Difference(**told["apart"]), payload)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):
        os.utime(file)
    return entry


def write(file: Path | None, entry: Entry) -> None:
    """Keep an entry; who reads meanwhile, or writes the same, sees the old file or the new one, whole."""
    if file is None:
        return
    head = {"sha256": hashlib.sha256(entry.payload).hexdigest(), "apart": asdict(entry.apart)}
    with suppress(OSError):
        with suppress(OutputError):  # a full disk costs the time to compile again
            write_bytes(file, json.dumps(head).encode() + b"\n" + entry.payload)
        _without_unused(file.parent)


def _without_unused(place: Path) -> None:
    for file in place.iterdir():
        with suppress(OSError):
            if file.is_file() and time.time() - file.stat().st_mtime > _UNUSED_SECONDS:
                file.unlink()


@cache
def _code() -> str:
    """Digest of the source that makes networks and compiles them."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256((package / "detection" / "yolo.py").read_bytes())
    for part in ("classification/backbones", "runtime"):
        for file in sorted((package / part).glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def _processor() -> str:
    """Name and abilities of the processor: what is compiled for one may not run on another."""
    told = {platform.machine(), platform.processor()}
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        told.update(line for line in lines if line.startswith(("model name", "flags", "Features")))
    return "\n".join(sorted(told))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
