"""Finds pictures of one cell: resized, re-encoded, cut otherwise, turned, mirrored, a little recolored.

Three steps, each cheap enough for those that reach it. A *perceptual hash* that turning and mirroring leave
as it is: gray values on rings round the nucleus, of each ring the strength of its harmonics (the magnitude
of a Fourier transform forgets where a ring begins). *Candidates* are each cell's nearest by it whose rings,
turned to fit, correlate. *Verification* lays one cell on the other (enhanced correlation coefficient,
Evangelidis and Psarakis, IEEE TPAMI 2008;30:1858) and correlates what is finer than a nucleus: chromatin and
granules, in which two cells of one type differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""Side of a cell's gray picture, px."""

SIDE_UM = 24.0
"""What it shows, micrometers: a leukocyte and its surroundings."""

SAME = 0.88
"""Correlation of the fine structure from which two pictures show one cell.

On the published sets there is a gap: the 173 cells that PBC and TXL share reach .937 or more; 3,000 pairs of
different patients of one hospital, half of them the most alike by their rings, stay below .85.
``smearscan evaluate leaks`` measures it."""

TURNED_ALIKE = 0.85
"""Correlation of the rings from which a pair is worth verifying."""

NEAREST = 12
_RINGS, _ANGLES, _HARMONICS = 12, 64, 6
_MID = (SIDE - 1) / 2
_CHUNK = 1024
_NOISE = 1.5
"""Gray levels below which fine structure is taken as noise."""

_radius = (np.arange(_RINGS, dtype=np.float32) + 0.5) / _RINGS * (SIDE * 0.46)
_angle = np.arange(_ANGLES, dtype=np.float32) * np.float32(2 * np.pi / _ANGLES)
_RING_X, _RING_Y = _radius[:, None] * np.cos(_angle), _radius[:, None] * np.sin(_angle)
_WEIGHT = _radius[:, None] / _radius.sum() / _ANGLES  # a wide ring covers more
_row, _col = np.mgrid[:SIDE, :SIDE].astype(np.float32)
_DISC = ((_col - _MID) ** 2 + (_row - _MID) ** 2 < (SIDE * 0.4) ** 2).astype(np.uint8)

Gray = NDArray[np.uint8]
Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures of one cell: row numbers, correlation of the fine structure, and whether one is turned."""

    first: int
    second: int
    correlation: float
    turned: bool


def same_cells(
    gray: Gray,
    sites: NDArray[np.str_],
    allowed: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]],
) -> list[Pair]:
    """Find pairs of pictures that show the same cell.

    Parameters
    ----------
    gray : ndarray, (N, 64, 64) uint8
        Cells in the middle, :data:`SIDE_UM` wide.
    sites : ndarray, (N,) str
        Candidates are sought among all cells and among those of each site: what is common at one site is not
        what is common everywhere.
    allowed : callable
        Maps row numbers of candidates, twice (M,), to those that are of interest, (M,) bool.

    Returns
    -------
    list of Pair
        In order of their rows.
    """
    if len(gray) < 2:
        return []
    centers, rings = map(np.array, zip(*(_rings(picture) for picture in gray), strict=True))
    near = [_candidates(_hashes(rings), np.arange(len(rings)))]
    near += [_candidates(_hashes(rings[own]), own) for own in _each(sites)]
    first, second = np.unique(np.concatenate(near), axis=0).T
    keep = allowed(first, second)
    first, second = first[keep], second[keep]
    if not len(first):
        return []
    alike, shift, mirrored = _turned(rings, first, second)
    found = []
    for k in np.flatnonzero(alike >= TURNED_ALIKE):
        i, j = int(first[k]), int(second[k])
        start = _start(centers[i], centers[j], int(shift[k]), bool(mirrored[k]))
        fits = _verified(gray[i], gray[j], start)
        if fits >= SAME:
            quarter = shift[k] % _ANGLES
            found.append(Pair(i, j, round(fits, 3), bool(mirrored[k]) or 2 < quarter < _ANGLES - 2))
    return found


def _rings(picture: Gray) -> tuple[Float, Float]:
    """Give the center of the nucleus, (2,), and gray values on rings round it, mean 0 and variance 1."""
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.6)
    x, y = _nucleus(np.asarray(smooth, np.float32))
    rings = cv2.remap(smooth, _RING_X + x, _RING_Y + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    rings = rings - (rings * _WEIGHT).sum()
    return np.array([x, y], np.float32), rings / (np.sqrt((rings * rings * _WEIGHT).sum()) + 1)


def _nucleus(smooth: Float, spread: float = 9.3, steps: int = 6) -> tuple[np.float32, np.float32]:
    """Center of what is dark near the middle, by mean shift: crops of one cell are not centered alike."""
    dark = np.clip(np.percentile(smooth, 60) - smooth, 0, None) ** 2
    at, x, y = np.arange(SIDE), _MID, _MID
    for _ in range(steps):
        near_x, near_y = (np.exp(-((at - c) ** 2) / (2 * spread**2)) for c in (x, y))
        of_x, of_y = (near_y @ dark) * near_x, (dark @ near_x) * near_y
        total = of_x.sum()
        if total < 1e-3:
            break
        x, y = (of_x * at).sum() / total, (of_y * at).sum() / total
    return np.float32(np.clip(x, _MID - 12, _MID + 12)), np.float32(np.clip(y, _MID - 12, _MID + 12))


def _hashes(rings: Float) -> Float:
    """Strength of each ring's harmonics, (N, rings * harmonics), standardized, length 1."""
    strength = np.abs(np.fft.rfft(rings, axis=2))[:, :, :_HARMONICS] / _ANGLES
    strength[:, :, 0] = rings.mean(axis=2)  # the sign of a ring's mean stays
    flat = strength.reshape(len(rings), -1)
    flat = (flat - flat.mean(axis=0)) / (flat.std(axis=0) + 1e-6)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-6), np.float32)


