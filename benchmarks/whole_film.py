"""Measures whole slides: ``make film`` fills docs/whole_slides.md.

A drawn film (:mod:`benchmarks.drawn_film`) is read whole, by 200 cells and until settled, each in a process
of its own, and every cell is compared with what was drawn. What was read whole is then read again in other
orders (:mod:`benchmarks.replay`): one order tells how one film went, many tell how often. Times are of the
cores (processor time of all threads), which other programs on the machine disturb least.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from benchmarks import machine
from benchmarks.drawn_film import LAYER_SHARE, LEUKOCYTES, PIECE_PX, UM_PER_PX, Film, drawn_pieces, write_film
from benchmarks.performance import filled
from benchmarks.replay import in_short, replayed
from benchmarks.soak import growth_mb, resident_mb
from benchmarks.whole_film_tables import tables
from smearscan.detection import boxes
from smearscan.io import Slide, write_image
from smearscan.io.decode import read_image
from smearscan.results import FILM_PARTS, FieldResult, FilmMap
from smearscan.runtime import usable_cores
from smearscan.scan.scanner import SmearScanner
from smearscan.taxonomy import BLAST

_ROOT = Path(__file__).resolve().parents[1]
READS: tuple[int | str, ...] = ("all", 200, "resolved", "blasts")
REPLAYED: tuple[int | str, ...] = (100, 200, 400, "resolved", "blasts")
_ORDERS = 200
_SMALL_PX = 6144
"""Side of the film whose memory is told beside the larger one's, and its cost beside its fields' own."""
_ROUNDS = 3
"""Readings of the small film and of its fields as photographs, in turn: the load of a machine changes."""
_WEIGHED = 100
"""How often memory is looked at while a film is read, about."""
Floats = NDArray[np.float32]
Found = dict[str, Any]
"""What :func:`scan` tells."""


def scan(paths: list[Path], is_whole: bool, read: int | str, orders: int = 0) -> Found:
    """Scan one slide and tell what was found and what it took; for a process of its own.

    Parameters
    ----------
    paths : list of Path
    is_whole : bool
    read : int or str
    orders : int
        In how many orders what was found is then read again.
    """
    scanner = SmearScanner(read=read, um_per_px=None if is_whole else UM_PER_PX)
    scanner.analyze(np.full((640, 640, 3), 230, np.uint8))  # networks are compiled
    held: list[float] = []
    spent: list[float] = []

    def note(_: object) -> None:
        held.append(resident_mb())
        spent.append(time.process_time())

    began, busy = time.perf_counter(), time.process_time()
    report, results = scanner.scan_slide(Slide("slide", tuple(paths), is_whole=is_whole), on_progress=note)
    took = {"seconds": time.perf_counter() - began, "core_seconds": time.process_time() - busy}
    read_ones = [r for r in results if isinstance(r, FieldResult)]
    curve = [(n + 1, round(mb, 1)) for n, mb in enumerate(held)]
    again = {
        str(way): in_short(replayed(scanner, results, results[0].scale, way, range(orders)), len(results))
        for way in REPLAYED
        if orders
    }
    return {
        **took,
        "memory_curve": curve[:: max(1, len(curve) // _WEIGHED)],
        "growth_mb": round(growth_mb(curve), 1),
        "last_beside_first_third": last_beside_first_third(spent),
        "replayed": again,
        "peak_mb": machine.peak_mb(),
        "fields": len(read_ones),
        "pixels": sum(r.shape[0] * r.shape[1] for r in read_ones),
        "xyxy": np.concatenate([np.empty((0, 4)), *(r.slide_xyxy for r in read_ones)]).astype(np.float32),
        "types": [kind for r in read_ones for kind in r.types],
        "paths": [r.path for r in read_ones],
        "film": report.film,
        "flag": report.flag.state,
        "stopped": report.reading.reason,
        "of_each_field": [r.detections.xyxy for r in read_ones],
    }


def last_beside_first_third(spent: list[float]) -> float:
    """Core seconds of the last third of a slide's fields over those of the first, by readings of a clock."""
    third = (len(spent) - 1) // 3
    if third < 1:
        return float("nan")
    return (spent[-1] - spent[-1 - third]) / (spent[third] - spent[0])


