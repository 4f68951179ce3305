"""Colors that no stain has are refused; pale, blank and odd stains are not."""

from pathlib import Path

import fakes
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from smearscan.errors import ImageError
from smearscan.io import load_field
from smearscan.io.colors import check_colors
from smearscan.io.decode import write_image
from smearscan.results import Field, FieldFailure
from smearscan.synthetic import SmearSpec, draw_field


@pytest.fixture(scope="module")
def smears() -> list[NDArray[np.uint8]]:
    return [draw_field(SmearSpec(), seed).image for seed in range(12)]


def gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def sepia(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.round(gray(image) * np.array([1.0, 0.9, 0.7])).astype(np.uint8)


def test_drawn_smears_pass(smears: list[NDArray[np.uint8]]) -> None:
    for image in smears:
        check_colors(image, "field")


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_pale_smears_pass(smears: list[NDArray[np.uint8]], share: float) -> None:
    for image in smears:
        check_colors((230 - (230 - image.astype(float)) * share).clip(0, 255).astype(np.uint8), "field")


@pytest.mark.parametrize("change", [gray, sepia])
def test_what_has_no_colors_is_refused(smears: list[NDArray[np.uint8]], change: object) -> None:
    for image in smears:
        with pytest.raises(ImageError, match=r"field: is a gray photograph.*false_colors"):
            check_colors(change(image), "field")  # type: ignore[operator]


def test_a_negative_is_refused(smears: list[NDArray[np.uint8]]) -> None:
    for image in smears:
        with pytest.raises(ImageError, match="negative"):
            check_colors(255 - image, "field")


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_passes(level: int) -> None:
    check_colors(np.full((64, 64, 3), level, np.uint8), "blank")


@pytest.mark.parametrize("reduction", [1, 2])
def test_a_field_is_refused_in_its_place_unless_told_otherwise(
    tmp_path: Path, smears: list[NDArray[np.uint8]], reduction: int
) -> None:
    Image.fromarray(smears[0]).convert("L").save(path := tmp_path / "gray.jpg", quality=95)
    refused = load_field(path, "s", None, reduction, any_colors=False)
    assert isinstance(refused, FieldFailure)
    assert str(path) in refused.reason
    assert isinstance(load_field(path, "s", None, reduction), Field)


def test_a_scan_tells_gray_fields_and_its_settings_have_a_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes.use_fake_nets(monkeypatch)
    (tmp_path / "slide").mkdir()
    for i in range(3):
        write_image(tmp_path / "slide" / f"{i}.png", fakes.field(i))
    alone = next(iter(fakes.scanner(false_colors="refuse").scan_slides(tmp_path)))[0]
    write_image(tmp_path / "slide" / "9.png", gray(fakes.field(9)))
    report, fields = next(iter(fakes.scanner(false_colors="refuse").scan_slides(tmp_path)))
    assert (report.tally.n_fields, report.tally.n_failed) == (3, 1)
    assert report.tally.types == alone.tally.types
    assert isinstance(fields[-1], FieldFailure)
    report, _ = next(iter(fakes.scanner(false_colors="read").scan_slides(tmp_path)))
    assert (report.tally.n_fields, report.tally.n_failed) == (4, 0)
    report, _ = next(iter(fakes.scanner(max_field_pixels=1024).scan_slides(tmp_path)))
    assert (report.tally.n_fields, report.tally.n_failed) == (0, 4)
    assert all("too large" in failure.reason for failure in report.tally.failures)
