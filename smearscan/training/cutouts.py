"""Leukocytes cut out of single-cell pictures, to be pasted as touching clumps into training fields."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.io.decode import read_image
from smearscan.taxonomy import RED_CELL_UM
from smearscan.training.clumps import CutOut

_Rgba = NDArray[np.uint8]
_GRABCUT_ROUNDS = 3
_LEAST_SHARE, _MOST_SHARE = 0.01, 0.75  # of the picture; outside, the segmentation has failed
_LEAST_SOLIDITY = 0.92


def nucleus_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Segment the nucleus nearest to the middle of a picture.

    Basic dyes stain the nucleus dark in green while red stays; Otsu's threshold on the darker of the two
    Otsu classes of the green channel parts nucleus from red cells (Otsu, IEEE Trans. SMC 1979).

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB

    Returns
    -------
    ndarray, (H, W) bool
        All False where nothing is dark enough.
    """
    green = cv2.GaussianBlur(image[:, :, 1], (0, 0), max(1.0, min(image.shape[:2]) / 150))
    first, _ = cv2.threshold(green, 0, 255, cv2.THRESH_OTSU)
    dark = green[green <= first]
    if not len(dark):
        return np.zeros(green.shape, bool)
    second, _ = cv2.threshold(dark.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    limit = second if (green <= second).mean() > _LEAST_SHARE else first
    binary = cv2.morphologyEx((green <= limit).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return _central(binary, reach=0.12)


def cell_mask(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Segment the leukocyte in the middle of a picture: nucleus first, then its cytoplasm by GrabCut.

    Source of the method: Rother, Kolmogorov and Blake, GrabCut, SIGGRAPH 2004.

    Returns
    -------
    ndarray, (H, W) bool
        All False where no cell was found.
    """
    nucleus = nucleus_mask(image)
    area = int(nucleus.sum())
    if not area:
        return nucleus
    reach = np.sqrt(area / np.pi)  # radius of a disc of the nucleus' area
    away = cv2.distanceTransform((~nucleus).astype(np.uint8), cv2.DIST_L2, 5)
    mask = np.full(nucleus.shape, cv2.GC_PR_BGD, np.uint8)
    mask[away < 0.35 * reach] = cv2.GC_PR_FGD
    mask[away > 1.0 * reach + 4] = cv2.GC_BGD
    mask[nucleus] = cv2.GC_FGD
    model = np.zeros((2, 1, 65), np.float64)
    try:
        cv2.grabCut(image, mask, None, model[0], model[1], _GRABCUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # a picture without any background sample
        return nucleus
    cell = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    size = max(3, int(reach / 4) | 1)
    cell = cv2.morphologyEx(cell, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    cell |= nucleus.astype(np.uint8)
    cell = cv2.morphologyEx(cell, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))
    return _filled(_central(cell, reach=0.05))


def cut_out(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> _Rgba | None:
    """Cut a cell out along its mask.

    Returns
    -------
    ndarray, (h, w, 4) uint8, or None
        RGB and a soft-edged alpha; None where the mask is empty, touches the picture's border or is no
        plausible cell.
    """
    share = mask.mean()
    if not _LEAST_SHARE < share < _MOST_SHARE:
        return None
    outline = max(
        cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len
    )
    if cv2.contourArea(outline) < _LEAST_SOLIDITY * cv2.contourArea(cv2.convexHull(outline)):
        return None  # a neighbor hangs on, or only the lobes of a nucleus were found
    if mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any():
        return None
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    window = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    return np.dstack([image, np.asarray(alpha * 255, np.uint8)])[window]


def load_cut_outs(
    cells: pd.DataFrame, data_root: Path, red_cell_px: float, per_site: int, seed: int
) -> list[CutOut]:
    """Cut the cells of a manifest out, brought to a working scale.

    Parameters
    ----------
    cells : DataFrame
        Columns ``image, group, site, um_per_px``.
    data_root : Path
        What ``image`` is relative to.
    red_cell_px : float
        Red-cell diameter of the working scale, pixels.
    per_site : int
        How many cells of each site are tried; the failed segmentations among them are left out.
    seed : int

    Returns
    -------
    list of CutOut
        Sorted by site and group: neighbors in the list share their stain.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _, rows in cells.sort_values(["site", "group", "image"]).groupby("site"):
        chosen = np.sort(rng.permutation(len(rows))[:per_site])
        for row in rows.iloc[chosen].itertuples():
            image = read_image(data_root / str(row.image))
            rgba = cut_out(image, cell_mask(image))
            if rgba is None:
                continue
            factor = red_cell_px / RED_CELL_UM * float(row.um_per_px)  # type: ignore[arg-type]
            size = tuple(max(2, round(s * factor)) for s in (rgba.shape[1], rgba.shape[0]))
            found.append(CutOut(np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA), np.uint8)))
    return found


def _central(binary: NDArray[np.uint8], reach: float) -> NDArray[np.bool_]:
    """Components within `reach` (share of the picture's side) of the one nearest the middle."""
    n, labels, stats, _ = cv2.connectedComponentsWithStats(binary)
    height, width = binary.shape
    large = [i for i in range(1, n) if stats[i, cv2.CC_STAT_AREA] > 0.002 * height * width]
    if not large:
        return np.zeros(binary.shape, bool)
    middle = np.array([height, width]) / 2
    distance = {
        i: float(np.sqrt(((np.argwhere(labels == i) - middle) ** 2).sum(axis=1).min())) for i in large
    }
    # of pieces equally near the largest: the middle may lie between the lobes of one nucleus
    best = min(
        large, key=lambda i: distance[i] / min(height, width) - 0.5 * stats[i, cv2.CC_STAT_AREA] / binary.size
    )
    near = cv2.distanceTransform((labels != best).astype(np.uint8), cv2.DIST_L2, 5)
    chosen = [i for i in large if near[labels == i].min() <= reach * min(height, width)]
    return np.isin(labels, chosen)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros(mask.shape, np.uint8), outlines, -1, 1, cv2.FILLED), bool)
