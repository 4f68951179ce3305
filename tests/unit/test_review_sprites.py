"""Crops on sheets: each cell finds its own, and what the gallery shows together lies together."""

import base64
import io
from itertools import pairwise
from pathlib import Path

import drawn_run
import numpy as np
import pytest
from PIL import Image

from smearscan.report.review import parts, pictures
from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.taxonomy import BLAST, UNCLASSIFIED

N_FIELDS, N_CELLS, SIDE = 3, 7, 40
TYPES = (UNCLASSIFIED, BLAST, "neutrophil", "monocyte", "neutrophil", UNCLASSIFIED, BLAST)
CLASSES = ("neutrophil", "monocyte")


def gray_of(field: int, cell: int) -> int:
    return 20 + 10 * (N_CELLS * field + cell)


@pytest.fixture
def results(tmp_path: Path) -> list[FieldResult | FieldFailure]:
    """Fields whose every cell is a square of its own gray, a crop wide."""
    made: list[FieldResult | FieldFailure] = []
    rng = np.random.default_rng(0)
    for at in range(N_FIELDS):
        grays = np.array([gray_of(at, i) for i in range(N_CELLS)], np.uint8)
        image = np.repeat(np.repeat(grays[None, :, None], SIDE, 0), SIDE, 1).repeat(3, 2)
        path = tmp_path / f"{at}.png"
        Image.fromarray(image).save(path)
        left = SIDE * np.arange(N_CELLS)
        xyxy = np.stack([left, left * 0, left + SIDE, left * 0 + SIDE], axis=1).astype(np.float32)
        probs = rng.dirichlet(np.ones(2), N_CELLS).astype(np.float32)
        made.append(
            FieldResult(
                "s", path, (SIDE, SIDE * N_CELLS),
                Detections(xyxy, np.ones(N_CELLS, np.float32), np.zeros(N_CELLS, np.int64)), probs, CLASSES,
                rng.random(N_CELLS).astype(np.float32), TYPES, Scale(pictures.CROP_UM / SIDE, "given"),
                n_possible_blasts=4,
            )
        )  # fmt: skip
    return made


def spooled(results: list[FieldResult | FieldFailure], folder: Path) -> parts.Spooled:
    report = drawn_run.report("s", results, None)
    return parts.spool(0, report, results, None, folder, parts.Doubtful(), with_fields=False)


def test_each_cell_finds_its_own_crop_on_the_sheets(
    results: list[FieldResult | FieldFailure], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "PER_SHEET", 10)
    out = spooled(results, tmp_path)
    assert [name for name, _ in out.pictures] == ["sprite-0-0", "sprite-0-1", "sprite-0-2"]
    sheets = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(path.read_text())))) for _, path in out.pictures
    ]
    places = out.numbers["sprite"]["places"]
    assert sorted(places) == list(range(N_FIELDS * N_CELLS))
    middle = pictures.CROP_PX // 2
    for cell, place in enumerate(places):
        row, column = divmod(place % 10, pictures.COLUMNS)
        y, x = (pictures.CROP_PX * k + middle for k in (row, column))
        assert abs(int(sheets[place // 10][y, x, 0]) - gray_of(*divmod(cell, N_CELLS))) <= 4
    assert not (tmp_path / "crops").exists()


def test_cells_of_a_section_lie_together_and_in_its_order(
    results: list[FieldResult | FieldFailure], tmp_path: Path
) -> None:
    numbers = spooled(results, tmp_path).numbers
    cells, order = numbers["cells"], np.argsort(numbers["sprite"]["places"])
    section = [cells["type"][i] for i in order]
    for at, i in enumerate(order):
        if cells["possible"][i] and section[at] not in (BLAST, UNCLASSIFIED):
            section[at] = "possible"
    changes = sum(one != other for one, other in pairwise(section))
    assert changes == len(set(section)) - 1
    sure = [cells["probability"][i] for i, name in zip(order, section, strict=True) if name == BLAST]
    assert sure == sorted(sure, reverse=True)


def test_a_slide_without_cells_has_no_sheet(tmp_path: Path) -> None:
    assert spooled([FieldFailure("s", tmp_path / "x.png", "x.png: is empty")], tmp_path).pictures == []
