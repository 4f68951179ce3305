"""A drawn film of any size with exact truth, as a tiled pyramid: a few drawn pieces, laid again and again.

From left to right: the thick part, the part of one layer, the feathered edge, the glass. Pieces are no whole
multiples of a field, so that every field cuts them elsewhere; each is laid in four mirrorings. They are
encoded once, so a film of billions of pixels takes as long as its file takes to be written.
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray

from smearscan.synthetic import (
    BEIGE,
    HEALTHY,
    HEALTHY_COMPOSITION,
    DrawnField,
    SmearSpec,
    draw_field,
    stacked,
)
from smearscan.synthetic.smear import seed_sequence
from smearscan.taxonomy import BLAST, LEUKOCYTE

PIECE_PX, TILE_PX, LEVEL = 1024, 512, 4
UM_PER_PX = 0.25
"""As most scanners' 40x."""

_EDGE_PX = 2
_QUALITY = 92
LEUKOCYTES = 20.0
"""Expected on a piece."""
_ONE_LAYER = replace(
    HEALTHY, height=PIECE_PX, width=PIECE_PX, um_per_px=UM_PER_PX, leukocytes=LEUKOCYTES, vignette=0.0,
    stain=BEIGE,
)  # fmt: skip
_LAYER, _BLASTS = "one layer", "one layer, with blasts"
BLAST_PIECES = 0.05
"""Share of the layer's pieces that hold blasts, a tenth of their leukocytes: .5 % of all, expected."""

_FEWEST_BLASTS, _APART = 2, 1000
"""Of the piece that all blasts of a film are on; between the seeds of its draws."""

_GLASS = {"red_cell_density": 0.0, "platelet_density": 0.0, "leukocytes": 0.0, "min_leukocytes": 0}
_THICK = "thick"
_LAYERS = 5
"""Of red cells, that lie on each other in the thick part."""
SPECS = {
    _THICK: _ONE_LAYER,
    _LAYER: _ONE_LAYER,
    _BLASTS: replace(_ONE_LAYER, composition={**HEALTHY_COMPOSITION, BLAST: 11.0}),
    "thin": replace(_ONE_LAYER, red_cell_density=1.0, leukocytes=1.0),
    "empty": replace(_ONE_LAYER, **_GLASS),
}
LAYER_SHARE = 0.65
_BEYOND = {"thin": 0.1, "empty": 0.1}
"""Of the film's width, what lies in one layer and what is beyond; the rest is thick."""
_SEED = 17


@dataclass(frozen=True, slots=True)
class Piece:
    """A drawn square with its leukocytes.

    Attributes
    ----------
    image : ndarray, (PIECE_PX, PIECE_PX, 3) uint8 RGB
    xyxy : ndarray, (N, 4) float32
        Boxes of its leukocytes, pixels.
    types : tuple of str
    """

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float32]
    types: tuple[str, ...]

    @property
    def whole(self) -> NDArray[np.bool_]:
        """Which leukocytes the piece's edge does not cut, (N,)."""
        return np.asarray(((self.xyxy > _EDGE_PX) & (self.xyxy < PIECE_PX - _EDGE_PX)).all(axis=1))

    def mirrored(self, down: bool, across: bool) -> "Piece":
        """Return it upside down, or left to right."""
        image, xyxy = self.image[:: -1 if down else 1, :: -1 if across else 1], self.xyxy.copy()
        for axis in [0] * across + [1] * down:
            xyxy[:, [axis, axis + 2]] = PIECE_PX - xyxy[:, [axis + 2, axis]]
        return Piece(np.ascontiguousarray(image), xyxy, self.types)


@dataclass(frozen=True, slots=True)
class Film:
    """A written film and the truth about it.

    Attributes
    ----------
    path : Path
    pieces : tuple of Piece
        That it is made of, each mirroring a piece of its own.
    laid : ndarray, (R, C) int64
        Index into `pieces`.
    part : ndarray, (C,) str
        What each column of pieces is.
    """

    path: Path
    pieces: tuple[Piece, ...]
    laid: NDArray[np.int64]
    part: NDArray[np.str_]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.laid.shape[0] * PIECE_PX, self.laid.shape[1] * PIECE_PX

    def leukocytes(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.str_], NDArray[np.int64]]:
        """Every leukocyte of the film.

        Returns
        -------
        xyxy : ndarray, (N, 4) float32
            Pixels of level 0.
        whole : ndarray, (N,) bool
            Which no edge between pieces cuts.
        types : ndarray, (N,) str
        origin : ndarray, (N, 2) int64
            Index of the piece, and of the leukocyte in it.
        """
        xyxy, whole, types, origin = [], [], [], []
        for (row, column), k in np.ndenumerate(self.laid):
            piece = self.pieces[k]
            xyxy.append(piece.xyxy + np.array([column, row] * 2, np.float32) * PIECE_PX)
            whole.append(piece.whole)
            types += piece.types
            origin += [(int(k), i) for i in range(len(piece.types))]
        return np.concatenate(xyxy), np.concatenate(whole), np.array(types), np.array(origin).reshape(-1, 2)


