"""Boxes of leukocytes as small as the slide's own red cells are told."""

from pathlib import Path

import numpy as np
import pytest

from smearscan.results import Detections, FieldResult, Scale
from smearscan.rulers.small_leukocytes import count_small, doubts_of_size

SHAPE = 400, 600


def squares(n: int, side: float, rng: np.random.Generator) -> np.ndarray:
    corner = rng.uniform((5, 5), (SHAPE[1] - side - 5, SHAPE[0] - side - 5), (n, 2))
    return np.hstack([corner, corner + side]).astype(np.float32)


def field(n_red: int, white: list[tuple[int, float]], seed: int = 0) -> FieldResult:
    """`n_red` red cells of 30 px, and so many leukocytes of each size in red cells."""
    rng = np.random.default_rng(seed)
    xyxy = np.concatenate([np.empty((0, 4), np.float32), *(squares(n, 30 * k, rng) for n, k in white)])
    n = len(xyxy)
    found = Detections(xyxy, np.ones(n, np.float32), np.zeros(n, np.int64))
    return FieldResult(
        "s", Path("f.png"), SHAPE, found, np.empty((n, 0), np.float32), (), np.zeros(n, np.float32),
        ("neutrophil",) * n, Scale(0.24, "red cells", 30), red_cell_xyxy=squares(n_red, 30, rng),
    )  # fmt: skip


def test_small_boxes_are_counted_over_all_fields() -> None:
    fields = [field(15, [(8, 1.9), (3, 1.0)]), field(15, [(2, 1.9), (1, 1.1)], 1)]
    assert count_small(fields) == (4, 14)
    (doubt,) = doubts_of_size(fields)
    assert doubt.name == "small leukocytes"
    assert doubt.reason.startswith("4 of 14 boxes of leukocytes are no larger than the slide's red cells")
    assert "remove them on the review page" in doubt.reason


@pytest.mark.parametrize(
    ("n_red", "white"),
    [
        (30, [(20, 1.9)]),
        (30, [(20, 1.3)]),  # small lymphocytes
        (30, [(17, 1.9), (3, 1.0)]),  # a few platelets
        (30, [(5, 1.0)]),  # too few to say
        (10, [(20, 1.0)]),  # too few red cells to compare with
        (0, []),
    ],
)
def test_usual_slides_raise_no_doubt(n_red: int, white: list[tuple[int, float]]) -> None:
    assert doubts_of_size([field(n_red, white)]) == ()
    assert doubts_of_size([]) == ()
