"""Laws of drawn smears: same seed same pixels, exact boxes, every type, any size."""

import csv
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from smearscan.errors import ConfigError
from smearscan.synthetic import (
    BEIGE,
    HEALTHY,
    HEALTHY_COMPOSITION,
    LEUKEMIC,
    LEUKOCYTE_TYPES,
    DrawnField,
    SmearSpec,
    Stain,
    draw_clump,
    draw_field,
    draw_slide,
    write_slides,
)
from smearscan.taxonomy import DETECTOR_CLASSES, LEUKOCYTE, PLATELET, RED_CELL

SMALL = replace(HEALTHY, height=180, width=240, um_per_px=0.2)


def check_laws(drawn: DrawnField) -> None:
    height, width, depth = drawn.image.shape
    n = len(drawn.labels)
    assert depth == 3
    assert drawn.image.dtype == np.uint8
    assert drawn.xyxy.dtype == np.float32
    assert drawn.labels.dtype == np.int64
    assert drawn.xyxy.shape == (n, 4)
    assert len(drawn.types) == n
    x0, y0, x1, y1 = drawn.xyxy.T
    assert np.all(x0 >= 0)
    assert np.all(y0 >= 0)
    assert np.all(x1 > x0)
    assert np.all(y1 > y0)
    assert np.all(x1 <= width)
    assert np.all(y1 <= height)
    assert np.array_equal(drawn.xyxy, np.round(drawn.xyxy))
    for label, kind in zip(drawn.labels, drawn.types, strict=True):
        assert (kind in LEUKOCYTE_TYPES) if label == LEUKOCYTE else kind == ""


def same(a: DrawnField, b: DrawnField) -> bool:
    return np.array_equal(a.image, b.image) and np.array_equal(a.xyxy, b.xyxy) and a.types == b.types


def whole(drawn: DrawnField) -> np.ndarray:
    height, width = drawn.image.shape[:2]
    return np.all((drawn.xyxy > 0) & (drawn.xyxy < np.array([width, height, width, height])), axis=1)


@pytest.mark.parametrize("spec", [HEALTHY, LEUKEMIC, SMALL])
def test_same_seed_same_pixels(spec: SmearSpec) -> None:
    assert same(draw_field(spec, 7), draw_field(spec, 7))
    assert not same(draw_field(spec, 7), draw_field(spec, 8))


def test_a_seed_sequence_is_not_used_up() -> None:
    seed = np.random.SeedSequence(5)
    first = draw_field(SMALL, seed)
    seed.spawn(3)
    assert same(first, draw_field(SMALL, seed))
    assert same(first, draw_field(SMALL, 5))


def test_field_k_does_not_depend_on_the_number_of_fields() -> None:
    three, five = list(draw_slide(SMALL, 3, 11)), list(draw_slide(SMALL, 5, 11))
    assert len(five) == 5
    assert all(same(a, b) for a, b in zip(three, five, strict=False))
    assert not same(five[0], five[1])
    assert list(draw_slide(SMALL, 0, 11)) == []


@pytest.mark.parametrize("seed", range(6))
def test_laws_hold(seed: int) -> None:
    check_laws(draw_field(SMALL, seed))
    check_laws(draw_field(replace(LEUKEMIC, height=220, width=300), seed))


@pytest.mark.parametrize(
    ("height", "width", "um_per_px"),
    [
        (1, 1, 0.07),
        (3, 200, 0.1),
        (97, 31, 0.3),
        (240, 320, 0.3),
        (300, 170, 0.05),
        (64, 64, 1.0),
        (50, 50, 0.02),
    ],
)
def test_any_size(height: int, width: int, um_per_px: float) -> None:
    drawn = draw_field(replace(HEALTHY, height=height, width=width, um_per_px=um_per_px), 3)
    assert drawn.image.shape == (height, width, 3)
    assert drawn.um_per_px == um_per_px
    check_laws(drawn)


