"""Files kept in the user's cache folder so that a later run need not work them out again.

``SMEARSCAN_CACHE`` names another folder; ``off`` keeps none. What is there can be deleted at any time. A file
that is broken, or that cannot be written, costs the time to make it again, never an answer.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import platformdirs

from smearscan import config
from smearscan.config import read_yaml
from smearscan.errors import ConfigError, OutputError, SmearscanError
from smearscan.io.atomic import write_bytes

YAML = "yaml-"
"""How the names of files begin that hold what a YAML file says."""

_UNUSED_SECONDS = 60 * 24 * 3600.0
"""A file that nobody has read for so long (60 days) goes: every version leaves its own."""


def folder() -> Path | None:
    """Where files are kept; None where they are not."""
    given = os.environ.get("SMEARSCAN_CACHE", "")
    if given.lower() == "off":
        return None
    return Path(given) if given else platformdirs.user_cache_path("smearscan", appauthor=False)


def keep(file: Path, content: bytes) -> None:
    """Write a file; who reads meanwhile, or writes the same, sees the old file or the new one, whole."""
    with suppress(OSError):
        with suppress(OutputError):  # a full disk costs the time to make it again
            write_bytes(file, content)
        _without_unused(file.parent)


def used(file: Path) -> None:
    """Note that a file was of use."""
    with suppress(OSError):
        os.utime(file)


def read_kept_yaml(
    path: Path, raises: type[SmearscanError] = ConfigError, missing: str = "cannot be read"
) -> object:
    """Read a YAML file as :func:`smearscan.config.read_yaml`, for files that are read at every start.

    What was read is kept as JSON, by the SHA-256 of the file's bytes, and then takes a twentieth of the time.
    What JSON would change is not kept.
    """
    file = _kept_as(path)
    if file is None:
        return read_yaml(path, raises, missing)
    with suppress(OSError, ValueError):
        digest, _, text = file.read_bytes().partition(b"\n")
        if digest.decode() == hashlib.sha256(text).hexdigest():
            used(file)
            return json.loads(text)
    content = read_yaml(path, raises, missing)
    with suppress(TypeError, ValueError, RecursionError):
        text = json.dumps(content, allow_nan=False).encode()
        # by its bytes before and after: what was replaced while it was read is not kept under its name
        if json.loads(text) == content and _kept_as(path) == file:
            keep(file, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    return content


def _kept_as(path: Path) -> Path | None:
    """Name the file that a YAML file is kept as; None where it is not."""
    place = folder()
    if place is None:
        return None
    try:
        told = hashlib.sha256(_reader().encode() + path.read_bytes())
    except OSError:
        return None
    return place / f"{YAML}{told.hexdigest()[:32]}"


@cache
def _reader() -> str:
    """Digest of the source that reads YAML: what another version refuses was not read by this one."""
    return hashlib.sha256(Path(config.__file__).read_bytes()).hexdigest()


def _without_unused(place: Path) -> None:
    for file in place.iterdir():
        with suppress(OSError):
            if file.is_file() and time.time() - file.stat().st_mtime > _UNUSED_SECONDS:
                file.unlink()
