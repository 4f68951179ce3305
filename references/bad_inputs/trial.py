"""Scan every bad input beside sound fields, in a process of its own, and judge what became of it."""

import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from references.bad_inputs.case import CRASHED, MARKED, READ, REFUSED, SOUND, WRONG, Case, Outcome, Place
from references.bad_inputs.contents import contents
from references.bad_inputs.pictures import bmps, encoded, jpegs, others, pngs
from references.bad_inputs.places import places
from references.bad_inputs.tiffs import tiffs
from smearscan.detection import boxes
from smearscan.errors import SmearscanError
from smearscan.results.doubts import SHARED_FIELDS
from smearscan.synthetic import SmearSpec, draw_field

_SMEAR = SmearSpec(leukocytes=2.0, min_leukocytes=4)
_BESIDE = {"a.png": 11}
"""Sound field of every slide, and the seed that it is drawn from."""
_OF_THE_FIELD = 13
_SAME_CELL_IOU = 0.6
_VANISHING = "zz_vanishing"
"""Slide that is read last, so that one of its files can be taken away while others are read."""
_WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Root may read every file; without these two rights it may read what others may."""

Boxes = NDArray[np.float32]


def try_pictures() -> list[Outcome]:
    """Scan all pictures that are made here."""
    image = _drawn(_OF_THE_FIELD)
    return _tried(
        [*pngs(image), *jpegs(image), *bmps(image), *tiffs(image), *others(image), *contents(image)]
    )


def try_places() -> list[Outcome]:
    """Scan all names, links and folders that are made here, and write all that is named after them."""
    return _tried(list(places()), "--overlays", "overlays", "--html", "page.html")


def try_program(program: Path) -> list[Outcome]:
    """Scan what a program makes of the field: ``program FIELD OUT``, with folders ``ok, fail, either``."""
    allowed = {"ok": SOUND, "fail": frozenset({REFUSED}), "either": frozenset({READ, REFUSED})}
    with TemporaryDirectory() as folder:
        field, made = Path(folder) / "field.png", Path(folder) / "made"
        Image.fromarray(_drawn(_OF_THE_FIELD)).save(field)
        subprocess.run([sys.executable, program, field, made], check=True)
        return _tried(
            [
                Case(kind, path.name, path.read_bytes(), allowed[kind])
                for kind in allowed
                for path in sorted((made / kind).iterdir())
            ]
        )


@cache
def _drawn(seed: int) -> NDArray[np.uint8]:
    return draw_field(_SMEAR, seed).image


@cache
def _encoded(seed: int) -> bytes:
    return encoded(_drawn(seed), "PNG")


def _png(seed: int, number: int) -> bytes:
    """PNG file of a drawn field, whose comment makes it a content of its own, no copy of another slide's."""
    text = b"tEXtComment\0" + str(number).encode()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return _encoded(seed)[:-12] + chunk + _encoded(seed)[-12:]