@pytest.mark.parametrize("kind", LEUKOCYTE_TYPES)
def test_every_type_is_dark_in_a_pale_field(kind: str) -> None:
    spec = SmearSpec(
        height=160, width=160, um_per_px=0.15, composition={kind: 1.0}, red_cell_density=0.0, stain=BEIGE
    )
    drawn = draw_clump(1, 4, replace(spec, platelet_density=0.0))
    assert drawn.types == (kind,)
    x0, y0, x1, y1 = drawn.xyxy[0].astype(int)
    inside = drawn.image[y0:y1, x0:x1].astype(float)
    assert inside[..., 1].mean() < drawn.image[:8, :, 1].mean() - 40
    assert inside[..., 2].mean() > inside[..., 1].mean()  # purple to pink, never green
    assert 7.0 < max(x1 - x0, y1 - y0) * 0.15 < 24.0


def test_the_box_is_the_extent_of_the_cell() -> None:
    spec = SmearSpec(
        height=160, width=160, um_per_px=0.15, composition={"lymphocyte": 1.0}, red_cell_density=0.0,
        platelet_density=0.0, stain=BEIGE, blur_px=0.0, halo=0.0, noise=0.0, vignette=0.0,
    )  # fmt: skip
    for seed in range(5):
        drawn = draw_clump(1, seed, spec)
        dark = drawn.image[..., 1] < 0.85 * np.median(drawn.image[..., 1])
        rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
        seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        assert np.all(np.abs(seen - drawn.xyxy[0]) <= 2)


def test_physical_sizes_do_not_depend_on_the_magnification() -> None:
    for um_per_px in (0.08, 0.3):
        side = round(60 / um_per_px)
        spec = SmearSpec(height=side, width=side, um_per_px=um_per_px, leukocytes=0.0, min_leukocytes=0)
        drawn = draw_field(spec, 2)
        inner = whole(drawn)
        size = (drawn.xyxy[:, 2:] - drawn.xyxy[:, :2]).mean(axis=1) * um_per_px
        assert 6.7 < np.median(size[inner & (drawn.labels == RED_CELL)]) < 7.7
        assert 2.0 < np.median(size[inner & (drawn.labels == PLATELET)]) < 3.4
        assert LEUKOCYTE not in drawn.labels


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9])
def test_a_clump_of_n_has_n_leukocytes_that_touch(n: int) -> None:
    for seed in range(3):
        drawn = draw_clump(n, seed)
        check_laws(drawn)
        boxes = drawn.xyxy[drawn.labels == LEUKOCYTE]
        assert len(boxes) == n
        assert whole(drawn)[drawn.labels == LEUKOCYTE].all()
        if n == 1:
            continue
        gap = np.maximum(
            boxes[:, None, :2] - boxes[None, :, 2:], boxes[None, :, :2] - boxes[:, None, 2:]
        ).max(axis=2)
        np.fill_diagonal(gap, np.inf)
        assert np.all(gap.min(axis=1) <= 2)
        centers, radii = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).mean(axis=1) / 2
        apart = np.hypot(*np.moveaxis(centers[:, None] - centers[None], 2, 0)) / (
            radii[:, None] + radii[None]
        )
        np.fill_diagonal(apart, np.inf)
        assert apart.min() > 0.68  # 0.75 of mean radii; a box of an oval cell says it less exactly


def test_composition_is_respected() -> None:
    spec = replace(
        SMALL, leukocytes=4.0, red_cell_density=0.0, platelet_density=0.0, noise=0.0, um_per_px=0.4
    )
    counts = Counter(kind for drawn in draw_slide(spec, 60, 1) for kind in drawn.types)
    total = sum(counts.values())
    assert total > 180
    for kind in LEUKOCYTE_TYPES:
        p = HEALTHY_COMPOSITION.get(kind, 0.0) / 100.0
        assert abs(counts[kind] - total * p) <= 3.5 * np.sqrt(total * p * (1 - p))


def test_leukocyte_count_follows_the_spec() -> None:
    fields = list(draw_slide(replace(LEUKEMIC, red_cell_density=0.0, halo=0.0, noise=0.0), 8, 2))
    counts = [int(np.sum(f.labels == LEUKOCYTE)) for f in fields]
    assert min(counts) >= 5
    assert 7 < np.mean(counts) < 14
    none = draw_field(replace(SMALL, leukocytes=0.0, min_leukocytes=0), 1)
    assert LEUKOCYTE not in none.labels


