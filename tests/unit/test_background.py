"""Taking away the background: drawn cells of known outline, and how masks are scored."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from references.background_removal import measure_background, overlap
from smearscan.classification.background import leukocyte_mask, without_background
from smearscan.classification.crops import BACKGROUND
from smearscan.errors import DatasetError

STAINS = {
    "purple": {"cell": (190, 175, 215), "nucleus": (80, 45, 150), "red": (215, 165, 175)},
    "rapid": {"cell": (190, 120, 145), "nucleus": (75, 15, 95), "red": (228, 215, 215)},
}


def drawn(
    stain: str = "purple", side: int = 112, radius_um: float = 6.0, side_um: float = 20.0,
    touching: bool = True, shift: float = 0.0,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:  # fmt: skip
    """A leukocyte among red cells, and its true mask."""
    k, color = side / side_um, STAINS[stain]
    middle = (side - 1) / 2 + shift * k

    def disk(image: NDArray[np.uint8], x: float, y: float, radius: float, ink: tuple[int, ...]) -> None:
        at = (round((middle + x * k) * 16), round((middle + y * k) * 16))
        cv2.circle(image, at, round(radius * k * 16), ink, -1, cv2.LINE_AA, 4)

    image = np.full((side, side, 3), BACKGROUND, np.uint8)
    away = radius_um + (3.4 if touching else 4.5)
    for angle in (0.3, 1.9, 3.2, 4.6):
        disk(image, np.cos(angle) * away, np.sin(angle) * away, 3.6, color["red"])
    disk(image, 0, 0, radius_um, color["cell"])
    disk(image, -0.15 * radius_um, 0.1 * radius_um, 0.6 * radius_um, color["nucleus"])
    truth = np.zeros((side, side, 3), np.uint8)
    disk(truth, 0, 0, radius_um, (255, 255, 255))
    grain = np.random.default_rng(0).normal(0, 3, image.shape)
    image = cv2.GaussianBlur(np.clip(image + grain, 0, 255).astype(np.uint8), (0, 0), 0.1 * k)
    return image, truth[..., 0] > 127


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(overlap(a[None], b[None])[0])


@pytest.mark.parametrize("stain", STAINS)
@pytest.mark.parametrize("radius_um", [4.0, 6.0, 7.5])
def test_the_cell_is_found_among_red_cells_that_touch_it(stain: str, radius_um: float) -> None:
    crop, truth = drawn(stain, radius_um=radius_um)
    assert iou(leukocyte_mask(crop), truth) > 0.9


@pytest.mark.parametrize("radius_um", [4.0, 8.0])
def test_a_blue_cell_is_told_from_red_ones_as_dark_where_no_plasma_shows(radius_um: float) -> None:
    crop = np.full((112, 112, 3), STAINS["purple"]["red"], np.uint8)
    truth = np.zeros((112, 112), np.uint8)
    cv2.circle(truth, (56, 56), round(radius_um * 5.6), 1, -1)
    crop[truth > 0] = (165, 175, 215)
    assert iou(leukocyte_mask(crop), truth > 0) > 0.9


@pytest.mark.parametrize("side", [32, 80, 224, 299])
def test_pixels_do_not_matter(side: int) -> None:
    crop, truth = drawn(side=side)
    mask = leukocyte_mask(crop)
    assert mask.shape == (side, side)
    assert mask.dtype == bool
    assert iou(mask, truth) > 0.88


def test_what_lies_beyond_the_crop_does_not_change_the_answer() -> None:
    window, _ = drawn(side=160, side_um=20.0 * 160 / 112, radius_um=7.5)
    crop = window[24:136, 24:136].copy()
    window[:] = STAINS["purple"]["cell"]
    window[24:136, 24:136] = crop
    assert iou(leukocyte_mask(window, 20.0 * 160 / 112)[24:136, 24:136], leukocyte_mask(crop)) > 0.97


def test_a_box_need_not_sit_on_the_cells_very_middle() -> None:
    crop, truth = drawn(shift=1.2, touching=False)
    assert iou(leukocyte_mask(crop), truth) > 0.85


def test_turning_the_crop_turns_the_mask() -> None:
    crop, _ = drawn()
    turned = leukocyte_mask(np.ascontiguousarray(np.rot90(crop)))
    assert iou(turned, np.rot90(leukocyte_mask(crop))) > 0.97


@pytest.mark.parametrize("level", [0, BACKGROUND, 255])
def test_an_even_picture_gives_one_piece_and_no_error(level: int) -> None:
    mask = leukocyte_mask(np.full((64, 64, 3), level, np.uint8))
    assert cv2.connectedComponents(mask.astype(np.uint8))[0] == 2


def test_what_is_no_cell_becomes_background_and_the_cell_stays() -> None:
    crop, truth = drawn()
    before = crop.copy()
    alone, mask = without_background(crop), leukocyte_mask(crop)
    np.testing.assert_array_equal(alone[mask], crop[mask])
    assert (alone[~mask] == BACKGROUND).all()
    assert alone.dtype == np.uint8
    np.testing.assert_array_equal(crop, before)
    assert (~mask).sum() > 0.9 * (~truth).sum()


def test_overlap_of_masks() -> None:
    a, b = np.zeros((2, 4, 4), bool)
    a[:2], b[1:3] = True, True
    np.testing.assert_allclose(
        overlap(np.stack([a, a, b * False]), np.stack([b, a, b * False])), [1 / 3, 1, 1]
    )


# ---------------------------------------------------------------- scoring


def cells(folder: Path, n: int = 6) -> pd.DataFrame:
    (folder / "images").mkdir()
    (folder / "masks").mkdir()
    rows = []
    for i in range(n):
        crop, truth = drawn(radius_um=5 + 0.3 * i, side=150, side_um=25)
        mask = np.where(truth, 128, 0).astype(np.uint8)
        mask[65:85, 65:85] = 255
        cv2.imwrite(str(folder / "images" / f"{i}.png"), crop[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"{i}.png"), mask)
        rows.append((f"{folder.name}/images/{i}.png", folder.name, "train" if i % 2 else "test"))
    table = pd.DataFrame(rows, columns=["image", "site", "split"])
    return table.assign(um_per_px=25 / 150, x0=35.0, y0=35.0, x1=115.0, y1=115.0)


def test_masks_are_scored_in_the_crops_own_geometry(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    figures = measure_background(cells(folder), tmp_path)
    for part in ("chosen on", "test"):
        found = figures["drawn"][part]
        assert found["iou"]["value"] > 0.9
        assert found["dice"]["value"] > found["iou"]["value"]
        assert found["iou"]["cells"] == 3
        assert found["iou_below_0.8"]["n"] == 0
        assert found["poor"] == {}


def test_a_poor_mask_is_counted_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    table = cells(folder)
    wrong = np.zeros((150, 150), np.uint8)
    wrong[:20, :20] = 255
    cv2.imwrite(str(folder / "masks" / "2.png"), wrong)
    found = measure_background(table, tmp_path)["drawn"]["test"]
    assert found["iou_below_0.8"]["n"] == 1
    assert list(found["poor"]) == ["drawn/images/2.png"]


def test_a_mask_that_is_missing_or_unlike_its_picture_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "drawn"
    folder.mkdir()
    table = cells(folder)
    cv2.imwrite(str(folder / "masks" / "3.png"), np.zeros((9, 7), np.uint8))
    with pytest.raises(DatasetError, match=r"3\.png.*7x9"):
        measure_background(table, tmp_path)
    (folder / "masks" / "3.png").unlink()
    with pytest.raises(DatasetError, match=r"3\.png.*not there"):
        measure_background(table, tmp_path)
