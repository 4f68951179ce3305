"""Cells that are already cut, through the shipped nets: drawn ones, and real ones where they are."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from references.published_sets import published_cells
from smearscan.cli import main
from smearscan.detection import boxes
from smearscan.experiments.class_folders import Meanings, agreement
from smearscan.io.decode import write_image
from smearscan.results import Cell
from smearscan.scan.scanner import SmearScanner
from smearscan.synthetic import BEIGE, SmearSpec, draw_slide
from smearscan.taxonomy import LEUKOCYTE
from smearscan.taxonomy.cell_names import DIFFERENTIAL_SYNONYMS

pytestmark = [pytest.mark.weights, pytest.mark.slow]

UM_PER_PX = 0.2
SIDE_UM = 28.0
KINDS = ("blast", "neutrophil", "lymphocyte")
Picture = NDArray[np.uint8]


def cut_out(kind: str, n: int, seed: int) -> list[Picture]:
    """Draw cells of a kind, and cut each out as sets of single cells do."""
    spec = SmearSpec(
        height=300, width=300, um_per_px=UM_PER_PX, leukocytes=0, min_leukocytes=1,
        composition={kind: 1.0}, stain=BEIGE,
    )  # fmt: skip
    half, crops = round(SIDE_UM / UM_PER_PX / 2), []
    for field in draw_slide(spec, n, seed):
        ((x, y),) = boxes.centers(field.xyxy[field.labels == LEUKOCYTE][:1]).astype(int)
        crops.append(field.image[max(0, y - half) : y + half, max(0, x - half) : x + half])
    return [c for c in crops if min(c.shape[:2]) == 2 * half]  # not those at a border


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[Picture]]:
    found = {kind: cut_out(kind, 24, seed) for seed, kind in enumerate(KINDS)}
    assert all(len(crops) >= 5 for crops in found.values())
    return found


@pytest.fixture(scope="module")
def crops(drawn: dict[str, list[Picture]]) -> list[Picture]:
    return [crop for own in drawn.values() for crop in own[:5]]


@pytest.fixture(scope="module")
def scanner() -> SmearScanner:
    return SmearScanner()


def test_a_crop_is_named_as_the_central_cell_of_a_scan(scanner: SmearScanner, crops: list[Picture]) -> None:
    scan = SmearScanner(config=scanner.config, um_per_px=UM_PER_PX)
    for image, cell in zip(crops, scanner.classify(crops, UM_PER_PX), strict=True):
        assert isinstance(cell, Cell)
        assert not np.isnan(cell.score)
        assert cell in list(scan.analyze(image))
        assert np.reshape(cell.xyxy, (2, 2)).mean(axis=0) == pytest.approx([70, 70], abs=12)


def test_company_changes_no_digit(scanner: SmearScanner, crops: list[Picture]) -> None:
    together = list(scanner.classify(crops, UM_PER_PX))
    order = np.random.default_rng(0).permutation(len(crops))[:9]
    assert list(scanner.classify([crops[i] for i in order], UM_PER_PX)) == [together[i] for i in order]
    assert list(scanner.classify(crops[3:4], UM_PER_PX)) == together[3:4]


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_the_scale_is_measured_at_any_magnification(
    scanner: SmearScanner, crops: list[Picture], factor: float
) -> None:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    sized = [
        np.asarray(cv2.resize(c, None, fx=factor, fy=factor, interpolation=how), np.uint8) for c in crops
    ]
    table = scanner.classify(sized).to_frame()
    assert set(table["ruler"]) == {"red cells"}
    assert table["um_per_px"].nunique() == 1
    assert table["um_per_px"][0] * factor == pytest.approx(UM_PER_PX, rel=0.1)


def test_class_folders_are_compared(drawn: dict[str, list[Picture]], tmp_path: Path) -> None:
    for kind, own in drawn.items():
        (tmp_path / "cells" / kind).mkdir(parents=True)
        for i, image in enumerate(own[:5]):
            write_image(tmp_path / "cells" / kind / f"{i}.png", image)
    (tmp_path / "cells" / "blast" / "broken.tif").write_text("no picture")
    done = CliRunner().invoke(
        main, ["classify", str(tmp_path / "cells"), "--out", str(tmp_path / "cells.csv")]
    )
    assert done.exit_code == 1, done.output
    assert "broken.tif" in "".join(done.stderr.split())
    table = pd.read_csv(tmp_path / "cells.csv")
    assert table["truth"].value_counts().to_dict() == dict.fromkeys(drawn, 5)
    right = int((table["truth"] == table["type"]).sum())
    assert f"named as their folder: {right} of 15 = " in " ".join(done.stdout.split())
    assert right >= 8  # drawn cells prove little, but guessing would get 2


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("site", "um_per_px", "tolerance"),
    [("pbc", 0.146, 0.06), ("jtsc", 0.170, 0.12), ("munich_lmu", 0.113, 0.12)],
)
def test_the_scale_of_real_crops_is_measured_together(
    scanner: SmearScanner, data_root: Path, site: str, um_per_px: float, tolerance: float
) -> None:
    index = pd.read_csv(data_root / site / "index.csv")
    folder = data_root / site if site == "pbc" else data_root / site / "images"
    paths = [folder / name for name in index["image"].iloc[:: len(index) // 24]]
    found = scanner.classify(paths).to_frame()
    assert found["um_per_px"].median() == pytest.approx(um_per_px, rel=tolerance)


@pytest.mark.realdata
def test_real_crops_are_named(scanner: SmearScanner, data_root: Path) -> None:
    cells = published_cells(data_root)
    cells = cells[(cells["site"] == "pbc") & (cells["split"] == "test")]
    cells = cells.assign(**{"class": cells["class"].map(DIFFERENTIAL_SYNONYMS)})
    picked = cells.groupby("class").head(6)
    picked = picked[picked["class"].isin(["neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil"])]
    named = scanner.classify([data_root / name for name in picked["image"]]).to_frame()
    assert scanner.classifier.differential is not None
    names = Meanings(scanner.classifier.differential.card.classes, True).names
    found = agreement(picked["class"], named["type"], names)
    assert found.total == 30
    assert found.right >= 24
