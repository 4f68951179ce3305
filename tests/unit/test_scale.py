"""The ruler: red cells drawn at any magnification give the scale they were drawn at."""

import numpy as np
import pytest
from fakes import DiscEngine, detector, draw, scattered

from smearscan.detection.detector import Detector
from smearscan.results import Detections
from smearscan.rulers import scale as scale_module
from smearscan.rulers.scale import measure_scale
from smearscan.taxonomy import RED_CELL_UM

RED_CELL_PX = 40.0
WORKING = 24.0


def field(factor: float, seed: int = 0, n_red: int = 40, n_white: int = 2) -> np.ndarray:
    """The same field, photographed at a magnification: `factor` times the pixels."""
    rng = np.random.default_rng(seed)
    wanted = [(0, 1.85 * RED_CELL_PX)] * n_white + [
        (1, RED_CELL_PX * rng.uniform(0.95, 1.05)) for _ in range(n_red)
    ]
    discs = scattered(rng, 520, 600, wanted)
    scaled = [(c, x * factor, y * factor, d * factor) for c, x, y, d in discs]
    return draw(round(520 * factor), round(600 * factor), scaled)[0]


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.0, 1.4, 2.0])
def test_the_scale_follows_the_magnification(factor: float) -> None:
    scale = measure_scale(detector(WORKING), [field(factor)])
    assert scale.source == "red cells"
    assert scale.n_cells >= 5
    assert scale.um_per_px == pytest.approx(RED_CELL_UM / (RED_CELL_PX * factor), rel=0.05)


def test_magnifications_are_in_the_ratio_of_their_pixels() -> None:
    base = measure_scale(detector(WORKING), [field(1.0)]).um_per_px
    for factor in (0.5, 0.7, 1.4, 2.0):
        ratio = base / measure_scale(detector(WORKING), [field(factor)]).um_per_px
        assert ratio == pytest.approx(factor, rel=0.04)


def test_the_working_scale_does_not_change_the_answer() -> None:
    answers = [measure_scale(detector(px), [field(1.0)]).um_per_px for px in (16.0, 24.0, 32.0)]
    assert answers == pytest.approx([RED_CELL_UM / RED_CELL_PX] * 3, rel=0.05)


class BiasedEngine(DiscEngine):
    """Sees cells drawn towards the size it works at, as networks do."""

    def _row(self, c: int, box: tuple[int, int, int, int]) -> list[float]:
        _, _, w, h = box
        usual = WORKING * (1.85 if c == 0 else 1)
        pull = (np.sqrt(w * h) / usual) ** -0.4
        row = super()._row(c, box)
        return [row[0], row[1], w * pull, h * pull, *row[4:]]


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_refinement_undoes_the_bias_of_cells_seen_off_scale(factor: float) -> None:
    scale = measure_scale(Detector(BiasedEngine(), detector(WORKING).card), [field(factor)])
    assert scale.um_per_px == pytest.approx(RED_CELL_UM / (RED_CELL_PX * factor), rel=0.05)


def test_one_odd_field_does_not_turn_the_slide() -> None:
    fields = [field(1.0, seed) for seed in range(3)] + [field(2.0, 3)]
    scale = measure_scale(detector(WORKING), fields)
    assert scale.um_per_px == pytest.approx(RED_CELL_UM / RED_CELL_PX, rel=0.06)


def test_leukocytes_serve_where_red_cells_are_too_few() -> None:
    scale = measure_scale(detector(WORKING), [field(1.0, n_red=2, n_white=9)])
    assert scale.source == "leukocytes"
    assert scale.n_cells >= 3
    assert scale.um_per_px == pytest.approx(RED_CELL_UM / RED_CELL_PX, rel=0.05)


@pytest.mark.parametrize(
    ("n_red", "n_white", "ruler"), [(2, 0, "red cells"), (0, 2, "leukocytes"), (2, 2, "leukocytes")]
)
def test_few_cells_serve_and_are_counted(n_red: int, n_white: int, ruler: str) -> None:
    scale = measure_scale(detector(WORKING), [field(1.0, n_red=n_red, n_white=n_white)])
    assert scale.source == ruler
    assert 0 < scale.n_cells <= n_red + n_white
    assert scale.um_per_px == pytest.approx(RED_CELL_UM / RED_CELL_PX, rel=0.06)


