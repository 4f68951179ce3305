"""The leak guard: tells before a training whether a cell, picture or patient is on both sides of a score."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.stats.contingency import association

from smearscan.classification.crops import cut_crops
from smearscan.errors import LeakError
from smearscan.experiments.near_duplicates import SIDE, SIDE_UM, Pair, same_cells
from smearscan.io.decode import read_image
from smearscan.training.cells import Progress, load_crops
from smearscan.training.packed import is_pack

CRAMERS_V_LIMIT = 0.6
"""Cramer's V (0 to 1) between class and site from which the site alone says much of the class."""

_COPY_NAME = re.compile(
    r"^_\d+_\d+$|\.rf\.[0-9a-z]+$|[_-](aug|augmented|rot|rotated|[hv]?flip|flipped|copy)[_-]?\d*$", re.I
)
"""Names without suffix as Keras (_ORIGINAL_RANDOM: the augmented BCCD), Roboflow and scripts write them."""
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of leak.

    Attributes
    ----------
    kind : str
        ``group``, ``same file``, ``same cell``, ``turned copy``, ``copy by name`` or ``site``.
    severity : str
        ``leak``: scores over these folds are too good; ``caution``: they may mislead.
    count : int
        Pairs, groups, pictures or classes found.
    words : str
        What was found, and the cure, as sentences.
    examples : tuple of tuple of str
        Some of the pictures or groups.
    """

    kind: str
    severity: Literal["leak", "caution"]
    count: int
    words: str
    examples: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Leaks:
    """What the guard found; `pairs` are the rows of the table that show one cell in two folds."""

    findings: tuple[Finding, ...]
    pairs: tuple[Pair, ...] = ()

    @property
    def leaked(self) -> bool:
        """Whether any finding makes scores too good."""
        return any(one.severity == "leak" for one in self.findings)

    def text(self) -> str:
        """Say it in words."""
        if not self.findings:
            return "No cell, picture or group is on both sides, and no class is known by its site."
        return "\n".join(f"{one.severity.upper()}: {one.words}" for one in self.findings)


def find_leaks(
    table: pd.DataFrame, root: Path, fold: str = "fold", progress: Progress | None = None
) -> Leaks:
    """Look for what is in two folds at once.

    Parameters
    ----------
    table : DataFrame
        Located cells: ``image, group, site, um_per_px, x0, y0, x1, y1``, the fold, ``target`` or ``class``.
        Cells of different folds are train and test to each other; the fold ``train`` is only trained on.
    root : Path
        What ``image`` is relative to.
    fold : str
        Column of the folds.
    progress : callable, optional
        Called with a word after each picture that is read.

    Raises
    ------
    ImageError
        If a picture cannot be read.
    """
    table = table.reset_index(drop=True)
    folds = table[fold].to_numpy(str)
    gray, digests = _pictures(table, root, progress)
    findings = [*_groups(table, folds), *_same_files(table, folds, digests)]
    group = table["group"].astype(str).to_numpy()

    def of_interest(i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.bool_]:
        # what one file, or one group, already tells is not told again
        apart: NDArray[np.bool_] = (
            (folds[i] != folds[j]) & (digests[i] != digests[j]) & (group[i] != group[j])
        )
        return apart

    pairs = same_cells(gray, table["site"].to_numpy(str), of_interest)
    findings += [*_same_cells(table, pairs), *_by_name(table, folds), *_sites(table)]
    return Leaks(tuple(findings), tuple(pairs))


def require_clean(leaks: Leaks, allow: bool) -> None:
    """Refuse leaked folds unless they are allowed.

    Raises
    ------
    LeakError
        With what was found and the cure.
    """
    if leaks.leaked and not allow:
        raise LeakError(
            f"these folds leak, nothing was scored:\n{leaks.text()}\n"
            "Mend the groups (smearscan dataset leaks CELLS --regroup OUT.csv), or give --allow-leaks to "
            "score all the same: the table is then marked"
        )


def regrouped(table: pd.DataFrame, root: Path, progress: Progress | None = None) -> tuple[pd.DataFrame, int]:
    """Join the groups that show one cell, so that any split by group keeps its pictures together.

    A joined group is named ``SITE/GROUP`` of its first row, whose ``split`` it has, too, where there is one.

    Returns
    -------
    DataFrame
        The table with new ``group`` (and ``split``).
    int
        How many groups were joined to another.
    """
    table = table.reset_index(drop=True)
    gray, digests = _pictures(table, root, progress)
    group = (table["site"] + "/" + table["group"].astype(str)).to_numpy()
    pairs = same_cells(gray, table["site"].to_numpy(str), lambda i, j: group[i] != group[j])
    links = [(one.first, one.second) for one in pairs]
    for key in (digests, group):
        _, first, code = np.unique(key, return_index=True, return_inverse=True)
        links += list(zip(first[code].tolist(), range(len(table)), strict=True))
    rows = np.array(links).T
    n = len(table)
    graph = coo_array((np.ones(rows.shape[1]), tuple(rows)), shape=(n, n))
    parcel = connected_components(graph, directed=False)[1]
    _, first = np.unique(parcel, return_index=True)
    lead = first[parcel]
    joined = len(np.unique(group)) - len(first)
    several = pd.Series(group).groupby(parcel).transform("nunique").to_numpy() > 1
    # with the site: a picture's number may be another picture's at another site
    table = table.assign(group=np.where(several, group[lead], table["group"]))
    if "split" in table:
        table = table.assign(split=table["split"].to_numpy()[lead])
    return table, joined


def _pictures(
    table: pd.DataFrame, root: Path, progress: Progress | None
) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Gray picture of every cell, (N, 64, 64), and a digest of its picture's pixels, (N,).

    A pack holds no pictures: the digest is that of the cell's crop.
    """
    gray, digests = np.empty((len(table), SIDE, SIDE), np.uint8), np.empty(len(table), "U32")
    if is_pack(root):
        crops = load_crops(table, root, SIDE_UM, SIDE)
        for i, crop in enumerate(crops):
            gray[i] = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
            digests[i] = hashlib.blake2b(crop.tobytes(), digest_size=16).hexdigest()
        return gray, digests
    box = table[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
    scale = table["um_per_px"].to_numpy(np.float64)
    for name, rows in table.groupby("image", sort=False).indices.items():
        image = read_image(root / str(name))
        pixels = np.array(image.shape).tobytes() + image.tobytes()
        digest = hashlib.blake2b(pixels, digest_size=16).hexdigest()
        for i in rows:
            crop = cut_crops(image, box[i : i + 1], float(scale[i]), SIDE_UM, SIDE)[0]
            gray[i] = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
            x, y = box[i, :2].round()
            digests[i] = digest if len(rows) == 1 else f"{digest[:20]}{x:.0f}{y:.0f}"
        if progress:
            progress(str(name))
    return gray, digests


def _groups(table: pd.DataFrame, folds: NDArray[np.str_]) -> Iterator[Finding]:
    """Find groups that lie in several folds."""
    count = pd.Series(folds).groupby(table["group"].astype(str).to_numpy()).nunique()
    if len(across := count.index[count > 1]):
        words = (
            f"{len(across)} of {len(count)} groups (patients, slides or originals) lie in several folds, for "
            f"example {', '.join(across[:_SHOWN])}. Split by the column 'group', never by picture."
        )
        yield Finding("group", "leak", len(across), words, tuple((str(name),) for name in across[:10]))


def _same_files(table: pd.DataFrame, folds: NDArray[np.str_], digests: NDArray[np.str_]) -> Iterator[Finding]:
    """Find pictures of the same pixels in several folds."""
    image = table["image"].to_numpy(str)
    found = []
    for rows in pd.Series(digests).groupby(digests).indices.values():
        if len(rows) > 1 and len(np.unique(folds[rows])) > 1:
            found.append(tuple(np.unique(image[rows]).tolist()))
    if found:
        words = (
            f"{len(found)} pictures are in several folds pixel by pixel, for example {_named(found)}. Keep "
            "one of each, or give its copies one group."
        )
        yield Finding("same file", "leak", len(found), words, tuple(found[:10]))


def _same_cells(table: pd.DataFrame, pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Tell pictures of one cell in two folds, upright or turned."""
    image, site = table["image"].to_numpy(str), table["site"].to_numpy(str)
    told = {
        "same cell": "show the same cell in two folds (another size, encoding or cut of it)",
        "turned copy": "show a cell turned or mirrored in two folds (augmented copies of one original)",
    }
    for kind, say in told.items():
        own = [one for one in pairs if one.turned == (kind == "turned copy")]
        if not own:
            continue
        names = [(str(image[one.first]), str(image[one.second])) for one in own]
        between = sorted({" and ".join(sorted({site[one.first], site[one.second]})) for one in own})
        words = (
            f"{len(own)} pairs of pictures {say}, in {', '.join(between)}; for example {_named(names)}. Give "
            "the pictures of one original one group (--regroup does it), and augment after the split."
        )
        yield Finding(kind, "leak", len(own), words, tuple(names[:10]))


def _by_name(table: pd.DataFrame, folds: NDArray[np.str_]) -> Iterator[Finding]:
    """Find file names as augmenting scripts write them, each its own group."""
    stems = table["image"].map(lambda name: Path(str(name)).stem)
    hit = stems.map(lambda stem: bool(_COPY_NAME.search(stem))).to_numpy()
    alone = hit & (table.groupby("group")["group"].transform("size") == 1).to_numpy()
    if alone.sum() > max(5, len(table) / 20) and len(np.unique(folds[alone])) > 1:
        names = table.loc[alone, "image"].astype(str).tolist()
        words = (
            f"{int(alone.sum())} pictures are named as augmented copies are ({', '.join(names[:_SHOWN])}), "
            "and each is a group of its own. If they are copies, give those of one original one group, or "
            "take the originals."
        )
        yield Finding("copy by name", "caution", int(alone.sum()), words, tuple((n,) for n in names[:10]))


def _sites(table: pd.DataFrame) -> Iterator[Finding]:
    """Tell whether the site alone tells the class."""
    kind = table["target" if "target" in table else "class"]
    known = (kind.astype(str) != "-1").to_numpy()
    counts = pd.crosstab(table["site"][known], kind[known])
    if min(counts.shape) < 2:
        return
    v = float(association(counts.to_numpy(), method="cramer"))
    every = bool(((counts > 0).sum(axis=1) == 1).all())
    if every or v >= CRAMERS_V_LIMIT:
        words = (
            f"the site alone tells {'the' if every else 'much of the'} class (Cramer's V {v:.2f}, 1 is "
            f"fully; limit {CRAMERS_V_LIMIT}): a net may learn camera and stain in place of the cell. "
            "Bring cells of every class from each site, or score within sites."
        )
        yield Finding("site", "leak" if every else "caution", len(counts), words)


def _named(examples: Sequence[tuple[str, ...]]) -> str:
    return "; ".join(" = ".join(one) for one in examples[:_SHOWN])
