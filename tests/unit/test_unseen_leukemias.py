"""What a scan calls the cells of a laboratory that it has not seen, added up."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from references.unseen_leukemias import lay_out, names_at, tally_of_names
from smearscan.errors import DatasetError
from smearscan.results import Detections, FieldResult, Scale


def field(xyxy: list[list[float]], types: tuple[str, ...]) -> FieldResult:
    n = len(types)
    found = Detections(
        np.array(xyxy, np.float32).reshape(n, 4), np.ones(n, np.float32), np.zeros(n, np.int64)
    )
    no_probs = np.zeros((n, 0), np.float32)
    return FieldResult(
        "1", None, (100, 100), found, no_probs, (), np.zeros(n, np.float32), types, Scale(0.1, "given")
    )


def test_a_cell_has_the_name_of_the_box_that_lies_on_it() -> None:
    result = field([[0, 0, 10, 10], [40, 40, 60, 60]], ("lymphocyte", "blast"))
    true = np.array([[41, 41, 60, 60], [0, 0, 10, 11], [70, 70, 90, 90], [0, 0, 40, 40]], np.float32)
    assert names_at(result, true) == ["blast", "lymphocyte", "not found", "not found"]
    assert names_at(field([], ()), true[:2]) == ["not found", "not found"]


def test_names_are_added_up_by_class_and_a_promyelocyte_is_a_blast_in_one_disease_alone() -> None:
    rows = [
        ("lymphoblast", "ALL", "lymphocyte"), ("lymphoblast", "ALL", "not found"),
        ("lymphoblast", "ALL", "unclassified"), ("promyelocyte", "APML", "blast"),
        ("promyelocyte", "CML", "immature_granulocyte"), ("abnormal_lymphocyte", "CLL", "lymphocyte"),
        ("neutrophil", "CML", "blast"),
    ]  # fmt: skip
    figures = tally_of_names(pd.DataFrame(rows, columns=["class", "disease", "called"]))
    lymphoblasts = figures["by_class"]["lymphoblast"]
    assert (lymphoblasts["found"]["n"], lymphoblasts["found"]["of"]) == (2, 3)
    assert (lymphoblasts["called_blast"]["n"], lymphoblasts["called_blast"]["of"]) == (0, 2)
    assert lymphoblasts["called"] == {"lymphocyte": 1, "unclassified": 1}
    assert figures["by_class"]["promyelocyte of APML"]["called_blast"]["value"] == 1
    assert (figures["blasts"]["called_blast"]["n"], figures["blasts"]["called_blast"]["of"]) == (1, 3)
    assert (figures["mature"]["called_blast"]["n"], figures["mature"]["found"]["of"]) == (1, 3)
    assert (figures["mature"]["type_right"]["n"], figures["mature"]["type_right"]["of"]) == (2, 3)


def test_pictures_are_laid_out_by_patient_and_a_missing_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.jpg").write_bytes(b"a")
    (tmp_path / "slides").mkdir()
    table = pd.DataFrame({"patient": ["7", "7"], "image": ["a.jpg", "a.jpg"]})
    lay_out(table, tmp_path / "images", tmp_path / "slides")
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.glob("slides/*/*")] == ["slides/7/a.jpg"]
    with pytest.raises(DatasetError, match=r"b\.jpg: cannot be copied"):
        lay_out(table.assign(image="b.jpg"), tmp_path / "images", tmp_path / "slides")
