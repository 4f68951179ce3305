"""Areas that may hold cells without a box: nothing is learned of them, and a box found there is not false."""

from pathlib import Path

import numpy as np
import pytest
from fakes import detector, draw
from PIL import Image
from pydantic import ValidationError

from smearscan.errors import DatasetError
from smearscan.experiments.measure_detector import measure_fields
from smearscan.taxonomy import LEUKOCYTE
from smearscan.training import canvas
from smearscan.training.annotated_fields import UNKNOWN, read_site
from smearscan.training.canvas import Clumps, ScaledField
from smearscan.training.config import DetectionDataset

RED_CELL_PX = 32.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A field of three leukocytes, of which two are boxed or known to be there."""
    image, boxes = draw(
        128, 192, [(LEUKOCYTE, 30, 40, 40), (LEUKOCYTE, 90, 60, 40), (LEUKOCYTE, 150, 80, 40)]
    )
    (tmp_path / "images").mkdir()
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    for name, box in (("boxes", boxes[0]), ("ignore", boxes[1])):
        corners = ",".join(str(int(v)) for v in box)
        (tmp_path / f"{name}.csv").write_text(f"image,x0,y0,x1,y1\na.png,{corners}\n")
    return tmp_path


def site(**changes: object) -> DetectionDataset:
    told = {
        "name": "here", "format": "csv", "images": "images", "annotations": "boxes.csv",
        "splits": {"train": "*"}, "classes": {"leukocyte": "leukocyte"}, "red_cell_px": RED_CELL_PX,
        **changes,
    }  # fmt: skip
    return DetectionDataset.model_validate(told)


def test_they_stand_beside_the_boxes(root: Path) -> None:
    (item,) = read_site(site(ignore="ignore.csv"), root, "train")
    assert item.labels.tolist() == [LEUKOCYTE, UNKNOWN]
    (without,) = read_site(site(), root, "train")
    assert (item.xyxy[0] == without.xyxy[0]).all()


def test_a_file_of_another_set_is_refused(root: Path) -> None:
    (root / "ignore.csv").write_text("image,x0,y0,x1,y1\nz.png,1,1,9,9\n")
    with pytest.raises(DatasetError, match=r"ignore\.csv: 1 of 1 rows name pictures that are not there"):
        read_site(site(ignore="ignore.csv"), root, "train")


@pytest.mark.parametrize(("ignore", "false"), [(None, 2.0), ("ignore.csv", 1.0)])
def test_what_is_found_there_is_not_false(root: Path, ignore: str | None, false: float) -> None:
    items = read_site(site(ignore=ignore), root, "train")
    told = measure_fields(detector(working_red_cell_px=RED_CELL_PX), items, known_scale=True)
    assert told["false_per_field"] == false
    assert told["recall"]["value"] == 1


def test_nothing_is_learned_of_them() -> None:
    image = np.full((96, 96, 3), 200, np.uint8)
    xyxy = np.array([[8, 8, 40, 40], [48, 56, 80, 96]], np.float32)
    labels = np.array([LEUKOCYTE, UNKNOWN])
    field = ScaledField(image, xyxy, labels, np.ones(3, np.float32), RED_CELL_PX)
    for seed in range(8):
        made = canvas.single(field, 96, 1.0, np.random.default_rng(seed), Clumps([], RED_CELL_PX, 0.0))
        assert made.labels.tolist() == [LEUKOCYTE]
        assert (made.labeled == 0).all(axis=2).sum() == 4 * 5  # 32 x 40 px, in steps of 8
        x0, y0, x1, y1 = made.xyxy[0].astype(int) // 8
        assert (made.labeled[y0:y1, x0:x1] == 1).all()


def test_annotations_that_are_not_mentioned_are_refused() -> None:
    told = site().model_dump()
    del told["annotations"]
    with pytest.raises(ValidationError, match="annotations"):
        DetectionDataset.model_validate(told)


def test_a_set_without_annotations_has_no_cell_of_its_classes(root: Path) -> None:
    (item,) = read_site(site(annotations=None), root, "train")
    assert len(item.xyxy) == 0
    assert item.labeled == (True, False, False)
