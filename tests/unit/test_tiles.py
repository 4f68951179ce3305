"""Laws of tiles: cover, owners of objects, and 'tiled equals whole'."""

import numpy as np
import pytest
from fakes import detector, draw, in_order, scattered
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.detection import tiles
from smearscan.errors import ConfigError
from smearscan.results import Scale
from smearscan.taxonomy import RED_CELL_UM

_CASES = st.tuples(
    st.integers(1, 900), st.integers(1, 900), st.integers(40, 200), st.floats(0, 0.9), st.integers(0, 2**31)
)


@settings(max_examples=60, deadline=None)
@given(_CASES)
def test_tiles_cover_the_field_within_its_limits(case: tuple[int, int, int, float, int]) -> None:
    height, width, tile, share, _ = case
    overlap = int(share * tile)
    seen = np.zeros((height, width), bool)
    for t in tiles.cut(height, width, tile, overlap):
        assert 0 <= t.x0 < t.x1 <= width
        assert 0 <= t.y0 < t.y1 <= height
        assert max(t.x1 - t.x0, t.y1 - t.y0) <= tile
        assert t.inner == (t.x0 > 0, t.y0 > 0, t.x1 < width, t.y1 < height)
        seen[t.y0 : t.y1, t.x0 : t.x1] = True
    assert seen.all()


@settings(max_examples=60, deadline=None)
@given(_CASES)
def test_every_object_up_to_the_overlap_has_a_tile_off_its_seams(
    case: tuple[int, int, int, float, int],
) -> None:
    height, width, tile, share, seed = case
    overlap, margin = int(share * tile), 3.0
    rng = np.random.default_rng(seed)
    cut = tiles.cut(height, width, tile, overlap)
    for _ in range(20):
        w, h = (min(int(v), s) for v, s in zip(rng.integers(1, overlap + 2, 2), (width, height), strict=True))
        x, y = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
        whole = [t for t in cut if t.x0 <= x and t.y0 <= y and x + w <= t.x1 and y + h <= t.y1]
        if max(w, h) <= overlap:
            assert whole
        if max(w, h) < overlap - 2 * margin:
            boxes = [np.array([[x - t.x0, y - t.y0, x + w - t.x0, y + h - t.y0]], np.float32) for t in whole]
            assert any(tiles.off_seams(t, b, margin)[0] for t, b in zip(whole, boxes, strict=True))


def test_a_cut_part_is_dropped_and_a_border_object_stays() -> None:
    left, right = tiles.cut(100, 160, 100, 40)
    assert (left.x0, right.x0) == (0, 60)
    at_each_side = np.array(
        [[0, 30, 20, 50], [30, 0, 50, 20], [80, 30, 100, 50], [30, 80, 50, 100]], np.float32
    )
    assert tiles.off_seams(left, at_each_side, 4.0).tolist() == [True, True, False, True]
    assert tiles.off_seams(right, at_each_side, 4.0).tolist() == [False, True, True, True]


def test_a_small_field_is_one_tile_without_seams() -> None:
    assert tiles.cut(50, 70, 100, 40) == [tiles.Tile(0, 0, 70, 50, (False,) * 4)]


def test_an_overlap_as_large_as_the_tile_is_refused_with_the_cure() -> None:
    with pytest.raises(ConfigError, match=r"tiles of 64 px cannot overlap by 64 px; give a larger tile"):
        tiles.starts(200, 64, 64)


def seam_discs(rng: np.random.Generator, height: int, width: int, cut: list[tiles.Tile]) -> list:
    """Discs on seams and corners of the tiles, then others anywhere; those that would touch are left out."""
    xs = [t.x0 for t in cut if t.x0] + [t.x1 for t in cut if t.x1 < width]
    ys = [t.y0 for t in cut if t.y0] + [t.y1 for t in cut if t.y1 < height]
    wanted = [
        (0, x + rng.uniform(-9, 9), y + rng.uniform(-9, 9), rng.uniform(10, 22)) for x in xs for y in ys
    ]
    wanted += [(1, x, rng.uniform(0, height), rng.uniform(6, 11)) for x in xs]
    wanted += [(1, rng.uniform(0, width), y, rng.uniform(6, 11)) for y in ys]
    wanted += scattered(rng, height, width, [(int(c), rng.uniform(5, 20)) for c in rng.integers(0, 3, 25)])
    placed: list = []
    for c, x, y, d in wanted:
        if all(np.hypot(x - px, y - py) > (d + pd) / 2 + 3 for _, px, py, pd in placed):
            placed.append((c, x, y, d))
    return placed


@pytest.mark.parametrize("seed", range(20))
def test_tiled_equals_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(v) for v in rng.integers(150, 420, 2))
    small, large = detector(8, 96), detector(8, 1024)
    overlap = int(30 / RED_CELL_UM * 8)
    discs = seam_discs(rng, height, width, tiles.cut(height, width, 96, overlap))
    image, drawn = draw(height, width, discs)
    assert len(drawn) >= 3
    scale = Scale(RED_CELL_UM / 8, "given")
    tiled, whole = small.detect(image, scale), large.detect(image, scale)
    assert len(small.engine.shapes) > 3
    assert len(large.engine.shapes) == 1
    for label in range(3):
        of_label = np.array([c == label for c, *_ in discs], bool)
        assert np.array_equal(in_order(whole.xyxy[whole.labels == label]), in_order(drawn[of_label]))
        assert np.array_equal(in_order(tiled.xyxy[tiled.labels == label]), in_order(drawn[of_label]))
    assert np.array_equal(np.sort(tiled.scores), np.sort(whole.scores))


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_tiled_boxes_come_back_in_field_pixels(factor: float) -> None:
    rng = np.random.default_rng(5)
    height, width = 300, 420
    discs = scattered(rng, height, width, [(int(c), rng.uniform(12, 40)) for c in rng.integers(0, 2, 16)])
    image, drawn = draw(height, width, discs)
    red_cell_px = 16 * factor
    found = detector(16, 160).detect(image, Scale(RED_CELL_UM / red_cell_px, "given"))
    assert len(found) == len(drawn) >= 3
    for label in range(2):
        truth = drawn[np.array([c == label for c, *_ in discs])]
        nearest = np.abs(found.xyxy[found.labels == label][:, None] - truth[None]).max(axis=2)
        assert nearest.min(axis=0).max() <= 2 * max(1.0, factor)
