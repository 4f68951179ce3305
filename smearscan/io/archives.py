"""Archives of arrays (numpy's ``.npz``) from anywhere: nothing is unpickled or grows beyond the file."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy


@contextmanager
def open_arrays(path: Path) -> Iterator[Any]:
    """Open an archive that this package wrote with ``numpy.savez``, uncompressed.

    Yields
    ------
    numpy.lib.npyio.NpzFile

    Raises
    ------
    ValueError
        If a member is compressed, or says it holds more than it does: a small file could fill the memory.
    OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile
        If it is no whole archive.
    """
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        for member in archive.zip.infolist():
            _check(archive.zip, member)
        yield archive


def _check(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{member.filename} is compressed")
    with archive.open(member) as opened:
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        version = npy.read_magic(opened)
        if version not in read_header:
            raise ValueError(f"{member.filename} is of numpy's format {version}")
        shape, _, kind = read_header[version](opened)
    if math.prod(shape) * kind.itemsize > member.file_size:
        raise ValueError(f"{member.filename} says it holds more than it does")
