"""The types check what they are given and read as a biologist would."""

import math
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smearscan.results import FINE_COLUMNS, STAIN_COLUMNS, Detections, Field, FieldResult, Scale

XYXY = np.array([[0, 0, 10, 10], [20, 20, 34, 30], [50, 5, 60, 15], [70, 70, 72, 72]], np.float32)
FOUND = Detections(XYXY, np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.array([0, 1, 0, 2]))


def result(types: tuple[str, ...] = ("blast", "neutrophil", "unclassified", "other")) -> FieldResult:
    probs = np.array([[0.2, 0.8], [0.9, 0.1], [0.45, 0.55], [0.5, 0.5]], np.float32)
    return FieldResult(
        slide_id="slide",
        path=Path("a.jpg"),
        shape=(80, 100),
        detections=Detections(XYXY, FOUND.scores, np.zeros(4, np.int64)),
        probs=probs,
        classes=("neutrophil", "lymphocyte"),
        blast_probs=np.array([0.95, 0.1, 0.2, 0.3], np.float32),
        types=types,
        scale=Scale(0.1, "given"),
    )


@pytest.mark.parametrize("bad", [0, -0.1, math.nan, math.inf])
def test_a_scale_is_a_positive_number(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Scale(bad, "given")


def test_a_scale_tells_the_size_of_a_red_cell() -> None:
    assert Scale(0.1, "given").red_cell_px == pytest.approx(72)


def test_a_field_s_shape_is_height_then_width() -> None:
    assert Field(np.zeros((40, 60, 3), np.uint8)).shape == (40, 60)


def test_detections_are_counted_and_chosen_by_class() -> None:
    assert len(FOUND) == 4
    assert [FOUND.count(c) for c in ("leukocyte", "red_cell", "platelet")] == [2, 1, 1]
    assert FOUND.leukocytes.xyxy.tolist() == XYXY[[0, 2]].tolist()
    chosen = FOUND.where(FOUND.scores < 0.75)
    assert chosen.scores.tolist() == FOUND.scores[2:].tolist()
    assert chosen.labels.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("boxes", "scores", "labels"), [((3, 4), 2, 3), ((3, 4), 3, 2), ((3, 5), 3, 3), ((2, 4), 3, 3)]
)
def test_detections_of_unequal_lengths_are_refused(boxes: tuple[int, int], scores: int, labels: int) -> None:
    with pytest.raises(ValueError, match="need"):
        Detections(np.zeros(boxes, np.float32), np.zeros(scores, np.float32), np.zeros(labels, np.int64))


def test_a_result_iterates_as_cells() -> None:
    cells = list(result())
    assert len(cells) == len(result()) == 4
    assert [c.type for c in cells] == ["blast", "neutrophil", "unclassified", "other"]
    assert [c.xyxy for c in cells] == [tuple(row) for row in XYXY.tolist()]
    told = [c.type_probability for c in cells]
    assert told[:3] == pytest.approx([0.95, 0.9, 0.55])
    assert math.isnan(told[3])  # a type that no net of this result gives
    assert cells[1].probabilities == pytest.approx({"neutrophil": 0.9, "lymphocyte": 0.1})
    assert cells[2].blast_probability == pytest.approx(0.2)


def test_an_empty_result_is_normal() -> None:
    none = np.zeros(0, np.float32)
    found = Detections(none.reshape(0, 4), none, none.astype(np.int64))
    empty = FieldResult("", None, (9, 9), found, none.reshape(0, 0), (), none, (), Scale(1, "assumed"))
    assert list(empty) == []
    assert found.leukocytes.count("leukocyte") == 0


def test_types_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        result(("blast", "neutrophil"))


def test_a_cell_has_its_fine_type_where_a_net_names_them() -> None:
    plain = next(iter(result()))
    assert (plain.fine_type, math.isnan(plain.fine_probability)) == ("", True)
    sure = np.array([0.8, 0.7, np.nan, 1], np.float32)
    fine = replace(
        result(), fine_classes=("myeloblast", "band_neutrophil", "other"),
        fine_types=("myeloblast", "band_neutrophil", "", "other"), fine_probs=sure,
    )  # fmt: skip
    assert [c.fine_type for c in fine] == ["myeloblast", "band_neutrophil", "", "other"]
    assert next(iter(fine)).fine_probability == pytest.approx(0.8)
    table = fine.to_frame()
    assert list(table)[-6:] == ["id", *FINE_COLUMNS, *STAIN_COLUMNS]
    assert list(table.drop(columns=list(FINE_COLUMNS))) == list(result().to_frame())
    assert table["fine_type"].tolist() == ["myeloblast", "band_neutrophil", "", "other"]
    np.testing.assert_allclose(table["fine_probability"], sure, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"fine_types": ("a",)}, {"fine_classes": ("a",)}, {"fine_probs": np.ones(4, np.float32)}]
)
def test_fine_types_of_another_number_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        replace(result(), **wrong)


def test_results_do_not_change() -> None:
    for thing, name in ((result(), "types"), (FOUND, "scores"), (next(iter(result())), "type")):
        with pytest.raises(FrozenInstanceError):
            setattr(thing, name, None)


def test_a_name_that_is_no_utf_8_has_a_row() -> None:
    odd = replace(result(), slide_id="s\udcff", path=Path("caf\udce9.png"))
    table = odd.to_frame()
    assert set(table["slide"]) == {"s\\udcff"}
    assert set(table["field"]) == {"caf\\udce9.png"}
    table.to_csv().encode("utf-8")
