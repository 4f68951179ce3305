"""Two detectors are compared box by box."""

from pathlib import Path

import pytest
from fakes import detector, draw

from references.coarsest_grid import compare_boxes, photographs
from smearscan.errors import DatasetError
from smearscan.io import write_image

DISCS = [(1, 40.0 * k, 30.0, 24.0) for k in range(1, 7)] + [(0, 100.0, 100.0, 60.0)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name in ("one/a.png", "one/b.png", "one/masks/a.png", "two/images/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(tmp_path / name, draw(160, 280, DISCS)[0])
    (tmp_path / "one/index.csv").write_text("image\na.png\n")
    return tmp_path


def test_detectors_that_answer_alike_have_the_same_boxes(data: Path) -> None:
    seen: list[str] = []
    told = compare_boxes(detector(), detector(), data, 100, seen.append)
    assert seen == ["one", "one", "two"]
    alike = {"parts": 1, "other_scales": 0, "other_boxes": 0}
    assert told == {
        "one": {"photographs": 2, "boxes": 14, "leukocytes": 2, **alike},
        "two": {"photographs": 1, "boxes": 7, "leukocytes": 1, **alike},
    }


def test_a_box_that_one_alone_finds_and_a_ruler_of_its_own_are_counted(data: Path) -> None:
    told = compare_boxes(detector(), detector().with_least_score(0.95), data, 1)
    assert [own["other_boxes"] for own in told.values()] == [1, 1]
    assert [own["other_scales"] for own in told.values()] == [0, 0]
    other = compare_boxes(detector(), detector(working_red_cell_px=16), data, 1)
    assert [own["other_scales"] for own in other.values()] == [1, 1]


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no photograph"):
        photographs(tmp_path, 10)
