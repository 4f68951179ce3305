"""The map of a whole slide: each square as it is, each blast where it lies, and told apart by everybody."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import cv2
import drawn_run
import numpy as np
import pytest
from color_vision import VISION, seen
from numpy.typing import NDArray
from PIL import Image

from smearscan.differential.conclusions import report_slide
from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import SlideReport
from smearscan.differential.tally import SlideTally
from smearscan.io.whole_slides import Region
from smearscan.report import film_map as module
from smearscan.report.exports import write_exports
from smearscan.report.film_map import PATTERNS, draw_film_map
from smearscan.results import LAYER, Detections, FieldFailure, FieldResult, FilmMap, Scale
from smearscan.taxonomy import BLAST
from smearscan.taxonomy.palette import look

SIDE, SEAM = 1600, 80
SHAPE = (8 * SIDE - 900, 12 * SIDE)
"""The last row is cut."""


def read_film() -> tuple[SlideReport, list[FieldResult | FieldFailure]]:
    """A film of all parts; the second row is read, and but for one square could be."""
    parts = np.full((8, 12), LAYER, np.uint8)
    parts[:, :4] = [0, 1, 2, 3]
    done = np.zeros(parts.shape, bool)
    done[1, 4:] = True
    results: list[FieldResult | FieldFailure] = [field(1, c, ("neutrophil", BLAST)) for c in range(4, 11)]
    results.append(FieldFailure("film.svs", window(1, 11).of(Path("film.svs")), "a tile is damaged"))
    tally = SlideTally.of("film.svs", results)
    return of_film(tally, FilmMap(SHAPE, SIDE, parts, done)), results


def of_film(tally: SlideTally, film: FilmMap | None) -> SlideReport:
    return replace(report_slide(tally, "both", Scale(0.2, "file"), FlagRule(), ()), film=film)


def window(row: int, column: int) -> Region:
    y, x = max(row * SIDE - SEAM, 0), max(column * SIDE - SEAM, 0)
    bottom, right = min((row + 1) * SIDE + SEAM, SHAPE[0]), min((column + 1) * SIDE + SEAM, SHAPE[1])
    return Region(x, y, right - x, bottom - y)


def field(row: int, column: int, types: tuple[str, ...]) -> FieldResult:
    """A field with a cell every 400 px down its middle."""
    own = window(row, column)
    middles = np.array([(own.width / 2, 400.0 * (k + 1)) for k in range(len(types))])
    xyxy = np.concatenate([middles - 40, middles + 40], axis=1).astype(np.float32)
    found = Detections(xyxy, np.ones(len(types), np.float32), np.zeros(len(types), np.int64))
    probs = np.full((len(types), 1), 0.9, np.float32)
    return FieldResult(
        "film.svs", own.of(Path("film.svs")), (own.height, own.width), found, probs, ("neutrophil",),
        probs[:, 0], types, Scale(0.2, "file"), origin=(own.x, own.y),
    )  # fmt: skip


Drawn = tuple[NDArray[np.uint8], SlideReport, list[FieldResult | FieldFailure]]


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    report, results = read_film()
    return draw_film_map(report, results), report, results


def inside(image: NDArray[np.uint8], row: int, column: int) -> set[tuple[int, ...]]:
    """Colors of a square, away from its edge."""
    px = module._square_px(FilmMap(SHAPE, SIDE, np.zeros((8, 12), np.uint8), np.zeros((8, 12), bool)))
    part = image[row * px + 2 : row * px + px - 1, column * px + 2 : column * px + px - 1]
    return set(map(tuple, part.reshape(-1, 3).tolist()))


def test_every_square_has_the_pattern_of_what_it_is(drawn: Drawn) -> None:
    image, report, _ = drawn
    for row, column in np.ndindex(report.film.parts.shape):
        if row == 7 or (row == 1 and 4 <= column < 11):
            continue  # cut, and with blasts
        kind = len(PATTERNS) - 1 if (row, column) == (1, 11) else report.film.parts[row, column]
        pattern = PATTERNS[kind]
        assert inside(image, row, column) == {pattern.ground, pattern.marks}, (row, column)
    assert PATTERNS[LAYER + 1].ground in inside(image, 1, 5)


def test_blasts_lie_where_they_are_in_the_slide_and_other_cells_are_none(drawn: Drawn) -> None:
    image, report, results = drawn
    scale = module._square_px(report.film) / report.film.side
    height = round(report.film.shape[0] * scale)
    dots = (image[:height] == look(BLAST).rgb).all(axis=2).astype(np.uint8)
    n, _, _, middles = cv2.connectedComponentsWithStats(dots)
    boxes = [r.slide_xyxy[1] for r in results if isinstance(r, FieldResult)]
    wanted = np.array([((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in boxes]) * scale
    assert n - 1 == len(wanted)
    assert np.abs(middles[1:][np.argsort(middles[1:, 0])] - wanted).max() < 1


def test_patterns_are_told_apart_by_everybody_and_without_color() -> None:
    for a, b in combinations(PATTERNS, 2):
        if a.kind != b.kind:
            continue  # dots, lines one way or the other
        for vision in VISION:
            apart = np.linalg.norm(seen(a.ground, vision) - seen(b.ground, vision))
            assert apart > 10, (a.told, b.told, vision)
        lightness = [float(seen(p.ground, "usual")[0]) for p in (a, b)]
        assert abs(lightness[0] - lightness[1]) > 10, (a.told, b.told)
    for vision in VISION:  # a blast's dot on what was read
        assert np.linalg.norm(seen(look(BLAST).rgb, vision) - seen(PATTERNS[LAYER + 1].ground, vision)) > 30


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (300, 200)])
def test_films_of_any_form_are_drawn_small_enough_to_be_looked_at(shape: tuple[int, int]) -> None:
    parts = np.full(shape, LAYER, np.uint8)
    film = FilmMap((shape[0] * SIDE, shape[1] * SIDE), SIDE, parts, parts == 0)
    report = of_film(SlideTally("f"), film)
    height, width = draw_film_map(report, []).shape[:2]
    assert width <= 1200
    assert height <= 1600


def test_a_map_is_an_export_of_whole_slides_alone(tmp_path: Path) -> None:
    report, results = read_film()
    photographed = of_film(SlideTally("folder"), None)
    with pytest.raises(ValueError, match="folder: is no whole slide"):
        draw_film_map(photographed, [])
    slides = [(report, results), (photographed, [])]
    done = write_exports(tmp_path, ["map"], drawn_run.facts(), slides, None)
    assert [path.name for path in done.files] == ["film.svs.png", "manifest.json"]
    with Image.open(done.files[0]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), draw_film_map(report, results))
