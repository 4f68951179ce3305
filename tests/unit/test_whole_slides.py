"""Whole slides: which files are some, their regions read one by one, each cell in one field alone."""

import itertools
import json
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import drawn_films
import drawn_run
import fakes
import numpy as np
import pytest
import test_unlike_cells
import tifffile
from fakes import scanner, use_fake_nets
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.replay import in_short, replayed
from smearscan.errors import ConfigError, ImageError
from smearscan.io import find_slides, read_image
from smearscan.io import whole_slides as module
from smearscan.io.content import file_sha256
from smearscan.io.naming import OutputNames
from smearscan.io.whole_slides import Region, WholeSlide, open_whole_slide, region_of
from smearscan.report.exports import write_exports
from smearscan.report.review import write_review
from smearscan.results import FILM_PARTS, LAYER, FieldFailure, FieldResult
from smearscan.rulers.monolayer import Coverage, light_of_glass, part_of, sharpness, without_blurred
from smearscan.scan import film as film_module
from smearscan.scan.film import FilmGrid, Seams
from smearscan.scan.reading import stratified_order
from smearscan.scan.run import RunFolder, open_run, run_slides, scan_into
from smearscan.scan.run_folder import read_run
from smearscan.scan.run_reports import write_run_reports
from smearscan.taxonomy import BLAST

Rgb = drawn_films.Rgb
HEIGHT, WIDTH = 640, 960


