"""Measuring whole slides: the written film is what is told of it, and each found box has one owner."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import machine, sequential_reading
from benchmarks.drawn_film import PIECE_PX, SPECS, UM_PER_PX, Film, Piece, draw_thick, write_film
from benchmarks.replay import Replay, in_short, in_words
from benchmarks.sequential_reading import Pool, put_together
from benchmarks.whole_film import compared, last_beside_first_third, owners, parts_told
from benchmarks.whole_film_tables import tables
from smearscan.io.whole_slides import Region, WholeSlide
from smearscan.results import FILM_PARTS, LAYER, FilmMap
from smearscan.rulers.monolayer import Coverage, light_of_glass, part_of
from smearscan.synthetic import draw_field
from smearscan.taxonomy import BLAST

KINDS = ("thick", "one layer", "one layer, with blasts", "thin", "empty")


def piece(shade: int, types: tuple[str, ...] = ()) -> Piece:
    """A piece of one shade, with a cell every 100 px across its upper half."""
    image = np.full((PIECE_PX, PIECE_PX, 3), shade, np.uint8)
    corners = np.array([(100.0 * (i + 1), 200.0) for i in range(len(types))]).reshape(-1, 2)
    return Piece(image, np.concatenate([corners, corners + 60], axis=1).astype(np.float32), types)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    own = {
        name: [piece(40 * k + 30, ("neutrophil", BLAST) if "blasts" in name else ("neutrophil",))]
        for k, name in enumerate(KINDS)
    }
    return write_film(tmp_path_factory.mktemp("film") / "f.tif", own, (8 * PIECE_PX + 5, 6 * PIECE_PX))


def test_a_written_film_holds_its_pieces_where_it_says(film: Film) -> None:
    slide = WholeSlide(film.path)
    assert slide.shape == film.shape == (6 * PIECE_PX, 8 * PIECE_PX)
    assert slide.um_per_px == pytest.approx(UM_PER_PX)
    assert sorted(slide.reductions()) == [1, 4]
    for at in ((0, 0), (3, 5), (5, 7)):
        y, x = (i * PIECE_PX + PIECE_PX // 2 - 8 for i in at)
        for reduction in (1, 4):
            seen = slide.read(Region(x, y, 16, 16), reduction)
            assert np.abs(seen.astype(int) - film.pieces[film.laid[at]].image[0, 0]).max() <= 2


def test_mirrored_cells_stay_on_their_pixels() -> None:
    drawn = piece(200, ("neutrophil",))
    drawn.image[200:260, 100:160] = 10
    for down, across in ((True, False), (False, True), (True, True)):
        turned = drawn.mirrored(down, across)
        x0, y0, x1, y1 = turned.xyxy[0].astype(int)
        assert (turned.image[y0:y1, x0:x1] == 10).all()
        assert (turned.image == 10).sum() == 3 * 60 * 60


def test_the_drawn_parts_are_told_from_each_other() -> None:
    """As a film shows them: in one light, each by how much of the glass is seen."""
    coarse = {}
    for name, side in (("thick", 120), ("one layer", 160), ("thin", 320), ("empty", 160)):
        spec = replace(SPECS[name], height=side, width=side, leukocytes=0.0, min_leukocytes=0)
        image = (draw_thick if name == "thick" else draw_field)(spec, 3).image
        coarse[name] = cv2.resize(image, (side // 8,) * 2, interpolation=cv2.INTER_AREA)
    glass = light_of_glass(list(coarse.values()))
    told = {
        name: FILM_PARTS[part_of(Coverage.of(image, glass, 8 * UM_PER_PX))] for name, image in coarse.items()
    }
    assert told == {name: name for name in coarse}
    alone = Coverage.of(coarse["thick"], light_of_glass([coarse["one layer"]]), 8 * UM_PER_PX)
    assert alone.whole > 0.9  # hardly any glass is seen between cells that lie on each other


def test_each_found_box_is_of_the_nearest_drawn_cell() -> None:
    drawn = np.array([[0, 0, 60, 60], [70, 0, 130, 60]], np.float32)
    found = np.array([[2, 0, 62, 60], [5, 5, 55, 55], [300, 300, 360, 360], [66, 1, 126, 61]], np.float32)
    np.testing.assert_array_equal(owners(drawn, found), [0, 0, -1, 1])
    assert owners(drawn, found[:0]).shape == (0,)
    np.testing.assert_array_equal(owners(drawn[:0], found), [-1] * 4)


def test_cells_are_compared_in_the_squares_that_were_read(film: Film, tmp_path: Path) -> None:
    xyxy, _, types, _ = film.leukocytes()
    side = 2048
    read = np.zeros((4, 4), bool)
    read[:, 1] = True
    parts = np.full((4, 4), LAYER, np.uint8)
    inside = (xyxy[:, 0] // side).astype(int) == 1
    found = np.concatenate([xyxy[inside], xyxy[inside][:2] + 3, [[0, 0, 9, 9]]]).astype(np.float32)
    named = [*types[inside], "neutrophil", BLAST, BLAST]
    told = compared(
        film, {"film": FilmMap((8192, 8192), side, parts, read), "xyxy": found, "types": named}, tmp_path
    )
    blasts = int((types[inside] == BLAST).sum())
    assert told == {
        "drawn": int(inside.sum()), "found_once": int(inside.sum()) - 2, "found_twice": 2, "lost": 0,
        "lost_in_photographs_too": 0, "found_elsewhere": 1, "blasts_drawn": blasts,
        "blasts_called_blast": blasts + int(types[inside][1] == BLAST),
        "others_called_blast": 2 - int(types[inside][1] == BLAST),
    }  # fmt: skip
    assert parts_told(film, FilmMap((8192, 8192), side, parts, read))["one layer"] == {"one layer": 8}


def test_a_film_put_together_is_of_the_pools_as_asked() -> None:
    pools = [Pool([f"{name}{i}" for i in range(9)], 0.1, 0.9) for name in "ab"]  # type: ignore[misc]
    for share, names in ((0.0, {"a"}), (1.0, {"b"}), (0.5, {"a", "b"})):
        film = put_together(pools, share, 60, 3)
        assert (len(film), {str(field)[0] for field in film}) == (60, names)
        assert film == put_together(pools, share, 60, 3)
        assert film != put_together(pools, share, 60, 4)


def test_the_last_third_of_a_slide_is_compared_with_the_first() -> None:
    clock = [0.0, 1, 2, 3, 5, 7, 9, 12, 15, 18]  # readings after each of ten fields
    assert last_beside_first_third(clock) == pytest.approx(9 / 3)
    assert np.isnan(last_beside_first_third(clock[:3]))


def replays(*flags: str) -> list[Replay]:
    return [{"fields": 10 * (i + 1), "cells": 100, "blasts": i, "flag": flag} for i, flag in enumerate(flags)]


def test_replays_are_told_with_their_spread_and_flags() -> None:
    short = in_short(replays("flagged", "not flagged", "flagged"), 100)
    assert short["read_percent"] == {"median": 20, "least": 10, "most": 30}
    assert (short["without_blasts"], short["flags"]) == (1, {"flagged": 2, "not flagged": 1})
    assert in_words(short["read_percent"], " %") == "20.0 % (10.0 to 30.0)"
    assert in_words(short["cells"]) == "100"


def test_the_pages_tell_what_was_measured(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "in_words", lambda _: "a machine")
    way: dict[str, object] = dict.fromkeys(("drawn", "found_once", "found_twice", "lost"), 0)
    way |= {"read_percent": 100.0, "leukocytes": 1234, "lost_in_photographs_too": 0, "blasts_drawn": 2}
    way |= {"blasts_called_blast": 1, "others_called_blast": 0, "found_elsewhere": 3, "flag": "flagged"}
    way |= {"core_seconds": 12.3, "peak_mb": 500.4}
    short = in_short(replays("flagged", "not flagged"), 100)
    told = tables(
        {
            "command": "this",
            "machine": {},
            "film": {
                "size_px": film.shape[::-1], "drawn": 5678, "pieces": 28,
                "parts": {"thick": {"thick": 9}, "empty": {}}, "ways": {"all": way},
                "last_beside_first_third": 1.01, "growth_mb": 1.2, "replayed": {"200": short},
                "small": {
                    "size_px": [1024, 1024], "peak_mb": 400.0, "fields": 5, "rounds": 3,
                    "core_ms_a_megapixel": {"whole slide": 110.0, "its fields as photographs": 100.0},
                    "ratio": {"median": 1.1, "least": 1.08, "most": 1.12},
                },
            },
        }
    )  # fmt: skip
    for words in ("8,192 x 6,144 px", "| thick | 9 thick |", "| empty | no square lies in it whole |"):
        assert words in told
    assert "| all | 100 % | 1,234 |" in told
    assert "110 ms of a core" in told
    assert "+10 % (+8 to +12 %; 3 rounds in turn)" in told
    assert "1.01 times as long" in told
    assert "| 200 | 15.0 % (10.0 to 20.0) | 100 | 0 (0 to 1) | 1 of 2 | flagged: 1, not flagged: 1 |" in told
    page = sequential_reading.table(
        {
            "command": "this", "machine": {}, "films": 2, "fields": 100, "scanned_fields": [9, 8],
            "core_s_a_field": {"opening": 0.1, "reading": 0.9},
            "kinds": {"healthy": {"200": {**short, "other_flag": 1}}},
        }
    )  # fmt: skip
    # 15 % of the fields are read, and the tenth of the time that opening takes is spent in any case
    assert (
        "| healthy | 200 | 15.0 % (10.0 to 20.0) | 100 | 24 % | flagged: 1, not flagged: 1 | 1 of 2 |" in page
    )
