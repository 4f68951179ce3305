"""Files written whole or not at all: a kill, a full disk or a power cut leaves the former file, or none."""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from smearscan.errors import OutputError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a temporary file in the same folder; once it is written, it replaces `path`.

    The file is synced to disk before it gets its name, and the folder afterwards, so that after a power cut
    the name holds the old content or the new one. A symbolic link is followed and stays a link; the rights of
    a file that is replaced are kept. Whoever else writes the same file at the same time has a temporary file
    of its own: the last one to finish wins, whole.

    Parameters
    ----------
    path : Path
        File to write; its folder is made where it is missing. What exists and is no regular file (a pipe,
        ``/dev/stdout``) cannot be replaced: see :func:`atomic_binary`, which writes to it.

    Yields
    ------
    Path
        Of a file that does not exist yet.

    Raises
    ------
    OutputError
        If the place cannot be written to or is full; nothing is left behind.
    """
    target = Path(os.path.realpath(path))  # a link stays, what it points to is replaced
    part = target.with_name(f"{_prefix(target)}{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        if target.exists():
            shutil.copymode(target, part)
        _sync(part)
        part.replace(target)
        with suppress(OSError):  # a folder cannot be opened on Windows, nor synced on some network disks
            _sync(target.parent)
        _remove_orphans(target)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_binary(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write bytes to, whole or not at all, see :func:`replacing`.

    What exists and is no regular file, as a named pipe or ``/dev/stdout``, is written to as it is.
    """
    if is_special(path):
        with _named(path), path.open("wb") as file:
            yield file
        return
    with replacing(path) as part, part.open("xb") as file:
        yield file


@contextmanager
def atomic_text(path: Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    r"""Open a file to write text to, as :func:`atomic_binary`; line ends stay as they are given.

    A name that is no UTF-8 on disk is written with its bytes escaped (``\udcff``): nothing is lost to it.
    """
    text: dict[str, str] = {"encoding": encoding, "errors": "backslashreplace", "newline": ""}
    if is_special(path):
        with _named(path), path.open("w", **text) as file:  # type: ignore[call-overload]
            yield file
        return
    with replacing(path) as part, part.open("x", **text) as file:  # type: ignore[call-overload]
        yield file


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, in UTF-8."""
    with atomic_text(path) as file:
        file.write(text)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_binary(path) as file:
        file.write(data)


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Say in a sentence why a file cannot be written, and the cure."""
    cures = {
        errno.ENOSPC: "the disk is full; make room",
        errno.EDQUOT: "your quota of disk space is used up; make room",
        errno.EROFS: "the disk is read-only; give another place",
        errno.EACCES: "you may not write there; give another place",
        errno.EPERM: "you may not write there; give another place",
        errno.ENAMETOOLONG: "its name is too long; give a shorter one",
    }
    why = cures.get(error.errno or 0, f"{error.strerror or error}; give another place")
    return OutputError(f"{path}: cannot be written: {why}")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read has gone: no fault of the place
    except OSError as error:
        raise cannot_write(path, error) from error


def is_special(path: Path) -> bool:
    """Whether a path is there and is neither file nor folder: a pipe, a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _prefix(target: Path) -> str:
    """Give the beginning of a temporary file's name; short enough for any folder."""
    return f".{target.name.encode('utf-8', 'replace')[:80].decode('utf-8', 'ignore')}."


def _remove_orphans(target: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote the same file."""
    if os.name != "posix":  # elsewhere there is no asking after a process without harm
        return
    prefix = _prefix(target)
    with suppress(OSError):
        for file in target.parent.iterdir():
            own = re.fullmatch(r"(\d+)-[0-9a-f]{8}\.part", file.name.removeprefix(prefix))
            if file.name.startswith(prefix) and own and not _is_running(int(own[1])):
                file.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
