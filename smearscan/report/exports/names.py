"""Names of files made of names from outside, and the numbers of classes."""

import re
from pathlib import PurePosixPath

from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, HEALTHY, UNCLASSIFIED


class FileNames:
    """Gives each name from outside a path of its own, below the folder it is joined to.

    Letters, digits and ``_ . - space`` stay, everything else becomes ``_``; no part begins with a dot. Two
    names that would become one are told apart by a number.
    """

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, name: str) -> PurePosixPath:
        """Return the path for a name, the same one each time."""
        if name not in self._given:
            parts = [re.sub(r"[^\w. -]", "_", part).lstrip(". ")[:120] or "_" for part in name.split("/")]
            path, number = "/".join(parts), 1
            while path.casefold() in self._taken:
                number += 1
                path = "/".join([*parts[:-1], f"{parts[-1]} ({number})"])
            self._taken.add(path.casefold())
            self._given[name] = path
        return PurePosixPath(self._given[name])


class ClassNumbers:
    """Numbers of classes from 0: all that smearscan can say first, others as they come."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        known = (BLAST, *classes, *DIFFERENTIAL_CLASSES, HEALTHY, UNCLASSIFIED)
        self.names = list(dict.fromkeys(known))

    def __getitem__(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)
