"""Focus, exposure and colors of fields: laws on drawn smears, whose boxes are known without a network."""

from dataclasses import replace
from pathlib import Path

import cv2
import fakes
import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.io.decode import write_image
from smearscan.results import Detections, FieldQuality, FieldResult, Scale
from smearscan.results.doubts import (
    BORDER_CELLS,
    COLORS,
    EMPTY_FIELDS,
    EXPOSURE,
    FOCUS,
    LIGHT_CIRCLE,
    NO_SMEAR,
    SCALE_BAR,
)
from smearscan.rulers.quality import measure_quality
from smearscan.rulers.quality_doubts import color_shares, doubts_of_quality
from smearscan.synthetic import SmearSpec, draw_field
from smearscan.synthetic.spec import HEALTHY, LEUKEMIC, DrawnField
from smearscan.taxonomy import RED_CELL
from smearscan.weights import QualityLimits

Rgb = NDArray[np.uint8]
EMPTY = Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))


@pytest.fixture(
    scope="module",
    params=[SmearSpec(leukocytes=2, min_leukocytes=2), replace(LEUKEMIC, height=240, width=320)],
)
def drawn(request: pytest.FixtureRequest) -> list[DrawnField]:
    return [draw_field(request.param, seed) for seed in range(3)]


def field(image: Rgb, of: DrawnField, name: str = "f") -> FieldResult:
    """A field whose cells are those that were drawn."""
    found, scale = (
        Detections(of.xyxy, np.ones(len(of.labels), np.float32), of.labels),
        Scale(of.um_per_px, "given"),
    )
    return result(found, scale, measure_quality(image, scale, found), name)


def result(found: Detections, scale: Scale, quality: FieldQuality | None, name: str = "f") -> FieldResult:
    white, n = found.leukocytes, len(found.leukocytes)
    return FieldResult(
        "s", Path(name), (480, 640), white, np.empty((n, 0), np.float32), (), np.full(n, np.nan, np.float32),
        ("x",) * n, scale, found.count("red_cell"), found.count("platelet"), quality=quality,
    )  # fmt: skip


def names(fields: list[FieldResult]) -> list[str]:
    return [doubt.name for doubt in doubts_of_quality(fields, QualityLimits())]


@pytest.mark.parametrize(
    ("limit", "value", "doubt"),
    [
        ("least_sharpness", 0.9, FOCUS),
        ("least_evenness", 1.0, FOCUS),
        ("least_light", 255.0, EXPOSURE),
        ("least_corners", 1.0, LIGHT_CIRCLE),
        ("least_nucleus_red", 1.0, COLORS),
        ("least_nucleus_green", 1.0, COLORS),
        ("least_red_cell_red", 1.0, COLORS),
        ("least_red_cell_green", 1.0, COLORS),
    ],
)
def test_limits_are_the_card_s(drawn: list[DrawnField], limit: str, value: float, doubt: str) -> None:
    fields = [field(d.image, d) for d in drawn]
    moved = QualityLimits(**{limit: value})
    assert [d.name for d in doubts_of_quality(fields, moved)] == [doubt]


def test_drawn_smears_are_in_no_doubt(drawn: list[DrawnField]) -> None:
    assert names([field(d.image, d) for d in drawn]) == []


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_a_limit_means_the_same_at_every_magnification(factor: float) -> None:
    height, width = round(480 * factor), round(640 * factor)
    um_per_px, blur_px = HEALTHY.um_per_px / factor, 1.5 * factor
    spec = SmearSpec(height, width, um_per_px, noise=0, blur_px=blur_px)
    drawn = draw_field(spec, 3)
    quality = field(drawn.image, drawn).quality
    assert quality is not None
    assert 0.12 < quality.sharpness < 0.3
    assert quality.overexposed == 0


