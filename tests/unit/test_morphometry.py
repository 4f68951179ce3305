"""What is measured of a cell, on drawn ones whose measures are known."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.classification.crops import BACKGROUND, Geometry
from smearscan.classification.morphometry import NAMES, measure

HOW = Geometry(20.0, 80)
VIOLET, BLUE, PINK = (90, 50, 130), (170, 170, 215), (225, 170, 180)


def cell(*lobes: tuple[float, float, float], px: int = 80, side_um: float = 20.0) -> NDArray[np.uint8]:
    """Draw lobes (x, y from the middle, radius; um) in a cytoplasm of 6 um, and a red cell in a corner."""
    shift, scale = 8, 2**8 * px / side_um
    crop = np.full((px, px, 3), BACKGROUND, np.uint8)

    def disc(x: float, y: float, radius: float, color: tuple[int, int, int]) -> None:
        at = tuple(round((side_um / 2 + v) * scale - 128) for v in (x, y))
        cv2.circle(crop, at, round(radius * scale), color, -1, cv2.LINE_8, shift)

    disc(0, 0, 6, BLUE)
    for lobe in lobes:
        disc(*lobe, VIOLET)
    disc(8, 8, 3, PINK)
    return crop


def told(crop: NDArray[np.uint8], how: Geometry = HOW) -> dict[str, float]:
    return dict(zip(NAMES, measure(crop[None], how)[0].tolist(), strict=True))


ONE = cell((0, 0, 4))
THREE = cell((-3, 0, 1.6), (2, 2.5, 1.6), (2, -2.5, 1.6))


def test_a_round_nucleus_is_measured_in_micrometers() -> None:
    own = told(ONE)
    assert own["area"] == pytest.approx(np.pi * 16, rel=0.08)  # its rim, half a pixel wide
    assert own["long_axis"] == pytest.approx(8, rel=0.05)
    assert own["thickness"] == pytest.approx(4, rel=0.1)
    assert own["lobes"] == 1
    assert own["solidity"] == pytest.approx(1, abs=0.06)
    assert own["axis_ratio"] == pytest.approx(1, abs=0.02)
    assert own["spread"] == pytest.approx(1, abs=0.03)
    assert own["off_center"] < 0.2
    assert own["holes"] == 0
    assert np.isnan(own["gap_r"])


def test_lobes_are_counted_and_leave_gaps() -> None:
    own = told(THREE)
    assert own["lobes"] == 3
    assert own["solidity"] < 0.75
    assert own["spread"] > 1.5
    assert own["gap_g"] < 1


def test_density_is_that_of_the_dye() -> None:
    own = told(ONE)
    wanted = -np.log(np.array(VIOLET) / BACKGROUND)
    red, green = wanted[:2] + 0.03
    assert own["nucleus_rg"] == pytest.approx(np.log(red / green), abs=1e-3)
    around = -np.log(np.array(BLUE) / BACKGROUND) / (wanted + 0.03)
    assert [own[f"shell0_{c}"] for c in "rgb"] == pytest.approx(around, rel=1e-3)
    assert own["shell1_stained"] == 1
    assert own["shell3_stained"] == 0


def test_a_paler_stain_and_blue_light_hardly_change_what_is_measured() -> None:
    """What a camera sees in blue, and how deep a laboratory stains, are no signs of a kind of cell."""
    as_is = told(ONE)
    paler = told((BACKGROUND * (ONE / BACKGROUND) ** 0.7).astype(np.uint8))
    yellow = ONE.copy()
    yellow[..., 2] = np.minimum(ONE[..., 2] * 0.8, 255)
    other = told(yellow)
    for name, value in as_is.items():
        if np.isnan(value):
            continue
        if not name.startswith("skewness"):  # of a drawn, even nucleus: that of its rim
            assert paler[name] == pytest.approx(value, rel=0.15, abs=0.15), name
        if not name.endswith(("_b", "_gb")):
            assert other[name] == value, name
    assert not any(name.startswith("nucleus") and name.endswith(("_b", "_gb")) for name in NAMES)


@pytest.mark.parametrize("crop", [ONE, THREE], ids=["one", "three"])
def test_how_a_cell_lies_tells_nothing(crop: NDArray[np.uint8]) -> None:
    as_is = measure(crop[None], HOW)[0]
    for turned in (np.rot90(crop), crop[:, ::-1], crop[::-1]):
        own = measure(np.ascontiguousarray(turned)[None], HOW)[0]
        np.testing.assert_allclose(own, as_is, rtol=0.02, atol=0.1)  # of a pixel here or there


def test_a_cell_s_measures_do_not_hang_on_its_company() -> None:
    rng = np.random.default_rng(0)
    crops = np.stack([ONE, THREE, *rng.integers(0, 256, (3, 80, 80, 3), np.uint8)])
    alone = np.concatenate([measure(crop[None], HOW) for crop in crops])
    np.testing.assert_array_equal(measure(crops, HOW), alone)


@pytest.mark.parametrize(("px", "side_um"), [(160, 20.0), (112, 28.0), (60, 15.0)])
def test_crops_cut_otherwise_measure_alike(px: int, side_um: float) -> None:
    own = told(cell((0, 0, 4), px=px, side_um=side_um), Geometry(side_um, px))
    for name in ("area", "long_axis", "thickness", "nucleus_rg", "shell1_g"):
        assert own[name] == pytest.approx(told(ONE)[name], rel=0.1), name


@pytest.mark.parametrize("level", [0, 128, 235, 255])
def test_what_shows_no_cell_is_measured_without_complaint(level: int) -> None:
    own = measure(np.full((2, 80, 80, 3), level, np.uint8), HOW)
    assert own.shape == (2, len(NAMES))
    assert own.dtype == np.float32
    assert not np.isinf(own).any()


def test_no_crops_no_rows() -> None:
    assert measure(np.empty((0, 80, 80, 3), np.uint8), HOW).shape == (0, len(NAMES))
    assert len(set(NAMES)) == len(NAMES)
