"""A leukocyte is darker than the red cells of its field, whatever the scores say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from smearscan.detection.nuclei import densities, one_name_each
from smearscan.results import Detections
from smearscan.taxonomy import LEUKOCYTE, PLATELET, RED_CELL

WHITE = 220
SIDE = 30
Color = tuple[int, int, int]
BLUE_RED_CELL: Color = (70, 110, 150)
PURPLE_NUCLEUS: Color = (80, 60, 120)


def field(*cells: tuple[int, float, Color]) -> tuple[Detections, NDArray[np.uint8]]:
    """A row of discs (label, score, color), each with its box."""
    picture = np.full((50, 50 * len(cells) + 200, 3), WHITE, np.uint8)
    y, x = np.mgrid[:50, : picture.shape[1]]
    for i, (_, _, color) in enumerate(cells):
        picture[(x - 50 * i - 25) ** 2 + (y - 25) ** 2 < (SIDE / 2) ** 2] = color
    xyxy = np.array([[50 * i + 10, 10, 50 * i + 40, 40] for i in range(len(cells))], np.float32)
    scores, labels = np.array([c[1] for c in cells], np.float32), np.array([c[0] for c in cells], np.int64)
    return Detections(xyxy.reshape(-1, 4), scores, labels), picture


RED_CELLS = [(RED_CELL, 0.8, BLUE_RED_CELL)] * 6


def labels_at(found: Detections) -> list[tuple[int, int]]:
    return [(int(x) // 50, int(label)) for x, label in zip(found.xyxy[:, 0], found.labels, strict=True)]


def with_red_box(found: Detections, cell: int, score: float) -> Detections:
    """The same with a red cell's box at a cell's place."""
    xyxy = np.concatenate([found.xyxy, found.xyxy[cell : cell + 1] + 1])
    return Detections(xyxy, np.append(found.scores, np.float32(score)), np.append(found.labels, RED_CELL))


def test_a_red_cell_taken_for_a_leukocyte_is_dropped() -> None:
    found, picture = field(*RED_CELLS, (LEUKOCYTE, 0.95, BLUE_RED_CELL), (LEUKOCYTE, 0.55, PURPLE_NUCLEUS))
    assert labels_at(one_name_each(found, picture, 0.5)) == [
        *((i, RED_CELL) for i in range(6)),
        (7, LEUKOCYTE),
    ]


def test_a_nucleus_stands_against_a_red_cell_of_any_score() -> None:
    found, picture = field(*RED_CELLS, (LEUKOCYTE, 0.6, PURPLE_NUCLEUS), (LEUKOCYTE, 0.6, BLUE_RED_CELL))
    both = with_red_box(with_red_box(found, 6, 0.9), 7, 0.9)
    told = labels_at(one_name_each(both, picture, 0.5))
    assert (6, LEUKOCYTE) in told
    assert (6, RED_CELL) not in told
    assert (7, RED_CELL) in told
    assert (7, LEUKOCYTE) not in told


def test_a_nucleus_that_takes_the_red_light_alone_stands() -> None:
    """Vivid blue nuclei among dark pink red cells let green light through as these do."""
    pink: list[tuple[int, float, Color]] = [(RED_CELL, 0.8, (190, 150, 150))] * 5
    found, picture = field(*pink, (LEUKOCYTE, 0.9, (130, 150, 240)))
    assert (5, LEUKOCYTE) in labels_at(one_name_each(found, picture, 0.5))


def test_red_cells_with_a_likelier_leukocyte_are_no_measure() -> None:
    """Else a field of blasts, each boxed as a red cell too, would be its own measure."""
    found, picture = field(*RED_CELLS, *[(LEUKOCYTE, 0.9, PURPLE_NUCLEUS)] * 9)
    for cell in range(6, 15):
        found = with_red_box(found, cell, 0.8)
    assert sum(label == LEUKOCYTE for _, label in labels_at(one_name_each(found, picture, 0.5))) == 9


@pytest.mark.parametrize("n_red", [0, 4])
def test_without_enough_red_cells_the_score_decides(n_red: int) -> None:
    found, picture = field(
        *RED_CELLS[:n_red], (LEUKOCYTE, 0.9, BLUE_RED_CELL), (LEUKOCYTE, 0.8, PURPLE_NUCLEUS)
    )
    told = labels_at(one_name_each(with_red_box(found, n_red + 1, 0.5), picture, 0.5))
    assert (n_red, LEUKOCYTE) in told
    assert (n_red + 1, RED_CELL) in told


def scaled(color: Color, red: float, green: float) -> Color:
    """The color of what absorbs so many times as much red and green light."""
    bright = [WHITE * (part / WHITE) ** by for part, by in zip(color, (red, green, green), strict=True)]
    return round(bright[0]), round(bright[1]), round(bright[2])


PALE_RED_CELL: Color = (150, 160, 190)


def judged(density: tuple[float, float], side: int, score: float, *others: float) -> list[float]:
    """Scores of the leukocytes that are left of one of this density and side, and others that touch it."""
    found, picture = field(*[(RED_CELL, 0.8, PALE_RED_CELL)] * 6, *[(LEUKOCYTE, 0.1, (WHITE,) * 3)] * 3)
    x, color = 320, scaled(PALE_RED_CELL, *density)
    picture = np.concatenate([picture, np.full((100, picture.shape[1], 3), WHITE, np.uint8)])
    picture[5 : 5 + side, x : x + side] = color
    box = np.array([[x, 5, x + side, 5 + side]], np.float32)
    near = box + np.array([[0.7 * side, 0, 0.7 * side, 0]], np.float32)
    picture[5 : 5 + side, x + side : x + 2 * side] = color if others else WHITE
    xyxy = np.concatenate([found.xyxy[:6], box, *([near] * len(others))])
    scores = np.array([*[0.8] * 6, score, *others], np.float32)
    labels = np.array([*[RED_CELL] * 6, LEUKOCYTE, *[LEUKOCYTE] * len(others)], np.int64)
    told = one_name_each(Detections(xyxy, scores, labels), picture, 0.5)
    return sorted(told.scores[told.labels == LEUKOCYTE].tolist())


def test_a_red_cell_that_is_only_thicker_is_no_leukocyte() -> None:
    """Its densities are scaled alike; a nucleus of the same green density has another dye."""
    assert judged((1.35, 1.35), SIDE, 0.9) == []
    assert judged((0.9, 1.35), SIDE, 0.9) == pytest.approx([0.9])
    assert judged((2.2, 2.2), SIDE, 0.9) == pytest.approx([0.9])  # no red cell is so thick


def test_another_color_is_enough_where_little_darker() -> None:
    assert judged((0.85, 1.14), SIDE, 0.9) == pytest.approx([0.9])
    assert judged((1.1, 1.14), SIDE, 0.9) == []


@pytest.mark.parametrize(
    ("density", "side", "score", "others", "left"),
    [
        ((0.95, 1.4), 50, 0.15, (), [0.5]),  # a large dark blast that looks to the network like a red cell
        ((0.95, 1.4), 50, 0.05, (), []),
        ((0.95, 1.4), 30, 0.15, (), []),  # as small as a red cell
        ((1.4, 1.4), 50, 0.15, (), []),  # in its color
        ((0.95, 1.4), 80, 0.15, (), []),  # as large as two cells
        ((0.95, 1.4), 50, 0.15, (0.9,), [0.9]),  # a part of a cell that is found
    ],
)
def test_a_large_dark_box_of_another_color_is_a_leukocyte_at_a_low_score(
    density: tuple[float, float], side: int, score: float, others: tuple[float, ...], left: list[float]
) -> None:
    assert judged(density, side, score, *others) == pytest.approx(left)


def test_a_box_that_the_border_cuts_is_not_taken_at_a_low_score() -> None:
    found, picture = field(*[(RED_CELL, 0.8, PALE_RED_CELL)] * 6, (LEUKOCYTE, 0.2, (WHITE,) * 3))
    for y, n in ((0, 0), (2, 0), (4, 1)):
        shown = np.concatenate([picture, np.full((100, picture.shape[1], 3), WHITE, np.uint8)])
        shown[y : y + 50, 320:370] = scaled(PALE_RED_CELL, 0.95, 1.4)
        found.xyxy[6] = 320, y, 370, y + 50
        assert (one_name_each(found, shown, 0.5).labels == LEUKOCYTE).sum() == n


def test_what_is_left_is_sorted_by_score_and_has_the_threshold() -> None:
    found, picture = field(*RED_CELLS, (LEUKOCYTE, 0.7, PURPLE_NUCLEUS), (LEUKOCYTE, 0.4, PURPLE_NUCLEUS))
    for threshold, n in ((0.3, 2), (0.5, 1), (0.8, 0)):
        told = one_name_each(found, picture, threshold)
        assert sum(told.labels == LEUKOCYTE) == n
        assert (np.diff(told.scores) <= 0).all()


def test_platelets_and_fields_without_leukocytes_are_left_alone() -> None:
    found, picture = field(*RED_CELLS, (PLATELET, 0.6, BLUE_RED_CELL))
    assert labels_at(one_name_each(found, picture, 0.5)) == labels_at(found)
    empty, blank = field()
    assert len(one_name_each(empty, blank, 0.5)) == 0


def test_density_is_the_logarithm_of_light() -> None:
    found, picture = field((LEUKOCYTE, 0.9, PURPLE_NUCLEUS), (RED_CELL, 0.9, (WHITE, WHITE, WHITE)))
    dark, bright = densities(picture, found.xyxy)
    assert dark == pytest.approx(np.log(WHITE / np.array(PURPLE_NUCLEUS[:2])))
    assert bright.tolist() == [0, 0]


def test_boxes_at_the_border_and_black_pictures_are_measured() -> None:
    black = np.zeros((40, 40, 3), np.uint8)
    corners = np.array([[0, 0, 40, 40], [38, 38, 40, 40]], np.float32)
    assert np.isfinite(densities(black, corners)).all()


@given(height=st.integers(1, 60), width=st.integers(1, 60), span=st.integers(1, 256), seed=st.integers(0, 99))
def test_densities_are_by_definition_to_the_bit(height: int, width: int, span: int, seed: int) -> None:
    """Logarithms of the background, numpy's percentile, over the darkest points, in order of their light."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(256 - span, 256, (height, width, 3), np.uint8)
    corners = np.sort(rng.uniform(-5, 65, (4, 2, 2)), axis=1).astype(np.float32)
    steps = (np.arange(12) + 0.5) / 12
    inside = np.array([(x, y) for y in steps for x in steps if (x - 0.5) ** 2 + (y - 0.5) ** 2 < 0.25])
    white = np.percentile(picture[::3, ::3, :2], 90, axis=(0, 1)).clip(1)
    for box, density in zip(corners, densities(picture, corners.reshape(-1, 4)), strict=True):
        x, y = (box[0] + (box[1] - box[0]) * inside).astype(int).T
        points = picture[y.clip(0, height - 1), x.clip(0, width - 1), :2]
        light = np.sort(points, axis=0)[: round(0.4 * len(points))]
        expected = np.log(white / light.clip(1)).clip(0).mean(axis=0)
        assert density.tolist() == expected.tolist()
