"""Cells that are already cut: named as in a scan, whatever their company; folders' names never guessed."""

import gc
import weakref
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from fakes import UM_PER_PX, detector, draw, scanner, use_fake_nets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from smearscan.calibration.labeled_cells import labeled_rows
from smearscan.cli import main
from smearscan.differential.calibration_card import (
    RecalibrationParams,
    load_calibration,
    save_calibration,
    shipped_calibration,
)
from smearscan.differential.statistics.intervals import exact_interval
from smearscan.errors import ConfigError, DatasetError, ImageError
from smearscan.experiments.class_folders import CropSet, Meanings, agreement, crop_sets
from smearscan.io import fields
from smearscan.io.decode import as_rgb, longest_side, some_images, write_image
from smearscan.results import Cell, FieldFailure
from smearscan.scan.single_cells import ACROSS_UM, NamedCells, magnifications, measure_crops
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, RED_CELL_UM

Picture = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch)


def crop(seed: int, side: int = 150, red_px: float = 32.0) -> Picture:
    """A leukocyte a little off the middle, another in a corner, and red cells, two of them cut."""
    rng = np.random.default_rng(seed)
    at, r = side / 2 + rng.uniform(-0.1, 0.1, 2) * red_px, red_px / 2
    corner, far = 0.9 * red_px, side - 1.2 * r
    reds = [(far, 1.2 * r), (1.2 * r, far), (far, far), (side, side / 2), (side / 2, side)]
    discs = [
        (0, *at, rng.uniform(1.1, 1.9) * red_px),
        (0, corner, corner, 1.5 * red_px),
        *((1, *c, red_px) for c in reds),
    ]
    image = draw(side - seed % 3, side, discs)[0]
    x, y = at.astype(int)
    image[y - 3 : y + 3, x - 3 : x + 3] += rng.integers(0, 25, 3, dtype=np.uint8)
    return image


@pytest.fixture(scope="module")
def crops() -> list[Picture]:
    return [crop(seed) for seed in range(11)]


def rows(named: NamedCells) -> pd.DataFrame:
    return named.to_frame().reset_index(drop=True)


# ---------------------------------------------------------------- the same cell, the same name


def test_a_crop_is_named_as_the_central_cell_of_a_scan(crops: list[Picture]) -> None:
    for image, cell in zip(crops, scanner().classify(crops), strict=True):
        assert isinstance(cell, Cell)
        scanned = list(scanner().analyze(image))
        assert len(scanned) == 2
        middle = np.array([image.shape[1], image.shape[0]]) / 2
        away = [np.hypot(*(np.reshape(c.xyxy, (2, 2)).mean(axis=0) - middle)) for c in scanned]
        assert cell == scanned[int(np.argmin(away))]


def test_the_crops_have_several_names(crops: list[Picture]) -> None:
    assert rows(scanner().classify(crops))["type"].nunique() > 1


@pytest.fixture(scope="module")
def one_by_one(crops: list[Picture]) -> list[pd.DataFrame]:
    with pytest.MonkeyPatch.context() as patch:
        use_fake_nets(patch)
        return [rows(scanner().classify([image])) for image in crops]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(11)), size=st.integers(1, 11), window=st.integers(1, 12))
def test_company_order_and_window_change_no_answer(
    one_by_one: list[pd.DataFrame], crops: list[Picture], order: list[int], size: int, window: int
) -> None:
    together = rows(scanner(window=window).classify([crops[i] for i in order[:size]]))
    alone = pd.concat([one_by_one[i] for i in order[:size]], ignore_index=True)
    pd.testing.assert_frame_equal(together, alone, check_exact=True)


