"""What a file holds, as a hash: whether an input is the one that was read before."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal; read in parts, whatever its size.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Sequence[Path], threads: int = 2, most_bytes: int | None = None) -> list[str]:
    """SHA-256 of many files, in their order; empty for one that cannot be read, or holds more bytes."""

    def digest(path: Path) -> str:
        try:
            is_unread = most_bytes is not None and path.stat().st_size > most_bytes
            return "" if is_unread else file_sha256(path)
        except OSError:
            return ""

    with ThreadPoolExecutor(threads, thread_name_prefix="smearscan-hash") as pool:
        return list(pool.map(digest, paths))


def file_stamps(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Size and time of the last change (ns) of files; (-1, -1) for one that is not there.

    Two equal lists, taken before and after, tell that nobody wrote to the files in between.
    """
    stamps = []
    for path in paths:
        try:
            stat = path.stat()
            stamps.append((stat.st_size, stat.st_mtime_ns))
        except OSError:
            stamps.append((-1, -1))
    return stamps
