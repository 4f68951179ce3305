"""The leak guard: refuses what is on both sides, however it is turned; accepts what is not."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from smearscan.errors import LeakError
from smearscan.experiments.leak_guard import Leaks, find_leaks, regrouped, require_clean
from smearscan.experiments.near_duplicates import SAME, same_cells
from smearscan.io.decode import write_image

SIDE, UM = 120, 24.0
Picture = NDArray[np.uint8]


def cell(seed: int) -> Picture:
    """A made-up leukocyte with a grainy nucleus of its own, 120 px and 24 um wide."""
    rng = np.random.default_rng(seed)
    image = np.full((SIDE, SIDE, 3), 225, np.uint8)
    cv2.ellipse(image, (60, 60), (34, 30), float(rng.uniform(0, 180)), 0, 360, (190, 170, 205), -1)
    for _ in range(3):
        x, y = 60 + rng.normal(0, 8, 2)
        axes = (int(rng.integers(9, 16)), int(rng.integers(7, 12)))
        cv2.ellipse(image, (int(x), int(y)), axes, float(rng.uniform(0, 180)), 0, 360, (95, 50, 130), -1)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)), (0, 0), 2)
    dark = image[..., 1] < 190
    shaded = image.astype(float) + 45 * (grain / grain.std() * dark)[..., None] * [0.6, 1, 0.5]
    return np.clip(cv2.GaussianBlur(shaded, (0, 0), 0.8), 0, 255).astype(np.uint8)


def turned(picture: Picture, degrees: float, mirror: bool = False, factor: float = 1.0) -> Picture:
    turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), degrees, factor)
    out = cv2.warpAffine(picture, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    return np.ascontiguousarray(out[:, ::-1] if mirror else out)


def brighter(picture: Picture) -> Picture:
    return np.clip(picture * 0.9 + 15, 0, 255).astype(np.uint8)


def table_of(folder: Path, pictures: list[Picture], **columns: object) -> pd.DataFrame:
    names = [f"{i}.png" for i in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        write_image(folder / name, picture)
    n = len(pictures)
    own: dict[str, object] = {
        "image": names, "class": ["lymphocyte", "monocyte"] * (n // 2) + ["lymphocyte"] * (n % 2),
        "group": [f"g{i}" for i in range(n)], "site": "here", "um_per_px": UM / SIDE,
        "x0": 26.0, "y0": 26.0, "x1": 94.0, "y1": 94.0, "fold": [str(i % 2) for i in range(n)],
    }  # fmt: skip
    return pd.DataFrame({**own, **columns})


def kinds(leaks: Leaks) -> dict[str, int]:
    return {one.kind: one.count for one in leaks.findings}


def test_different_cells_are_accepted(tmp_path: Path) -> None:
    found = find_leaks(table_of(tmp_path, [cell(i) for i in range(30)]), tmp_path)
    assert not found.findings
    assert not found.leaked
    assert "No cell" in found.text()
    require_clean(found, allow=False)


COPIES = {
    "another encoding": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], 1),
    "another light": brighter,
    "a quarter turn": lambda p: turned(p, 90),
    "any turn, mirrored": lambda p: turned(p, 37, mirror=True),
    "turned, larger, brighter": lambda p: brighter(turned(p, 200, factor=1.07)),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_in_another_fold_is_found_and_nothing_else(tmp_path: Path, how: str) -> None:
    pictures = [cell(i) for i in range(24)]
    pictures.append(np.asarray(COPIES[how](pictures[3]), np.uint8))
    table = table_of(tmp_path, pictures)
    table.loc[24, "fold"] = "0"  # cell 3 is in fold 1
    found = find_leaks(table, tmp_path)
    assert [(one.first, one.second) for one in found.pairs] == [(3, 24)]
    assert found.pairs[0].correlation >= SAME
    assert found.leaked
    assert sum(kinds(found).values()) == 1
    assert ("turned copy" in kinds(found)) == ("turn" in how)
    assert "3.png = 24.png" in found.text()
    with pytest.raises(LeakError, match=r"3\.png = 24\.png.*(\n.*)*--allow-leaks"):
        require_clean(found, allow=False)
    require_clean(found, allow=True)


def test_a_copy_in_the_same_fold_or_group_is_no_leak(tmp_path: Path) -> None:
    pictures = [cell(i) for i in range(12)]
    table = table_of(tmp_path, [*pictures, turned(pictures[3], 90)])
    assert not find_leaks(table.assign(fold="0"), tmp_path).leaked
    same_fold = table.assign(fold=[str(i % 2) for i in range(12)] + ["1"])
    assert not find_leaks(same_fold, tmp_path).leaked


def test_the_same_file_twice_is_told_once(tmp_path: Path) -> None:
    pictures = [cell(i) for i in range(9)]
    found = find_leaks(table_of(tmp_path, [*pictures, pictures[0].copy()]), tmp_path)
    assert kinds(found) == {"same file": 1}
    assert "0.png = 9.png" in found.text()


def test_a_group_in_two_folds_is_a_leak(tmp_path: Path) -> None:
    table = table_of(tmp_path, [cell(i) for i in range(8)])
    table["group"] = ["p1", "p1", "p2", "p3", "p2", "p4", "p5", "p6"]
    found = find_leaks(table, tmp_path)
    assert kinds(found) == {"group": 1}
    assert "p1" in found.text()
    assert "'group'" in found.text()


@pytest.mark.parametrize(
    "name",
    ["_{}_4711.jpeg", "img{}_jpg.rf.0a1b2c3d{}.png", "img{}_rot90.png", "img{}-aug_3.png", "img{}_hflip.png"],
)
def test_names_of_augmented_copies_are_told_as_a_caution(tmp_path: Path, name: str) -> None:
    table = table_of(tmp_path, [cell(i) for i in range(20)])
    names = [name.format(i, i) for i in range(20)]
    for old, new in zip(table["image"], names, strict=True):
        (tmp_path / old).rename(tmp_path / new)
    found = find_leaks(table.assign(image=names), tmp_path)
    assert kinds(found) == {"copy by name": 20}
    assert not found.leaked


@pytest.mark.parametrize("name", ["BAS_0001_0_{}", "20190527_114624_{}", "BA_{}", "Patient_00_BL_{}", "{}_2"])
def test_names_of_published_originals_are_none_of_copies(tmp_path: Path, name: str) -> None:
    table = table_of(tmp_path, [cell(i) for i in range(20)])
    names = [f"{name.format(1000 + i)}.png" for i in range(20)]
    for old, new in zip(table["image"], names, strict=True):
        (tmp_path / old).rename(tmp_path / new)
    assert not find_leaks(table.assign(image=names), tmp_path).findings


@pytest.mark.parametrize(("mixed", "severity"), [(0, "leak"), (2, "caution"), (12, None)])
def test_a_class_that_the_site_tells_is_told(tmp_path: Path, mixed: int, severity: str | None) -> None:
    table = table_of(tmp_path, [cell(i) for i in range(40)])
    site = np.where(table["class"] == "lymphocyte", "a", "b")
    site[:mixed] = np.where(site[:mixed] == "a", "b", "a")
    found = find_leaks(table.assign(site=site), tmp_path)
    assert [one.severity for one in found.findings] == ([severity] if severity else [])


def test_regrouping_joins_what_shows_one_cell_and_mends_the_leak(tmp_path: Path) -> None:
    pictures = [cell(i) for i in range(14)]
    table = table_of(tmp_path, [*pictures, turned(pictures[3], 60), pictures[5].copy()])
    mended, joined = regrouped(table.assign(split=["train", "test"] * 8), tmp_path)
    assert joined == 2
    assert mended["group"].nunique() == 14
    assert mended["group"][14] == mended["group"][3] == "here/g3"
    assert mended["split"][14] == mended["split"][3]
    assert mended["group"][15] == mended["group"][5]
    by_group = mended.assign(fold=mended["group"].map(lambda g: str(int(g.split("g")[-1]) % 3)))
    assert not find_leaks(by_group, tmp_path).leaked


def test_only_pairs_of_interest_are_verified() -> None:
    gray = np.stack([cv2.cvtColor(cv2.resize(cell(i), (64, 64)), cv2.COLOR_RGB2GRAY) for i in range(6)] * 2)
    here = np.array(["a", "b"] * 6)
    every = same_cells(gray, here, lambda i, j: np.ones(len(i), bool))
    assert {(one.first, one.second) for one in every} == {(i, i + 6) for i in range(6)}
    assert same_cells(gray, here, lambda i, j: np.zeros(len(i), bool)) == []
    assert same_cells(gray[:1], here[:1], lambda i, j: np.ones(len(i), bool)) == []