def drawn_pieces(of_layer: int, workers: int, leukocytes: float = LEUKOCYTES) -> dict[str, list[Piece]]:
    """Draw pieces of each kind, `of_layer` of the one layer and one of each other, in four mirrorings.

    `leukocytes` are expected on a piece of the thick part and of the one layer.
    """
    wanted = [name for name in SPECS for _ in range(of_layer if name == _LAYER else 1)]
    crowds = [leukocytes if name in (_THICK, _LAYER, _BLASTS) else SPECS[name].leukocytes for name in wanted]
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(_drawn, wanted, range(len(wanted)), crowds))
    pieces: dict[str, list[Piece]] = {name: [] for name in SPECS}
    for name, piece in zip(wanted, drawn, strict=True):
        pieces[name] += [piece.mirrored(down, across) for down in (False, True) for across in (False, True)]
    return pieces


def _drawn(name: str, number: int, leukocytes: float) -> Piece:
    spec = replace(SPECS[name], leukocytes=leukocytes)
    for again in count():
        field = (draw_thick if name == _THICK else draw_field)(spec, _SEED + number + _APART * again)
        own = field.labels == LEUKOCYTE
        types = tuple(kind for kind, is_own in zip(field.types, own, strict=True) if is_own)
        if name != _BLASTS or types.count(BLAST) >= _FEWEST_BLASTS:  # few are drawn, and none at times
            break
    return Piece(field.image, field.xyxy[own], types)


def draw_thick(spec: SmearSpec, seed: int) -> DrawnField:
    """Draw a field of a film's thick part: red cells lie on its cells in several layers."""
    field = draw_field(spec, seed)
    red_cells = replace(spec, leukocytes=0.0, min_leukocytes=0, platelet_density=0.0)
    more = [draw_field(red_cells, seed_sequence(seed, 2, k)).image for k in range(_LAYERS - 1)]
    return replace(field, image=stacked([field.image, *more], BEIGE.light))


def write_film(
    path: Path,
    pieces: dict[str, list[Piece]],
    size: tuple[int, int],
    seed: int = 0,
    blast_pieces: float = BLAST_PIECES,
    layer: float = LAYER_SHARE,
) -> Film:
    """Write a film of `size` (rounded down to whole pieces) as tiled TIFF of two levels.

    Parameters
    ----------
    path : Path
    pieces : dict
        Of :func:`drawn_pieces`.
    size : (int, int)
        Width and height, px.
    seed : int
        The same pieces and seed give the same film.
    blast_pieces : float
        Share of the layer's pieces that hold blasts.
    layer : float
        Share of the width that lies in one layer.
    """
    across, down = (side // PIECE_PX for side in size)
    every = [(name, piece) for name, own in pieces.items() for piece in own]
    names = np.array([name for name, _ in every])
    shares = {_THICK: 1 - layer - sum(_BEYOND.values()), _LAYER: layer, **_BEYOND}
    ends = np.cumsum(list(shares.values())) * across
    part = np.array(list(shares))[np.searchsorted(ends, np.arange(across), side="right")]
    rng = np.random.default_rng(seed)
    kinds = np.tile(part, (down, 1)).astype(names.dtype)
    kinds[(kinds == _LAYER) & (rng.random((down, across)) < blast_pieces)] = _BLASTS
    laid = np.zeros((down, across), np.int64)
    for name in pieces:
        own = kinds == name
        laid[own] = rng.choice(np.flatnonzero(names == name), size=int(own.sum()))
    film = Film(path, tuple(piece for _, piece in every), laid, part)
    tiles = PIECE_PX // TILE_PX
    fine = [_encoded(piece.image, TILE_PX) for piece in film.pieces]
    small = [
        np.asarray(cv2.resize(piece.image, None, fx=1 / LEVEL, fy=1 / LEVEL, interpolation=cv2.INTER_AREA))
        for piece in film.pieces
    ]
    coarse = [_encoded(image, PIECE_PX // LEVEL) for image in small]
    shared = {"photometric": "ycbcr", "subsampling": (1, 1), "compression": "jpeg", "dtype": np.uint8,
              "metadata": None, "resolution": (1e4 / UM_PER_PX,) * 2,
              "resolutionunit": "CENTIMETER"}  # fmt: skip
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        height, width = film.shape
        file.write(_in_rows(laid, fine, tiles), shape=(height, width, 3), tile=(TILE_PX,) * 2, **shared)
        reduced, tile = (height // LEVEL, width // LEVEL, 3), (PIECE_PX // LEVEL,) * 2
        file.write(_in_rows(laid, coarse, 1), shape=reduced, tile=tile, subfiletype=1, **shared)
    return film


def _encoded(image: NDArray[np.uint8], tile: int) -> list[bytes]:
    """Tiles of a piece, row by row, as JPEG."""
    return [
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(image[y : y + tile, x : x + tile]), _QUALITY, colorsubsampling="444"
        )
        for y in range(0, len(image), tile)
        for x in range(0, len(image), tile)
    ]


def _in_rows(laid: NDArray[np.int64], encoded: list[list[bytes]], tiles: int) -> Iterator[bytes]:
    """Tiles of the film, row by row; each piece is `tiles` of them each way."""
    for row in laid:
        for y in range(tiles):
            for k in row:
                yield from encoded[k][y * tiles : (y + 1) * tiles]