@pytest.mark.parametrize("cells", [0.25, 0.4])
def test_a_blurred_field_is_named_and_a_sharp_one_is_not(drawn: list[DrawnField], cells: float) -> None:
    red_cell_px = Scale(drawn[0].um_per_px, "given").red_cell_px
    blurred = np.asarray(cv2.GaussianBlur(drawn[1].image, (0, 0), cells * red_cell_px), np.uint8)
    fields = [field(drawn[0].image, drawn[0], "a"), field(blurred, drawn[1], "b")]
    (doubt,) = doubts_of_quality(fields, QualityLimits())
    assert doubt.name == FOCUS
    assert doubt.reason.startswith("1 of 2 fields are out of focus")
    assert doubt.reason.endswith("(b)")
    assert doubt.paths == (Path("b"),)


@pytest.mark.parametrize("degrees", [0, 45, 90, 135])
def test_a_field_that_moved_is_named_whatever_the_direction(drawn: list[DrawnField], degrees: int) -> None:
    half = round(Scale(drawn[0].um_per_px, "given").red_cell_px * 0.4)
    along = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    cv2.line(along, (0, half), (2 * half, half), 1)
    turn = cv2.getRotationMatrix2D((half, half), degrees, 1 if degrees % 90 == 0 else 0.9)
    along = cv2.warpAffine(along, turn, along.shape)
    moved = np.asarray(cv2.filter2D(drawn[0].image, -1, along / along.sum()), np.uint8)
    assert names([field(moved, drawn[0])]) == [FOCUS]


def test_a_picture_without_details_moved_nowhere() -> None:
    scale = Scale(0.1, "given")
    assert measure_quality(np.full((48, 64, 3), 200, np.uint8), scale, EMPTY).evenness == 1


@pytest.mark.parametrize("factor", [0.25, 2.2])
def test_a_field_of_too_little_or_too_much_light_is_named(drawn: list[DrawnField], factor: float) -> None:
    exposed = np.clip(drawn[0].image * factor, 0, 255).astype(np.uint8)
    assert EXPOSURE in names([field(exposed, drawn[0])])


@pytest.mark.parametrize("order", [(2, 1, 0), (0, 2, 1)])
def test_exchanged_channels_are_noticed(drawn: list[DrawnField], order: tuple[int, int, int]) -> None:
    turned = [field(np.ascontiguousarray(d.image[:, :, order]), d) for d in drawn]
    assert COLORS in names(turned)


def test_cells_that_absorb_hardly_any_green_are_of_no_stain() -> None:
    drawn = draw_field(SmearSpec(leukocytes=2, min_leukocytes=3), 3)
    hsv = cv2.cvtColor(drawn.image, cv2.COLOR_RGB2HSV)
    hsv[:, :, 0] = (hsv[:, :, 0].astype(int) + 60) % 180
    turned = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
    assert COLORS in names([field(turned, drawn)])
    red = drawn.labels == RED_CELL
    no_leukocytes = field(
        turned, replace(drawn, xyxy=drawn.xyxy[red], labels=drawn.labels[red], types=("x",) * int(red.sum()))
    )
    assert np.isnan(color_shares([no_leukocytes])[:2]).all()
    assert COLORS in names([no_leukocytes])  # told by red cells alone


def test_the_light_s_own_color_is_no_doubt(drawn: list[DrawnField]) -> None:
    """A lamp multiplies what the background shows, and what cells show, by the same."""
    for lamp in ((1.0, 0.95, 0.8), (0.9, 1.0, 0.9), (0.9, 0.95, 1.0)):
        assert names([field((d.image * lamp).astype(np.uint8), d) for d in drawn]) == []


def test_few_cells_tell_no_color() -> None:
    drawn = draw_field(SmearSpec(leukocytes=0, min_leukocytes=0, red_cell_density=0, platelet_density=9), 1)
    bgr = np.ascontiguousarray(drawn.image[:, :, ::-1])
    assert np.isnan(color_shares([field(bgr, drawn)])).all()
    assert np.isnan(color_shares([])).all()
    assert names([field(bgr, drawn)]) == []


