"""One wrong field among good ones, the thick part, and leukocytes left out for being pale."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.detection.nuclei import one_name_each
from smearscan.results import Detections, FieldQuality, FieldResult, Scale
from smearscan.results.doubts import COLORS, FIELD_COLORS, PALE_LEUKOCYTES, THICK_PART, Doubt
from smearscan.rulers.odd_fields import colors_apart, doubts_of_odd_fields, field_colors
from smearscan.rulers.pale_leukocytes import doubts_of_pale_leukocytes
from smearscan.rulers.quality import measure_quality
from smearscan.rulers.quality_doubts import doubts_of_quality
from smearscan.synthetic import SmearSpec, draw_field, stacked
from smearscan.synthetic.spec import DrawnField
from smearscan.weights import QualityLimits

Rgb = NDArray[np.uint8]
SCALE, LIMITS = Scale(0.1, "given"), QualityLimits()
SOUND = FieldQuality(
    sharpness=0.15, evenness=0.9, light=(220, 220, 225), corners=1, overexposed=0, white=0, in_cells=0.9,
    greenish=0, bar=0, nucleus=(0.5, 0.6, 0.3), red_cell=(0.05, 0.2, 0.15), stained=(0.06, 0.2, 0.14),
    covered=0.5, pale=0,
)  # fmt: skip


def some(n: int) -> Detections:
    boxes = np.array([[50, 50, 90, 90]] * n, np.float32).reshape(-1, 4)
    return Detections(boxes, np.ones(n, np.float32), np.zeros(n, np.int64))


def field(quality: FieldQuality | None, n: int = 5, name: str = "f") -> FieldResult:
    nothing = np.empty((n, 0), np.float32)
    return FieldResult(
        "s", Path(name), (480, 640), some(n), nothing, (), np.full(n, np.nan, np.float32), ("x",) * n, SCALE,
        quality=quality,
    )  # fmt: skip


def told(*fields: FieldResult) -> list[Doubt]:
    return list(doubts_of_odd_fields(fields, LIMITS))


@pytest.fixture(scope="module")
def drawn() -> list[DrawnField]:
    return [draw_field(SmearSpec(height=240, width=320), seed) for seed in range(4)]


def quality_of(image: Rgb, of: DrawnField) -> FieldQuality:
    found = Detections(of.xyxy, np.ones(len(of.labels), np.float32), of.labels)
    return measure_quality(np.ascontiguousarray(image), Scale(of.um_per_px, "given"), found)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("found", [True, False])
def test_a_field_of_exchanged_channels_is_named_wherever_it_stands(
    drawn: list[DrawnField], at: int, found: bool
) -> None:
    """Whether the detector finds cells in it or not."""
    sound = [field(quality_of(d.image, d), name=str(i)) for i, d in enumerate(drawn)]
    assert told(*sound) == []
    exchanged = quality_of(drawn[at].image[..., ::-1], drawn[at])
    mixed = [field(exchanged, 5 * found, str(i)) if i == at else one for i, one in enumerate(sound)]
    (doubt,) = told(*mixed)
    assert doubt.reason.startswith("1 of 4 fields has other colors")
    assert doubt.paths == (Path(str(at)),)


def test_a_negative_that_passed_is_named(drawn: list[DrawnField]) -> None:
    qualities = [quality_of(d.image, d) for d in drawn]
    qualities[2] = quality_of(255 - drawn[2].image, drawn[2])
    (doubt,) = told(*(field(quality, name=str(i)) for i, quality in enumerate(qualities)))
    assert doubt.paths == (Path("2"),)


@pytest.mark.parametrize(("n_odd", "name"), [(0, FIELD_COLORS), (1, FIELD_COLORS), (2, COLORS)])
def test_the_flag_is_doubted_where_such_fields_hold_a_tenth_of_the_leukocytes(n_odd: int, name: str) -> None:
    others = [field(SOUND, 6) for _ in range(3)]
    odd = field(replace(SOUND, stained=(0.14, 0.2, 0.06)), n_odd)
    assert [doubt.name for doubt in told(*others, odd)] == [name]


def test_distances_are_to_the_slide_s_median() -> None:
    lit = replace(SOUND, light=(220, 220 / 1.1, 225))
    apart = colors_apart([SOUND, SOUND, lit, SOUND])
    assert apart[2] == pytest.approx([np.log(1.1), 0])
    assert apart[[0, 1, 3]] == pytest.approx(0)
    bare = replace(SOUND, stained=(np.nan,) * 3)
    assert np.isnan(field_colors(bare)[2:]).all()
    assert colors_apart([SOUND, bare, SOUND])[1] == pytest.approx(0)
    assert colors_apart([bare] * 3) == pytest.approx(0)


def test_two_fields_tell_not_which_is_wrong_and_regions_tell_nothing() -> None:
    odd = replace(SOUND, stained=(0.14, 0.2, 0.06))
    assert told(field(SOUND), field(odd)) == told() == told(*[field(None)] * 4) == []
    assert told(field(SOUND), field(None), field(odd), field(SOUND))


def test_exposure_alone_is_no_other_color(drawn: list[DrawnField]) -> None:
    qualities = [quality_of(d.image, d) for d in drawn]
    qualities[1] = quality_of((drawn[1].image * 0.7).astype(np.uint8), drawn[1])
    assert told(*map(field, qualities)) == []


def test_fields_laid_on_each_other_are_the_thick_part(drawn: list[DrawnField]) -> None:
    glass = np.percentile(drawn[0].image.reshape(-1, 3), 97, axis=0).tolist()
    layers = [d.image for d in drawn] + [np.rot90(drawn[0].image, 2)]
    covered = [quality_of(stacked(layers[:n], glass), drawn[0]).covered for n in (1, 2, 5)]
    assert covered[0] < covered[1] < LIMITS.most_covered < covered[2]
    thick = field(replace(SOUND, covered=covered[-1]), name="t")
    (doubt,) = doubts_of_quality([field(SOUND), thick], LIMITS)
    assert doubt.name == THICK_PART
    assert doubt.paths == (Path("t"),)


def test_the_part_that_is_covered_most_counts() -> None:
    image = np.full((600, 1200, 3), 220, np.uint8)  # 60 x 120 um
    assert measure_quality(image, SCALE, some(0)).covered == 0
    image[:, 600:] = (200, 120, 150)
    assert measure_quality(image, SCALE, some(0)).covered == pytest.approx(1, abs=0.01)


def test_leukocytes_however_many_are_no_thick_part() -> None:
    image = np.full((600, 600, 3), 220, np.uint8)  # 60 um
    image[:360] = image[:, :100] = (90, 40, 140)
    image[500:520] = (200, 120, 150)
    all_white = np.array([[0, 0, 600, 360], [0, 360, 100, 600]], np.float32)
    found = Detections(all_white, np.ones(2, np.float32), np.zeros(2, np.int64))
    assert measure_quality(image, SCALE, found).covered == pytest.approx(20 / 240, abs=0.05)
    assert measure_quality(image, SCALE, some(0)).covered > 0.6
    full = Detections(all_white[:1] * 1.4, np.ones(1, np.float32), np.zeros(1, np.int64))
    assert np.isnan(measure_quality(image, SCALE, full).covered)


@pytest.mark.parametrize(("pale", "kept", "is_told"), [(10, 19, True), (10, 20, False), (9, 0, False)])
def test_a_slide_of_which_many_pale_leukocytes_were_left_out_is_doubted(
    pale: int, kept: int, is_told: bool
) -> None:
    fields = [field(replace(SOUND, pale=pale - 4), kept), field(replace(SOUND, pale=4), 0), field(None, 99)]
    names = [doubt.name for doubt in doubts_of_pale_leukocytes(fields)]
    assert names == [PALE_LEUKOCYTES] * is_told


def test_what_is_left_out_is_counted_up_to_the_field_s_quality() -> None:
    image = np.full((200, 400, 3), 220, np.uint8)
    at = [(20 + 40 * i, 40) for i in range(8)] + [(40, 120), (200, 120)]
    colors = [(200, 120, 130)] * 9 + [(90, 40, 140)]
    for (x, y), color in zip(at, colors, strict=True):
        image[y : y + 30, x : x + 30] = color
    boxes = np.array([[x, y, x + 30, y + 30] for x, y in at], np.float32)
    found = Detections(boxes, np.ones(10, np.float32), np.array([1] * 8 + [0, 0]))
    kept = one_name_each(found, image, 0.5)
    assert (kept.count("leukocyte"), kept.n_pale) == (1, 1)
    assert kept.leukocytes.rescaled_to(2, (400, 800)).n_pale == 1
    assert measure_quality(image, SCALE, kept).pale == 1