def _each(sites: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """Rows of each site, of several that have two cells or more."""
    names = np.unique(sites)
    rows = [np.flatnonzero(sites == name) for name in names] if len(names) > 1 else []
    return [own for own in rows if len(own) > 1]


def _candidates(hashes: Float, rows_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (M, 2) of each cell with its nearest by hash, lower row first; `rows_of` numbers the hashes."""
    n, k = len(hashes), min(NEAREST, len(hashes) - 1)
    pairs = []
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        likeness = hashes[rows] @ hashes.T
        likeness[np.arange(len(rows)), rows] = -2
        nearest = np.argpartition(-likeness, k - 1, axis=1)[:, :k].ravel()
        own = np.repeat(rows, k)
        pairs.append(np.stack([np.minimum(own, nearest), np.maximum(own, nearest)], axis=1))
    return np.asarray(rows_of[np.concatenate(pairs)], np.int64)


def _turned(
    rings: Float, first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[Float, NDArray[np.int64], NDArray[np.bool_]]:
    """Correlate the rings of pairs, at their best over all turns; the turn in steps; whether mirrored."""
    plain = np.fft.rfft(rings, axis=2)
    mirrored = np.fft.rfft(rings[:, :, (-np.arange(_ANGLES)) % _ANGLES], axis=2)
    alike = np.empty((2, len(first)), np.float32)
    shift = np.empty((2, len(first)), np.int64)
    for kind, other in enumerate((plain, mirrored)):
        for start in range(0, len(first), _CHUNK):
            part = slice(start, start + _CHUNK)
            product = (plain[first[part]] * other[second[part]].conj() * _WEIGHT).sum(axis=1)
            fit = np.fft.irfft(product, n=_ANGLES, axis=1)
            shift[kind, part] = fit.argmax(axis=1)
            alike[kind, part] = fit.max(axis=1)
    is_mirrored = alike[1] > alike[0]
    return alike.max(axis=0), np.where(is_mirrored, shift[1], shift[0]), is_mirrored


def _start(center: Float, other: Float, shift: int, mirrored: bool) -> Float:
    """Affine map (2, 3) from the first picture's pixels to the second's, as the rings tell it."""
    angle = -shift * 2 * np.pi / _ANGLES
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if mirrored:
        turn = np.array([[1, 0], [0, -1]]) @ turn
    return np.column_stack([turn, other - turn @ center]).astype(np.float32)


def _verified(first: Gray, second: Gray, start: Float) -> float:
    """Correlate the fine structure once the second picture is laid on the first; 0 where it cannot be."""
    stop: Any = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
    smooth: list[Any] = [cv2.GaussianBlur(p.astype(np.float32), (0, 0), 1.2) for p in (first, second)]
    try:
        _, affine = cv2.findTransformECC(smooth[0], smooth[1], start, cv2.MOTION_AFFINE, stop, _DISC, 1)
    except cv2.error:  # it does not converge: these are two cells
        return 0.0
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpAffine(second, affine, (SIDE, SIDE), flags=how)
    seen = cv2.warpAffine(np.ones_like(second), affine, (SIDE, SIDE), flags=how)
    return _correlation(_fine(first), _fine(np.asarray(laid, np.uint8)), (_DISC * (seen > 0)).astype(bool))


def _fine(picture: Gray) -> Float:
    """Keep what is finer than a nucleus and coarser than noise, as strong everywhere.

    A cell's rim and the red cells around it are far stronger than chromatin: they would make round cells
    alike, and copies differ whose bright parts are washed out.
    """
    value = picture.astype(np.float32)
    band = cv2.GaussianBlur(value, (0, 0), 0.7) - cv2.GaussianBlur(value, (0, 0), 2)
    strength = np.sqrt(cv2.GaussianBlur(band * band, (0, 0), 4))
    return np.asarray(band / (strength + _NOISE), np.float32)


def _correlation(a: Float, b: Float, where: NDArray[np.bool_]) -> float:
    if where.sum() < 100:
        return 0.0
    a, b = a[where] - a[where].mean(), b[where] - b[where].mean()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / scale if scale > 1e-6 else 0.0
