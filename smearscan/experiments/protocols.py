"""Who is trained on and who is scored: hold-out, k-fold, leave-one-dataset-out; by group, classes alike."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from smearscan.errors import DatasetError
from smearscan.training.cells import with_split
from smearscan.training.config import ClassifierTraining
from smearscan.training.train_classifier import prepared

Rows = NDArray[np.int64]
INNER_FOLDS = 8
"""One of so many parts of what is trained on sets temperature and threshold, and is not trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One training with its test.

    Attributes
    ----------
    name : str
        Names the folder of its runs.
    train, val, test : ndarray, (N,) int64
        Row numbers of the table; order matters to a seeded training. `val` sets temperature and threshold.
    taught : ndarray, (C,) int64, optional
        Classes that can be learned from what is trained on; None: all that there are.
    """

    name: str
    train: Rows
    val: Rows
    test: Rows
    taught: Rows | None = None


def with_classes(table: pd.DataFrame, config: ClassifierTraining) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give every cell its target and tell apart groups that share a name by chance.

    Where the group is the picture itself, as in sets that name no patient, ``001.jpg`` of one site is not
    ``001.jpg`` of another. Any other group that two sites have is taken for the same patient or slide.

    Parameters
    ----------
    table : DataFrame
        ``image, class, group, site`` and what :func:`smearscan.training.cells.read_cells` completes.
    config : ClassifierTraining

    Returns
    -------
    DataFrame
        All rows with ``cell``, the row's number in the manifest, and ``target``, -1 where the net does not
        learn the cell's class (or site).
    tuple of str
        Classes.
    """
    table = table.reset_index(drop=True).assign(cell=np.arange(len(table)))
    learned, classes = prepared(table, config)
    learned = learned.set_index("cell")
    target = learned["target"].reindex(table["cell"], fill_value=-1).to_numpy()
    if "allowed" in learned:
        table["allowed"] = learned["allowed"].reindex(table["cell"]).to_numpy()
    pictures = table["image"].map(lambda name: {PurePosixPath(name).name, PurePosixPath(name).stem})
    named_so = np.array([group in own for group, own in zip(table["group"], pictures, strict=True)])
    shared = table.groupby("group")["site"].transform("nunique") > 1
    scoped = table["site"] + "/" + table["group"].astype(str)
    return table.assign(target=target, group=table["group"].mask(shared & named_so, scoped)), classes


def holdout(table: pd.DataFrame, seed: int) -> list[Split]:
    """Split once, 70/15/15 by group (:func:`smearscan.training.cells.with_split`); each seed its own."""
    learned = np.flatnonzero(table["target"] >= 0)
    with warnings.catch_warnings():
        _ignore_rare_classes()
        parts = with_split(table.iloc[learned].assign(**{"class": table["target"].iloc[learned]}), seed)
    rows = {part: learned[(parts["split"] == part).to_numpy()] for part in ("train", "val", "test")}
    return [Split("holdout", **rows)]


def kfold(
    table: pd.DataFrame, k: int, seed: int, site: str | None = None, scored: Sequence[Collection[str]] = ()
) -> list[Split]:
    """Fold by group; each group is scored once, by a net that never saw it.

    Parameters
    ----------
    table : DataFrame
        See :func:`with_classes`.
    k : int
    seed : int
        Of the folds and of the validation groups within them.
    site : str, optional
        Only this site's groups are folded and scored, cells of classes that the net does not learn with
        them; cells of other sites whose ``split`` is ``train`` help in every fold. Of a site with few groups
        all are trained on, and cells of other sites whose ``split`` is ``val`` set temperature and threshold.
    scored : sequence of collection of str, optional
        Groups of each fold, in place of `k` folds drawn by `seed`: those of runs that these start from.

    Raises
    ------
    DatasetError
        If there are fewer groups than folds, or none of the `scored` ones holds a group that there is.
    """
    learned = (table["target"] >= 0).to_numpy()
    here = (table["site"] == site).to_numpy() if site else learned
    own = np.flatnonzero(here & learned)
    groups = table["group"].to_numpy()
    if not scored and (found := len(np.unique(groups[own]))) < k:
        place = f"site {site!r}" if site else "the manifest"
        raise DatasetError(f"{place} has {found} groups, fewer than {k} folds; take fewer --folds")
    if scored and (unscored := sorted(set(groups[own].tolist()).difference(*scored))):
        raise DatasetError(
            f"the runs that these start from scored {len(set[str]().union(*scored))} groups, and not "
            f"{unscored[0]!r}: {len(unscored)} groups would never be scored; take the same cells and --site"
        )
    others = ~here & learned & ~np.isin(groups, groups[own])
    helps = others & (table["split"] == "train").to_numpy()
    splits = []
    tests = [np.isin(groups[own], list(fold)) for fold in scored]
    parts = [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tests] or _folds(table, own, k, seed)
    for i, (rest, test) in enumerate(parts):
        learns, checks = own[rest], np.flatnonzero(others & (table["split"] == "val").to_numpy())
        if not site or not len(checks) or len(np.unique(groups[learns])) >= INNER_FOLDS:
            taught, checked = _folds(table, learns, INNER_FOLDS, seed)[0]
            learns, checks = learns[taught], learns[checked]
        judged = np.flatnonzero(here & np.isin(groups, groups[own[test]]))
        train = np.concatenate([learns, np.flatnonzero(helps)])
        splits.append(Split(f"fold{i}", train, checks, judged))
    return splits


