"""The same content under several names: copies, links, a file in two folders."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

from smearscan.io.content import file_sha256

_SAMPLE_BYTES = 65536
"""So much of a file's middle tells most files of one size apart, before the whole is read."""


def copies_among(paths: Sequence[Path]) -> list[list[Path]]:
    """Find files of the same content.

    Files of different sizes are told apart without being read, and most others by a part of them.

    Parameters
    ----------
    paths : sequence of Path
        One that is empty or cannot be read is like no other.

    Returns
    -------
    list of list of Path
        Groups of two or more, each in the order given.
    """
    groups = [[path for path in paths if _is_filled(path)]]
    for key in (_size, _middle, file_sha256):
        groups = [part for group in groups for part in _parted(group, key)]
    return groups


def _parted(paths: Iterable[Path], key: Callable[[Path], Hashable]) -> list[list[Path]]:
    parts: dict[Hashable, list[Path]] = defaultdict(list)
    for path in paths:
        try:
            parts[key(path)].append(path)
        except OSError:  # reading it tells why, when its turn comes
            continue
    return [part for part in parts.values() if len(part) > 1]


def _is_filled(path: Path) -> bool:
    try:
        return _size(path) > 0
    except OSError:
        return False


def _size(path: Path) -> int:
    return path.stat().st_size


def _middle(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, (_size(path) - _SAMPLE_BYTES) // 2))
        return hashlib.sha256(file.read(_SAMPLE_BYTES)).hexdigest()
