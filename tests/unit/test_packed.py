"""A pack of cells stands for its manifest and its photographs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from numpy.typing import NDArray

from smearscan.classification.crops import Geometry
from smearscan.cli import main
from smearscan.errors import DatasetError
from smearscan.experiments.leak_guard import find_leaks
from smearscan.io.decode import write_image
from smearscan.training.cells import ROOM, load_crops, read_cells, root_of
from smearscan.training.packed import PackedCells, packed
from smearscan.weights.pairs import ClassifierCard, load_card

CROP_UM, CROP_PX = 20.0, 40


def photograph(seed: int) -> NDArray[np.uint8]:
    """Smooth spots on a bright background: what compresses as a smear does."""
    y, x = np.mgrid[:160, :200]
    image = np.full((160, 200, 3), 235.0)
    for cx, cy, r, *ink in np.random.default_rng(seed).uniform(0, 1, (6, 6)):
        spot = np.exp(-((x - 200 * cx) ** 2 + (y - 160 * cy) ** 2) / (2 * (8 + 12 * r) ** 2))
        image -= spot[..., None] * (40 + 60 * np.array(ink))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    rows = []
    for k in range(6):
        write_image(tmp_path / f"{k}.png", photograph(k))
        for cell in range(2):
            box = {"x0": 60 + 40 * cell, "y0": 50, "x1": 90 + 40 * cell, "y1": 80}
            rows.append({
                "image": f"{k}.png", "class": ("a", "b")[k % 2], "group": f"00{k}", "site": "s",
                "split": ("train", "val")[k // 4], "um_per_px": 0.2, **box,
            })  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "cells.csv", index=False)
    return tmp_path / "cells.csv"


@pytest.fixture
def pack(manifest: Path) -> Path:
    out = manifest.with_name("cells.npz")
    asked = ["dataset", "pack", manifest, "--out", out, "--crop-px", CROP_PX, "--quality", 100]
    done = CliRunner().invoke(main, [str(a) for a in asked])
    assert done.exit_code == 0, done.output
    return out


def test_a_pack_gives_the_manifest_back(manifest: Path, pack: Path) -> None:
    table = read_cells(pack, root_of(pack, None), None, None, 0)
    pd.testing.assert_frame_equal(
        table, read_cells(manifest, manifest.parent, None, None, 0), check_dtype=False
    )
    assert table["group"].iloc[0] == "000"  # a name, not a number


@pytest.mark.parametrize(
    ("um", "px"), [(ROOM * CROP_UM, round(ROOM * CROP_PX)), (CROP_UM, CROP_PX), (24.0, 64)]
)
def test_its_crops_are_those_of_the_photographs(manifest: Path, pack: Path, um: float, px: int) -> None:
    table = read_cells(pack, pack, None, None, 0).sample(frac=0.7, random_state=1)
    ours = load_crops(table, pack, um, px).astype(int)
    theirs = load_crops(table, manifest.parent, um, px).astype(int)
    assert ours.shape == (len(table), px, px, 3)
    assert np.abs(ours - theirs).mean() < 3  # the window's grid is not the crop's
    other = theirs[np.roll(np.arange(len(table)), 1)]
    assert np.abs(ours - other).mean() > 10  # and each is its own cell's


def test_the_leak_guard_reads_a_pack(pack: Path) -> None:
    table = read_cells(pack, pack, None, None, 0)
    assert "group" not in {one.kind for one in find_leaks(table.assign(fold=table["split"]), pack).findings}
    twice = pd.concat([table, table.assign(group="other", split="test")], ignore_index=True)
    found = find_leaks(twice.assign(fold=twice["split"]), pack)
    assert "same file" in {one.kind for one in found.findings}


def test_what_a_pack_does_not_hold_is_refused(pack: Path) -> None:
    table = read_cells(pack, pack, None, None, 0)
    with pytest.raises(DatasetError, match=r"cell of else\.png is not in the pack"):
        load_crops(table.assign(image="else.png"), pack, CROP_UM, CROP_PX)
    with pytest.raises(DatasetError, match=r"28\.4 um wide, and crops of 40 um"):
        load_crops(table, pack, 40.0, CROP_PX)


def test_what_is_no_pack_is_refused(tmp_path: Path, manifest: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 half")
    with pytest.raises(DatasetError, match=r"broken\.npz: cannot be read as a pack"):
        PackedCells.open(broken)
    np.savez(broken, cells=np.zeros(3))
    with pytest.raises(DatasetError, match=r"is no pack of cells \(without encoded, ends, window\)"):
        PackedCells.open(broken)
    done = CliRunner().invoke(main, ["dataset", "pack", str(manifest), "--out", str(tmp_path / "cells.zip")])
    assert done.exit_code == 2
    assert "a pack's name ends in .npz" in done.output


def test_an_empty_pack_is_a_pack(tmp_path: Path) -> None:
    table = pd.DataFrame(columns=["image", "class", "x0", "y0", "x1", "y1"])
    packed(table, np.empty((0, 8, 8, 3), np.uint8), 28.4).save(tmp_path / "none.npz")
    found = PackedCells.open(tmp_path / "none.npz")
    assert len(found.table) == 0
    assert found.window == Geometry(28.4, 8)


def test_a_net_is_trained_from_a_pack_alone(pack: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere" / "cells.npz"
    alone.parent.mkdir()
    pack.rename(alone)
    settings = {
        "name": "tiny", "architecture": "soto_ayala_32", "classes": ["a", "b"], "epochs": 1, "epoch_cells": 8,
        "batch": 4, "regime": "scratch",
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(settings))
    asked = ["train", "classifier", alone, "--config", tmp_path / "tiny.yaml", "--device", "cpu"]
    done = CliRunner().invoke(main, [str(a) for a in [*asked, "--out", tmp_path / "out"]])
    assert done.exit_code == 0, done.output
    card = load_card(tmp_path / "out" / "tiny.safetensors", ClassifierCard)
    assert card.training["data"]["s/train"]["cells"] == 8
    again = CliRunner().invoke(main, [str(a) for a in [*asked, "--out", tmp_path / "out"]])
    assert "already finished" in again.output
    refused = CliRunner().invoke(main, [str(a) for a in [*asked[:-1], "cuda:7", "--out", tmp_path / "o"]])
    assert refused.exit_code == 2
    assert "'cuda:7' is not available" in refused.output
