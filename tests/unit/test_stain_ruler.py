"""The stain ruler: what it measures of drawn cells, what it brings to the reference, what it leaves alone."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from smearscan.classification.crops import BACKGROUND
from smearscan.rulers import stain
from smearscan.rulers.optical_density import multiply_density
from smearscan.training.augment import Augmentation
from smearscan.training.batches import Cells, slide_gains, with_gains
from smearscan.training.config import ClassifierTraining

SIDE, WIDE_UM = 114, 28.4
NUCLEUS, RED = (np.array(one) for one in stain.REFERENCE)


def window(
    nucleus: NDArray[np.float64], red: NDArray[np.float64] | None, radius_um: float = 3.5
) -> NDArray[np.uint8]:
    """A leukocyte with a nucleus of a density and a radius, and a ring of red cells around it."""
    at = (np.arange(SIDE) - (SIDE - 1) / 2) * WIDE_UM / SIDE
    radius = np.hypot(at[:, None], at)
    density = np.zeros((SIDE, SIDE, 3))
    density[radius < 6] = 0.15
    density[radius < radius_um] = nucleus
    if red is not None:
        density[(radius > 9) & (radius < 12)] = red
    return np.asarray(np.clip(BACKGROUND * np.exp(-density), 0, 255).round(), np.uint8)


def measured(windows: NDArray[np.uint8]) -> NDArray[np.float64]:
    return stain.measure_cells(windows, WIDE_UM)


def test_nucleus_and_red_cells_are_measured_apart() -> None:
    (found,) = measured(window(NUCLEUS, RED)[None])
    np.testing.assert_allclose(found[0], NUCLEUS, atol=0.02)
    np.testing.assert_allclose(found[1], RED, atol=0.01)
    (bare,) = measured(window(NUCLEUS, None)[None])
    assert np.isnan(bare[1]).all()
    assert measured(np.zeros((0, SIDE, SIDE, 3), np.uint8)).shape == (0, 2, 3)


@pytest.mark.parametrize("depth", [0.5, 0.8, 1.25])
def test_a_deeper_or_paler_slide_is_brought_to_the_reference(depth: float) -> None:
    windows = np.stack([window(NUCLEUS * depth, RED * depth)] * 6)
    gain = stain.slide_gain(measured(windows))
    np.testing.assert_allclose(gain, 1 / depth, rtol=0.03)
    (after, *_) = measured(multiply_density(windows, gain))
    np.testing.assert_allclose(after[0], NUCLEUS, rtol=0.06)


@pytest.mark.parametrize("dye", [(0.6, 0.8, 0.5), (1.1, 1.1, 1.2), (1.5, 0.9, 2.0)])
def test_a_cell_s_own_nucleus_is_brought_to_the_reference(dye: tuple[float, float, float]) -> None:
    other = window(NUCLEUS * dye, RED)
    shown = stain.nucleus_at_reference(other, WIDE_UM)
    (found,) = measured(shown[None])
    np.testing.assert_allclose(found[0], NUCLEUS, rtol=0.03)
    np.testing.assert_allclose(found[1], RED / dye, rtol=0.06)  # all else goes with it
    white = window(0 * NUCLEUS, None, radius_um=0)
    assert stain.nucleus_at_reference(np.full_like(white, BACKGROUND), WIDE_UM).min() == BACKGROUND


def test_large_and_small_nuclei_of_one_stain_give_one_gain() -> None:
    """A blast is nearly all nucleus, a segmented neutrophil is not: the ruler must not see the difference."""
    small, large = (stain.slide_gain(measured(np.stack([window(NUCLEUS, RED, um)] * 5))) for um in (2.6, 5.5))
    np.testing.assert_allclose(small, large, rtol=0.02)


def test_few_cells_and_missing_red_cells_fall_back() -> None:
    cells = measured(np.stack([window(NUCLEUS * 0.7, RED * 0.7)] * 5))
    assert stain.slide_gain(cells[:4]).tolist() == [1, 1, 1]
    bare = measured(np.stack([window(NUCLEUS * 0.7, None)] * 5))
    np.testing.assert_allclose(stain.slide_gain(bare), 1 / 0.7, rtol=0.03)
    np.testing.assert_allclose(stain.slide_gain(bare, cells), stain.slide_gain(cells), rtol=0.01)
    assert stain.slide_gain(cells * 100).tolist() == [pytest.approx(1 / 3)] * 3


def test_restaining_keeps_white_white_and_ones_change_nothing() -> None:
    crops = np.stack([window(NUCLEUS, RED)] * 2)
    np.testing.assert_array_equal(multiply_density(crops, np.ones(3)), crops)
    white = np.full((1, 8, 8, 3), BACKGROUND, np.uint8)
    np.testing.assert_array_equal(multiply_density(white, [0.5, 2.0, 3.0]), white)
    assert multiply_density(crops[:0], [2.0, 2.0, 2.0]).shape == (0, SIDE, SIDE, 3)


def test_each_slide_has_its_gain_and_small_ones_that_of_their_site() -> None:
    deep, pale = (measured(window(NUCLEUS * d, RED * d)[None])[0] for d in (1.2, 0.6))
    table = pd.DataFrame({"site": ["a"] * 14, "group": ["1"] * 6 + ["2"] * 6 + ["3", "4"]})
    gains = slide_gains(table, np.stack([deep] * 6 + [pale] * 8))
    assert len({tuple(row) for row in gains[:6]}) == len({tuple(row) for row in gains[6:12]}) == 1
    assert (gains[0] < 1).all()
    assert (gains[6] > 1).all()
    whole = slide_gains(table, np.stack([deep] * 6 + [pale] * 8), ["a"])
    assert len({tuple(row) for row in whole}) == 1


def test_training_shows_cells_in_the_reference_stain() -> None:
    windows = np.stack([window(NUCLEUS * 0.6, RED * 0.6)] * 6)
    table = pd.DataFrame({"site": "a", "group": "1", "image": "x", "target": [0, 1] * 3})
    plain = ClassifierTraining(name="x", crop_px=80, augmentation=Augmentation.none())
    assert with_gains(table, windows, plain) is table
    always = plain.model_copy(update={"reference_stain": 1.0})
    gained = with_gains(table, windows, always)
    crop, _ = next(iter(Cells(windows, gained, always, 0)))
    middle = windows[0][17:97, 17:97]
    np.testing.assert_array_equal(next(iter(Cells(windows, table, plain, 0)))[0], middle)
    gain = stain.slide_gain(stain.measure_cells(windows[:, 17:97, 17:97], 20))
    np.testing.assert_array_equal(crop, multiply_density(middle, gain))
    assert crop.mean() < middle.mean()
