"""What happens around the detection network: thresholds, duplicates, touching and nested cells, order."""

import numpy as np
import pytest
from fakes import WHITE, DiscEngine, detector, draw, scattered
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smearscan.detection import detector as detector_module
from smearscan.detection.detector import PAD, Detector, Raw, resized
from smearscan.results import Detections, Scale
from smearscan.taxonomy import LEUKOCYTE, PLATELET, RED_CELL, RED_CELL_UM
from smearscan.weights.pairs import DetectorCard

SAME = Scale(RED_CELL_UM / 32, "given")
BLANK = np.full((200, 300, 3), WHITE, np.uint8)


def raw(*rows: tuple[list[float], list[float]]) -> Raw:
    return Raw(
        np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[1] for r in rows], np.float32).reshape(-1, 3),
    )


def select(*rows: tuple[list[float], list[float]], **card: object) -> Detections:
    return detector(**card).select(raw(*rows), BLANK)


class RecordingEngine(DiscEngine):
    """Keeps what it was shown and answers with fixed rows."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.rows, self.seen = rows, []

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.seen.append(images.copy())
        return np.array(self.rows, np.float32).reshape(-1, 7).T[None]


def test_each_class_has_its_threshold() -> None:
    card = DetectorCard(
        name="x",
        architecture="yolov8n",
        classes=("leukocyte", "red_cell", "platelet"),
        working_red_cell_px=32,
        thresholds=(0.7, 0.4, 0.2),
    )
    rows = [
        ([40 * i, 0, 40 * i + 30, 30], list(np.eye(3)[i % 3] * p)) for i, p in enumerate([0.65, 0.45, 0.15])
    ]
    rows += [
        ([40 * i, 50, 40 * i + 30, 80], list(np.eye(3)[i % 3] * p)) for i, p in enumerate([0.7, 0.35, 0.25])
    ]
    found = Detector(DiscEngine(), card).select(raw(*rows), BLANK)
    assert found.labels.tolist() == [LEUKOCYTE, RED_CELL, PLATELET]
    assert found.scores == pytest.approx([0.7, 0.45, 0.25])
    lower = Detector(DiscEngine(), card).select(raw(*rows), BLANK, (0.1, 0.1, 0.1))
    assert len(lower) == 6


def test_found_cells_come_by_score() -> None:
    found = select(*[([50 * i, 0, 50 * i + 30, 30], [p, 0, 0]) for i, p in enumerate([0.6, 0.9, 0.7, 0.8])])
    assert found.scores == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert found.xyxy[:, 0].tolist() == [50, 150, 100, 0]


def test_duplicates_go_and_touching_cells_stay() -> None:
    found = select(
        ([0, 0, 40, 40], [0.9, 0, 0]),
        ([2, 1, 41, 40], [0.8, 0, 0]),  # the same cell again
        ([30, 5, 72, 45], [0.7, 0, 0]),  # its neighbor: IoU 0.12
        ([72, 5, 110, 45], [0.6, 0, 0]),
    )
    assert found.scores == pytest.approx([0.9, 0.7, 0.6])


def test_suppression_stays_within_a_class() -> None:
    found = select(
        ([0, 0, 40, 40], [0.9, 0, 0]), ([20, 0, 60, 40], [0, 0.8, 0]), ([21, 0, 60, 40], [0, 0.7, 0])
    )
    assert found.labels.tolist() == [LEUKOCYTE, RED_CELL]


def test_what_is_boxed_twice_gets_one_name() -> None:
    places = [[100 * i, 0, 100 * i + 40, 40] for i in range(3)]
    rows = raw(
        (places[0], [0.9, 0, 0]),
        (places[0], [0, 0.44, 0]),  # less than half: a leukocyte
        (places[1], [0.9, 0, 0]),
        (places[1], [0, 0.46, 0]),  # more than half: a dark red cell
        (places[2], [0.8, 0, 0]),
        ([200, 0, 212, 12], [0, 0, 0.7]),  # a platelet on a leukocyte is another thing
    )
    found = detector().select(rows, BLANK, (0.4, 0.4, 0.4))
    at = {(int(x), int(label)) for x, label in zip(found.xyxy[:, 0], found.labels, strict=True)}
    assert at == {(0, LEUKOCYTE), (100, RED_CELL), (200, LEUKOCYTE), (200, 2)}


def test_a_nucleus_within_a_better_cell_is_dropped() -> None:
    found = select(
        ([0, 0, 60, 60], [0.9, 0, 0]),
        ([10, 10, 40, 40], [0.8, 0, 0]),  # a nucleus, whole inside
        ([45, 45, 80, 80], [0.7, 0, 0]),  # a cell that overlaps by less than a fifth
        ([20, 20, 30, 30], [0, 0, 0.6]),  # a platelet on the cell is another thing
    )
    assert found.scores == pytest.approx([0.9, 0.7, 0.6])


def test_a_large_box_around_better_cells_is_kept() -> None:
    found = select(
        ([10, 10, 40, 40], [0.9, 0, 0]), ([0, 0, 90, 90], [0.6, 0, 0]), ([50, 50, 80, 80], [0.7, 0, 0])
    )
    assert found.scores == pytest.approx([0.9, 0.7, 0.6])


def test_boxes_without_extent_are_left_out() -> None:
    found = select(([5, 5, 5, 30], [0.9, 0, 0]), ([5, 5, 5.5, 5.5], [0.9, 0, 0]), ([5, 5, 9, 9], [0.6, 0, 0]))
    assert found.scores == pytest.approx([0.6])


def test_no_candidates_are_normal() -> None:
    found = select()
    assert found.xyxy.shape == (0, 4)
    blank = np.full((70, 90, 3), WHITE, np.uint8)
    answer = detector().detect(blank, SAME)
    assert len(answer) == 0
    assert answer.labels.dtype == np.int64


def test_the_picture_is_padded_at_its_right_and_lower_side() -> None:
    image = np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8)
    engine = RecordingEngine([])
    Detector(engine, detector().card).raw(image)
    (seen,) = engine.seen
    assert seen.shape == (1, 64, 96, 3)
    assert np.array_equal(seen[0, :50, :70], image)
    assert (seen[0, 50:] == PAD).all()
    assert (seen[0, :, 70:] == PAD).all()


def test_raw_boxes_become_corners_clipped_to_the_picture() -> None:
    engine = RecordingEngine(
        [[30, 20, 10, 8, 0.9, 0, 0], [65, 45, 20, 20, 0, 0.2, 0], [5, 5, 9, 9, 0.001, 0.002, 0]]
    )
    out = Detector(engine, detector(lowest_threshold=0.01).card).raw(np.zeros((50, 70, 3), np.uint8))
    assert out.xyxy.tolist() == [[25, 16, 35, 24], [55, 35, 70, 50]]
    assert out.probs.shape == (2, 3)


@pytest.mark.parametrize(("height", "width"), [(90, 200), (300, 64), (129, 130)])
def test_fields_of_any_size_are_answered(height: int, width: int) -> None:
    rng = np.random.default_rng(1)
    wanted = [(int(c), rng.uniform(12, 30)) for c in rng.integers(0, 3, 9)]
    image, xyxy = draw(height, width, scattered(rng, height, width, wanted))
    found = detector().detect(image, SAME)
    assert len(found) == len(xyxy) >= 3
    assert (found.xyxy[:, 2:] <= (width, height)).all()


@pytest.mark.parametrize("factor", [0.25, 1, 1.7])
def test_resizing_keeps_shape_order_and_mean(factor: float) -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 100, 3), np.uint8)
    small = resized(image, factor)
    assert small.shape == (round(60 * factor), round(100 * factor), 3)
    assert small.mean() == pytest.approx(image.mean(), abs=2)


@pytest.mark.parametrize(
    ("shape", "factor", "fitted"),
    [
        ((480, 640), 0.3073, 192 / 640),  # 147 x 197: one column of 32 less
        ((480, 640), 0.3, 0.3),  # fits already
        ((480, 640), 0.32, 0.32),  # 154 x 205: 192 would be 6 % less
        ((130, 128), 0.5, 64 / 130),  # 96 x 64 becomes 64 x 64
        ((65, 64), 1.0, 1.0),  # not shrunk anyway
        ((40, 60), 0.5, 0.5),  # less than one stride
        ((1944, 2592), 0.3, 768 / 2592),  # 583 x 778: a row and a column less
    ],
)
def test_a_field_is_shrunk_a_little_where_that_spares_padding(
    shape: tuple[int, int], factor: float, fitted: float
) -> None:
    assert detector_module._fitting(shape, factor) == pytest.approx(fitted)


@given(st.integers(32, 900), st.integers(32, 900), st.floats(0.05, 3).map(lambda f: round(f, 4)))
def test_shrinking_stays_within_its_limit_and_never_costs(height: int, width: int, factor: float) -> None:
    def padded(f: float) -> float:
        return float(np.prod([np.ceil(round(side * f) / 32) for side in (height, width)]))

    fitted = detector_module._fitting((height, width), factor)
    assert 0.97 * factor <= fitted <= factor
    assert padded(fitted) <= padded(factor)
