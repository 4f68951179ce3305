"""Doubts about what a slide's pictures are: made smaller, or cells that are already cut."""

from pathlib import Path

import numpy as np
import pytest

from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.results.doubts import CUT_CELLS, FIELD_SIZES
from smearscan.scan.slide_doubts import doubts_of_fields
from smearscan.weights import QualityLimits

SCALE = Scale(0.1, "given")


def field(
    number: int, shape: tuple[int, int] = (480, 640), cells: tuple[tuple[int, int], ...] = ()
) -> FieldResult:
    boxes = np.array([[x - 9, y - 9, x + 9, y + 9] for x, y in cells], np.float32).reshape(-1, 4)
    n = len(cells)
    found = Detections(boxes, np.ones(n, np.float32), np.zeros(n, np.int64))
    probs, blast = np.empty((n, 0), np.float32), np.full(n, np.nan, np.float32)
    return FieldResult(
        "s", Path(f"{number}.png"), shape, found, probs, (), blast, ("unclassified",) * n, SCALE
    )


def names(fields: list[FieldResult | FieldFailure]) -> list[str]:
    return [doubt.name for doubt in doubts_of_fields(SCALE, fields, QualityLimits())]


def test_fields_of_one_camera_are_not_doubted() -> None:
    assert names([]) == names([field(0)]) == []
    assert names([field(i, (480 + 5 * i, 640 + 5 * i)) for i in range(9)]) == []
    assert names([FieldFailure("s", None, "broken"), field(0)]) == []


@pytest.mark.parametrize("shape", [(120, 160), (1920, 2560)])
def test_a_picture_made_smaller_or_larger_is_named(shape: tuple[int, int]) -> None:
    (doubt,) = doubts_of_fields(SCALE, [*(field(i) for i in range(3)), field(9, shape)], QualityLimits())
    assert doubt.name == FIELD_SIZES
    assert doubt.reason.startswith("1 field is of another size than most, which have 480 x 640 px (9.png)")
    assert doubt.paths == (Path("9.png"),)


def test_cut_cells_are_no_slide() -> None:
    cut = [field(i, (80, 80), ((40, 42),)) for i in range(10)]
    (doubt,) = doubts_of_fields(SCALE, cut, QualityLimits())
    assert doubt.name == CUT_CELLS
    assert "smearscan classify" in doubt.reason
    assert names(cut[:9]) == []  # few fields may look so by chance
    for other in ((), ((10, 40),), ((40, 40), (60, 60))):
        whole = [field(i, (80, 80), other) for i in range(2)]
        assert names(cut[:8] + whole) == []