def each_in_a_process(*scans: tuple[Any, ...]) -> list[Found]:
    """Run :func:`scan` with each of these arguments, two at a time, in new processes of their own memory."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, spawn, max_tasks_per_child=1) as pool:
        return list(pool.map(scan, *zip(*scans, strict=True)))


def owners(drawn: Floats, found: Floats) -> NDArray[np.int64]:
    """Index of the drawn cell, (N, 4), that each found box, (M, 4), is of; -1 for none, (M,).

    A box is of the drawn cell whose middle is nearest, if that is nearer than half the cell's smaller side.
    """
    if not len(drawn) or not len(found):
        return np.full(len(found), -1)
    far, nearest = KDTree(boxes.centers(drawn)).query(boxes.centers(found))
    sides = (drawn[:, 2:] - drawn[:, :2]).min(axis=1)
    return np.where(far < sides[nearest] / 2, nearest, -1)


def missed_in_photographs(film: Film, lost: NDArray[np.int64], folder: Path) -> int:
    """Count the cells, (N, 2) of ``Film.leukocytes``, that are missed in a photograph of their piece."""
    if not len(lost):
        return 0
    pieces = np.unique(lost[:, 0])
    paths = [folder / f"piece_{k:03d}.png" for k in pieces]
    for path, k in zip(paths, pieces, strict=True):
        write_image(path, film.pieces[k].image)
    (told,) = each_in_a_process((paths, False, "all"))
    found = {
        (int(k), int(i))
        for k, own in zip(pieces, told["of_each_field"], strict=True)
        for i in owners(film.pieces[k].xyxy, own)
    }
    return sum((int(k), int(i)) not in found for k, i in lost)


def compared(film: Film, told: Found, folder: Path) -> dict[str, int]:
    """Compare what was found in the squares that were read with what was drawn whole in them."""
    xyxy, whole, types, origin = film.leukocytes()
    column, row = (boxes.centers(xyxy) // told["film"].side).astype(int).T
    own = whole & told["film"].read[row, column]
    owner = owners(xyxy, told["xyxy"])
    times_found = np.bincount(owner[owner >= 0], minlength=len(xyxy))
    lost = np.flatnonzero(own & (times_found == 0))
    called = np.array(told["types"]) == BLAST
    is_blast = np.append(types == BLAST, False)[owner]  # -1, of no drawn cell, is none
    return {
        "drawn": int(own.sum()),
        "found_once": int((times_found[own] == 1).sum()),
        "found_twice": int((times_found[own] > 1).sum()),
        "lost": len(lost),
        "lost_in_photographs_too": missed_in_photographs(film, origin[lost], folder),
        "found_elsewhere": int((owner < 0).sum()),
        "blasts_drawn": int((own & (types == BLAST)).sum()),
        "blasts_called_blast": int((called & is_blast).sum()),
        "others_called_blast": int((called & ~is_blast).sum()),
    }


def parts_told(film: Film, found: FilmMap) -> dict[str, dict[str, int]]:
    """Tell what the squares of each drawn part were taken for; those on a line between parts are left out."""
    told: dict[str, dict[str, int]] = {}
    for part in dict.fromkeys(film.part.tolist()):
        columns = np.flatnonzero(film.part == part) * PIECE_PX
        first, last = -(-columns[0] // found.side), (columns[-1] + PIECE_PX) // found.side
        counts = np.bincount(found.parts[:, first:last].ravel(), minlength=len(FILM_PARTS))
        told[part] = {name: int(n) for name, n in zip(FILM_PARTS, counts, strict=True) if n}
    return told


def beside_photographs(film: Film, folder: Path) -> dict[str, Any]:
    """Read a film whole and its fields as photographs, JPEG, in turn: core ms a megapixel of each."""
    took: dict[str, list[float]] = {"whole slide": [], "its fields as photographs": []}
    photographs: list[Path] = []
    for _ in range(_ROUNDS):
        (whole,) = each_in_a_process(([film.path], True, "all", 0))
        if not photographs:
            photographs = [folder / f"field_{i:04d}.jpg" for i in range(len(whole["paths"]))]
            for path, region in zip(photographs, whole["paths"], strict=True):
                write_image(path, read_image(region))
        (plain,) = each_in_a_process((photographs, False, "all", 0))
        for own, told in zip(took.values(), (whole, plain), strict=True):
            own.append(_core_ms(told))
    slide, plain_ms = took.values()
    ratios = [a / b for a, b in zip(slide, plain_ms, strict=True)]
    return {
        "fields": len(photographs),
        "rounds": _ROUNDS,
        "core_ms_a_megapixel": {name: float(np.median(own)) for name, own in took.items()},
        "ratio": {"median": float(np.median(ratios)), "least": min(ratios), "most": max(ratios)},
        "peak_mb": whole["peak_mb"],
    }


def measure(
    size: tuple[int, int], layer: float, of_layer: int, leukocytes: float, reads: tuple[int | str, ...],
    orders: int, folder: Path,
) -> dict[str, Any]:  # fmt: skip
    """Draw a film, read it in every way, compare."""
    pieces = drawn_pieces(of_layer, usable_cores(), leukocytes)
    film = write_film(folder / "film.tif", pieces, size, layer=layer)
    small = write_film(folder / "small.tif", pieces, (_SMALL_PX,) * 2)
    ways: dict[str, Any] = {}
    told_of = each_in_a_process(
        *(([film.path], True, read, orders if read == "all" else 0) for read in reads)
    )
    for read, told in zip(reads, told_of, strict=True):
        ways[str(read)] = {
            **{k: told[k] for k in ("fields", "seconds", "core_seconds", "peak_mb", "flag", "stopped")},
            "leukocytes": len(told["types"]),
            "read_percent": told["film"].read_percent,
            **compared(film, told, folder),
        }
    whole = told_of[0]
    return {
        "size_px": _size(film),
        "file_mb": film.path.stat().st_size / 1e6,
        "pieces": len(film.pieces),
        "drawn": len(film.leukocytes()[0]),
        "parts": parts_told(film, whole["film"]),
        "ways": ways,
        "replayed": whole["replayed"],
        "core_ms_a_megapixel": _core_ms(whole),
        "last_beside_first_third": whole["last_beside_first_third"],
        "growth_mb": whole["growth_mb"],
        "memory_curve": whole["memory_curve"],
        "small": {"size_px": _size(small), **beside_photographs(small, folder)},
    }


def _size(film: Film) -> list[int]:
    return list(film.shape[::-1])


def _core_ms(told: Found) -> float:
    return float(1e3 * told["core_seconds"] / (told["pixels"] / 1e6))


def size_of(text: str) -> tuple[int, int]:
    """Width and height from ``80000x60000``, or from one number for both; for argparse."""
    width, _, height = text.partition("x")
    return int(width), int(height or width)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument(
        "--size", type=size_of, default=(20_480, 20_480), help="of the film, px: WIDTHxHEIGHT"
    )
    parser.add_argument("--layer", type=float, default=LAYER_SHARE, help="share of its width in one layer")
    parser.add_argument("--pieces", type=int, default=4, help="different pieces of the part in one layer")
    parser.add_argument("--leukocytes", type=float, default=LEUKOCYTES, help="expected on a piece of 256 um")
    parser.add_argument("--read", action="append", help=f"ways to read; default {', '.join(map(str, READS))}")
    parser.add_argument("--orders", type=int, default=_ORDERS, help="in which it is read again")
    parser.add_argument("--section", default="film", help="of the page that is filled")
    parser.add_argument("--json", type=Path, default=_ROOT / "docs/results/whole_film.json")
    parser.add_argument("--into", type=Path, default=_ROOT / "docs/whole_slides.md")
    asked = parser.parse_args()
    chosen = tuple(int(read) if read.isdecimal() else read for read in asked.read or ()) or READS
    reads = ("all", *(read for read in chosen if read != "all"))
    with tempfile.TemporaryDirectory() as folder:
        known: dict[str, Any] = {
            "command": " ".join(["python -m benchmarks.whole_film", *sys.argv[1:]]),
            "machine": machine.described(),
            "film": measure(
                asked.size, asked.layer, asked.pieces, asked.leukocytes, reads, asked.orders, Path(folder)
            ),
        }
    machine.write_json(asked.json, known)
    asked.into.write_text(
        filled(asked.into.read_text(encoding="utf-8"), asked.section, tables(known)), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