def test_the_rescaling_of_a_calibration_is_that_of_a_scan(crops: list[Picture], tmp_path: Path) -> None:
    card, shipped = tmp_path / "site.yaml", load_calibration(shipped_calibration())
    changed = {
        "name": "site",
        "networks": {"blast": "ab" * 32, "differential": "ab" * 32},
        "scaling": {"differential": RecalibrationParams(temperature=2.0, offsets={"monocyte": 1.5})},
        "unlike": None,  # as of any site's own card
    }
    save_calibration(card, shipped.model_copy(update=changed))
    usual, under = scanner().classify(crops), scanner(calibration=card).classify(crops)
    assert set(under.to_frame()["calibration"]) == {"site"}
    assert not np.allclose(usual.to_frame()["p_monocyte"], under.to_frame()["p_monocyte"])
    for image, cell in zip(crops, under, strict=True):
        assert cell in list(scanner(calibration=card).analyze(image))


def test_pictures_are_taken_however_they_are_held(crops: list[Picture], tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", crops[0])
    held: list[Any] = [crops[0], Image.fromarray(crops[0]), tmp_path / "a.png", str(tmp_path / "a.png")]
    table = scanner().classify(iter(held)).to_frame(tmp_path)
    assert table["field"].tolist() == ["", "", "a.png", "a.png"]
    assert len(table.drop(columns="field").drop_duplicates()) == 1
    stack = np.stack([crops[0], crops[3]])  # of one size
    assert len(scanner().classify(stack)) == 2


def test_where_no_leukocyte_is_the_middle_is_named() -> None:
    empty, aside = draw(140, 120, [])[0], draw(200, 200, [(0, 35, 35, 58)])[0]
    for image, cell in zip((empty, aside), scanner().classify([empty, aside]), strict=True):
        assert isinstance(cell, Cell)
        x0, y0, x1, y1 = cell.xyxy
        assert (x1 - x0) * UM_PER_PX == pytest.approx(13, abs=0.01)
        assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((image.shape[1] / 2, image.shape[0] / 2))
        assert np.isnan(cell.score)
        assert cell.type
        assert sum(cell.probabilities.values()) == pytest.approx(1)


# ---------------------------------------------------------------- failures, tables, memory


def test_failures_keep_their_place(crops: list[Picture], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    pictures: list[Any] = [tmp_path / "gone.jpg", crops[0], tmp_path / "bad.png", crops[1]]
    told: list[str] = []
    named = scanner(window=2).classify(pictures, on_progress=told.append)
    assert [type(item) for item in named] == [FieldFailure, Cell, FieldFailure, Cell]
    assert [f.path for f in named.failures] == [tmp_path / "gone.jpg", tmp_path / "bad.png"]
    assert len(named) == 4
    assert named.to_frame().index.tolist() == [1, 3]
    pd.testing.assert_frame_equal(rows(named), rows(scanner().classify(crops[:2])), check_exact=True)
    assert told == ["gone.jpg", "", "bad.png", ""]


def test_nothing_and_failures_alone_make_an_empty_table(tmp_path: Path) -> None:
    for pictures in ([], [tmp_path / "gone.png"] * 3):
        for um_per_px in (UM_PER_PX, None):
            named = scanner(um_per_px=um_per_px).classify(pictures)
            assert len(named) == len(named.failures) == len(pictures)
            assert named.to_frame().empty


def test_the_table_has_the_columns_of_a_scan_without_the_number_of_a_cell(crops: list[Picture]) -> None:
    scanned = scanner().analyze(crops[0]).to_frame()
    table = scanner().classify(crops[:2]).to_frame()
    assert table.columns.tolist() == [*scanned.columns.drop("id"), "ruler"]
    assert table["ruler"].tolist() == ["given"] * 2
    assert [c for c in table if c.startswith("p_")] == [f"p_{name}" for name in DIFFERENTIAL_CLASSES]


def test_one_net_alone_names_by_its_own() -> None:
    table = scanner(task="blast").classify([crop(0)]).to_frame()
    assert set(table["type"]) <= {"blast", "healthy"}
    assert not [c for c in table if c.startswith("p_")]
    assert scanner(task="differential").classify([crop(0)]).to_frame()["blast_probability"].isna().all()


class _Tracked(np.ndarray):  # type: ignore[type-arg]
    """An array that can be watched by a weak reference."""


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    living: dict[int, weakref.ref[_Tracked]] = {}
    total = most = 0
    pattern = crop(0, side=100)

    def track(_: object, reduction: int, max_pixels: int) -> tuple[Picture, tuple[int, int], int]:
        nonlocal total, most
        image = pattern.copy().view(_Tracked)
        total += 1
        living[total] = weakref.ref(image, lambda _, key=total: living.pop(key, None))
        most = max(most, len(living))
        return image, image.shape[:2], 1

    monkeypatch.setattr(fields, "read_reduced", track)
    gc.disable()  # what only the cycle collector frees is not bounded
    try:
        named = scanner(window=4, read_ahead=3, workers=2).classify(f"{i}.png" for i in range(60))
    finally:
        gc.enable()
    assert (total, len(named), len(named.failures)) == (60, 60, 0)
    assert most <= 2 + 1
    assert not living


def test_a_single_picture_in_place_of_a_sequence_is_refused(crops: list[Picture]) -> None:
    for one in ("cell.png", Path("cell.png"), crops[0], Image.fromarray(crops[0])):
        with pytest.raises(ImageError, match=r"give \[picture\]"):
            scanner().classify(one)  # type: ignore[arg-type]


# ---------------------------------------------------------------- scale


def test_the_scale_given_to_a_call_goes_before_the_scanner_s(crops: list[Picture]) -> None:
    assert set(scanner(um_per_px=0.2).classify(crops[:2], 0.3).to_frame()["um_per_px"]) == {0.3}
    assert set(scanner(um_per_px=0.2).classify(crops[:2]).to_frame()["um_per_px"]) == {0.2}
    with pytest.raises(ConfigError, match="um_per_px = -1"):
        scanner().classify(crops[:2], -1.0)


def test_pictures_are_measured_together(crops: list[Picture]) -> None:
    table = scanner(um_per_px=None).classify(crops).to_frame()
    assert set(table["ruler"]) == {"red cells"}
    assert table["um_per_px"].nunique() == 1
    assert table["um_per_px"][0] == pytest.approx(UM_PER_PX, rel=0.05)


def test_a_picture_without_red_cells_is_measured_by_its_company(crops: list[Picture]) -> None:
    bare = draw(150, 150, [(0, 75, 75, 45)])[0]  # a small leukocyte
    alone = scanner(um_per_px=None).classify([bare]).to_frame()
    assert alone["ruler"].tolist() == ["leukocytes"]
    assert alone["um_per_px"][0] == pytest.approx(RED_CELL_UM * 1.85 / 45, rel=0.05)
    scales = measure_crops(detector(), [bare, *crops])
    assert {s.source for s in scales} == {"red cells"}
    assert scales[0].um_per_px == pytest.approx(UM_PER_PX, rel=0.05)


def test_sets_of_several_sizes_are_measured_apart() -> None:
    small, large = [crop(0)] * 8, [crop(1, 260, 64.0)] * 8
    scales = measure_crops(detector(), [*small, *large])
    assert [s.um_per_px for s in scales[:8]] == pytest.approx([UM_PER_PX] * 8, rel=0.05)
    assert [s.um_per_px for s in scales[8:]] == pytest.approx([UM_PER_PX / 2] * 8, rel=0.05)


@pytest.mark.parametrize(
    ("sides", "parts"),
    [
        ([120] * 50 + [300] * 8, [0] * 50 + [1] * 8),
        ([120] * 50 + [300] * 7, [-1] * 57),
        ([120] * 90 + [300] * 9, [-1] * 99),  # not a tenth
        ([120] * 40 + [300] * 40 + [200, 0], [0] * 40 + [2] * 40 + [-1, -1]),
        ([112] * 20 + [116] * 20 + [120] * 20, [-1] * 60),  # one set whose sides vary
        ([112] * 20 + [120] * 20 + [300] * 20, [0] * 40 + [1] * 20),
        ([256] * 20 + [224] * 20, [1] * 20 + [0] * 20),
        ([120] * 40 + [0] * 40, [-1] * 80),  # the sides of broken pictures tell nothing
        ([], []),
    ],
)
def test_common_sides_tell_sets_apart(sides: list[int], parts: list[int]) -> None:
    assert magnifications(sides) == parts


def test_pictures_of_every_size_share_one_scale() -> None:
    """Crops cut to their cells differ in size, not in magnification."""
    assert set(magnifications([*range(60, 90)] * 20)) == {-1}
    scales = measure_crops(detector(), [crop(0, side) for side in range(140, 170, 3)])
    assert len(set(scales)) == 1
    assert scales[0].um_per_px == pytest.approx(UM_PER_PX, rel=0.05)


def test_without_any_cell_a_usual_width_is_assumed() -> None:
    scales = measure_crops(detector(), [draw(90, side, [])[0] for side in (100, 120, 110)])
    assert [(s.source, s.um_per_px) for s in scales] == [("assumed", pytest.approx(ACROSS_UM / 110))] * 3


def test_some_pictures_are_spread_and_pass_over_broken_ones(tmp_path: Path) -> None:
    pictures = [np.full((40, 40, 3), i, np.uint8) for i in range(9)]
    assert [int(i.max()) for i in some_images(pictures, 3)] == [0, 4, 8]
    broken: list[object] = [*pictures[:4], tmp_path / "gone.png", *pictures[5:]]
    assert [int(i.max()) for i in some_images(broken, 3)] == [0, 8, 1]
    assert len(some_images(broken, 99)) == 8
    assert some_images([], 3) == []
    together = Barrier(3)  # passed by three that read at once alone

    def read(picture: NDArray[np.uint8] | Path) -> NDArray[np.uint8]:
        together.wait(10)
        return as_rgb(picture)

    assert [int(i.max()) for i in some_images(pictures, 3, read, 3)] == [0, 4, 8]


def test_the_longest_side_is_told_without_decoding(tmp_path: Path) -> None:
    image = np.zeros((40, 70, 3), np.uint8)
    write_image(tmp_path / "a.png", image)
    (tmp_path / "b.png").write_text("no picture")
    held = [image, Image.fromarray(image), tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png", None]
    assert [longest_side(picture) for picture in held] == [70, 70, 70, 0, 0, 0]


# ---------------------------------------------------------------- names of folders

SHIPPED = ("neutrophil", "lymphocyte", "monocyte", "immature_granulocyte", "smudge_cell")


@pytest.mark.parametrize(
    ("classes", "blast", "folder", "meant"),
    [
        (SHIPPED, True, "Segmented neutrophils", "neutrophil"),
        (SHIPPED, True, "Myeloblast", "blast"),
        (SHIPPED, True, "smudge_cell", "smudge_cell"),
        (SHIPPED, False, "promyelocyte", "immature_granulocyte"),
        ((), True, "promyelocyte", "blast"),
        ((), True, "Band neutrophils", "healthy"),
        ((), True, "healthy", "healthy"),
        (("Reactive", "resting"), False, "reactive", "Reactive"),
        (("promyelocyte", "other"), True, "Promyelocyte", "promyelocyte"),
    ],
)
def test_a_folder_s_name_is_understood(
    classes: tuple[str, ...], blast: bool, folder: str, meant: str
) -> None:
    assert Meanings(classes, blast).of(folder, Path(folder)) == meant


@pytest.mark.parametrize(
    ("classes", "blast", "folder", "told"),
    [
        (SHIPPED, True, "plasma_cells", "means plasma cells, which the nets in use do not name"),
        (SHIPPED, True, "prolymphocyte", "'prolymphocyte' is not known"),
        (SHIPPED, True, "promyelocyte", "where it is leukemic"),
        (SHIPPED, True, "healthy", "--task blast"),
        (SHIPPED, True, "artefact", "means 'other', which the nets in use do not name"),
        (SHIPPED, False, "myeloblast", "means 'blast', which the nets in use do not name"),
        (("reactive", "resting"), True, "neutrophil", "means 'neutrophil'"),
    ],
)
def test_a_folder_s_name_is_never_guessed(
    classes: tuple[str, ...], blast: bool, folder: str, told: str
) -> None:
    with pytest.raises(DatasetError, match=f"{folder}.*") as error:
        Meanings(classes, blast).of(folder, Path(folder))
    assert told in str(error.value)


def sets_of(*files: str) -> tuple[dict[str, list[tuple[str, str, str]]], list[str]]:
    root, told = Path("/cells"), []
    found = crop_sets(root, [root / f for f in files], Meanings(SHIPPED, True), told.append)
    assert all(isinstance(one, CropSet) for one in found)
    return {
        one.name: [
            (path.relative_to(root).as_posix(), slide, truth)
            for path, slide, truth in zip(one.paths, one.slides, one.truths, strict=True)
        ]
        for one in found
    }, told


@pytest.fixture
def _a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda _: True)


@pytest.mark.usefixtures("_a_folder")
def test_class_folders_side_by_side_are_one_set() -> None:
    found, told = sets_of("Blast/1.png", "neutrophils/p7/2.png", "giants/3.png", "giants/4.png", "5.png")
    assert found == {
        "cells": [
            ("Blast/1.png", "cells", "blast"),
            ("neutrophils/p7/2.png", "p7", "neutrophil"),
            ("giants/3.png", "cells", ""),
            ("giants/4.png", "cells", ""),
            ("5.png", "cells", ""),
        ]
    }
    assert len(told) == 1
    assert told[0].startswith("not compared, 2 pictures: giants: ")


@pytest.mark.usefixtures("_a_folder")
def test_each_site_with_class_folders_is_a_set() -> None:
    found, told = sets_of("a/blast/1.png", "a/monocyte/2.png", "b/blast/3.png")
    assert found == {
        "a": [("a/blast/1.png", "a", "blast"), ("a/monocyte/2.png", "a", "monocyte")],
        "b": [("b/blast/3.png", "b", "blast")],
    }
    assert not told


@pytest.mark.usefixtures("_a_folder")
def test_folders_that_are_no_classes_are_slides_and_nothing_is_said() -> None:
    found, told = sets_of("p01/1.png", "p02/deep/2.png", "3.png")
    assert found == {
        "p01": [("p01/1.png", "p01", "")],
        "p02/deep": [("p02/deep/2.png", "p02/deep", "")],
        "cells": [("3.png", "cells", "")],
    }
    assert not told


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", ""]), st.sampled_from(["a", "b", "c", "unclassified"])),
        max_size=30,
    )
)
def test_agreement_counts_every_compared_cell_once(cells: list[tuple[str, str]]) -> None:
    found = agreement([t for t, _ in cells], [n for _, n in cells], ("a", "b", "c"))
    compared = [(t, n) for t, n in cells if t]
    assert found.total == len(compared)
    assert found.right == sum(t == n for t, n in compared)
    assert found.unclassified == sum(n == "unclassified" for _, n in compared)
    assert found.interval == exact_interval(found.right, found.total)
    for t, row in zip(found.names, found.counts, strict=True):
        assert row.tolist() == [compared.count((t, n)) for n in found.names]


