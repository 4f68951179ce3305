"""Folders on object stores and other places that fsspec knows (s3://, gs://, az://), kept here to be scanned.

Every file is fetched once and checked to be whole; one that did not change since is not fetched again. What
cannot be fetched is told by name, as a picture that cannot be read is, and the rest goes on.
"""

import json
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from smearscan.errors import ConfigError, ImageError, OutputError
from smearscan.io.atomic import replacing, write_text

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+")
_INDEX = ".fetched.json"
"""What each file was when it was fetched, by its name; a scan passes over names with a dot."""

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Fetched:
    """A folder of files that lie elsewhere.

    Attributes
    ----------
    root : Path
        What is to be scanned: the folder, or the one file.
    failures : mapping of Path to str
        Why a file is not there.
    n_fetched, n_kept : int
        Files that were fetched, and those that an earlier run had fetched.
    """

    root: Path
    failures: Mapping[Path, str]
    n_fetched: int
    n_kept: int


def is_url(place: Path | str) -> bool:
    """Whether a place is a URL, also as a path makes it (``s3:/bucket``); a drive's letter is none."""
    return _URL.match(str(place)) is not None and not Path(place).exists()


def fetch(url: Path | str, folder: Path) -> Fetched:
    """Bring all files below a URL into a folder, whole or not at all.

    Parameters
    ----------
    url : Path or str
        Of a folder or a file.
    folder : Path
        It gets the same tree; files that are gone there are removed here.

    Raises
    ------
    ConfigError
        If fsspec, or what it needs for this kind of URL, is not installed; if the folder holds other things.
    ImageError
        If there is nothing, or it cannot be listed.
    OutputError
        If the disk has no room for all.
    """
    address = _URL.sub(r"\1://", str(url))
    store, base = _opened(address)
    there = _listed(store, base, address)
    index = folder / _INDEX
    before = _known(index, folder)
    now = {name: store.ukey(path) for name, (path, _) in there.items()}
    left = {name: size for name, (_, size) in there.items() if not _is_kept(folder, name, now, before)}
    for name in before.keys() - now.keys():
        (folder / name).unlink(missing_ok=True)
    _check_room(folder, sum(left.values()), address)
    write_text(index, json.dumps({name: key for name, key in now.items() if name not in left}))
    one = partial(_fetch_one, store, there, folder)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="smearscan-fetch") as pool:
        failed = {name: why for name, why in zip(left, pool.map(one, left), strict=True) if why}
    write_text(index, json.dumps({name: key for name, key in now.items() if name not in failed}))
    name, (path, _) = next(iter(there.items()))
    root = folder / name if path == base else folder
    failures = {folder / name: why for name, why in failed.items()}
    return Fetched(root, failures, len(left) - len(failed), len(there) - len(left))


def _opened(address: str) -> tuple[Any, str]:
    try:
        from fsspec.core import url_to_fs

        store, base = url_to_fs(address)
    except ImportError as error:
        raise ConfigError(f"{address}: {error}; pip install 'smearscan[cloud]'") from error
    except ValueError as error:
        raise ConfigError(
            f"{address}: is no URL that fsspec knows ({error}); give s3://, gs:// or az://"
        ) from error
    return store, str(base)


def _listed(store: Any, base: str, address: str) -> dict[str, tuple[str, int]]:
    """Path there and size of each file by its name below the URL; hidden ones are no part of it."""
    try:
        found = store.find(base, detail=True)
    except Exception as error:  # each kind of store has its own, of no common kind
        raise ImageError(f"{address}: cannot be listed ({_told(error)})") from error
    files = {_below(path, base): (path, int(info.get("size") or 0)) for path, info in found.items()}
    files = {name: file for name, file in files.items() if _is_wanted(name)}
    if not files:
        raise ImageError(f"{address}: there is no file there; give the folder above the slides")
    if strange := [name for name in files if ".." in PurePosixPath(name).parts or name.startswith("/")]:
        raise ImageError(f"{address}: holds {strange[0]!r}, which is no name of a file here; rename it there")
    return dict(sorted(files.items()))


def _below(path: str, base: str) -> str:
    return PurePosixPath(path).name if path == base else path.removeprefix(base).removeprefix("/")


def _is_wanted(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return not name.endswith("/") and not any(part.startswith(".") and part != ".." for part in parts)


def _known(index: Path, folder: Path) -> dict[str, str]:
    """Return what was fetched before; a folder of other things is refused, for what is gone is removed."""
    if index.is_file():
        try:
            known = json.loads(index.read_text(encoding="utf-8"))
            return {str(name): str(key) for name, key in known.items()}
        except (OSError, ValueError, AttributeError):
            return {}  # cut off while it was written, as after a power cut: all is fetched anew
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder}: holds other files; give --pictures a folder of its own")
    return {}


def _is_kept(folder: Path, name: str, now: Mapping[str, str], before: Mapping[str, str]) -> bool:
    return before.get(name) == now[name] and (folder / name).is_file()


def _check_room(folder: Path, needed: int, address: str) -> None:
    place = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise OutputError(
            f"{folder}: {address} needs {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; give --pictures "
            "a place with more room, or scan a part of it"
        )


def _fetch_one(store: Any, there: Mapping[str, tuple[str, int]], folder: Path, name: str) -> str:
    """Fetch a file; returns why it could not be fetched."""
    path, size = there[name]
    target = folder / name
    try:
        with replacing(target) as part:
            try:
                store.get_file(path, str(part))
            except Exception as error:  # each kind of store has its own, of no common kind
                raise ImageError(_told(error).replace(path, "it")) from error
            if size and (came := part.stat().st_size) != size:
                raise ImageError(f"{came} of {size} bytes came")
    except (ImageError, OutputError) as error:
        target.unlink(missing_ok=True)  # what an earlier run fetched is no longer what lies there
        told = str(error).removeprefix(f"{target}: ")
        return f"{target}: could not be fetched ({told}); --resume tries again"
    return ""


def _told(error: Exception) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
