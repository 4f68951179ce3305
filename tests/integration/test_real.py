"""Real photographs: no annotated cell is missed, no red cell taken for one, at any magnification."""

from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.detection.detector import Detector
from smearscan.io.decode import read_image
from smearscan.results import Detections
from smearscan.rulers.scale import measure_scale
from smearscan.weights.pairs import shipped_folder

pytestmark = [pytest.mark.realdata, pytest.mark.weights, pytest.mark.slow]

N_FIELDS = 10


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load()


def leukocytes(detector: Detector, image: NDArray[np.uint8]) -> Detections:
    return detector.detect(image, measure_scale(detector, [image])).leukocytes


@pytest.fixture(scope="module")
def fields(data_root: Path) -> list[Path]:
    """Ten fields of BCCD that no training has seen."""
    names = (shipped_folder("configs") / "splits" / "bccd_test.txt").read_text().split()
    return [data_root / "bccd" / "images" / f"{Path(name).stem}.jpg" for name in names[:N_FIELDS]]


def annotated(path: Path) -> NDArray[np.float32]:
    source = path.parent.parent / "annotations" / f"{path.stem}.xml"
    found = [o for o in ElementTree.parse(source).getroot().iter("object") if o.findtext("name") == "WBC"]
    corners = [
        [float(o.findtext(f"bndbox/{k}", "nan")) for k in ("xmin", "ymin", "xmax", "ymax")] for o in found
    ]
    return boxes.as_boxes(corners)


def test_every_annotated_leukocyte_is_found(detector: Detector, fields: list[Path]) -> None:
    missed = []
    n = 0
    for path in fields:
        truth, found = annotated(path), leukocytes(detector, read_image(path))
        n += len(truth)
        missed += [path.name for best in boxes.iou(truth, found.xyxy).max(axis=1, initial=0) if best < 0.5]
    assert n >= N_FIELDS
    assert missed == []


def test_fields_of_red_cells_have_few_leukocytes(detector: Detector, data_root: Path) -> None:
    # two fields of this set do hold leukocytes
    every = sorted((data_root / "rbc_only_fields").iterdir())
    paths = [path for path in every if path.name not in ("120.jpg", "219.jpg")][:N_FIELDS]
    found = {path.name: len(leukocytes(detector, read_image(path))) for path in paths}
    assert len(found) == N_FIELDS
    assert sum(found.values()) <= N_FIELDS // 5, found


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_magnification_changes_no_count(detector: Detector, fields: list[Path], factor: float) -> None:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    for path in fields[:5]:
        image = read_image(path)
        other = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=how), np.uint8)
        usual, found = leukocytes(detector, image), leukocytes(detector, other)
        assert len(found) == len(usual), path.name
        best = boxes.iou(usual.xyxy, found.xyxy / factor).max(axis=1, initial=0)
        assert (best > 0.6).all(), path.name