# ---------------------------------------------------------------- the command


def ask(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def tree(tmp_path: Path, crops: list[Picture]) -> Path:
    """Pictures in the folders of what the fake nets call them, but for one."""
    named = rows(scanner().classify(crops))["type"]
    for i, (image, kind) in enumerate(zip(crops, named, strict=True)):
        folder = tmp_path / "cells" / ("monocyte" if i == 0 else kind)
        folder.mkdir(parents=True, exist_ok=True)
        write_image(folder / f"{i}.png", image)
    assert named[0] != "monocyte"
    return tmp_path / "cells"


def test_class_folders_are_compared(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "cells.csv"
    done = ask("classify", tree, "--out", out, "--um-per-px", UM_PER_PX)
    assert done.exit_code == 0, done.output
    low, high = exact_interval(10, 11)
    told = f"10 of 11 = 90.9 % (exact 95 % interval {low:.1f} to {high:.1f})"
    assert told in words(done.stdout)
    table = pd.read_csv(out)
    assert (table["truth"] == table["type"]).sum() == 10
    assert table["field"].str.split("/").str[0].tolist() == table["truth"].tolist()
    assert set(table["slide"]) == {"cells"}
    assert len(labeled_rows(out, DIFFERENTIAL_CLASSES)) == 11  # as 'calibrate' reads it
    assert "never a diagnosis" in words(done.stderr)


def test_what_is_broken_or_unknown_is_told_and_the_rest_named(tree: Path, tmp_path: Path) -> None:
    (tree / "plasma").mkdir()
    write_image(tree / "plasma" / "p.tif", crop(3, 200))
    (tree / "monocyte" / "broken.jpg").write_text("no picture")
    done = ask("classify", tree, "--out", tmp_path / "c.csv")
    assert done.exit_code == 1, done.output
    assert "broken.jpg" in "".join(done.stderr.split())
    assert "not compared, 1 pictures: plasma: the label 'plasma' is not known" in words(done.stderr)
    table = pd.read_csv(tmp_path / "c.csv")
    assert len(table) == 12
    assert table.loc[table["field"] == "plasma/p.tif", "truth"].isna().all()
    assert "of 11 =" in words(done.stdout)


def test_without_class_folders_names_are_counted(tmp_path: Path, crops: list[Picture]) -> None:
    for i, image in enumerate(crops[:4]):
        (tmp_path / "cells" / f"p{i % 2}").mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / "cells" / f"p{i % 2}" / f"{i}.bmp", image)
    done = ask("classify", tmp_path / "cells", "--out", tmp_path / "c.csv", "--um-per-px", UM_PER_PX)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "c.csv")
    assert table["truth"].isna().all()
    assert sorted(table["slide"]) == ["p0", "p0", "p1", "p1"]
    for kind, n in table["type"].value_counts().items():
        assert f"{kind} {n}" in words(done.stdout)
    assert "interval" not in done.stdout


