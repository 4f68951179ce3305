"""Depth of stain: measured in the middle of a crop, multiplied channel by channel; white stays white."""

import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.classification.crops import BACKGROUND
from smearscan.rulers.optical_density import (
    GAIN_LIMITS,
    MIDDLE_UM,
    center_optical_density,
    match_optical_density,
)

SIDE_UM = 20.0


def cell(red: float, green: float, blue: float, px: int = 60, radius_um: float = 6.0) -> NDArray[np.uint8]:
    """A disc of even density on background."""
    at = (np.arange(px) - (px - 1) / 2) * SIDE_UM / px
    inside = np.hypot(at[:, None], at) < radius_um
    density = np.where(inside[..., None], (red, green, blue), 0.0)
    return (BACKGROUND * np.exp(-density)).round().astype(np.uint8)


def test_the_density_is_that_of_the_middle() -> None:
    crops = np.stack([cell(0.5, 1.2, 0.3), cell(0.1, 0.2, 0.0)])
    found = center_optical_density(crops, SIDE_UM)
    np.testing.assert_allclose(found, [[0.5, 1.2, 0.3], [0.1, 0.2, 0.0]], atol=0.01)
    assert center_optical_density(crops[:0], SIDE_UM).shape == (0, 3)


def test_what_lies_around_the_middle_does_not_matter() -> None:
    alone = cell(0.5, 1.2, 0.3)
    crowded = alone.copy()
    crowded[:8] = 40
    np.testing.assert_array_equal(*(center_optical_density(c[None], SIDE_UM) for c in (alone, crowded)))
    assert MIDDLE_UM < SIDE_UM / 2


def test_more_room_around_a_cell_leaves_its_density() -> None:
    window = np.full((120, 120, 3), BACKGROUND, np.uint8)
    window[30:90, 30:90] = cell(0.5, 1.2, 0.3)
    found = center_optical_density(window[None], 2 * SIDE_UM)
    np.testing.assert_allclose(found, center_optical_density(cell(0.5, 1.2, 0.3)[None], SIDE_UM), atol=1e-9)


def test_a_crop_takes_the_density_that_is_wanted() -> None:
    crop = cell(0.5, 1.2, 0.3)
    have, want = center_optical_density(crop[None], SIDE_UM)[0], np.array([0.9, 0.8, 0.35])
    found = center_optical_density(match_optical_density(crop, have, want)[None], SIDE_UM)[0]
    np.testing.assert_allclose(found, want, atol=0.02)


def test_background_stays_and_the_crop_given_is_left_alone() -> None:
    crop = cell(0.5, 1.2, 0.3)
    before = crop.copy()
    moved = match_optical_density(crop, np.array([0.5, 1.2, 0.3]), np.array([1.0, 0.6, 0.6]))
    np.testing.assert_array_equal(crop, before)
    assert (moved[0, 0] == BACKGROUND).all()


def test_the_same_density_is_the_same_crop_to_the_bit() -> None:
    crop = np.random.default_rng(0).integers(1, 256, (40, 40, 3), dtype=np.uint8)
    have = center_optical_density(crop[None], SIDE_UM)[0]
    np.testing.assert_array_equal(match_optical_density(crop, have, have), crop)


@pytest.mark.parametrize(("want", "gain"), [(99.0, GAIN_LIMITS[1]), (0.0, GAIN_LIMITS[0])])
def test_no_channel_is_multiplied_without_limit(want: float, gain: float) -> None:
    crop = cell(0.3, 0.3, 0.3)
    moved = match_optical_density(crop, np.full(3, 0.3), np.full(3, want))
    np.testing.assert_allclose(center_optical_density(moved[None], SIDE_UM)[0], 0.3 * gain, atol=0.02)
