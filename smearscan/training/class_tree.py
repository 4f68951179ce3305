"""A folder with one sub-folder a class, as a table of cells."""

import logging
from pathlib import Path

import pandas as pd

from smearscan.errors import DatasetError
from smearscan.io.kinds import SUFFIXES, unread_kind_of_name
from smearscan.results.doubts import first_of

_LOG = logging.getLogger(__name__)


def read_tree(root: Path) -> pd.DataFrame:
    """Read a folder with one sub-folder a class.

    Returns
    -------
    DataFrame
        ``image`` (relative to `root`), ``class``, ``group`` (the picture itself), ``site``.

    Raises
    ------
    DatasetError
        If the folder is missing, holds fewer than two classes, or a class holds no picture or one that is
        not read.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: this folder is not there; it needs one sub-folder of pictures a class")
    loose = [path.name for path in _shown(root) if path.parent == root and path.suffix.lower() in SUFFIXES]
    if loose:
        _LOG.warning("%s: pictures in no class folder are left out: %s", root, first_of(loose))
    found = [
        (str(path.relative_to(root)), folder.name, f"{folder.name}/{path.stem}", root.name)
        for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
        for path in _pictures_of_class(folder)
    ]
    table = pd.DataFrame(found, columns=["image", "class", "group", "site"])
    if table["class"].nunique() < 2:
        raise DatasetError(
            f"{root}: needs one sub-folder of pictures a class, at least two; found {len(table)} pictures"
        )
    return table


def _shown(folder: Path) -> list[Path]:
    """Files below a folder; names that begin with a dot (``.ipynb_checkpoints``) are no part of it."""
    every = (path for path in folder.rglob("*") if path.is_file())
    return sorted(p for p in every if not any(n.startswith(".") for n in p.relative_to(folder).parts))


def _pictures_of_class(folder: Path) -> list[Path]:
    files = _shown(folder)
    unread = [path for path in files if unread_kind_of_name(path.suffix)]
    if unread:
        raise DatasetError(
            f"{unread[0]}: {unread_kind_of_name(unread[0].suffix)} pictures are not read, and the class "
            f"folder holds {len(unread)} of such kinds; export them as one of {', '.join(SUFFIXES)}"
        )
    pictures = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not pictures:
        raise DatasetError(f"{folder}: the class folder holds no picture; add some, or take the folder away")
    return pictures
