"""Cells cut once and kept in one file, with their manifest: a training set to carry to another machine.

Reading and cutting thousands of photographs takes minutes, and the photographs gigabytes. A pack holds each
cell's window, with room to be turned, as a compressed picture; every command that takes a manifest takes a
pack in its place, and needs no photograph then.
"""

import io
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.classification.crops import Geometry, resized_crop
from smearscan.errors import DatasetError
from smearscan.io.archives import open_arrays
from smearscan.io.atomic import replacing

SUFFIX = ".npz"
QUALITY = 85
"""WebP quality of the windows: some 2 KB each, 37 dB beside what was cut."""
_KEY = ["image", "x0", "y0", "x1", "y1"]
_PARTS = {"cells", "window", "ends", "encoded"}


def is_pack(path: Path) -> bool:
    """Tell whether a path names a pack, by its suffix."""
    return path.suffix == SUFFIX


class PackedCells:
    """A pack in memory.

    Attributes
    ----------
    table : DataFrame
        The located manifest, a row a window.
    window : Geometry
        Side of the windows on the slide (um) and in pixels.
    """

    def __init__(self, table: pd.DataFrame, window: Geometry, encoded: list[NDArray[np.uint8]]) -> None:
        self.table, self.window, self._encoded = table, window, encoded

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a pack; nothing in it is unpickled.

        Raises
        ------
        DatasetError
            If the file is missing, damaged or no pack.
        """
        try:
            with open_arrays(path) as file:
                if missing := sorted(_PARTS - set(file.files)):
                    raise DatasetError(f"{path}: is no pack of cells (without {', '.join(missing)})")
                cells, (um, px), ends, encoded = (file[n] for n in ("cells", "window", "ends", "encoded"))
        except (OSError, ValueError, EOFError, KeyError, RuntimeError, BadZipFile) as error:
            raise DatasetError(
                f"{path}: cannot be read as a pack of cells ({error}); make it with 'smearscan dataset pack'"
            ) from error
        words = dict.fromkeys(("image", "class", "group", "site", "split"), str)
        table = pd.read_csv(io.BytesIO(cells.tobytes()), dtype=words, keep_default_na=True)
        parts = [encoded[a:b] for a, b in pairwise([0, *ends.tolist()])]
        return cls(table, Geometry(float(um), int(px)), parts)

    def save(self, path: Path) -> None:
        """Write the pack, whole or not at all."""
        cells = np.frombuffer(self.table.to_csv(index=False).encode(), np.uint8)
        ends = np.cumsum([len(one) for one in self._encoded], dtype=np.int64)
        encoded = np.concatenate(self._encoded) if self._encoded else np.empty(0, np.uint8)
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, cells=cells, window=np.array(self.window), ends=ends, encoded=encoded)

    def crops(self, table: pd.DataFrame, crop_um: float, crop_px: int) -> NDArray[np.uint8]:
        """Cut the middle of the windows of a table's cells.

        Parameters
        ----------
        table : DataFrame
            Rows of :attr:`table`, in any order; told by ``image`` and box.
        crop_um : float
            Side of a crop on the slide, micrometers.
        crop_px : int
            Side of a crop as returned, pixels.

        Returns
        -------
        ndarray, (N, crop_px, crop_px, 3) uint8 RGB

        Raises
        ------
        DatasetError
            If a cell is not in the pack, or crops are wider than its windows.
        """
        side = round(crop_um / self.window.um * self.window.px)
        if side > self.window.px:
            raise DatasetError(
                f"the pack's windows are {self.window.um:g} um wide, and crops of {crop_um:g} um are asked "
                "for; pack again with a greater --crop-um"
            )
        rows = self._rows(table)
        edge = (self.window.px - side) // 2
        out = np.empty((len(table), crop_px, crop_px, 3), np.uint8)

        def cut(at: int) -> None:
            window = cv2.imdecode(self._encoded[rows[at]], cv2.IMREAD_COLOR)
            if window is None:
                raise DatasetError(f"the pack is damaged: the window of {table['image'].iloc[at]}")
            part = window[edge : edge + side, edge : edge + side]
            if side != crop_px:
                part = resized_crop(part, crop_px)
            out[at] = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_BGR2RGB)

        with ThreadPoolExecutor() as threads:  # OpenCV decodes without holding the interpreter
            for _ in threads.map(cut, range(len(table))):
                pass
        return out

    def _rows(self, table: pd.DataFrame) -> NDArray[np.int64]:
        """Row of each cell in the pack, (N,)."""
        own = pd.Series(np.arange(len(self.table)), index=_keys(self.table))
        rows = own[~own.index.duplicated()].reindex(_keys(table))
        if rows.isna().any():
            absent = table["image"].iloc[int(rows.isna().to_numpy().argmax())]
            raise DatasetError(f"the cell of {absent} is not in the pack; pack this manifest again")
        return rows.to_numpy(np.int64)


def _keys(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Tell cells apart, whatever became of the last digits of their boxes in a CSV file."""
    columns = [table["image"], *(table[name].round(2).map(str) for name in _KEY[1:])]
    return list(zip(*columns, strict=True))


def packed(
    table: pd.DataFrame, windows: NDArray[np.uint8], window_um: float, quality: int = QUALITY
) -> PackedCells:
    """Pack the windows (N, W, W, 3) uint8 RGB of a located manifest, `window_um` wide each."""
    how = [cv2.IMWRITE_WEBP_QUALITY, quality]
    encoded = [cv2.imencode(".webp", cv2.cvtColor(w, cv2.COLOR_RGB2BGR), how)[1] for w in windows]
    return PackedCells(table, Geometry(window_um, windows.shape[1]), encoded)