def test_an_empty_field_is_background() -> None:
    spec = replace(
        SMALL, leukocytes=0.0, min_leukocytes=0, red_cell_density=0.0, platelet_density=0.0, stain=BEIGE
    )
    drawn = draw_field(spec, 1)
    assert drawn.xyxy.shape == (0, 4)
    assert np.abs(drawn.image.mean(axis=(0, 1)) - BEIGE.light).max() < 20


def test_write_slides_round_trip(tmp_path: Path) -> None:
    slides = {"a": SMALL, "b": replace(LEUKEMIC, height=180, width=240)}
    truth = write_slides(tmp_path / "set", slides, 2, 9, suffix=".png")
    assert truth == tmp_path / "set" / "truth.csv"
    with truth.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["slide", "field", "x0", "y0", "x1", "y1", "label", "type"]
    assert {row["field"] for row in rows} == {f"{s}/field_000{k}.png" for s in slides for k in (1, 2)}
    alone = write_slides(tmp_path / "alone", {"b": slides["b"]}, 1, 9, suffix=".png")
    for row in rows:
        assert row["slide"] == row["field"].split("/")[0]
        image = cv2.imread(str(truth.parent / row["field"]))
        assert image is not None
        assert image.shape == (180, 240, 3)
        assert 0 <= int(row["x0"]) < int(row["x1"]) <= 240
        assert 0 <= int(row["y0"]) < int(row["y1"]) <= 180
        assert row["label"] in DETECTOR_CLASSES
        assert bool(row["type"]) == (row["label"] == "leukocyte")
    name = "b/field_0001.png"  # a slide's pixels do not depend on the other slides
    assert (alone.parent / name).read_bytes() == (truth.parent / name).read_bytes()


def test_jpeg_keeps_the_picture(tmp_path: Path) -> None:
    path = write_slides(tmp_path, {"s": SMALL}, 1, 3).parent / "s" / "field_0001.jpg"
    lossless = write_slides(tmp_path / "p", {"s": SMALL}, 1, 3, suffix=".png").parent / "s" / "field_0001.png"
    a, b = cv2.imread(str(path)), cv2.imread(str(lossless))
    assert np.abs(a.astype(int) - b.astype(int)).mean() < 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"height": 0},
        {"um_per_px": 0.0},
        {"um_per_px": float("nan")},
        {"leukocytes": -1.0},
        {"composition": {"martian": 1.0}},
        {"composition": {"blast": 0.0}},
        {"composition": {}},
        {"composition": {"blast": -1.0, "monocyte": 2.0}},
        {"clump": (3, 2)},
        {"clump": (0, 2)},
        {"rouleaux": 1.5},
        {"noise": -1.0},
    ],
)
def test_a_bad_spec_is_refused_by_name(wrong: dict[str, object]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=name):
        replace(HEALTHY, **wrong)


def test_bad_calls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="clump of 0"):
        draw_clump(0, 1)
    with pytest.raises(ConfigError, match="does not fit"):
        draw_clump(6, 1, SMALL)
    with pytest.raises(ConfigError, match="seed is -1"):
        draw_field(SMALL, -1)
    with pytest.raises(ConfigError, match="n_fields is -1"):
        draw_slide(SMALL, -1, 0)
    with pytest.raises(ConfigError, match=r"Stain\.light"):
        Stain(light=(300.0, 0.0, 0.0))
    for keywords, word in [
        ({"quality": 0}, "quality"),
        ({"suffix": ".gif"}, "suffix"),
        ({"n_fields": 0}, "n_fields"),
        ({"slides": {}}, "slide"),
        ({"slides": {"../up": SMALL}}, "up"),
    ]:
        arguments = {"slides": {"s": SMALL}, "n_fields": 1, "seed": 0, **keywords}
        with pytest.raises(ConfigError, match=word):
            write_slides(tmp_path, **arguments)


def test_a_spec_travels_between_processes_and_keeps_its_own_composition() -> None:
    weights = {"blast": 1.0}
    spec = replace(SMALL, composition=weights)
    weights["blast"] = -1.0
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.composition == {"blast": 1.0}
    assert same(draw_field(pickle.loads(pickle.dumps(SMALL)), 1), draw_field(SMALL, 1))