def test_a_field_without_cells_is_called_assumed() -> None:
    scale = measure_scale(detector(WORKING), [field(1.0, n_red=0, n_white=0)])
    assert scale.source == "assumed"
    assert scale.n_cells == 0
    assert scale.um_per_px == pytest.approx(RED_CELL_UM / (600 / 8))


def tried(monkeypatch: pytest.MonkeyPatch, images: list[np.ndarray]) -> list[int]:
    """Return which of the pictures the pyramid was tried on."""
    seen: list[int] = []
    coarse = scale_module._coarse

    def watched(found_by: Detector, image: np.ndarray) -> float | None:
        seen.append(next(i for i, known in enumerate(images) if known is image))
        return coarse(found_by, image)

    with monkeypatch.context() as patch:
        patch.setattr(scale_module, "_coarse", watched)
        scale = measure_scale(detector(WORKING), images)
    assert scale.um_per_px == pytest.approx(RED_CELL_UM / RED_CELL_PX, rel=0.05)
    return sorted(seen)


def test_two_fields_that_agree_spare_the_pyramid_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(monkeypatch, [field(1.0, seed) for seed in range(6)]) == [0, 1]


def test_fields_that_disagree_or_show_nothing_call_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = [field(1.0), field(2.0, 1), field(1.0, 2), field(1.0, 3), field(1.0, 4)]
    assert tried(monkeypatch, odd) == [0, 1, 2, 3, 4]
    blank = np.full((520, 600, 3), 240, np.uint8)
    assert tried(monkeypatch, [field(1.0), blank, field(1.0, 2), field(1.0, 3), field(1.0, 4)]) == [
        0,
        1,
        2,
        3,
    ]


def test_a_reduction_without_doubt_ends_the_pyramid() -> None:
    """A field of many red cells is measured without its larger, costlier reductions."""
    found_by = detector(WORKING)
    assert isinstance(found_by.engine, DiscEngine)
    measure_scale(found_by, [field(1.0)])
    assert max(max(shape) for shape in found_by.engine.shapes) <= 448


def test_no_field_is_blown_up_until_its_grain_looks_like_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """At no reduction tried would red cells of eight pixels become larger than the working size."""
    factors = []
    seen = scale_module._seen

    def watched(found_by: Detector, image: np.ndarray, factor: float) -> object:
        factors.append(factor)
        return seen(found_by, image, factor)

    monkeypatch.setattr(scale_module, "_seen", watched)
    measure_scale(detector(WORKING), [np.full((260, 300, 3), 240, np.uint8)])
    assert len(factors) == 4
    assert max(factors) <= WORKING / 8


def test_what_shows_red_cells_is_believed_before_what_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four red cells and a leukocyte at one reduction; at another, grain that fills a little more of it."""

    def seen(_: Detector, __: np.ndarray, factor: float) -> tuple[Detections, tuple[int, int]]:
        side = round(600 * factor)
        grain, few = factor == pytest.approx(28 * WORKING / 600), factor == pytest.approx(7 * WORKING / 600)
        n = 40 if grain else 5 if few else 0
        size = WORKING * np.array([1.85] * n if grain else [1.85, 1, 1, 1, 1][:n])
        at = np.arange(n)[:, None] * 10.0 + 5
        xyxy = np.concatenate([at, at, at + size[:, None], at + size[:, None]], axis=1).astype(np.float32)
        labels = np.array([0] * n if grain else [0, 1, 1, 1, 1][:n], np.int64)
        return Detections(xyxy, np.full(n, 0.9, np.float32), labels), (side, side)

    monkeypatch.setattr(scale_module, "_seen", seen)
    factor = scale_module._coarse(detector(WORKING), np.full((600, 600, 3), 240, np.uint8))
    assert factor == pytest.approx(7 * WORKING / 600, rel=0.01)
