"""What sequential reading of whole slides saves, and what it costs: fills docs/whole_slides.md.

Two drawn films, one of healthy blood and one of blood with a tenth of blasts, are scanned whole. Films are
put together of their fields, drawn with replacement, so many of them from the second as the share of blasts
asks for, as :mod:`benchmarks.drawn_film` lays its pieces. Each is read in every way by
:mod:`benchmarks.replay`, in an order of its own: many films are told of for the time of two.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.drawn_film import drawn_pieces, write_film
from benchmarks.performance import filled
from benchmarks.replay import in_short, in_words, replayed
from smearscan.io import Slide
from smearscan.results import FieldResult
from smearscan.runtime import usable_cores
from smearscan.scan.reading import Outcome
from smearscan.scan.scanner import SmearScanner
from smearscan.scan.slide_opening import SlideOpener

_ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = _ROOT / "docs/results/sequential_reading.json", _ROOT / "docs/whole_slides.md"
READS: tuple[int | str, ...] = ("all", 100, 200, 400, "resolved", "blasts")
KINDS = {"healthy": 0.0, "0.5 % blasts": 0.05, "2 % blasts": 0.2, "10 % blasts": 1.0}
"""Blood, and the share of its fields that are of the film with blasts."""

_SIDE_PX, _PIECES, _SEED = 8192, 6, 17


@dataclass(frozen=True, slots=True)
class Pool:
    """Fields of a film that was scanned whole, and the core seconds that each took.

    Attributes
    ----------
    fields : list of FieldResult
    opening, reading : float
        Seconds to find the parts and the scale, and to read, by field.
    """

    fields: list[FieldResult]
    opening: float
    reading: float


def scanned(scanner: SmearScanner, path: Path) -> Pool:
    """Scan a film whole."""
    slide = Slide(path.name, (path,), is_whole=True)
    opener = SlideOpener(scanner.detector, scanner.classifier, scanner.config, scanner.timer)
    began = time.process_time()
    opener.open_film(slide)
    opened = time.process_time()
    _, results = scanner.scan_slide(slide)
    ended = time.process_time()
    fields = [result for result in results if isinstance(result, FieldResult)]
    opening = (opened - began) / len(fields)
    return Pool(fields, opening, (ended - opened) / len(fields) - opening)


def measured(films: int, n_fields: int) -> dict[str, Any]:
    """Scan the two films and read those that are put together of them."""
    told = machine.described()
    scanner = SmearScanner()
    scanner.analyze(np.full((640, 640, 3), 230, np.uint8))  # networks are compiled
    with tempfile.TemporaryDirectory() as place:
        pieces = drawn_pieces(_PIECES, usable_cores())
        pools = []
        for share in (0.0, 1.0):
            film = write_film(Path(place) / f"{share}.tif", pieces, (_SIDE_PX,) * 2, _SEED, share)
            pools.append(scanned(scanner, film.path))
    kinds: dict[str, Any] = {}
    for kind, share in KINDS.items():
        ways: dict[str, Any] = {str(read): [] for read in READS}
        for seed in range(films):
            film_of_fields = put_together(pools, share, n_fields, seed)
            for read in READS:
                ways[str(read)] += replayed(scanner, film_of_fields, film_of_fields[0].scale, read, [seed])
        whole = [replay["flag"] for replay in ways["all"]]
        kinds[kind] = {
            read: {
                **in_short(replays, n_fields),
                "other_flag": sum(one["flag"] != flag for one, flag in zip(replays, whole, strict=True)),
            }
            for read, replays in ways.items()
        }
    return {
        "command": " ".join(["python -m benchmarks.sequential_reading", *sys.argv[1:]]),
        "machine": told,
        "films": films,
        "fields": n_fields,
        "scanned_fields": [len(pool.fields) for pool in pools],
        "core_s_a_field": {
            "opening": float(np.mean([pool.opening for pool in pools])),
            "reading": float(np.mean([pool.reading for pool in pools])),
        },
        "kinds": kinds,
    }


def put_together(pools: list[Pool], share: float, n_fields: int, seed: int) -> list[Outcome]:
    """Draw a film of so many fields, this share of them of the second pool."""
    rng = np.random.default_rng([_SEED, seed])
    from_second = rng.random(n_fields) < share
    at = rng.random(n_fields)
    fields = [pools[int(second)].fields for second in from_second]
    return [own[int(where * len(own))] for own, where in zip(fields, at, strict=True)]


def table(known: dict[str, Any]) -> str:
    """Tell the figures as Markdown."""
    opening, reading = known["core_s_a_field"].values()
    healthy, with_blasts = known["scanned_fields"]
    lines = [
        f"{known['films']} films of each blood, each of {known['fields']} fields, drawn from {healthy} "
        f"fields of healthy blood and {with_blasts} with a tenth of blasts; median (least to most). Opening "
        f"a film took {opening:.3f} s of a core a field, reading it {reading:.2f} s.",
        "",
        "| blood | `--read` | read of the layer | cells counted | time of reading all | flag | flag "
        "other than the whole film's |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, ways in known["kinds"].items():
        for read, way in ways.items():
            part = way["read_percent"]["median"] / 100
            took = 100 * (opening + part * reading) / (opening + reading)
            flags = ", ".join(f"{state}: {n}" for state, n in way["flags"].items())
            lines.append(
                f"| {kind} | {read} | {in_words(way['read_percent'], ' %')} | {in_words(way['cells'])} "
                f"| {took:.0f} % | {flags} | {way['other_flag']} of {way['orders']} |"
            )
    return "\n".join([*lines, "", f"`{known['command']}`; {machine.in_words(known['machine'])}"])


def main() -> None:
    """Measure, write, fill the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--films", type=int, default=40, help="of each blood")
    parser.add_argument("--fields", type=int, default=250, help="of a film")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--into", type=Path, default=PAGE)
    asked: Any = parser.parse_args()
    known = measured(asked.films, asked.fields)
    machine.write_json(asked.out, known)
    text = asked.into.read_text(encoding="utf-8")
    asked.into.write_text(filled(text, "sequential reading", table(known)), encoding="utf-8")


if __name__ == "__main__":
    main()
