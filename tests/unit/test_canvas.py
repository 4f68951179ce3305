"""Laws of training canvases: boxes follow their pixels, pasted cells are boxed, a seed gives one canvas."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.taxonomy import LEUKOCYTE, RED_CELL
from smearscan.training import canvas, clumps
from smearscan.training.annotated_fields import BoxedImage
from smearscan.training.canvas import PAD, Clumps, ScaledField
from smearscan.training.clumps import CutOut, paste_clumps

NONE = Clumps([], 32.0, 0.0)
COLORS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]], np.uint8)


class Turn(np.random.Generator):
    """Draws one given symmetry first, then as usual."""

    def __init__(self, turn: int, seed: int = 0) -> None:
        super().__init__(np.random.PCG64(seed))
        self._turn: int | None = turn

    def integers(self, *args: object, **kwargs: object) -> object:
        if self._turn is not None:
            turn, self._turn = self._turn, None
            assert args == (8,)
            return turn
        return super().integers(*args, **kwargs)


@pytest.fixture
def true_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (canvas, clumps):
        monkeypatch.setattr(module, "recolored", lambda image, rng: image)


def painted() -> ScaledField:
    """60 x 90 px, black; four boxes, each filled with its own color."""
    xyxy = boxes.as_boxes([[4, 6, 20, 14], [60, 8, 82, 30], [10, 40, 18, 56], [50, 36, 86, 52]])
    image = np.zeros((60, 90, 3), np.uint8)
    for (x0, y0, x1, y1), color in zip(xyxy.astype(int), COLORS, strict=True):
        image[y0:y1, x0:x1] = color
    return ScaledField(image, xyxy, np.array([0, 1, 2, 1]), np.array([1, 1, 0], np.float32), 32.0)


def extent(image: NDArray[np.uint8], color: NDArray[np.uint8]) -> list[int]:
    """Box of the pixels nearer to a color than to any other or to black and gray."""
    palette = np.concatenate([COLORS, [[0, 0, 0], [PAD] * 3]]).astype(int)
    nearest = np.abs(image[:, :, None].astype(int) - palette).sum(axis=3).argmin(axis=2)
    mask = nearest == int(np.flatnonzero((palette == color).all(axis=1))[0])
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1] if len(xs) else []


@pytest.mark.usefixtures("true_colors")
@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize(("height", "width"), [(120, 160), (160, 100)])
@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_boxes_follow_their_pixels(turn: int, height: int, width: int, factor: float) -> None:
    field = painted()
    image, xyxy, labels = canvas.place(field, height, width, factor, Turn(turn), NONE)
    assert image.shape == (height, width, 3)
    assert len(xyxy) == len(labels) >= (4 if factor <= 1 else 1)
    colors = {
        tuple(np.median(image[int(b[1] + b[3]) // 2, int(b[0] + b[2]) // 2][None], axis=0)) for b in xyxy
    }
    assert len(colors) == len(xyxy)
    for box, label in zip(xyxy, labels, strict=True):
        color = image[int(box[1] + box[3]) // 2, int(box[0] + box[2]) // 2]
        i = int(np.abs(COLORS.astype(int) - color).sum(axis=1).argmin())
        assert label == field.labels[i]
        assert extent(image, COLORS[i]) == pytest.approx(box.tolist(), abs=0 if factor == 1 else 1)


@pytest.mark.usefixtures("true_colors")
def test_the_eight_turns_are_eight_pictures() -> None:
    seen = {canvas.place(painted(), 90, 90, 1.0, Turn(t), NONE)[0].tobytes() for t in range(8)}
    assert len(seen) == 8


@pytest.mark.usefixtures("true_colors")
def test_a_window_smaller_than_the_field_cuts_boxes_and_drops_what_is_hardly_seen() -> None:
    for seed in range(30):
        image, xyxy, labels = canvas.place(painted(), 40, 48, 1.0, np.random.default_rng(seed), NONE)
        assert (image != PAD).any()
        assert (xyxy >= 0).all()
        assert (xyxy <= [48, 40, 48, 40]).all()
        assert len(xyxy) == len(labels)
        for box in xyxy:
            color = image[int(box[1] + box[3]) // 2, int(box[0] + box[2]) // 2]
            assert extent(image, color) == box.tolist()
            i = int(np.flatnonzero((color == COLORS).all(axis=1))[0])
            assert boxes.areas(box[None])[0] >= 0.3 * boxes.areas(painted().xyxy[i : i + 1])[0]


@pytest.mark.usefixtures("true_colors")
def test_a_field_smaller_than_the_window_is_padded() -> None:
    image, _, _ = canvas.place(painted(), 200, 200, 1.0, np.random.default_rng(0), NONE)
    assert (image == PAD).all(axis=2).sum() == 200 * 200 - 60 * 90


@pytest.mark.usefixtures("true_colors")
def test_a_mosaic_moves_boxes_with_their_fields() -> None:
    fields = [painted()] * 3
    other = painted()
    fields.append(ScaledField(other.image, other.xyxy, other.labels, np.zeros(3, np.float32), 32.0))
    made = canvas.mosaic(fields, 320, [1.0] * 4, np.random.default_rng(3), NONE)
    assert made.image.shape == (320, 320, 3)
    assert made.labeled.shape == (40, 40, 3)
    assert len(made.xyxy) == len(made.labels) == 16
    named = {tuple(c): int(k) for c, k in zip(COLORS.tolist(), painted().labels, strict=True)}
    for box, label in zip(made.xyxy.astype(int), made.labels, strict=True):
        inside = made.image[box[1] : box[3], box[0] : box[2]].reshape(-1, 3)
        assert len(np.unique(inside, axis=0)) == 1
        assert named[tuple(inside[0].tolist())] == label
    # what the last field does not annotate is marked exactly in its window
    rows, columns = np.flatnonzero(~made.labeled.any(axis=(1, 2))), made.labeled[-1].any(axis=1)
    assert not len(rows)
    assert 0 < columns.sum() < 40
    assert (made.labeled[:, :, 2] == 0).all()
    assert set(made.labeled[-1, columns, 0]) == {1}


def test_single_is_one_field_with_its_own_labels() -> None:
    made = canvas.single(painted(), 96, 1.0, np.random.default_rng(0), NONE)
    assert made.image.shape == (96, 96, 3)
    assert made.labeled.shape == (12, 12, 3)
    assert (made.labeled == [1, 1, 0]).all()


def cells(n: int = 30) -> list[CutOut]:
    """Opaque discs of one unmistakable color, 20 to 30 px."""
    made = []
    for side in np.linspace(20, 30, n).astype(int):
        y, x = (np.mgrid[:side, :side] + 0.5) - side / 2
        alpha = np.where(np.hypot(y, x) <= side / 2, 255, 0)
        rgba = np.zeros((side, side, 4), np.uint8)
        rgba[...] = (255, 0, 255, 0)
        rgba[:, :, 3] = alpha
        made.append(CutOut(rgba))
    return made


@pytest.mark.usefixtures("true_colors")
@pytest.mark.parametrize("seed", range(12))
def test_pasted_cells_are_boxed(seed: int) -> None:
    image = np.zeros((160, 200, 3), np.uint8)
    own = boxes.as_boxes([[2, 2, 30, 30], [90, 60, 120, 90], [150, 100, 180, 130]])
    before = np.array([RED_CELL, LEUKOCYTE, RED_CELL])
    out, xyxy, labels = paste_clumps(image, own, before, cells(), 1.0, np.random.default_rng(seed))
    assert out.shape == image.shape
    magenta = (out[:, :, 0] > 127) & (out[:, :, 2] > 127)
    kept = np.array([(own == b).all(axis=1).any() for b in xyxy])
    new = xyxy[~kept]
    assert (labels[~kept] == LEUKOCYTE).all()
    assert (xyxy >= 0).all()
    assert (xyxy <= [200, 160, 200, 160]).all()
    boxed = np.zeros(magenta.shape, bool)
    for x0, y0, x1, y1 in new.astype(int):
        boxed[y0:y1, x0:x1] = True
        # a pasted disc fills its box from side to side
        part = magenta[y0:y1, x0:x1]
        assert part.any(axis=0).mean() > 0.9
        assert part.any(axis=1).mean() > 0.9
    # only rims at the field's border, less than a third of a cell, may be unboxed
    ys, xs = np.nonzero(magenta & ~boxed)
    assert (np.minimum.reduce([ys, xs, 159 - ys, 199 - xs]) <= 14).all()
    # what is covered by more than half is no longer labeled; what is not, is
    shared = boxes.intersections(own, new).max(axis=1, initial=0) / boxes.areas(own)
    stays = np.array([(xyxy == b).all(axis=1).any() for b in own])
    assert np.array_equal(stays, shared < 0.5)


@pytest.mark.usefixtures("true_colors")
def test_clumps_touch() -> None:
    near = 0
    for seed in range(12):
        image = np.zeros((300, 300, 3), np.uint8)
        _, xyxy, _ = paste_clumps(
            image, boxes.as_boxes([]), np.zeros(0, np.int64), cells(), 1.0, np.random.default_rng(seed)
        )
        away = np.linalg.norm(boxes.centers(xyxy)[:, None] - boxes.centers(xyxy)[None], axis=2)
        near += int((away < 32).sum()) - len(xyxy)
    assert near >= 12


def test_the_share_of_fields_with_clumps_is_kept() -> None:
    field = painted()
    for share, low, high in ((0.0, 0, 0), (1.0, 30, 30), (0.5, 8, 22)):
        more = 0
        for seed in range(30):
            _, _, labels = canvas.place(
                field, 200, 200, 1.0, np.random.default_rng(seed), Clumps(cells(), 32.0, share)
            )
            more += int((labels == LEUKOCYTE).sum() > 1)
        assert low <= more <= high


def test_a_seed_gives_one_canvas() -> None:
    some = Clumps(cells(), 32.0, 0.7)

    def made(seed: int) -> list[bytes]:
        rng = np.random.default_rng(seed)
        canvases = [canvas.mosaic([painted()] * 4, 160, [1.1] * 4, rng, some) for _ in range(6)]
        return [c.image.tobytes() + c.xyxy.tobytes() + c.labels.tobytes() for c in canvases]

    assert made(1) == made(1)
    assert made(1) != made(2)


def test_scale_jitter_is_mostly_narrow_and_at_times_wide() -> None:
    rng = np.random.default_rng(0)
    narrow = [canvas.scale_jitter(rng, 0.0) for _ in range(200)]
    wide = [canvas.scale_jitter(rng, 1.0) for _ in range(200)]
    assert 2**-0.2 <= min(narrow) < max(narrow) <= 2**0.2
    assert 0.5 <= min(wide) < 0.7 < 1.5 < max(wide) <= 2.0


@pytest.mark.parametrize(("red_cell_px", "factor"), [(40.0, 1.0), (128.0, 0.5), (20.0, 1.0)])
def test_fields_far_above_the_working_scale_are_shrunk(red_cell_px: float, factor: float) -> None:
    field = painted()
    item = BoxedImage(Path("a.png"), field.xyxy, field.labels, (True, True, False), "s", red_cell_px)
    kept = canvas.scaled_field(item, field.image, 32.0)
    assert kept.image.shape == (round(60 * factor), round(90 * factor), 3)
    assert kept.xyxy == pytest.approx(field.xyxy * factor)
    assert kept.red_cell_px == pytest.approx(red_cell_px * factor)
    assert kept.labeled.tolist() == [1, 1, 0]
