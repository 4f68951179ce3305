"""Single cells for training and measuring a classifier: a class-per-folder tree or a CSV manifest."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from smearscan.classification.crops import cut_crops
from smearscan.detection.detector import Detector
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image
from smearscan.io.tables import TextTable, read_table
from smearscan.results import Scale
from smearscan.rulers.scale import measure_scale
from smearscan.scan.single_cells import central_cell, measure_crops
from smearscan.taxonomy.cell_names import fold_name, known_as
from smearscan.training.class_tree import read_tree
from smearscan.training.packed import PackedCells, is_pack

MANIFEST = "manifest.csv"
_SPLITS = ("train", "val", "test")
ROOM = 1.42
"""Cells are kept with this much surroundings (a square's diagonal), so that turning needs no filling."""
_BOX = ["x0", "y0", "x1", "y1"]
Progress = Callable[[str], None]
"""Called with a word after each picture."""


def read_manifest(path: Path) -> pd.DataFrame:
    """Read a CSV manifest: ``image, class``, where known ``group, site, split, um_per_px, x0, y0, x1, y1``.

    Names (of sites and groups, too) stay text; a file saved by Excel is read as it is.

    Raises
    ------
    DatasetError
        If a required column is missing or a value is empty; the lines are named.
    """
    text = read_table(path, ("image", "class", "group", "site", "split", "um_per_px", *_BOX))
    text.refuse_repeated_columns()
    text.need(("image", "class"), "a manifest is image,class[,group]")
    for column in (c for c in ("image", "class", "group", "site", "split") if c in text):
        empty = [line for line, cell in zip(text.lines, text.column(column), strict=True) if not cell]
        if empty:
            more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
            cure = "a manifest is image,class[,group]"
            if column not in ("image", "class"):
                cure = "fill it in, or leave the column out"
            told = f"is empty in line {', '.join(map(str, empty[:5]))}{more}"
            raise DatasetError(f"{path}: the column {column!r} {told}; {cure}")
    table = text.to_frame([name for name in ("um_per_px", *_BOX) if name in text])
    _check_rows(text, table)
    if "group" not in table:
        table["group"] = table["image"]
    if "site" not in table:
        table["site"] = path.stem
    return table


def root_of(source: Path, data: Path | None) -> Path:
    """Tell where a manifest's pictures are: in `data`, else in its folder; those of a pack in itself."""
    return data or (source if source.is_dir() or is_pack(source) else source.parent)


def _check_rows(text: TextTable, table: pd.DataFrame) -> None:
    """Refuse a row that would be read otherwise than it was meant."""
    if "split" in table:
        for row, name in enumerate(text.column("split")):
            if name not in _SPLITS:
                raise text.refusal(
                    row, f"split is {name!r}, none of {', '.join(_SPLITS)}; write one of these"
                )
    if "um_per_px" in table:
        for at in np.flatnonzero(table["um_per_px"].to_numpy() <= 0).tolist():
            raise text.refusal(at, "um_per_px must be more than 0; leave it empty to have it measured")
    if given := [c for c in _BOX if c in table]:
        corners = table[given].to_numpy()
        known = ~np.isnan(corners)
        for at in np.flatnonzero(
            known.any(axis=1) & ~(known.all(axis=1) & (len(given) == len(_BOX)))
        ).tolist():
            raise text.refusal(at, "only a part of the box is given; x0, y0, x1, y1 belong together")
        if len(given) == len(_BOX):
            for at in np.flatnonzero((corners[:, 2:] <= corners[:, :2]).any(axis=1)).tolist():
                raise text.refusal(at, "x1 and y1 of the box must be greater than x0 and y0")


def _check_pictures(table: pd.DataFrame, root: Path, source: Path) -> None:
    """Refuse a table whose pictures are elsewhere, before any work is done."""
    gone = [name for name in table["image"].unique() if not (root / name).is_file()]
    if gone:
        raise DatasetError(
            f"{source}: {int(table['image'].isin(gone).sum())} of {len(table)} rows name pictures that are "
            f"not below {root}, the first {gone[0]!r}; correct the names, or give their folder with --data"
        )


def read_cells(
    source: Path,
    root: Path,
    detector: Path | None,
    um_per_px: float | None,
    seed: int,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Read a tree or manifest and complete it: split, scale and box of every cell.

    Parameters
    ----------
    source : Path
        Folder of classes, or CSV manifest, or a folder that holds ``manifest.csv``; or a pack
        (:mod:`smearscan.training.packed`), which is complete.
    root : Path
        What ``image`` is relative to.
    detector : Path or None
        Detector pair for cells without a box; None takes the shipped one.
    um_per_px : float or None
        Scale of pictures that tell none; None measures a manifest's pictures each alone, those of a tree
        together (:func:`smearscan.scan.single_cells.measure_crops`).
    seed : int
        Of the split, where the manifest has none.
    """
    if is_pack(source):
        return PackedCells.open(source).table
    if (source / MANIFEST).is_file():  # a folder that 'smearscan corrections apply' made
        source = source / MANIFEST
    table = read_tree(source) if source.is_dir() else read_manifest(source)
    if not is_pack(root):
        _check_pictures(table, root, source)
    if um_per_px is not None:
        table["um_per_px"] = table["um_per_px"].fillna(um_per_px) if "um_per_px" in table else um_per_px
    if "split" not in table:
        table = with_split(table, seed)
    if all(c in table for c in ("um_per_px", *_BOX)) and not table[["um_per_px", *_BOX]].isna().any(
        axis=None
    ):
        return table
    found = Detector.load(detector)
    if "um_per_px" not in table and source.is_dir():
        scales = measure_crops(found, [root / name for name in table["image"]])
        table["um_per_px"] = [scale.um_per_px for scale in scales]
    return locate(table, root, found, progress)


def with_split(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Split 70/15/15 by group, classes alike in each part as far as groups allow.

    Raises
    ------
    DatasetError
        If there are fewer groups than parts, or a class has none to learn from.
    """
    folds = StratifiedGroupKFold(7, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():  # a class of fewer than seven cells is judged below
            warnings.simplefilter("ignore", UserWarning)
            parts = [test for _, test in folds.split(table, table["class"], table["group"])]
    except ValueError as error:
        raise DatasetError(f"too few cells or groups to split ({error}); give a column 'split'") from error
    split = np.full(len(table), "train", dtype=object)
    split[parts[0]], split[parts[1]] = "val", "test"
    lost = sorted(set(table["class"]) - set(table["class"][split == "train"]))
    if lost:
        raise DatasetError(
            f"class {lost[0]!r} has too few cells or groups to learn from; add some, leave it out, "
            "or give a manifest with a column 'split'"
        )
    return table.assign(split=split)


def with_targets(
    table: pd.DataFrame, classes: tuple[str, ...], synonyms: Mapping[str, str | tuple[str, ...] | None]
) -> pd.DataFrame:
    """Add the column ``target``, the index of the class; leave out cells whose name means none.

    A name may mean one of several classes (a partial label). Each such set of classes gets a number of its
    own, from ``len(classes)`` on, and the column ``allowed`` tells the indices of the classes that each cell
    may be (see :mod:`smearscan.training.partial`).

    Parameters
    ----------
    table : DataFrame
        Column ``class``.
    classes : tuple of str
    synonyms : mapping
        Folded name (or ``site/name``, which goes before) -> class, classes, or None to leave the cell out.

    Raises
    ------
    DatasetError
        If a name is in no list: a class is never guessed.
    """
    own = {fold_name(name): name for name in classes}
    known: dict[str, str | tuple[str, ...] | None] = {**own, **synonyms}
    # "blast?" is no blast: it stays as it is, and is not known
    folded = {name: name if "?" in name else fold_name(name) for name in table["class"].unique()}
    names = table["class"].map({name: known_as(name, known) or plain for name, plain in folded.items()})
    full = table["site"] + "/" + table["class"].map(folded)
    unknown = sorted(set(names[~names.isin(list(known)) & ~full.isin(list(known))]))
    if unknown:
        told = (
            f"class {unknown[0]!r} is"
            if len(unknown) == 1
            else f"classes {', '.join(map(repr, unknown))} are"
        )
        raise DatasetError(
            f"{told} not known; map each to one of {', '.join(classes)} (or to null) under 'synonyms'"
        )
    meant = [_as_set(known[f] if f in known else known[n]) for f, n in zip(full, names, strict=True)]
    kept = np.array([bool(one) for one in meant], bool)
    table, meant = table[kept], [one for one in meant if one]
    left_out = sorted({name for one in meant for name in one} - set(classes))
    if left_out:
        raise DatasetError(
            f"class {left_out[0]!r} is not among {', '.join(classes)}; "
            "add it under 'classes', or map its cells to null under 'synonyms'"
        )
    coarse = sorted({one for one in meant if len(one) > 1})
    number: dict[tuple[str, ...], int] = {(name,): k for k, name in enumerate(classes)}
    number |= {one: len(classes) + i for i, one in enumerate(coarse)}
    table = table.assign(target=np.array([number[one] for one in meant], np.int64))
    if coarse:
        table = table.assign(allowed=["|".join(str(classes.index(name)) for name in one) for one in meant])
    return table.reset_index(drop=True)


def _as_set(meant: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if meant is None else (meant,) if isinstance(meant, str) else tuple(sorted(set(meant)))


def locate(
    table: pd.DataFrame, root: Path, detector: Detector, progress: Progress | None = None
) -> pd.DataFrame:
    """Fill in scale and box where a manifest has none: the leukocyte nearest the middle of its picture.

    A picture without a known scale is measured alone by the ruler. Where no leukocyte is found, the box is
    the middle of the picture, 13 um wide, so that nothing is left out silently.

    Returns
    -------
    DataFrame
        With ``um_per_px, x0, y0, x1, y1`` complete and ``located`` (``given``, ``detected`` or ``middle``).
    """
    table = table.reindex(columns=[*table.columns, *(c for c in ("um_per_px", *_BOX) if c not in table)])
    values = table[["um_per_px", *_BOX]].to_numpy(np.float64, copy=True)
    how = []
    for i, name in enumerate(table["image"]):
        if not np.isnan(values[i]).any():
            how.append("given")
            continue
        image = read_image(root / name)
        scale = Scale(values[i, 0], "given") if values[i, 0] > 0 else measure_scale(detector, [image])
        cell = central_cell(detector, image, scale).leukocytes
        how.append("middle" if np.isnan(cell.scores[0]) else "detected")
        values[i] = [scale.um_per_px, *cell.xyxy[0].round(1)]
        if progress:
            progress(name)
    return table.assign(**dict(zip(["um_per_px", *_BOX], values.T, strict=True)), located=how)


def load_crops(
    table: pd.DataFrame, root: Path, crop_um: float, crop_px: int, progress: Progress | None = None
) -> NDArray[np.uint8]:
    """Cut the crop of every row, (N, crop_px, crop_px, 3) uint8 RGB; `root` is a folder or a pack."""
    if is_pack(root):
        return PackedCells.open(root).crops(table, crop_um, crop_px)
    out = np.empty((len(table), crop_px, crop_px, 3), np.uint8)
    box = table[_BOX].to_numpy(np.float32)
    scale = table["um_per_px"].to_numpy(np.float64)
    for name, rows in table.groupby("image", sort=False).indices.items():
        image = read_image(root / str(name))  # once, however many cells it shows
        for i in rows:
            out[i] = cut_crops(image, box[i : i + 1], float(scale[i]), crop_um, crop_px)[0]
            if progress:
                progress(str(name))
    return out
