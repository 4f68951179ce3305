"""Compiled networks kept in the user's cache folder, each with the outcome of its self-check.

A file that is broken, or that cannot be written, costs the time to compile again, never an answer
(:mod:`smearscan.io.kept`).
"""

import hashlib
import json
import mmap
import platform
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from smearscan import __version__
from smearscan.io.installed import installed_version
from smearscan.io.kept import folder, keep, used
from smearscan.runtime.self_check import Difference

_ALIGNED = 64
"""A payload begins at a multiple of so many bytes, as those who compute with it where it lies like it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A compiled network and how far it was from torch; empty where that was too far to keep it.

    What is read is a view of the file, of which only what is asked for is brought to memory.
    """

    apart: Difference
    payload: bytes | memoryview


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
    versions = [(name, installed_version(name)) for name in made_with]
    told = repr((engine, __version__, _code(), versions, _processor(), made_from))
    return place / f"{engine}-{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def read(file: Path | None) -> Entry | None:
    """Read an entry; None where there is none that is whole."""
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            told, start = json.loads(opened.readline()), opened.tell()
            payload = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY))[start:]
        if told["sha256"] != hashlib.sha256(payload).hexdigest():
            return None
        entry = Entry(Difference(**told["apart"]), payload)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    used(file)
    return entry


def write(file: Path | None, entry: Entry) -> None:
    """Keep an entry."""
    if file is None:
        return
    told = {"sha256": hashlib.sha256(entry.payload).hexdigest(), "apart": asdict(entry.apart)}
    head = json.dumps(told).encode()
    blanks = b" " * (-(len(head) + 1) % _ALIGNED)
    keep(file, head + blanks + b"\n" + entry.payload)


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
    told = {platform.machine()}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        told.update(line for line in lines if line.startswith(("model name", "flags", "Features")))
    except OSError:
        told.add(platform.processor())  # on Linux it would start a program that tells less
    return "\n".join(sorted(told))
