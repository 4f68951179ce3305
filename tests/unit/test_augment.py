"""Augmentation: the defaults are the former function, every switch does its one thing, a picture shows it."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from smearscan.cli.train import command as train_command
from smearscan.errors import DatasetError
from smearscan.rulers.stain import REFERENCE, measure_cells
from smearscan.training import preview, stain
from smearscan.training.augment import Augmentation, augmented, mixed
from smearscan.training.config import ClassifierTraining
from smearscan.training.preview import draw_grid, in_words, sample_grid, sampled

NONE = Augmentation.none()


def noise(side: int = 45, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def only(**keys: object) -> Augmentation:
    """Nothing but what is named."""
    return Augmentation.model_validate({**NONE.model_dump(), **keys})


def drawn(window: NDArray[np.uint8], how: Augmentation, n: int = 40, px: int = 32) -> NDArray[np.uint8]:
    rng = np.random.default_rng(5)
    return np.stack([augmented(window, px, rng, how) for _ in range(n)])


# ---------------------------------------------------------------- the defaults


@pytest.mark.parametrize(
    ("side", "px", "means", "spreads"),
    [
        (45, 32, (125.05, 128.76, 165.96), (53.65, 56.02, 35.78)),
        (159, 112, (125.47, 128.97, 166.00), (53.33, 55.84, 35.86)),
    ],
)
def test_the_defaults_are_the_former_function_draw_for_draw(
    side: int, px: int, means: tuple[float, ...], spreads: tuple[float, ...]
) -> None:
    y, x = np.mgrid[:side, :side] / side
    window = np.stack([255 * x, 255 * y, 200 - 100 * np.hypot(x - 0.4, y - 0.6)], -1).astype(np.uint8)
    rng = np.random.default_rng(7)
    crops = np.stack([augmented(window, px, rng, Augmentation()) for _ in range(40)])
    assert int(rng.integers(2**31)) == 998143988  # as many draws of the same kinds
    # OpenCV's kernels, chosen by the processor, round last bits otherwise: no hash of the pixels
    np.testing.assert_allclose(crops.mean((0, 1, 2)), means, atol=0.05)
    np.testing.assert_allclose(crops.std((0, 1, 2)), spreads, atol=0.05)
    rng = np.random.default_rng(1)
    former = [[140.24, 116.9, 127.69], [160.45, 133.52, 134.49], [112.88, 109.51, 105.8]]
    seen = [augmented(noise(), 32, rng).mean((0, 1)) for _ in range(3)]
    np.testing.assert_allclose(seen, former, atol=1)


def test_no_augmentation_is_the_middle_of_the_window_pixel_for_pixel() -> None:
    window = noise(45)
    for crop in drawn(window, NONE, 10):
        np.testing.assert_array_equal(crop, window[6:38, 6:38])


def test_the_nucleus_is_brought_to_the_reference_last_of_all_and_green_light_stands_for_all() -> None:
    at = np.hypot(*np.mgrid[-22:23, -22:23])
    depth = np.where(at[..., None] < 8, [0.7, 1.2, 0.5], 0.1)
    window = np.clip(235 * np.exp(-depth), 0, 255).astype(np.uint8)
    crops = drawn(window, only(nucleus=1, color=1), 10)
    depth = measure_cells(crops, 20.0)[:, 0]
    np.testing.assert_allclose(depth, np.broadcast_to(REFERENCE[0], depth.shape), rtol=0.08)
    gray = drawn(window, only(nucleus=1, green=1), 3)
    assert (gray[..., 0] == gray[..., 1]).all()
    assert (gray[..., 2] == gray[..., 1]).all()
    with pytest.raises(ValidationError, match="green is a share of the crops of nucleus"):
        only(green=1)


# ---------------------------------------------------------------- configuration


class Holder(BaseModel):
    augmentation: Augmentation = Augmentation()


def test_yaml_may_say_none_or_give_keys() -> None:
    assert Holder.model_validate({"augmentation": "none"}).augmentation == NONE
    assert Holder.model_validate({"augmentation": {"blur": 1}}).augmentation == Augmentation(blur=1)
    assert Holder.model_validate({}).augmentation == Augmentation()
    config = ClassifierTraining.model_validate({"name": "net", "augmentation": "none"})
    assert config.augmentation == NONE
    assert ClassifierTraining.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    "wrong",
    [
        "some", {"rotation": 181}, {"rotation": -1}, {"shift": 0.6}, {"scale": -0.1}, {"coarse": 1.1},
        {"fill": "mirror"}, {"fill_value": 256}, {"stain": "he"}, {"mixup": -1}, {"turn": 3},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        Holder.model_validate({"augmentation": wrong})


def test_every_key_is_explained() -> None:
    assert all(field.description for field in Augmentation.model_fields.values())


# ---------------------------------------------------------------- geometry


def bar(side: int = 45) -> NDArray[np.uint8]:
    """A dark bar on light ground, upright, through the middle."""
    window = np.full((side, side, 3), 235, np.uint8)
    window[side // 2 - 12 : side // 2 + 13, side // 2 - 2 : side // 2 + 3] = 30
    return window


def lean(crop: NDArray[np.uint8]) -> float:
    """Angle of a bar against upright, degrees."""
    y, x = np.nonzero(crop[..., 0] < 130)
    (xx, xy), (_, yy) = np.cov(x, y)
    return float(np.degrees(0.5 * np.arctan2(2 * xy, yy - xx)))


def test_rotation_turns_as_far_as_told_both_ways() -> None:
    angles = np.array([lean(c) for c in drawn(bar(), only(rotation=20), 200)])
    assert abs(angles).max() < 22
    assert angles.min() < -15
    assert angles.max() > 15
    full = np.array([lean(c) for c in drawn(bar(), only(rotation=180), 200)])
    assert (abs(full) > 60).mean() > 0.2


@pytest.mark.parametrize("law", ["uniform", "normal"])
def test_shift_is_a_share_of_the_side(law: str) -> None:
    window = np.full((160, 160, 3), 235, np.uint8)
    window[75:85, 75:85] = 30
    found = drawn(window, only(shift=0.1, shift_law=law), 300, 100)
    middle = [np.argwhere(c[..., 0] < 130).mean(0) - 49.5 for c in found]
    away = np.array(middle)
    if law == "uniform":
        assert 8 < abs(away).max() < 11
        assert away.std() == pytest.approx(10 / np.sqrt(3), rel=0.15)
    else:
        assert away.std() == pytest.approx(10, rel=0.15)


def test_flips_swap_the_side_that_is_named() -> None:
    window = noise(32)
    np.testing.assert_array_equal(drawn(window, only(flip_horizontal=1), 1)[0], window[:, ::-1])
    np.testing.assert_array_equal(drawn(window, only(flip_vertical=1), 1)[0], window[::-1])
    some = drawn(window, only(flip_vertical=0.5), 200)
    assert 0.35 < (some == window).all(axis=(1, 2, 3)).mean() < 0.65


def test_scale_changes_size_by_octaves() -> None:
    window = np.full((90, 90, 3), 235, np.uint8)
    cv2.circle(window, (45, 45), 12, (30, 30, 30), -1)
    area = (drawn(window, only(scale=0.3), 300, 64)[..., 0] < 130).sum(axis=(1, 2))
    octaves = np.log2(area / (np.pi * 12.5**2)) / 2
    assert octaves.mean() == pytest.approx(0, abs=0.1)
    assert octaves.std() == pytest.approx(0.3, abs=0.06)


@pytest.mark.parametrize("fill", ["nearest", "reflect", "wrap"])
def test_fills_make_nothing_new_and_know_the_crop_alone(fill: str) -> None:
    window = np.full((45, 45, 3), 10, np.uint8)  # what lies around the crop must not come in
    window[6:38, 6:38] = 200
    moved = drawn(window, only(fill=fill, shift=0.3, rotation=45), 30)
    assert (moved == 200).all()


def test_fills_differ_in_what_they_bring_in() -> None:
    ramp = np.repeat(np.repeat(np.arange(32, dtype=np.uint8)[None, :, None] * 4, 32, 0), 3, 2)

    def left_column(fill: str) -> list[int]:
        shifted = [c for c in drawn(ramp, only(fill=fill, shift=0.3, shift_law="uniform", fill_value=7), 60)]
        right = max(shifted, key=lambda c: int(np.argmin(abs(c[16, :, 0].astype(int) - 64))))
        return [int(v) for v in right[16, :3, 0]]

    assert left_column("nearest") == [0, 0, 0]
    assert min(left_column("reflect")) > 10
    assert min(left_column("wrap")) > 60
    assert left_column("constant") == [7, 7, 7]


def test_the_background_fill_shows_the_true_surroundings() -> None:
    window = np.full((45, 45, 3), 10, np.uint8)
    window[6:38, 6:38] = 200
    assert (drawn(window, only(fill="background", shift=0.2), 30) < 100).any()


# ---------------------------------------------------------------- pixels and stain


def test_a_coarse_camera_loses_detail() -> None:
    window = noise(45)
    assert (drawn(window, only(coarse=1)).std(axis=(1, 2, 3)) < 0.9 * window[6:38, 6:38].std()).all()


@pytest.mark.parametrize("key", ["coarse", "color", "blur", "noise"])
def test_a_chance_happens_as_often_as_told(key: str) -> None:
    window = noise(32)
    changed = (drawn(window, only(**{key: 0.3}), 400) != window).any(axis=(1, 2, 3)).mean()
    expected = 1 - 0.7 * 0.85 if key == "color" else 0.3  # hue changes apart, half as often
    assert changed == pytest.approx(expected, abs=0.08)


def test_a_wider_blur_leaves_less_detail() -> None:
    window = noise(45)
    narrow, wide = (drawn(window, only(blur=1, blur_px=px)).std(axis=(1, 2, 3)) for px in (0.4, 3.0))
    assert narrow.min() > wide.mean()


def test_white_stays_white_where_only_dyes_change() -> None:
    white = np.full((32, 32, 3), 255, np.uint8)
    assert (drawn(white, only(stain="density", stain_share=1)) == 255).all()
    assert (drawn(white, only(stain="mix", stain_share=1)) == 255).all()
    assert (drawn(white, only(stain="hed", stain_share=1)) > 230).all()  # light may change a little


def test_mixing_channels_keeps_gray() -> None:
    gray = np.full((32, 32, 3), 120, np.uint8)
    assert (drawn(gray, only(stain="mix", stain_share=1)) == 120).all()


def test_color_deconvolution_acts_on_each_dye_alone() -> None:
    """A cell of one dye gets more or less of that dye, and no other."""
    dyes = stain.HED / np.linalg.norm(stain.HED, axis=1, keepdims=True)

    class Draws:
        """Factors at their bound, no shift."""

        def uniform(self, low: float, high: float, n: int) -> NDArray[np.float64]:
            return np.array([1.2, 0.8, 1.0]) if high > 1 else np.zeros(n)

    for dye, factor in zip(dyes, [1.2, 0.8, 1.0], strict=True):
        cell = np.full((4, 4, 3), np.round(255 * np.exp(-0.6 * dye)), np.uint8)
        wanted = 255 * np.exp(-0.6 * factor * dye)
        given = stain.concentrated(cell, Draws())[0, 0]  # type: ignore[arg-type]
        np.testing.assert_allclose(given, wanted, atol=2.5)


def test_stains_differ_and_leave_the_window_alone() -> None:
    window = noise(32)
    before = window.copy()
    all_of_them = [drawn(window, only(stain=s, stain_share=1), 3) for s in ("density", "hed", "mix")]
    assert all((crops != window).any() for crops in all_of_them)
    assert (all_of_them[0] != all_of_them[1]).any()
    assert (drawn(window, only(stain="none", stain_share=1), 3) == window).all()
    np.testing.assert_array_equal(window, before)


# ---------------------------------------------------------------- mixup


def test_mixup_mixes_targets_as_it_mixes_pixels() -> None:
    level = torch.tensor([0, 50, 100, 200], dtype=torch.uint8)
    crops = level[:, None, None, None].expand(4, 8, 8, 3).contiguous()
    targets = torch.tensor([0, 1, 2, 3])
    rng = np.random.default_rng(0)
    for _ in range(20):
        pixels, chances = mixed(crops, targets, 5, 0.4, rng)
        assert pixels.dtype == torch.uint8
        assert chances.shape == (4, 5)
        torch.testing.assert_close(chances.sum(dim=1), torch.ones(4))
        wanted = chances[:, :4] @ level.float()
        assert (pixels[:, 0, 0, 0].float() - wanted).abs().max() <= 0.51
        assert (chances[range(4), targets] >= 0.5).all()


def test_without_mixup_a_batch_is_handed_back_as_it_is() -> None:
    crops, targets, rng = (
        torch.zeros(2, 4, 4, 3, dtype=torch.uint8),
        torch.tensor([1, 0]),
        np.random.default_rng(0),
    )
    given = mixed(crops, targets, 2, 0.0, rng)
    assert given[0] is crops
    assert given[1] is targets
    assert rng.random() == np.random.default_rng(0).random()


# ---------------------------------------------------------------- the picture


def table(n: int = 24) -> pd.DataFrame:
    rows = [(f"{i}.png", i % 3, "ab"[i // 3 % 2]) for i in range(n)]
    return pd.DataFrame(rows, columns=["image", "target", "site"])


def test_the_sample_takes_classes_and_sites_in_turn() -> None:
    chosen = sampled(table(), 6, 0)
    assert sorted(zip(chosen["target"], chosen["site"], strict=True)) == [
        (t, s) for t in range(3) for s in "ab"
    ]
    assert sampled(table(), 6, 1)["image"].tolist() != chosen["image"].tolist()
    assert len(sampled(table(4), 9, 0)) == 4
    with pytest.raises(DatasetError, match="no cell"):
        sampled(table(0), 3, 0)


def test_the_grid_shows_the_crop_first_and_then_its_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = np.stack([noise(45, i) for i in range(6)])
    monkeypatch.setattr(preview, "load_crops", lambda *_: windows)
    config = ClassifierTraining(name="net", crop_px=32, augmentation=only(flip_vertical=1))
    grid = sample_grid(sampled(table(), 6, 0), Path(), config, 3, 4, 0)
    assert grid.shape == (6, 5, 32, 32, 3)
    np.testing.assert_array_equal(grid[:, 0], windows[:, 6:38, 6:38])
    np.testing.assert_array_equal(grid[:, 3], windows[:, 6:38, 6:38][:, ::-1])


def test_the_picture_has_a_panel_a_crop_and_tells_what_is_done() -> None:
    grid = np.stack([noise(16, i) for i in range(6)]).reshape(2, 3, 16, 16, 3)
    figure = draw_grid(grid, [("immature_granulocyte", "pbc"), ("monocyte", "a")], "net", in_words(NONE))
    assert len(figure.axes) == 6
    words = {text.get_text() for text in figure.texts}
    assert {"original", "draw 1", "draw 2", "immature", "granulocyte", "pbc", "no augmentation"} <= words


def test_words_name_what_is_on_and_nothing_else() -> None:
    said = in_words(only(rotation=20, shift=0.1, shift_law="uniform", mixup=0.4))
    assert said.split("  ·  ") == ["turned up to ±20°", "shifted up to ±10 %", "fill: nearest", "mixup 0.4"]
    assert "turned fully" in in_words(Augmentation())
    views = "own nucleus at the reference 60 %  ·  of these green light alone 40 %"
    assert in_words(only(nucleus=0.6, green=0.4)) == views


def test_the_command_writes_the_picture(tmp_path: Path) -> None:
    for i in range(4):
        cv2.imwrite(str(tmp_path / f"{i}.png"), noise(60, i))
    rows = [(f"{i}.png", "ab"[i % 2], "train", 0.3, 20, 20, 40, 40) for i in range(4)]
    columns = ["image", "class", "split", "um_per_px", "x0", "y0", "x1", "y1"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "cells.csv", index=False)
    (tmp_path / "net.yaml").write_text("name: net\ncrop_px: 32\naugmentation: none\nbackground: remove\n")
    out = tmp_path / "made" / "grid.png"
    told = [
        str(tmp_path / "cells.csv"),
        "--config",
        str(tmp_path / "net.yaml"),
        "--rows",
        "2",
        "--draws",
        "3",
    ]
    result = CliRunner().invoke(train_command, ["preview", *told, "--out", str(out)])
    assert result.exit_code == 0, result.output
    height, width = cv2.imread(str(out)).shape[:2]
    assert width > 4 * 160
    assert height > 2 * 160