@pytest.fixture(autouse=True)
def _small_films(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small slides are whole slides here, and their squares are small: 320 px."""
    use_fake_nets(monkeypatch)
    monkeypatch.setattr(module, "_LEAST_SIDE_PX", 600)
    monkeypatch.setattr(film_module, "_SIDE_UM", 72.0)
    yield
    module._opened.cache_clear()


@pytest.fixture(scope="module")
def film() -> tuple[Rgb, Any]:
    """Leukocytes at random, and on the lines and corners of the squares, a pixel or less off."""
    on_lines = [(320.0 + d, 100.0 + 90 * i) for i, d in enumerate((-0.5, 0.4))]
    on_lines += [(130.0 + 300 * i, 320.0 + d) for i, d in enumerate((-1.0, 0.2))]
    return drawn_films.draw_film(HEIGHT, WIDTH, white=60, at=[*on_lines, (320.3, 320.1), (640.0, 319.7)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, film: tuple[Rgb, Any]) -> Path:
    return drawn_films.write_pyramid(tmp_path_factory.mktemp("films") / "film.tif", film[0])


def read(path: Path, **settings: object) -> tuple[Any, list[FieldResult | FieldFailure]]:
    (slide,) = find_slides(path)
    return scanner(**{"um_per_px": None, "ruler_fields": 1, **settings}).scan_slide(slide)


@pytest.fixture
def whole(written: Path, _read_once: dict[str, Any]) -> tuple[Any, list[FieldResult | FieldFailure]]:
    """The film read whole, once for all tests."""
    if "whole" not in _read_once:
        _read_once["whole"] = read(written)
    return _read_once["whole"]


@pytest.fixture(scope="module")
def _read_once() -> dict[str, Any]:
    return {}


def boxes_of(results: list[FieldResult | FieldFailure]) -> Any:
    return np.concatenate([r.slide_xyxy for r in results if isinstance(r, FieldResult)])


def middles(xyxy: Any) -> Any:
    return (xyxy[:, :2] + xyxy[:, 2:]) / 2


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("ome", [False, True])
@pytest.mark.parametrize("compression", ["zlib", None])
def test_any_region_is_the_slide_s_own_pixels(
    tmp_path: Path, film: tuple[Rgb, Any], ome: bool, compression: str | None
) -> None:
    path = tmp_path / "a.ome.tif"
    drawn_films.write_pyramid(path, film[0], ome=ome, compression=compression)
    slide = WholeSlide(path)
    assert slide.shape == (HEIGHT, WIDTH)
    assert slide.um_per_px == pytest.approx(fakes.UM_PER_PX)
    assert sorted(slide.reductions()) == [1, 4]
    for region in (Region(0, 0, WIDTH, HEIGHT), Region(250, 3, 13, 600), Region(959, 639, 1, 1)):
        x, y, w, h = region
        np.testing.assert_array_equal(slide.read(region), film[0][y : y + h, x : x + w])
    assert slide.read(Region(400, 400, 100, 40), 4).shape == (10, 25, 3)
    with pytest.raises(ImageError, match="outside the slide of 960x640 px"):
        slide.read(Region(700, 0, 400, 10))


def test_a_region_is_read_wherever_a_picture_is(written: Path, film: tuple[Rgb, Any]) -> None:
    path = Region(40, 80, 200, 100).of(written)
    assert region_of(path) == (written, Region(40, 80, 200, 100))
    assert region_of(written) is None
    np.testing.assert_array_equal(read_image(path), film[0][80:180, 40:240])


def test_jpeg_tiles_are_decoded_strictly(tmp_path: Path, film: tuple[Rgb, Any]) -> None:
    path = drawn_films.write_pyramid(tmp_path / "j.tif", film[0], compression="jpeg")
    whole = Region(0, 0, WIDTH, HEIGHT)
    good = WholeSlide(path).read(whole)
    assert np.abs(good.astype(int) - film[0]).mean() < 3
    with tifffile.TiffFile(path) as file:
        offset, count = file.pages[0].dataoffsets[3], file.pages[0].databytecounts[3]
    data = bytearray(path.read_bytes())
    data[offset + count // 2 : offset + count] = bytes(count - count // 2)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="a tile is damaged"):
        WholeSlide(path).read(whole)


@pytest.mark.parametrize("um_per_px", [None, 352.8, 1e4 / 28.35])
def test_a_writer_s_default_resolution_is_no_scale(
    tmp_path: Path, film: tuple[Rgb, Any], um_per_px: float | None
) -> None:
    assert WholeSlide(drawn_films.write_pyramid(tmp_path / "a.tif", film[0], um_per_px)).um_per_px is None


def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, film: tuple[Rgb, Any]) -> None:
    tifffile.imwrite(tmp_path / "gray.tif", film[0][:, :, 0], tile=(256, 256))
    tifffile.imwrite(tmp_path / "strips.tif", film[0])
    (tmp_path / "no.tif").write_bytes(b"II*\0" + bytes(40))
    for name, told in (("gray", "1 samples"), ("strips", "stored in strips"), ("no", "no readable")):
        with pytest.raises(ImageError, match=told):
            WholeSlide(tmp_path / f"{name}.tif")


def test_a_file_that_changed_is_opened_anew(tmp_path: Path, film: tuple[Rgb, Any]) -> None:
    path = drawn_films.write_pyramid(tmp_path / "a.tif", film[0])
    first = open_whole_slide(path)
    assert open_whole_slide(path) is first
    drawn_films.write_pyramid(path, film[0][:600])
    assert open_whole_slide(path).shape == (600, WIDTH)


@pytest.mark.parametrize(
    "write", [drawn_films.write_svs, lambda path, image: drawn_films.write_dicom(path, image)[1]]
)
def test_scanners_files_are_read_and_label_and_overview_never(
    tmp_path: Path, film: tuple[Rgb, Any], write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    openslide = pytest.importorskip("openslide")
    pytest.importorskip("pydicom")

    def opened(_: object) -> None:
        raise AssertionError("a label or an overview was asked for")

    monkeypatch.setattr(openslide.OpenSlide, "associated_images", property(opened))
    slide = WholeSlide(write(tmp_path / "film.svs", film[0]))
    assert slide.shape == (HEIGHT, WIDTH)
    assert slide.um_per_px == pytest.approx(fakes.UM_PER_PX)
    assert sorted(slide.reductions()) == [1, 4]
    seen = slide.read(Region(250, 100, 300, 520))
    assert np.abs(seen.astype(int) - film[0][100:620, 250:550]).mean() < 3
    assert slide.read(Region(400, 400, 100, 40), 4).shape == (10, 25, 3)


def test_a_dicom_series_is_one_slide_of_all_its_files(tmp_path: Path, film: tuple[Rgb, Any]) -> None:
    pytest.importorskip("pydicom")
    for name in ("one", "two"):
        for file in drawn_films.write_dicom(tmp_path / name, film[0][:300, :400]):
            file.rename(tmp_path / f"{name}_{file.name}")
        (tmp_path / name).rmdir()
    slides = find_slides(tmp_path)
    assert [slide.slide_id for slide in slides] == ["one_level_0.dcm", "two_level_0.dcm"]
    assert [[p.name for p in slide.files] for slide in slides] == [
        ["one_level_0.dcm", "one_level_1.dcm"],
        ["two_level_0.dcm", "two_level_1.dcm"],
    ]


# ---------------------------------------------------------------- among folders


def test_whole_slides_are_slides_wherever_they_lie(tmp_path: Path, film: tuple[Rgb, Any]) -> None:
    for name in ("case/b.tif", "a.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        drawn_films.write_pyramid(tmp_path / name, film[0][:300, :700])
    tifffile.imwrite(tmp_path / "case" / "field.tif", film[0][:100, :100])
    (tmp_path / "c.mrxs").write_text("no slide")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "Data0000.dat").write_text("pixels")
    told = [(slide.slide_id, slide.is_whole, len(slide.files)) for slide in find_slides(tmp_path)]
    assert told == [("a.tif", True, 1), ("c.mrxs", True, 2), ("case", False, 1), ("case/b.tif", True, 1)]
    told = [(slide.slide_id, slide.is_whole) for slide in find_slides(tmp_path, one_slide=True)]
    assert told == [(tmp_path.name, False), ("a.tif", True), ("c.mrxs", True), ("case/b.tif", True)]


@pytest.mark.parametrize(
    ("without", "told"), [(True, r"smearscan\[wsi\]"), (False, "no readable whole slide")]
)
def test_one_that_cannot_be_opened_is_told_and_the_rest_goes_on(
    tmp_path: Path, written: Path, monkeypatch: pytest.MonkeyPatch, without: bool, told: str
) -> None:
    root = tmp_path / "slides"
    root.mkdir()
    (root / "broken.svs").write_text("no slide")
    (root / "film.tif").symlink_to(written)
    if without:
        monkeypatch.setitem(sys.modules, "openslide", None)
    else:
        pytest.importorskip("openslide")
    summary = run_slides(scanner(um_per_px=None, ruler_fields=1), root, tmp_path / "r.run")
    broken, good = read_run(tmp_path / "r.run")
    assert summary.broken == ("broken.svs",)
    assert (broken[0].tally.n_failed, good[0].tally.n_failed) == (1, 0)
    assert re.search(told, broken[0].tally.failures[0].reason)


# ---------------------------------------------------------------- each cell once


def test_every_cell_is_found_once_and_where_it_is(whole: Any, film: tuple[Rgb, Any]) -> None:
    report, results = whole
    found, truth = middles(boxes_of(results)), middles(film[1])
    apart = np.hypot(*(found[:, None] - truth[None]).transpose(2, 0, 1))
    assert (apart < 4).sum(axis=0).tolist() == [1] * len(truth)
    assert len(found) == len(truth) == report.n_leukocytes
    assert report.scale.source == "file"
    assert report.film.read.all()
    assert report.reading.n_available == len(results) == report.film.read.size


def test_threads_and_windows_change_nothing(written: Path, whole: Any) -> None:
    fakes.assert_same(whole[1], read(written, workers=4, read_ahead=1, window=3)[1])


@pytest.mark.parametrize("far", [1, 20, 10_000, "resolved", "blasts"])
def test_a_film_read_again_ends_where_a_scan_does(written: Path, whole: Any, far: int | str) -> None:
    """In the order of a scan, without scanning; in other orders it counts no more than there is."""
    report, results = whole
    first, *others = replayed(scanner(), results, results[0].scale, far, range(4))
    ends, _ = read(written, read=far)
    assert first == {
        "fields": ends.tally.n_fields,
        "cells": ends.tally.n_counted,
        "blasts": ends.tally.types[BLAST],
        "flag": ends.flag.state,
    }
    short = in_short([first, *others], len(results))
    assert short["orders"] == sum(short["flags"].values()) == 4
    assert 0 < short["read_percent"]["least"] <= short["read_percent"]["most"] <= 100
    assert short["cells"]["most"] <= report.tally.n_counted


def test_a_film_counts_as_the_same_picture_does_as_a_photograph(tmp_path: Path) -> None:
    image, truth = drawn_films.draw_film(300, 620, white=4, seed=3)
    fields = tmp_path / "slides"
    path = drawn_films.write_pyramid(tmp_path / "film.tif", image)
    (fields / "s").mkdir(parents=True)
    tifffile.imwrite(fields / "s" / "f.tif", image)
    ((plain, _),) = scanner(ruler_fields=1).scan_slides(fields)
    whole, _ = read(path, um_per_px=fakes.UM_PER_PX)
    assert whole.tally.types == plain.tally.types
    assert (whole.tally.n_red_cells, whole.flag) == (plain.tally.n_red_cells, plain.flag)
    assert whole.n_leukocytes == len(truth)


@given(
    st.floats(-3, 3), st.floats(-3, 3), st.floats(-0.7, 0.7), st.floats(-0.7, 0.7), st.permutations(range(4))
)
def test_two_sights_of_one_cell_are_one_cell(
    dx: float, dy: float, ex: float, ey: float, order: list[int]
) -> None:
    """Wherever a cell lies about a corner of four squares, in whatever order these are read."""
    grid = FilmGrid((800, 800), 400, 80)
    seams, kept = Seams(grid, 0.5), 0
    for k in order:
        at = (k // 2, k % 2)
        x, y = 400 + dx + (ex if k % 2 else -ex), 400 + dy + (ey if k // 2 else -ey)
        square, window = grid.square(at), grid.window(at)
        reach = film_module.CLAIM_UM / 0.25
        inside = (
            square.x - reach <= x < square.x + 400 + reach and square.y - reach <= y < square.y + 400 + reach
        )
        if inside:
            box = np.array([[x - 25, y - 25, x + 25, y + 25]], np.float32) - np.float32(
                [window.x, window.y] * 2
            )
            kept += int(seams(window.of(Path("f.tif")), box).sum())
    assert kept == 1


@given(st.integers(40, 5000), st.integers(40, 5000), st.floats(0.05, 0.6))
def test_squares_part_the_slide_and_windows_begin_on_every_level(h: int, w: int, um: float) -> None:
    grid = FilmGrid.over((h, w), um)
    every = [(r, c) for r in range(grid.size[0]) for c in range(grid.size[1])]
    squares = [grid.square(at) for at in every]
    assert sum(s.width * s.height for s in squares) == h * w
    for square, window in zip(squares, map(grid.window, every), strict=True):
        assert window.x % 8 == window.y % 8 == 0
        assert window.x <= square.x
        assert window.x + window.width <= w
        assert window.y + window.height <= h


# ---------------------------------------------------------------- what is read


def test_parts_that_cannot_be_read_are_left_out_and_told(tmp_path: Path) -> None:
    image, _ = drawn_films.draw_film(640, 960, white=6, seed=2)
    image[:320, :320] = fakes.WHITE
    image[320:, :320] = np.minimum(image[320:, 640:960], 130)  # no light comes through undimmed
    (report, results) = read(drawn_films.write_pyramid(tmp_path / "f.tif", image))
    names = [[FILM_PARTS[k] for k in row] for row in report.film.parts]
    assert [row[0] for row in names] == ["empty", "thick"]
    assert {name for row in names for name in row[1:]} == {"one layer"}
    assert report.film.left_out == "1 empty, 1 thick"
    assert report.film.read.tolist() == (report.film.parts == LAYER).tolist()
    assert len(results) == 4
    row = report.to_frame().iloc[0]
    assert (row["film_read_percent"], row["film_left_out"]) == (100.0, "1 empty, 1 thick")


def test_an_empty_slide_has_a_report(tmp_path: Path) -> None:
    path = drawn_films.write_pyramid(tmp_path / "f.tif", np.full((600, 900, 3), 240, np.uint8))
    report, results = read(path)
    assert results == []
    assert report.flag.state == "insufficient"
    assert report.film.left_out == "6 empty"
    assert np.isnan(report.film.read_percent)


def test_parts_by_coverage_and_blur() -> None:
    seen = [Coverage(0.01, 0), Coverage(0.05, 0), Coverage(0.4, 0), Coverage(0.7, 0.3)]
    assert [FILM_PARTS[part_of(one)] for one in seen] == ["empty", "thin", "one layer", "thick"]
    image, _ = drawn_films.draw_film(300, 300, white=2)
    blurred = np.asarray(cv2.GaussianBlur(image, (0, 0), 6))
    assert sharpness(blurred) < 0.35 * sharpness(image)
    assert sharpness(np.full_like(image, 200)) == 0
    parts = without_blurred(np.full((1, 3), LAYER, np.uint8), np.array([[1.0, 1.1, 0.2]]))
    assert [FILM_PARTS[k] for k in parts[0]] == ["one layer", "one layer", "blurred"]
    assert 0.1 < Coverage.of(image, light_of_glass([image]), fakes.UM_PER_PX).whole < 0.6


def test_a_field_of_many_nuclei_is_not_thick_for_being_dark() -> None:
    """Leukemic fields: nuclei that are far denser than red cells, and most of what covers the glass."""
    image, _ = drawn_films.draw_film(640, 640, white=0, seed=4)
    glass = light_of_glass([image])
    for x, y in itertools.product(range(64, 640, 128), repeat=2):
        cv2.circle(image, (x, y), 46, (60, 20, 90), -1)
    covered = Coverage.of(image, glass, fakes.UM_PER_PX)
    assert 0.4 < covered.whole < 0.85
    assert FILM_PARTS[part_of(covered)] == "one layer"


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("share", "told"), [(0.0, "one layer"), (0.05, "one layer"), (0.1, "thick"), (0.4, "thick")]
)
def test_a_square_that_the_thick_part_reaches_into_is_left_out(turned: bool, share: float, told: str) -> None:
    """Half of it would be read well, and in the other half stacks of red cells be taken for leukocytes."""
    um_per_px = 2.0
    square = np.full((185, 185, 3), fakes.WHITE, np.uint8)
    square[::2] = 150  # one layer: half of the glass is seen
    square[:, : round(185 * share)] = 100
    square = square.swapaxes(0, 1) if turned else square
    covered = Coverage.of(square, np.full(3, float(fakes.WHITE)), um_per_px)
    assert covered.whole < 0.85
    assert FILM_PARTS[part_of(covered)] == told


@given(st.integers(0, 400), st.integers(1, 400), st.integers(0, 5))
def test_every_beginning_of_the_order_is_spread_over_the_film(n: int, k: int, seed: int) -> None:
    order = stratified_order(n, seed=seed)
    assert sorted(order) == list(range(n))
    first = np.isin(np.arange(n), order[: min(k, n)])
    if n:
        for stratum in np.array_split(first, min(16, n)):
            assert abs(stratum.sum() - min(k, n) * len(stratum) / n) < 2


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (12, r"\d+ cells were counted after (\d) of 6"),
        ("resolved", r"settled after (\d) of 6"),
        ("blasts", "settled"),
    ],
)
def test_reading_stops_where_it_is_told(written: Path, whole: Any, how: object, told: str) -> None:
    """A fake net calls most cells a blast: the first look settles the flag, and raises it."""
    report, results = read(written, read=how, first_look=20, flag_min_cells=1, resolve_width_percent=100.0)
    assert re.match(told, report.reading.reason)
    assert len(results) < len(whole[1])
    assert report.film.read.sum() == len(results)
    assert report.film.read_percent == pytest.approx(100 * len(results) / 6)
    paths = [r.path for r in results]
    assert paths == [r.path for r in whole[1] if r.path in set(paths)]


def test_blasts_are_not_sought_without_a_blast_net() -> None:
    with pytest.raises(ConfigError, match="no blast net"):
        scanner(read="blasts", task="differential")


# ---------------------------------------------------------------- a run


def run(root: Path, folder: Path, **settings: object) -> str:
    run_slides(scanner(um_per_px=None, ruler_fields=1, **settings), root, folder)
    write_run_reports(folder, report=folder / "report.csv", cells=folder / "cells.csv")
    return (folder / "report.csv").read_text() + (folder / "cells.csv").read_text()


def test_cells_of_a_run_stand_in_slide_pixels_and_name_their_region(
    tmp_path: Path, written: Path, film: tuple[Rgb, Any]
) -> None:
    import pandas as pd

    run(written, tmp_path / "r.run")
    cells = pd.read_csv(tmp_path / "r.run" / "cells.csv")
    truth = film[1][np.lexsort(film[1].T)]
    own = cells[["x0", "y0", "x1", "y1"]].to_numpy()
    assert np.abs(np.sort(own[:, 0]) - np.sort(truth[:, 0])).max() < 4
    for name, x0, y0 in zip(cells["field"], cells["x0"], cells["y0"], strict=True):
        file, region = region_of(Path(name)) or (None, None)
        assert file == Path("film.tif")
        assert region is not None
        assert region.x <= x0 <= region.x + region.width
        assert region.y <= y0 <= region.y + region.height


def test_a_resumed_run_gives_the_same_bytes(tmp_path: Path) -> None:
    root = tmp_path / "slides"
    root.mkdir()
    for name in ("a.tif", "b.tif"):
        drawn_films.write_pyramid(root / name, drawn_films.draw_film(300, 620, white=3, seed=ord(name[0]))[0])
    whole = run(root, tmp_path / "one.run")
    scan, names, slides = scanner(um_per_px=None, ruler_fields=1), OutputNames(root), find_slides(root)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    def opened(resume: bool | None) -> RunFolder:
        return open_run(scan, slides, names, tmp_path / "two.run", resume)

    with opened(None) as state, pytest.raises(KeyboardInterrupt):
        scan_into(state, scan, slides, names, on_slide=stop)
    with opened(True) as state:
        assert scan_into(state, scan, slides, names).n_kept == 1
    write_run_reports(tmp_path / "two.run", report=tmp_path / "r.csv", cells=tmp_path / "c.csv")
    assert (tmp_path / "r.csv").read_text() + (tmp_path / "c.csv").read_text() == whole


def test_exports_are_of_the_slide_as_one_picture(tmp_path: Path, written: Path, whole: Any) -> None:
    report, results = whole
    write_exports(tmp_path, ["geojson", "coco"], drawn_run.facts(), [(report, results)], written)
    own = boxes_of(results)
    features = json.loads((tmp_path / "geojson" / "film.tif.geojson").read_text())["features"]
    assert {f["properties"]["objectType"] for f in features} == {"detection"}  # as QuPath's importer asks
    assert {str(uuid.UUID(f["id"])) for f in features} == {f["id"] for f in features}
    corners = [np.array(f["geometry"]["coordinates"][0]) for f in features]
    assert all((c[0] == c[-1]).all() and len(c) == 5 for c in corners)
    np.testing.assert_allclose([[*c.min(axis=0), *c.max(axis=0)] for c in corners], own)
    assert len({f["id"] for f in features}) == len(own)
    coco = json.loads((tmp_path / "coco.json").read_text())
    ((image,), boxes) = coco["images"], np.array([a["bbox"] for a in coco["annotations"]])
    assert (image["file_name"], image["height"], image["width"]) == ("film.tif", HEIGHT, WIDTH)
    np.testing.assert_allclose(boxes[:, :2], own[:, :2], atol=0.01)
    fields = json.loads((tmp_path / "manifest.json").read_text())["slides"][0]["fields"]
    assert {f["sha256"] for f in fields} == {file_sha256(written)}


def test_overlays_and_the_page_to_review_show_regions(tmp_path: Path, written: Path, whole: Any) -> None:
    report, results = whole
    done = write_review(tmp_path, drawn_run.facts(), [(report, results)], written)
    assert (done.missing_pictures, done.cells) == ((), report.n_leukocytes)
    page = done.files[0].read_text(encoding="utf-8")
    assert '"left_out":"nothing"' in page
    assert page.count('id="map-0" data-type="image/webp"') == 1
    seen: list[tuple[Path | None, Rgb, FieldResult]] = []
    (slide,) = find_slides(written)
    scan = scanner(um_per_px=None, ruler_fields=1, read=1)
    scan.scan_slide(slide, lambda field, result: seen.append((field.path, field.image, result)))
    ((path, image, result),) = seen
    assert path is not None
    np.testing.assert_array_equal(image, read_image(path))
    assert image.shape[:2] == result.shape


def test_a_wrong_scale_in_the_file_is_doubted(tmp_path: Path, film: tuple[Rgb, Any]) -> None:
    path = drawn_films.write_pyramid(tmp_path / "f.tif", film[0][:640, :640], um_per_px=2 * fakes.UM_PER_PX)
    run_slides(scanner(um_per_px=None, ruler_fields=6), path, tmp_path / "r.run")
    ((report, _),) = read_run(tmp_path / "r.run")
    (doubt,) = report.doubts
    assert doubt.name == "scale"
    assert "0.45 um a pixel are what the slide's file says, its red cells say 0.22" in doubt.reason


def test_a_film_s_cells_are_compared_once_each_with_those_that_the_networks_know(
    written: Path, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def counted(crops: Rgb, *_: object) -> tuple[int, int]:
        seen.append(len(crops))
        return len(crops), len(crops)

    monkeypatch.setattr("smearscan.scan.pipeline.count_unlike", counted)
    monkeypatch.setattr("smearscan.scan.pipeline.standing_apart", lambda xyxy, _: np.ones(len(xyxy), bool))
    use_fake_nets(monkeypatch, known_cells=test_unlike_cells.KNOWN)
    report, _ = read(written)
    assert sum(seen) == sum(len(result) for result in whole[1])  # those on a line between squares, too
    assert [doubt.name for doubt in report.doubts] == ["unlike training cells"]
    assert f"{sum(seen)} of {sum(seen)} leukocytes" in report.doubts[0].reason


def test_a_damaged_tile_fails_its_fields_alone(tmp_path: Path, film: tuple[Rgb, Any]) -> None:
    path = drawn_films.write_pyramid(tmp_path / "f.tif", film[0], compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[11]  # of the lower right field alone
    data = bytearray(path.read_bytes())
    data[offset : offset + 20] = bytes(20)
    path.write_bytes(data)
    report, results = read(path, um_per_px=fakes.UM_PER_PX)
    failed = [r for r in results if isinstance(r, FieldFailure)]
    assert [region_of(r.path)[1][:2] for r in failed if r.path] == [(560, 240)]
    assert "a tile is damaged" in failed[0].reason
    assert report.tally.n_failed == 1
    assert report.film.read_percent == pytest.approx(100 * 5 / 6)