@pytest.mark.parametrize("level", [0, 127, 255])
def test_a_field_without_a_cell_is_named(level: int) -> None:
    scale, blank = Scale(0.1, "given"), np.full((480, 640, 3), level, np.uint8)
    doubts = names([result(EMPTY, scale, measure_quality(blank, scale, EMPTY))])
    assert doubts == [EMPTY_FIELDS, *[EXPOSURE] * (level != 127)]


def test_what_is_dark_and_no_cell_is_told(drawn: list[DrawnField]) -> None:
    """A field whose cells nobody found, but a few, is as good as none; and so is a meadow."""
    few = replace(drawn[0], xyxy=drawn[0].xyxy[:1], labels=drawn[0].labels[:1], types=("x",))
    assert NO_SMEAR in names([field(drawn[0].image, few)])
    meadow = drawn[0].image.copy()
    meadow[:120, :160] = (60, 160, 60)
    assert NO_SMEAR in names([field(meadow, drawn[0])])


def test_dark_corners_are_told_as_an_eyepiece(drawn: list[DrawnField]) -> None:
    image = drawn[0].image
    height, width = image.shape[:2]
    y, x = np.indices((height, width)) - np.array([height, width])[:, None, None] / 2
    circle = np.where((np.hypot(x, y) < 0.52 * width)[..., None], image, 4).astype(np.uint8)
    assert names([field(circle, drawn[0])]) == [LIGHT_CIRCLE]
    shaded = (image * (1 - 0.4 * np.hypot(x, y) / np.hypot(height / 2, width / 2))[..., None]).astype(
        np.uint8
    )
    assert LIGHT_CIRCLE not in names([field(shaded, drawn[0])])


@pytest.mark.parametrize("ink", [0, 255])
def test_a_bar_drawn_into_a_field_is_told(drawn: list[DrawnField], ink: int) -> None:
    px = round(Scale(drawn[0].um_per_px, "given").red_cell_px)
    marked = drawn[0].image.copy()
    marked[-px // 3 : -px // 3 + px // 8, -2 * px : -px // 2] = ink
    result = field(marked, drawn[0])
    assert SCALE_BAR in names([result])
    assert result.quality is not None
    assert result.quality.bar == pytest.approx(1.5, abs=0.2)


@pytest.mark.parametrize(("n_cut", "told"), [(12, True), (11, False), (0, False)])
def test_leukocytes_cut_by_borders_are_told(n_cut: int, told: bool) -> None:
    at = np.array([[0, 50, 40, 90]] * n_cut + [[100, 50, 140, 90]] * (20 - n_cut), np.float32)
    found = Detections(at, np.ones(20, np.float32), np.zeros(20, np.int64))
    blank = measure_quality(np.full((480, 640, 3), 200, np.uint8), Scale(0.1, "given"), found)
    assert (BORDER_CELLS in names([result(found, Scale(0.1, "given"), blank)])) is told


def test_regions_of_a_film_are_not_judged() -> None:
    assert names([result(EMPTY, Scale(0.1, "given"), None)]) == names([]) == []


def test_a_scan_tells_a_blurred_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.use_fake_nets(monkeypatch)
    (tmp_path / "slide").mkdir()
    for i in range(3):
        write_image(tmp_path / "slide" / f"{i}.png", fakes.field(i))
    report, _ = next(iter(fakes.scanner().scan_slides(tmp_path)))
    assert FOCUS not in [doubt.name for doubt in report.doubts]
    blurred = cv2.GaussianBlur(fakes.field(1), (0, 0), 8)
    write_image(tmp_path / "slide" / "1.png", np.asarray(blurred, np.uint8))
    report, _ = next(iter(fakes.scanner().scan_slides(tmp_path)))
    assert {FOCUS, EMPTY_FIELDS} & {doubt.name for doubt in report.doubts}