def test_a_single_picture_may_be_given(tmp_path: Path) -> None:
    write_image(tmp_path / "one.png", crop(1))
    done = ask("classify", tmp_path / "one.png", "--out", tmp_path / "c.csv", "--um-per-px", UM_PER_PX)
    assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "c.csv")["field"].tolist() == ["one.png"]


def test_what_is_in_doubt_is_told(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    for i in range(3):
        write_image(tmp_path / "cells" / f"{i}.png", draw(100, 100, [])[0])
    done = ask("classify", tmp_path / "cells", "--out", tmp_path / "c.csv")
    assert done.exit_code == 0, done.output
    assert "cells: no cell to measure; 0.29 um a pixel of 3 pictures assumed" in words(done.stderr)
    assert "3 of 3 pictures have no leukocyte in the middle" in words(done.stderr)


@pytest.mark.parametrize(
    ("crops_at", "out", "told"),
    [
        ("cells", "cells", "is a folder; --out is the CSV file"),
        ("nowhere", "c.csv", "nowhere: there is no such folder or picture"),
        ("empty", "c.csv", "holds no picture"),
    ],
)
def test_wrong_usage_is_refused(tree: Path, tmp_path: Path, crops_at: str, out: str, told: str) -> None:
    assert tree.is_dir()
    (tmp_path / "empty").mkdir()
    refused = ask("classify", tmp_path / crops_at, "--out", tmp_path / out)
    assert refused.exit_code == 2
    assert told in words(refused.stderr)
    assert "Traceback" not in refused.output