def lodo(table: pd.DataFrame, min_cells: int = 20, sites: Sequence[str] = ()) -> list[Split]:
    """Leave one data set (site) out at a time, and score all of it.

    Trained on are the rows of all other sites whose ``split`` is ``train`` or ``test``; those of ``val`` set
    temperature and threshold. Scored are the cells of classes of which the site has at least `min_cells`. A
    site with fewer than two such classes is never scored and helps every net. Sites that share a group are
    left out together, so that no patient is on both sides. With `sites` given, only those are left out;
    ``a+b`` leaves both out of one training, which is fewer trainings and harder.

    A class of which no other site has `min_cells` cannot be learned: its cells are scored, but it is not
    among the `taught` classes of the split, so that figures can be told with and without it.

    Raises
    ------
    DatasetError
        If no site can be scored, or nothing is left to train on.
    """
    learned = (table["target"] >= 0).to_numpy()
    size = table[learned].groupby(["site", "target"])["image"].transform("size")
    enough = pd.Series(False, index=table.index)
    enough[size.index] = size >= min_cells
    kinds = table[enough].groupby("site")["target"].nunique()
    scored = table["site"].isin(kinds.index[kinds >= 2]).to_numpy() & enough.to_numpy()
    wanted = [name for one in sites for name in one.split("+")]
    scored &= table["site"].isin(wanted).to_numpy() if sites else True
    if not scored.any():
        raise DatasetError(
            f"no {'such ' if sites else ''}site has two classes with {min_cells} cells each; "
            "lower --min-cells or use --protocol kfold"
        )
    checks = (table["split"] == "val").to_numpy()
    splits = []
    for parcel in _together(table[learned], [one.split("+") for one in sites]):
        out = table["site"].isin(parcel).to_numpy()
        if (out & scored).any():
            train, val = (np.flatnonzero(learned & ~out & part) for part in (~checks, checks))
            if not len(train) or not len(val):
                raise DatasetError(
                    f"without {'+'.join(parcel)} no cell is left to train on or to validate with; "
                    "leave-one-dataset-out needs sites that share no group"
                )
            taught = np.unique(table["target"].to_numpy()[enough.to_numpy() & ~out])
            splits.append(Split("+".join(parcel), train, val, np.flatnonzero(out & scored), taught))
    return splits


def assign_folds(table: pd.DataFrame, splits: Sequence[Split]) -> pd.DataFrame:
    """Name the fold of every row that takes part, for the leak guard.

    Returns
    -------
    DataFrame
        The rows of the table that any split uses, with ``fold``: the split that scores the row, or whose net
        is kept from it; ``train`` where every net learns it.
    """
    fold = np.full(len(table), None, dtype=object)
    uses = np.zeros((len(splits), len(table)), bool)
    for i, split in enumerate(splits):
        uses[i, np.concatenate([split.train, split.val])] = True
    kept_from = np.array([split.name for split in splits], dtype=object)[uses.argmin(axis=0)]
    fold[uses.any(axis=0)] = kept_from[uses.any(axis=0)]
    fold[uses.all(axis=0)] = "train"
    for split in splits:
        fold[split.test] = split.name
    return table.assign(fold=fold)[pd.notna(fold)]


def _folds(table: pd.DataFrame, rows: Rows, k: int, seed: int) -> list[tuple[Rows, Rows]]:
    part = table.iloc[rows]
    with warnings.catch_warnings():
        _ignore_rare_classes()
        return list(
            StratifiedGroupKFold(k, shuffle=True, random_state=seed).split(
                part, part["target"], part["group"]
            )
        )


def _ignore_rare_classes() -> None:
    # a class of fewer cells than folds is in some folds only; the figures count what is there
    warnings.filterwarnings("ignore", "The least populated class", UserWarning)


def _together(table: pd.DataFrame, joined: Sequence[Sequence[str]] = ()) -> list[list[str]]:
    """Sites in parcels: those that share a group, or are `joined`, are in one."""
    sites, site = np.unique(table["site"].to_numpy(str), return_inverse=True)
    groups, group = np.unique(table["group"].to_numpy(str), return_inverse=True)
    number = {name: k for k, name in enumerate(sites.tolist())}
    pairs = [(number[one[0]], number[name]) for one in joined for name in one[1:]]
    ends = np.array(pairs, np.int64).reshape(-1, 2)
    rows, columns = np.r_[site, ends[:, 0]], np.r_[len(sites) + group, ends[:, 1]]
    n = len(sites) + len(groups)
    links = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    parcel = connected_components(links, directed=False)[1][: len(sites)]
    return [sites[parcel == p].tolist() for p in dict.fromkeys(parcel)]
