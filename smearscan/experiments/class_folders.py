"""Pictures of single cells in folders named as classes: what the names mean, and how often a net agrees."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.calibration.labeled_cells import true_class
from smearscan.differential.statistics.intervals import exact_interval
from smearscan.errors import DatasetError
from smearscan.taxonomy import BLAST, HEALTHY, UNCLASSIFIED
from smearscan.taxonomy.cell_names import (
    BLAST_SYNONYMS,
    DIFFERENTIAL_SYNONYMS,
    PLASMA_CELL,
    fold_name,
    known_as,
    standard_name,
)


@dataclass(frozen=True, slots=True)
class Meanings:
    """What names of folders mean to the nets in use.

    Attributes
    ----------
    classes : tuple of str
        Of the differential net; empty where it does not run.
    blast : bool
        Whether the blast net runs.
    """

    classes: tuple[str, ...]
    blast: bool

    @property
    def names(self) -> tuple[str, ...]:
        """What the nets can call a cell, but for ``unclassified``."""
        kinds = self.classes or (HEALTHY,)
        return kinds if not self.blast or BLAST in kinds else (*kinds, BLAST)

    def of(self, label: str, where: Path) -> str:
        """Class that a folder's name stands for: one of the nets' own, or by the taxonomy's synonyms.

        Raises
        ------
        DatasetError
            Telling why the name cannot be compared: unknown, of two meanings, or of a class that the nets
            in use do not name. It is never guessed.
        """
        own = {fold_name(kind): kind for kind in self.names}
        if name := known_as(label, own):
            return own[name]
        if self.classes and self.blast and standard_name(label) == HEALTHY:
            raise DatasetError(f"{where}: says only that its cells are no blasts; compare with --task blast")
        if self.classes and standard_name(label) == PLASMA_CELL:
            raise DatasetError(f"{where}: means plasma cells, which the nets in use do not name")
        table = DIFFERENTIAL_SYNONYMS if not self.blast else BLAST_SYNONYMS if not self.classes else {}
        kind = table[name] if (name := known_as(label, table)) else true_class(label, where)
        if kind not in self.names:
            raise DatasetError(f"{where}: means {kind!r}, which the nets in use do not name")
        return kind


@dataclass(frozen=True, slots=True)
class CropSet:
    """Pictures that share one magnification.

    Attributes
    ----------
    name : str
        Folder relative to the root.
    paths : tuple of Path, (N,)
    slides : tuple of str, (N,)
        Folder of each picture without its class folder.
    truths : tuple of str, (N,)
        Class that its folder stands for; empty where it has none or one without meaning.
    """

    name: str
    paths: tuple[Path, ...]
    slides: tuple[str, ...]
    truths: tuple[str, ...]


def crop_sets(
    root: Path, paths: Sequence[Path], meanings: Meanings, refuse: Callable[[str], None]
) -> list[CropSet]:
    """Part pictures into sets of one magnification, and read their classes off the folders.

    Folders that lie side by side are classes if the name of one of them means a class; all of them together
    are a set then. Any other folder is a set of its own.

    Parameters
    ----------
    root : Path
    paths : sequence of Path
        Pictures below it.
    meanings : Meanings
    refuse : callable
        Told once, in words, of each class folder whose name has no meaning and of how many pictures it holds.
    """
    folders = {path: path.relative_to(root).parts[:-1] if root.is_dir() else () for path in paths}
    meant: dict[str, str | DatasetError] = {}
    for part in {part for parts in folders.values() for part in parts}:
        try:
            meant[part] = meanings.of(part, Path(part))
        except DatasetError as error:
            meant[part] = error
    above = {p[:d] for p in folders.values() for d in range(len(p)) if isinstance(meant[p[d]], str)}
    rows: dict[tuple[str, ...], list[tuple[Path, str, str]]] = defaultdict(list)
    refused: dict[str, int] = defaultdict(int)
    for path, parts in folders.items():
        depth = next((d for d in range(len(parts)) if parts[:d] in above), None)
        label = "" if depth is None else parts[depth]
        rest = parts if depth is None else parts[:depth] + parts[depth + 1 :]
        truth = meant.get(label, "")
        if isinstance(truth, DatasetError):
            refused[label] += 1
            truth = ""
        rows[parts[:depth]].append((path, "/".join(rest) or root.name, truth))
    for label, n in sorted(refused.items()):
        refuse(f"not compared, {n} pictures: {meant[label]}")
    return [CropSet("/".join(parts) or root.name, *zip(*own, strict=True)) for parts, own in rows.items()]


@dataclass(frozen=True, slots=True)
class Agreement:
    """True classes against names.

    Attributes
    ----------
    names : tuple of str, (K,)
        Those that occur, as truth or as name.
    counts : ndarray, (K, K) int64
        Cells by true class (rows) and by name (columns).
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Cells compared."""
        return int(self.counts.sum())

    @property
    def right(self) -> int:
        """Cells named rightly; an unclassified one is not."""
        return int(np.trace(self.counts))

    @property
    def unclassified(self) -> int:
        """Cells without a name."""
        return int(self.counts[:, [name == UNCLASSIFIED for name in self.names]].sum())

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval of the accuracy, percent; for independent cells."""
        return exact_interval(self.right, self.total)


def agreement(truth: Iterable[str], named: Iterable[str], names: Sequence[str]) -> Agreement:
    """Count names by true class.

    Parameters
    ----------
    truth, named : iterable of str, (N,)
        Cells whose truth is empty are passed over.
    names : sequence of str
        What the nets can call a cell; gives the order.
    """
    pairs = Counter((t, n) for t, n in zip(truth, named, strict=True) if t)
    occurring = {name for pair in pairs for name in pair}
    order = tuple(name for name in (*names, UNCLASSIFIED) if name in occurring)
    counts = np.array([[pairs[t, n] for n in order] for t in order], np.int64)
    return Agreement(order, counts.reshape(len(order), len(order)))
