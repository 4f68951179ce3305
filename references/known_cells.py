"""How the cells are stained that a classifier learned from, and which slides are unlike them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from references.doubt_rates import published_slides, spread
from smearscan.classification import cut_crops
from smearscan.detection import Detector
from smearscan.io import read_image
from smearscan.rulers import measure_scale
from smearscan.rulers.stain import measure_cells
from smearscan.rulers.unlike_cells import FEWEST_COMPARED, count_unlike, standing_apart
from smearscan.training.cells import Progress, load_crops
from smearscan.weights import ClassifierCard, KnownCells

Floats, Ints = NDArray[np.float64], NDArray[np.int64]
Rgb = NDArray[np.uint8]

ONE_IN = 100
"""Of the cells of the training sites one in so many lies beyond the distance, of their slides one in so many
is in doubt."""
PER_SITE = 300
"""Each site tells so many cells, at most: a large one decides no more than a small one."""
_BLOCK = 25
"""Sites that tell no slide are read as slides of so many cells."""
_MOST_CELLS = 2000
_FIELDS = 24


def known_cells(
    table: pd.DataFrame, root: Path, card: ClassifierCard, progress: Progress | None = None
) -> tuple[KnownCells, dict[str, Any]]:
    """Fit the distribution to the training part of the card's sites; judge it by all other cells.

    Parameters
    ----------
    table : DataFrame
        Located cells, with sites that the network never saw.
    root : Path
        Folder or pack of their pictures.
    card : ClassifierCard
        Tells which sites the network learned from.

    Returns
    -------
    known : KnownCells
    figures : dict
        By site: slides in doubt, of how many; for sites never seen with the area under the curve of a slide's
        share of unlike cells, against slides of the training sites that were held out. The same for these
        with their colors changed.
    """
    learned = {key.removesuffix("/train") for key in card.training.get("data", {}) if key.endswith("/train")}
    table = pd.concat([own.iloc[:_MOST_CELLS] for _, own in table.groupby(["site", "split"])])
    table = table.reset_index(drop=True)
    crops = load_crops(table, root, card.crop_um, card.crop_px, progress)
    densities = measure_cells(crops, card.crop_um).reshape(-1, 6)
    is_known = table["site"].isin(learned).to_numpy()
    is_train = is_known & (table["split"] == "train").to_numpy()
    slides = _slides_of(table)
    known = _fitted(densities, table["site"].to_numpy(str), is_train, slides)
    held_out = is_known & ~is_train
    sound = _shares(known, densities, slides, held_out)
    figures: dict[str, Any] = {
        "cells": int(is_train.sum()),
        "sites": sorted(learned & set(table["site"])),
        "training_slides": _told(_shares(known, densities, slides, is_train), known),
        "held_out": {
            site: _told(
                _shares(known, densities, slides, held_out & (table["site"] == site).to_numpy()), known
            )
            for site in sorted(learned & set(table["site"]))
        },
        "never_seen": {
            site: _against(
                _shares(known, densities, slides, (table["site"] == site).to_numpy()), sound, known
            )
            for site in sorted(set(table["site"]) - learned)
        },
        "colors_changed": {},
    }
    for name, change in _CHANGES.items():
        changed = np.full_like(densities, np.nan)
        seen = np.stack([change(c) for c in crops[held_out]])
        changed[held_out] = measure_cells(seen, card.crop_um).reshape(-1, 6)
        figures["colors_changed"][name] = _against(_shares(known, changed, slides, held_out), sound, known)
    return known, figures


def fields_unlike(data: Path, card: ClassifierCard, known: KnownCells) -> dict[str, Any]:
    """Count slides in doubt among published fields, their cells found by the detector."""
    detector, found = Detector.load(), {}
    for site, paths in [*published_slides(data), ("aria", sorted((data / "aria_all/images").glob("*.jpg")))]:
        images = [read_image(path) for path in spread(paths, _FIELDS)]
        scale = measure_scale(detector, images)
        counts = np.zeros(2, np.int64)
        for image in images:
            xyxy = detector.detect(image, scale).leukocytes.xyxy
            crops = cut_crops(image, xyxy, scale.um_per_px, card.crop_um, card.crop_px)
            apart = standing_apart(xyxy, card.crop_um / scale.um_per_px)
            counts += count_unlike(measure_cells(crops[apart], card.crop_um), known)
        own = found.setdefault(site, {"slides": 0, "of_enough_cells": 0, "in_doubt": 0, "shares": []})
        own["slides"] += 1
        if counts[1] >= FEWEST_COMPARED:
            own["of_enough_cells"] += 1
            own["in_doubt"] += int(counts[0] > known.most_unlike * counts[1])
            own["shares"].append(round(float(counts[0] / counts[1]), 2))
    return found


def _fitted(
    densities: Floats, sites: NDArray[np.str_], is_train: NDArray[np.bool_], slides: Ints
) -> KnownCells:
    usable = is_train & ~np.isnan(densities).any(axis=1)
    rng = np.random.default_rng(0)
    chosen = np.concatenate(
        [
            rng.permutation(np.flatnonzero(usable & (sites == site)))[:PER_SITE]
            for site in np.unique(sites[usable])
        ]
    )
    weights = 1 / pd.Series(sites[chosen]).map(pd.Series(sites[chosen]).value_counts()).to_numpy(np.float64)
    mean = np.average(densities[chosen], axis=0, weights=weights)
    covariance = np.cov(densities[chosen].T, aweights=weights)
    known = KnownCells(
        mean=tuple(mean.round(5).tolist()),
        covariance=tuple(tuple(row) for row in covariance.round(7).tolist()),
        most_distance=1,
        most_unlike=1,
    )
    distance = float(np.quantile(known.distances(densities[chosen]), 1 - 1 / ONE_IN))
    known = known.model_copy(update={"most_distance": round(distance, 3)})
    share = float(np.quantile(_shares(known, densities, slides, is_train), 1 - 1 / ONE_IN))
    return known.model_copy(update={"most_unlike": round(share + 0.005, 2)})


def _slides_of(table: pd.DataFrame) -> Ints:
    """Tell slides by numbers: groups of enough cells; the other cells of a site in blocks, in their order."""
    size = table.groupby(["site", "split", "group"])["site"].transform("size")
    rest = table.groupby(["site", "split"]).cumcount() // _BLOCK
    name = table["group"].astype(str).where(size >= FEWEST_COMPARED, "block " + rest.astype(str))
    return np.asarray(pd.factorize(table["site"] + "/" + table["split"] + "/" + name)[0], np.int64)


def _shares(known: KnownCells, densities: Floats, slides: Ints, of: NDArray[np.bool_]) -> Floats:
    """Share of unlike cells of each slide of which enough can be compared."""
    distances = known.distances(densities)
    table = pd.DataFrame({"slide": slides, "far": distances > known.most_distance})
    own = table[of & ~np.isnan(distances)].groupby("slide")["far"].agg(["mean", "size"])
    return own.loc[own["size"] >= FEWEST_COMPARED, "mean"].to_numpy(np.float64)


def _told(shares: Floats, known: KnownCells) -> dict[str, Any]:
    return {"slides": len(shares), "in_doubt": int((shares > known.most_unlike).sum())}


def _against(shares: Floats, sound: Floats, known: KnownCells) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    told = _told(shares, known)
    if len(shares):
        truth = np.repeat([0, 1], [len(sound), len(shares)])
        told["auroc"] = round(float(roc_auc_score(truth, np.concatenate([sound, shares]))), 3)
        told["median_share"] = round(float(np.median(shares)), 2)
    return told


def _hue(crop: Rgb, turn: int) -> Rgb:
    hsv = cv2.cvtColor(crop, cv2.COLOR_RGB2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0].astype(int) + turn) % 180
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


_CHANGES: dict[str, Callable[[Rgb], Rgb]] = {
    "bgr": lambda crop: crop[:, :, ::-1],
    "grb": lambda crop: crop[:, :, (1, 0, 2)],
    "rbg": lambda crop: crop[:, :, (0, 2, 1)],
    "hue_turned_40_degrees": lambda crop: _hue(crop, 20),
    "hue_turned_120_degrees": lambda crop: _hue(crop, 60),
    "half_the_density": lambda crop: np.clip(235 * (crop / 235) ** 0.5, 0, 255).astype(np.uint8),
    "twice_the_density": lambda crop: np.clip(235 * (crop / 235) ** 2, 0, 255).astype(np.uint8),
}
"""Colors as no laboratory makes them; hues are turned in OpenCV's half degrees."""
