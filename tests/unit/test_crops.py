"""Laws of the crop: constant physical size, white light, any border, any batch."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.classification.crops import BACKGROUND, background_gain, cut_crops
from smearscan.detection import boxes

UM_PER_PX, CROP_UM, CROP_PX = 0.1, 20.0, 96


def draw_field(um_per_px: float, side_um: float = 60.0) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Three cells drawn with soft edges at any magnification; boxes in pixels."""
    n = round(side_um / um_per_px)
    y, x = (np.mgrid[:n, :n] + 0.5) * um_per_px
    image = np.full((n, n, 3), 230.0)
    box = []
    for cx, cy, radius, nucleus in ((18.0, 20.0, 6.0, 3.0), (42.0, 22.0, 7.5, 5.0), (30.0, 45.0, 4.0, 3.4)):
        for r, color in ((radius, (170, 150, 210)), (nucleus, (80, 40, 140))):
            inside = np.clip((r - np.hypot(x - cx, y - cy - (radius - r) / 2)) / 0.4 + 0.5, 0, 1)[..., None]
            image = image * (1 - inside) + np.array(color) * inside
        box.append([cx - radius, cy - radius, cx + radius, cy + radius])
    return np.round(image).astype(np.uint8), boxes.as_boxes(box) / np.float32(um_per_px)


@pytest.mark.parametrize("magnification", [0.5, 2.0])
def test_a_cell_gives_the_same_crop_at_every_magnification(magnification: float) -> None:
    image, xyxy = draw_field(UM_PER_PX)
    other, other_xyxy = draw_field(UM_PER_PX / magnification)
    crops = cut_crops(image, xyxy, UM_PER_PX, CROP_UM, CROP_PX)
    others = cut_crops(other, other_xyxy, UM_PER_PX / magnification, CROP_UM, CROP_PX)
    assert np.abs(crops.astype(int) - others).mean() < 1.5
    assert np.abs(crops.astype(int) - np.roll(others, 1, axis=0)).mean() > 4  # cells do differ


def test_size_on_the_crop_is_size_on_the_slide() -> None:
    image, xyxy = draw_field(UM_PER_PX)
    for um, crop in zip((12.0, 15.0, 8.0), cut_crops(image, xyxy, UM_PER_PX, CROP_UM, CROP_PX), strict=True):
        wide = (crop[CROP_PX // 2, :, 1] < 200).sum()
        assert wide == pytest.approx(um / CROP_UM * CROP_PX, abs=2)


def test_a_crop_beyond_the_border_is_filled_with_background() -> None:
    image = np.full((100, 140, 3), (90, 60, 160), np.uint8)
    image[:60] = 230
    corner = boxes.as_boxes([[-20, -20, 20, 20], [120, 80, 160, 120], [500, 500, 540, 540]])
    first, last, outside = cut_crops(image, corner, 0.1, 4.0, 40)  # 40 px of the field, no resizing
    assert (first[:20] == BACKGROUND).all()
    assert (first[:, :20] == BACKGROUND).all()
    assert (last[20:] == BACKGROUND).all()
    assert (last[:, 20:] == BACKGROUND).all()
    assert (last[:20, :20, 1] < 100).all()
    assert (outside == BACKGROUND).all()


def test_the_color_of_the_lamp_does_not_matter() -> None:
    image, xyxy = draw_field(UM_PER_PX)
    plain = cut_crops(image, xyxy, UM_PER_PX, CROP_UM, CROP_PX)
    for lamp in ((1.0, 0.9, 0.7), (0.8, 0.8, 0.8), (0.75, 0.95, 1.05)):
        lit = np.round(image * np.array(lamp)).astype(np.uint8)
        assert np.abs(lit.astype(int) - image).mean() > 8
        crops = cut_crops(lit, xyxy, UM_PER_PX, CROP_UM, CROP_PX)
        assert np.abs(crops.astype(int) - plain).max() <= 4
        assert np.median(crops[:, 0, 0], axis=0) == pytest.approx([BACKGROUND] * 3, abs=2)


def test_gain_is_limited_where_there_is_no_background() -> None:
    assert background_gain(np.zeros((50, 50, 3), np.uint8)).tolist() == [2.5] * 3
    assert background_gain(np.full((50, 50, 3), 200, np.uint8)) == pytest.approx([235 / 200] * 3)


def test_a_batch_equals_one_by_one_in_any_order() -> None:
    image, xyxy = draw_field(UM_PER_PX)
    image = cv2.add(image, np.random.default_rng(0).integers(0, 20, image.shape, np.uint8))
    batch = cut_crops(image, xyxy, UM_PER_PX, CROP_UM, CROP_PX)
    for i in range(len(xyxy)):
        assert np.array_equal(cut_crops(image, xyxy[i : i + 1], UM_PER_PX, CROP_UM, CROP_PX)[0], batch[i])
    assert np.array_equal(cut_crops(image, xyxy[::-1], UM_PER_PX, CROP_UM, CROP_PX), batch[::-1])


def test_no_boxes_give_no_crops() -> None:
    image, _ = draw_field(UM_PER_PX)
    crops = cut_crops(image, boxes.as_boxes([]), UM_PER_PX, CROP_UM, CROP_PX)
    assert crops.shape == (0, CROP_PX, CROP_PX, 3)
    assert crops.dtype == np.uint8


@pytest.mark.parametrize("shape", [(32, 32), (33, 47), (200, 440), (1, 3)])
@pytest.mark.parametrize("highest", [1, 40, 256])
def test_the_background_is_numpy_s_percentile(shape: tuple[int, int], highest: int) -> None:
    image = np.random.default_rng(highest).integers(0, highest, (*shape, 3), dtype=np.uint8)
    wanted = 235 / np.maximum(np.percentile(image.reshape(-1, 3), 90, axis=0), 1)
    np.testing.assert_allclose(background_gain(image), np.clip(wanted, 0.6, 2.5), rtol=1e-6)
    assert background_gain(image).dtype == np.float32
