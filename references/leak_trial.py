"""Tries the leak guard on leaks that are known: one picture in two data sets, augmented copies, and none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from references.published_sets import overlapping_cells
from smearscan.classification.crops import cut_crops
from smearscan.differential.statistics.estimates import share
from smearscan.errors import DatasetError
from smearscan.experiments.leak_guard import Leaks, find_leaks
from smearscan.io.decode import read_image, write_image

FOLDS = 5
COPIES = 2
ORIGINALS = 150
_WIDE_UM, _WIDE_PX = 30.0, 240


def known_leaks(cells: pd.DataFrame, root: Path, work: Path, seed: int = 0) -> dict[str, Any]:
    """Measure what the guard finds of known leaks.

    Parameters
    ----------
    cells : DataFrame
        Located manifest of the published sets.
    root : Path
        What ``image`` is relative to.
    work : Path
        Folder for augmented copies.
    seed : int

    Returns
    -------
    dict
        ``sets``: BCCD, PBC and the TXL fields cut from PBC's pictures, split by picture: how many of the
        pictures known to be in both and to lie in two folds are found, and what else. ``copies``: cells of
        BCCD with augmented copies, split by picture. ``clean``: the same, split by original.
    """
    rng = np.random.default_rng(seed)
    sets = cells[cells["site"].isin(["bccd", "pbc"])]
    if sets["site"].nunique() < 2:
        raise DatasetError("this trial needs the cells of bccd and pbc in the manifest")
    both = pd.concat([sets, overlapping_cells(root)], ignore_index=True)
    copies = pd.DataFrame(_augmented(sets[sets["site"] == "bccd"], root, work, rng))
    found = {}
    for name, table, place in (("sets", both, root), ("copies", copies, work)):
        # what every picture is taken from is hidden from the guard: each is a group of its own
        blind = table.assign(
            group=np.arange(len(table)).astype(str), fold=rng.integers(FOLDS, size=len(table))
        )
        found[name] = _told(find_leaks(blind, place), table["group"].to_numpy(str), blind["fold"].to_numpy())
    by_original = copies["group"].map(lambda name: int(name) % FOLDS)
    found["clean"] = _told(
        find_leaks(copies.assign(fold=by_original), work),
        copies["group"].to_numpy(str),
        by_original.to_numpy(),
    )
    return found


def _told(leaks: Leaks, original: NDArray[np.str_], folds: NDArray[np.int64]) -> dict[str, Any]:
    """Set what was found beside what is known: pairs of one original in two folds."""
    groups = pd.Series(original).groupby(original).indices.values()
    known = {(int(a), int(b)) for own in groups for a in own for b in own if a < b and folds[a] != folds[b]}
    pairs = {(one.first, one.second) for one in leaks.pairs}
    torn, seen = ({original[a] for a, _ in these} for these in (known, pairs & known))
    return {
        "leaked": leaks.leaked,
        "pictures": len(original),
        "known_pairs_found": share(len(pairs & known), len(known)),
        "known_originals_found": share(len(seen), len(torn)),
        "other_pairs": len(pairs - known),
        "words": leaks.text(),
    }


def _augmented(
    cells: pd.DataFrame, root: Path, work: Path, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    """Write cells and copies of them: turned, mirrored, moved, resized, recolored, re-encoded."""
    work.mkdir(parents=True, exist_ok=True)
    picked = cells.sample(min(ORIGINALS, len(cells)), random_state=0).reset_index(drop=True)
    for number, row in picked.iterrows():
        box = np.array([[row["x0"], row["y0"], row["x1"], row["y1"]]], np.float32)
        wide = cut_crops(read_image(root / row["image"]), box, row["um_per_px"], _WIDE_UM, _WIDE_PX)[0]
        for copy in range(COPIES + 1):
            name = f"{number}_{copy}.jpg"
            write_image(work / name, _changed(wide, rng) if copy else wide, quality=75 if copy else 95)
            middle = _WIDE_PX / 2
            half = 6.5 / _WIDE_UM * _WIDE_PX
            yield {
                "image": name, "class": row["class"], "group": str(number), "site": "bccd",
                "um_per_px": _WIDE_UM / _WIDE_PX, "x0": middle - half, "y0": middle - half,
                "x1": middle + half, "y1": middle + half,
            }  # fmt: skip


def _changed(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    turn = cv2.getRotationMatrix2D(
        (_WIDE_PX / 2, _WIDE_PX / 2), rng.uniform(0, 360), float(rng.uniform(0.9, 1.1))
    )
    turn[:, 2] += rng.uniform(-0.03, 0.03, 2) * _WIDE_PX
    out = cv2.warpAffine(picture, turn, (_WIDE_PX, _WIDE_PX), borderMode=cv2.BORDER_REFLECT)
    if rng.random() < 0.5:
        out = out[:, ::-1]
    light = out.astype(np.float32) * rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3) + rng.uniform(-15, 15)
    return np.asarray(np.clip(light, 0, 255), np.uint8)
