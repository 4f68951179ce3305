"""Whole slides in the formats of scanners: each gives the film that was drawn, and its scale."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import drawn_films
import fakes
import numpy as np
import pytest
import scanner_files
from fakes import scanner, use_fake_nets
from scanner_files import HEIGHT, LEICA_AROUND, WIDTH

from smearscan.io import find_slides
from smearscan.io import whole_slides as module
from smearscan.io.whole_slides import Region, WholeSlide
from smearscan.results import FieldResult
from smearscan.scan import film as film_module

openslide = pytest.importorskip("openslide", reason="the extra wsi is not installed")

FORMATS = {
    "film.scn": (scanner_files.write_scn, "leica", LEICA_AROUND),
    "film.bif": (scanner_files.write_bif, "ventana", 0),
    "film.ndpi": (scanner_files.write_ndpi, "hamamatsu", 0),
    "film.mrxs": (scanner_files.write_mrxs, "mirax", 0),
}
"""How each is written, whose format OpenSlide takes it for, and where the film begins, px from the corner."""
each_format = pytest.mark.parametrize(
    ("name", "write", "vendor", "around"),
    [(name, *told) for name, told in FORMATS.items()],
    ids=[told[1] for told in FORMATS.values()],
)


@pytest.fixture(autouse=True)
def _small_squares(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_fake_nets(monkeypatch)
    monkeypatch.setattr(film_module, "_SIDE_UM", 72.0)
    yield
    module._opened.cache_clear()


@pytest.fixture(scope="module")
def film() -> tuple[drawn_films.Rgb, Any]:
    return drawn_films.draw_film(HEIGHT, WIDTH, white=40)


@each_format
def test_its_pixels_and_its_scale_are_those_that_were_written(
    tmp_path: Path, film: tuple[drawn_films.Rgb, Any], monkeypatch: pytest.MonkeyPatch,
    name: str, write: Callable[[Path, drawn_films.Rgb], Path], vendor: str, around: int,
) -> None:  # fmt: skip
    def opened(_: object) -> None:
        raise AssertionError("a label or an overview was asked for")

    path = write(tmp_path / name, film[0])
    assert openslide.OpenSlide.detect_format(path) == vendor
    monkeypatch.setattr(openslide.OpenSlide, "associated_images", property(opened))
    slide = WholeSlide(path)
    assert slide.shape == (HEIGHT + 2 * around, WIDTH + 2 * around)
    assert slide.um_per_px == pytest.approx(fakes.UM_PER_PX)
    assert {1, 4} <= set(slide.reductions())
    seen = slide.read(Region(around, around, WIDTH, HEIGHT))
    assert np.abs(seen.astype(int) - film[0]).mean() < 1.5
    assert slide.read(Region(around, around, 400, 40), 4).shape == (10, 100, 3)


@each_format
def test_every_leukocyte_is_found_once_where_it_was_drawn(
    tmp_path: Path, film: tuple[drawn_films.Rgb, Any],
    name: str, write: Callable[[Path, drawn_films.Rgb], Path], vendor: str, around: int,
) -> None:  # fmt: skip
    write(tmp_path / name, film[0])
    (slide,) = find_slides(tmp_path)
    assert (slide.slide_id, slide.is_whole) == (name, True)
    report, results = scanner(um_per_px=None, ruler_fields=1).scan_slide(slide)
    assert (report.scale.source, report.film.read_percent) == ("file", 100.0)
    found = np.concatenate([r.slide_xyxy for r in results if isinstance(r, FieldResult)]) - around
    assert len(found) == len(film[1])
    far = np.abs(found[:, None] - film[1]).max(axis=2)
    assert (far.min(axis=0) < 2.5).all()