def _tried(inputs: Sequence[Case | Place], *options: str) -> list[Outcome]:
    """Lay each input into a slide of its own with sound fields beside it, scan all, judge each."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder) / "slides"
        slides = []
        for number, one in enumerate(inputs):
            slides.append(_VANISHING if one.group == "files that vanish" else f"{number:04d}")
            _lay_out(root / slides[-1], one, number)
        sound = Case("", "odd.png", _png(_OF_THE_FIELD, len(inputs)), SOUND)
        _lay_out(root / "sound", sound, len(inputs))
        run = _Run.of(root, options)
        return [run.judged(one, slide) for one, slide in zip(inputs, slides, strict=True)]


def _lay_out(slide: Path, one: Case | Place, number: int) -> None:
    slide.mkdir(parents=True)
    for name, seed in () if _is_alone(one) else _BESIDE.items():
        (slide / name).write_bytes(_png(seed, number))
    if isinstance(one, Case):
        (slide / one.name).write_bytes(one.data)
    else:
        one.make(slide, _png(_OF_THE_FIELD, number))


def _is_alone(one: Case | Place) -> bool:
    return isinstance(one, Case) and one.is_alone


@dataclass(frozen=True, slots=True)
class _Run:
    """Tables of a scan, and what it printed."""

    report: pd.DataFrame
    cells: pd.DataFrame
    printed: str

    @classmethod
    def of(cls, root: Path, options: Sequence[str]) -> "_Run":
        """Scan a folder by the command.

        Raises
        ------
        SmearscanError
            If the command ends otherwise than a scan does, with what it printed last.
        """
        out = root.parent / "out"
        out.mkdir()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        scan_command = [sys.executable, "-c", "from smearscan.cli import main; main()", "run", str(root)]
        command = [*_WITHOUT_RIGHTS, *scan_command, "--out", "report.csv", "--cells", "cells.csv", *options]
        with subprocess.Popen(
            command, cwd=out, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as scan:
            threading.Thread(
                target=_take_away, args=(root, out / "report.run" / "slides", scan), daemon=True
            ).start()
            printed = scan.communicate()[0].decode(errors="replace")
        if scan.returncode not in (0, 1) or "Traceback" in printed or not (out / "report.csv").is_file():
            raise SmearscanError(f"the scan ended with {scan.returncode}: {printed[-3000:]}")
        tables = (
            pd.read_csv(out / name, dtype={"slide": str, "field": str}, keep_default_na=False)
            for name in ("report.csv", "cells.csv")
        )
        return cls(*tables, printed)

    def judged(self, one: Case | Place, slide: str) -> Outcome:
        """Tell what became of an input, and whether its sound neighbors kept their cells."""
        rows = self.report[_of_slide(self.report, slide)]
        if rows.empty:
            return Outcome(one.group, one.name, CRASHED, False, "no row in the report")
        told = " ".join([*rows["failures"], *(d for d in rows["doubt_reasons"] if d)]).strip()
        outcome = self._outcome(one, slide, rows)
        word = one.told if isinstance(one, Place) else ""
        is_told = not word or word in told or word in self.printed
        beside = () if _is_alone(one) else tuple(_BESIDE)
        disturbed = [n for n in beside if not _same(self._cells(slide, n), self._cells("sound", n))]
        if disturbed:
            told = f"{', '.join(disturbed)} beside it lost or changed cells; {told}"
        return Outcome(
            one.group, one.name, outcome, outcome in one.allowed and is_told and not disturbed, told
        )

    def _outcome(self, one: Case | Place, slide: str, rows: pd.DataFrame) -> str:
        if rows["n_failed_fields"].sum():
            return REFUSED
        names = {name for doubts in rows["doubt"] for name in str(doubts).split(";") if name}
        if names - {SHARED_FIELDS} or (isinstance(one, Place) and MARKED in one.allowed):
            return MARKED  # what is passed over is told on the screen: see `told`
        wanted = self._cells("sound") if not isinstance(one, Place) or one.n_fields else np.empty((0, 4))
        return READ if _same(self._cells(slide), wanted) else WRONG

    def _cells(self, slide: str, beside: str = "") -> Boxes:
        """Boxes of a sound field beside the input, or of all that is none of these, (N, 4) px."""
        own = _of_slide(self.cells, slide)
        fields = {f"{slide}/{name}" for name in _BESIDE}
        own &= self.cells["field"].eq(f"{slide}/{beside}") if beside else ~self.cells["field"].isin(fields)
        return self.cells.loc[own, ["x0", "y0", "x1", "y1"]].to_numpy(np.float32)


def _of_slide(table: pd.DataFrame, slide: str) -> pd.Series:
    return table["slide"].eq(slide) | table["slide"].str.startswith(f"{slide}/")


def _same(found: Boxes, wanted: Boxes) -> bool:
    """Whether two sets of boxes are the same cells."""
    if len(found) != len(wanted):
        return False
    return not len(wanted) or bool((boxes.iou(found, wanted).max(axis=0) > _SAME_CELL_IOU).all())


def _take_away(root: Path, stored: Path, scan: subprocess.Popen[bytes]) -> None:
    """Take a file away as soon as the scan has read its first slides."""
    while scan.poll() is None and not (stored.is_dir() and any(stored.iterdir())):
        time.sleep(0.05)
    (root / _VANISHING / "vanishes.png").unlink(missing_ok=True)
