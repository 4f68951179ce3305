"""Tiles: how a field larger than the network's input is cut, and how its boxes come together again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Tile:
    """A window of a field, half-open, field px; `inner` tells which of left, top, right, bottom are seams."""

    x0: int
    y0: int
    x1: int
    y1: int
    inner: tuple[bool, bool, bool, bool]


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """Begin of each tile along one axis: the first at 0, the last flush with the end, evenly spread.

    Parameters
    ----------
    length, tile, overlap : int
        Pixels; neighbors share at least `overlap`.

    Raises
    ------
    ConfigError
        If the overlap leaves no progress.
    """
    if length <= tile:
        return [0]
    if overlap >= tile:
        raise ConfigError(f"tiles of {tile} px cannot overlap by {overlap} px; give a larger tile")
    n = int(np.ceil((length - overlap) / (tile - overlap)))
    return [round(i * (length - tile) / (n - 1)) for i in range(n)]


def cut(height: int, width: int, tile: int, overlap: int) -> list[Tile]:
    """Cover a field with tiles of at most `tile` pixels a side, row by row.

    Every object no larger than `overlap` lies whole in at least one tile; if it is smaller by two margins, it
    lies farther than a margin from that tile's seams, too.
    """
    return [
        Tile(
            x, y, min(x + tile, width), min(y + tile, height),
            (x > 0, y > 0, x + tile < width, y + tile < height),
        )
        for y in starts(height, tile, overlap)
        for x in starts(width, tile, overlap)
    ]  # fmt: skip


def off_seams(tile: Tile, tile_xyxy: NDArray[np.float32], margin_px: float) -> NDArray[np.bool_]:
    """Tell which boxes, (N, 4) in tile pixels, stay clear of every seam by `margin_px`; shape (N,).

    A box at a seam is (or may be) the cut part of an object that a neighboring tile sees whole. A box at the
    field's own border stays.
    """
    width, height = tile.x1 - tile.x0, tile.y1 - tile.y0
    left, top, right, bottom = tile.inner
    keep = np.ones(len(tile_xyxy), bool)
    if left:
        keep &= tile_xyxy[:, 0] > margin_px
    if top:
        keep &= tile_xyxy[:, 1] > margin_px
    if right:
        keep &= tile_xyxy[:, 2] < width - margin_px
    if bottom:
        keep &= tile_xyxy[:, 3] < height - margin_px
    return keep
