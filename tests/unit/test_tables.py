"""The columns of report.csv and cells.csv are a promise to other programs."""

from collections import Counter
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
import pytest
from made_up import CLASSES, KINDS, errors

from smearscan.differential.conclusions import report_slide
from smearscan.differential.count import COUNTED
from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import SlideReport, StopInfo, report_frame
from smearscan.differential.statistics.correction import Corrector
from smearscan.differential.statistics.intervals import exact_interval
from smearscan.differential.tally import SlideTally
from smearscan.errors import ConfigError
from smearscan.report.tables import write_cells_csv, write_csv
from smearscan.results import (
    STAIN_COLUMNS,
    Detections,
    FieldFailure,
    FieldResult,
    Scale,
    cells_frame,
    field_results,
)
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, FINE_CLASSES, FINE_PARTS

SCALE = Scale(0.0685714, "red cells", 30)

REPORT = """
slide n_fields n_failed_fields n_leukocytes n_unclassified
neutrophil lymphocyte monocyte eosinophil basophil immature_granulocyte other
neutrophil_percent lymphocyte_percent monocyte_percent eosinophil_percent basophil_percent
immature_granulocyte_percent
blast_count blast_percent blast_low blast_high flag flag_reason um_per_px ruler weights
n_counted n_red_cells failures notice
erythroblast smudge_cell platelet erythroblast_per_100 smudge_cell_per_100 platelet_per_100
neutrophil_low neutrophil_high lymphocyte_low lymphocyte_high monocyte_low monocyte_high
eosinophil_low eosinophil_high basophil_low basophil_high immature_granulocyte_low immature_granulocyte_high
interval_level detection_limit possible_blasts flag_tier flag_p_value expected_false_blasts
detectable_blast_percent
blast_at_least_10 blast_at_least_20 n_fields_available stopped
""".split()  # noqa: SIM905
CORRECTED = [
    f"{name}_corrected_{part}" for name in (*COUNTED, "blast") for part in ("percent", "low", "high")
]
CELLS = """
slide field x0 y0 x1 y1 score type type_probability blast_probability
""".split()  # noqa: SIM905
CELL_TABLE = [*CELLS, *(f"p_{name}" for name in DIFFERENTIAL_CLASSES), "um_per_px", "calibration", "id"]

END = ["stain", "stain_cells", *STAIN_COLUMNS, "flag_p_limit"]
"""Columns of every row that came last."""


def field(
    path: Path | None = None, slide: str = "s", types: tuple[str, ...] = ("neutrophil", "blast")
) -> FieldResult:
    n = len(types)
    corner = np.arange(n, dtype=np.float32)[:, None] * 10 + np.array([1.04, 2, 9.96, 12], np.float32)
    found = Detections(corner, np.linspace(0.98761, 0.5, n, dtype=np.float32), np.zeros(n, np.int64))
    probs = np.tile(np.array([0.7, 0.1, 0.1, 0.04, 0.03, 0.02, 0.01, 0, 0, 0], np.float32), (n, 1))
    blast = np.array([0.9 if t == "blast" else 0.1 for t in types], np.float32)
    return FieldResult(slide, path, (50, 60), found, probs, DIFFERENTIAL_CLASSES, blast, types, SCALE, 12)


def report(*items: FieldResult | FieldFailure, task: str = "both", **more: object) -> SlideReport:
    tally = SlideTally.of("s", items)
    return report_slide(tally, task, SCALE, FlagRule(), ("detector:0a", "blast:1b"), **more)


def test_report_columns() -> None:
    table = report_frame([report(field())])
    assert list(table) == [
        *REPORT,
        *CORRECTED,
        "correction",
        "suspect",
        "suspect_reasons",
        "doubt",
        "doubt_reasons",
        *END,
    ]
    assert table.columns.is_unique


def test_fine_types_are_told_at_the_end_of_the_row() -> None:
    tally = SlideTally("s", 1, 0, Counter(blast=30, immature_granulocyte=10, neutrophil=60, unclassified=9))
    tally = replace(tally, fine_types=Counter(promyelocyte=34, myeloblast=6, band_neutrophil=20))
    plain, fine = (
        report_slide(tally, "both", SCALE, FlagRule(), (), fine_classes=classes).to_frame()
        for classes in ((), FINE_CLASSES)
    )
    added = [f"fine_{name}_{part}" for name in FINE_PARTS for part in ("count", "percent", "low", "high")]
    assert list(fine) == [*plain.columns.drop(END), *added, *END]
    assert len(FINE_PARTS) == 11
    row = fine.iloc[0]
    assert (row["fine_promyelocyte_count"], row["fine_promyelocyte_percent"]) == (34, 34)
    low, high = exact_interval(34, 100)
    assert (row["fine_promyelocyte_low"], row["fine_promyelocyte_high"]) == (round(low, 2), round(high, 2))
    assert (row["fine_lymphoblast_count"], row["fine_lymphoblast_high"]) == (0, 3.62)
    few = report_slide(tally, "both", SCALE, FlagRule(), (), fine_classes=("monoblast", "eosinophil"))
    assert [share.name for share in few.fine_shares] == ["monoblast"]
    empty = report_slide(SlideTally("s"), "both", SCALE, FlagRule(), (), fine_classes=FINE_CLASSES)
    assert empty.to_frame().iloc[0]["fine_promyelocyte_count"] == 0
    assert np.isnan(empty.to_frame().iloc[0]["fine_promyelocyte_percent"])


def test_report_values() -> None:
    types = ("neutrophil",) * 3 + ("blast", "other", "smudge_cell", "unclassified")
    row = report_frame([report(field(types=types))]).iloc[0]
    assert row["slide"] == "s"
    assert (row["n_fields"], row["n_failed_fields"], row["n_leukocytes"]) == (1, 0, 7)
    assert (row["neutrophil"], row["lymphocyte"], row["other"], row["n_unclassified"]) == (3, 0, 2, 1)
    assert (row["neutrophil_percent"], row["blast_percent"], row["blast_count"]) == (75, 25, 1)
    assert (row["blast_low"], row["blast_high"]) == (0.63, 80.59)
    assert row["flag"] == "insufficient"
    assert row["flag_reason"].startswith("1 of 4 leukocytes")
    assert (row["um_per_px"], row["ruler"]) == (0.068571, "red cells")
    assert row["weights"] == "detector:0a blast:1b"
    percent = [row[f"{name}_percent"] for name in (*COUNTED, "blast")]
    assert sum(percent) == pytest.approx(100, abs=0.05)


def test_one_row_a_slide() -> None:
    assert len(report_frame([report(field()), report(field()), report()])) == 3
    assert len(report(field()).to_frame()) == 1


def test_what_was_not_looked_for_is_empty_not_zero(tmp_path: Path) -> None:
    def written(task: str, **more: object) -> pd.Series:
        types = ("healthy", "blast") if task == "blast" else ("neutrophil", "monocyte")
        write_csv(report_frame([report(field(types=types), task=task, **more)]), tmp_path / "r.csv")
        return pd.read_csv(tmp_path / "r.csv").iloc[0]

    blast = written("blast")
    assert blast["n_leukocytes"] == 2
    assert (blast["blast_count"], blast["blast_percent"]) == (1, 50)
    assert blast[list(DIFFERENTIAL_CLASSES)].isna().all()
    assert np.isnan(blast["neutrophil_percent"])

    differential = written("differential")
    assert (differential["neutrophil"], differential["basophil"]) == (1, 0)
    assert differential[["blast_count", "blast_percent", "blast_low", "blast_high"]].isna().all()

    four = written("differential", names=DIFFERENTIAL_CLASSES[:4])
    assert (four["neutrophil"], four["eosinophil"]) == (1, 0)
    assert np.isnan(four["basophil"])


# ---------------------------------------------------------------- what is known of the nets' errors

OWN = Corrector(errors(variation=0.2))


def judged(*counts: int, reading: StopInfo | None = None, task: str = "both", **rule: object) -> pd.Series:  # type: ignore[type-arg]
    """Row of a slide of so many neutrophils, monocytes, smudge cells and blasts, from the CSV."""
    types = tuple(name for name, n in zip(CLASSES, counts, strict=True) for _ in range(n))
    tally = SlideTally("s", types=Counter(types), n_fields=3)
    made = report_slide(tally, task, SCALE, FlagRule(**rule), (), KINDS, OWN, reading)
    return pd.read_csv(StringIO(report_frame([made]).to_csv(index=False))).iloc[0]


def test_the_columns_of_the_test() -> None:
    row = judged(140, 30, 10, 30, reading=StopInfo(12, "settled after 3 of 12 fields", 0.5, 0.25))
    assert (row["flag"], row["flag_tier"]) == ("flagged", ">= 10 %")
    assert 0 <= row["flag_p_value"] < 1e-4
    assert 3 < row["expected_false_blasts"] < 6
    assert 2 < row["detectable_blast_percent"] < 20
    assert 0.5 < row["blast_at_least_10"] <= 1
    assert 0 <= row["blast_at_least_20"] < 0.5
    assert (row["n_fields_available"], row["stopped"]) == (12, "settled after 3 of 12 fields")
    assert (row["interval_level"], row["flag_p_limit"]) == (0.975, 0.0025)
    assert row["detection_limit"] == "30 blasts in 200 cells: up to 20.7 % cannot be excluded"


def test_the_columns_of_intervals_and_of_the_corrected_differential() -> None:
    row = judged(140, 30, 10, 30)
    assert (row["interval_level"], row["stopped"]) == (0.95, "every field was read")
    low, high = exact_interval(30, 200)
    assert (row["monocyte_low"], row["monocyte_high"]) == (round(low, 2), round(high, 2))
    assert (row["blast_low"], row["blast_high"]) == (round(low, 2), round(high, 2))
    corrected = [row[f"{name}_corrected_percent"] for name in ("neutrophil", "monocyte", "blast")]
    assert sum(corrected) == pytest.approx(100, abs=0.03)
    assert row["blast_corrected_percent"] < row["blast_percent"]  # false ones are taken off
    assert row["blast_corrected_low"] < row["blast_corrected_percent"] < row["blast_corrected_high"]
    assert pd.isna(row["correction"])


def test_the_columns_of_what_is_outside_the_denominator() -> None:
    row = judged(140, 30, 10, 30)
    assert (row["other"], row["smudge_cell"], row["smudge_cell_per_100"]) == (10, 10, 5)
    assert row["n_counted"] == 200


def test_columns_are_empty_where_the_errors_are_not_known() -> None:
    row = report_frame([report(field())]).iloc[0]
    unknown = [
        "expected_false_blasts",
        "detectable_blast_percent",
        "flag_p_value",
        "flag_p_limit",
        *CORRECTED,
    ]
    assert row[[*unknown, "blast_at_least_10", "blast_at_least_20", "n_fields_available"]].isna().all()
    assert row["correction"] == "not known how these nets err"
    assert (row["interval_level"], row["stopped"]) == (0.95, "every field was read")
    assert row["neutrophil_low"] < row["neutrophil_percent"] < row["neutrophil_high"]


def test_columns_are_empty_for_classes_the_net_does_not_know() -> None:
    row = judged(140, 30, 10, 30)
    for name in ("lymphocyte", "eosinophil", "basophil", "immature_granulocyte"):
        parts = ("percent", "low", "high", "corrected_percent", "corrected_low", "corrected_high")
        assert row[[name, *(f"{name}_{part}" for part in parts)]].isna().all()


def test_cells_outside_that_the_net_does_not_know_are_empty_not_zero() -> None:
    """These nets name smudge cells; they were never asked for erythroblasts or platelets."""
    row = judged(140, 30, 10, 30)
    assert row[["erythroblast", "platelet", "erythroblast_per_100", "platelet_per_100"]].isna().all()


def test_columns_are_empty_for_one_net_alone() -> None:
    blast = report_frame([report(field(types=("healthy", "blast")), task="blast")]).iloc[0]
    outside = ["erythroblast", "smudge_cell", "platelet", "smudge_cell_per_100", "other"]
    assert blast[[*outside, *CORRECTED, "neutrophil_low"]].isna().all()
    assert blast["detection_limit"].startswith("1 blast in 2 cells")
    differential = report_frame([report(field(types=("neutrophil",)), task="differential")]).iloc[0]
    assert differential["detection_limit"] == ""
    assert differential["flag_tier"] == ""


def test_a_slide_without_cells_has_empty_columns() -> None:
    row = judged(0, 0, 8, 0)
    assert row[["blast_percent", "smudge_cell_per_100", "blast_corrected_percent"]].isna().all()
    assert row[["blast_at_least_10", "blast_at_least_20"]].isna().all()
    assert row["correction"] == "no leukocyte was counted"
    assert row["smudge_cell"] == 8


def test_the_tiers_of_the_rule_name_their_columns() -> None:
    row = judged(100, 0, 0, 100, tiers=(2.5, 30.0))
    assert [c for c in row.index if c.startswith("blast_at_least")] == [
        "blast_at_least_2.5",
        "blast_at_least_30",
    ]
    assert row["blast_at_least_2.5"] == row["blast_at_least_30"] == 1


def test_small_probabilities_keep_their_digits() -> None:
    made = field(types=("neutrophil",))
    made.probs[0, :2] = [0.123456789, 1.23456789e-7]
    row = cells_frame([made]).iloc[0]
    assert (row["p_neutrophil"], row["p_lymphocyte"]) == (0.12346, 1.2346e-07)


def test_own_classes_come_last() -> None:
    made = report(field(types=("reactive", "reactive", "blast")), names=("reactive", "resting"))
    table = report_frame([made])
    assert list(table)[: len(REPORT)] == REPORT
    row = table.iloc[0]
    assert (row["reactive"], row["resting"], row["reactive_percent"]) == (2, 0, 66.67)


def test_failures_are_in_the_report_csv(tmp_path: Path) -> None:
    broken = [FieldFailure("s", Path(f"{k}.png"), f"{k}.png: is cut short, copy it again") for k in "ab"]
    write_csv(report_frame([report(broken[0], field(), broken[1])]), tmp_path / "report.csv")
    row = pd.read_csv(tmp_path / "report.csv").iloc[0]
    assert (row["n_fields"], row["n_failed_fields"]) == (1, 2)
    assert "a.png: is cut short" in row["failures"]
    assert "b.png: is cut short" in row["failures"]


def test_cells_columns_and_values() -> None:
    table = cells_frame([field(Path("slides/s/1.png"))], Path("slides"))
    assert list(table) == [*CELL_TABLE, *STAIN_COLUMNS]
    first, second = table.iloc[0], table.iloc[1]
    assert (first["slide"], first["field"], first["type"]) == ("s", "s/1.png", "neutrophil")
    assert first[["x0", "y0", "x1", "y1"]].tolist() == [1.0, 2.0, 10.0, 12.0]
    assert first["score"] == 0.9876
    assert (first["type_probability"], first["blast_probability"]) == (0.7, 0.1)
    assert (second["type"], second["type_probability"]) == ("blast", 0.9)
    assert first["p_neutrophil"] == 0.7
    assert first["um_per_px"] == 0.068571
    assert set(table["calibration"]) == {""}
    assert cells_frame([field(), field()])["id"].tolist() == [1, 2, 1, 2]  # within each field, as on overlays
    assert set(cells_frame([field()], None, "site")["calibration"]) == {"site"}


def test_failures_have_no_cells() -> None:
    broken = FieldFailure("s", Path("a.png"), "is broken")
    assert len(cells_frame([broken, field(), broken])) == 2
    none = cells_frame([broken])
    assert len(none) == 0
    assert list(none)[: len(CELLS)] == CELLS


def test_a_field_without_cells_keeps_the_columns() -> None:
    table = cells_frame([field(types=())])
    assert list(table) == [*CELL_TABLE, *STAIN_COLUMNS]


@pytest.mark.parametrize(
    ("path", "root", "told"),
    [
        ("in/s/deep/1.png", "in", "s/deep/1.png"),
        ("in/1.png", "in", "1.png"),
        ("elsewhere/1.png", "in", "elsewhere/1.png"),
        ("s/1.png", None, "s/1.png"),
        (None, "in", ""),
    ],
)
def test_the_field_is_the_path_relative_to_the_root(path: str | None, root: str | None, told: str) -> None:
    table = cells_frame([field(Path(path) if path else None)], Path(root) if root else None)
    assert set(table["field"]) == {told}


def test_of_a_single_picture_the_field_is_its_name(tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    picture.write_bytes(b"x")
    assert set(cells_frame([field(picture)], picture)["field"]) == {"one.png"}


def test_a_field_knows_its_own_table() -> None:
    pd.testing.assert_frame_equal(field().to_frame(), cells_frame([field()]))


def test_writing_makes_the_folder_and_leaves_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "cells.csv"
    write_csv(cells_frame([field()]), target)
    assert [p.name for p in target.parent.iterdir()] == ["cells.csv"]
    assert len(pd.read_csv(target)) == 2


def test_a_broken_off_write_leaves_the_former_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "report.csv"
    write_csv(report_frame([report(field())]), target)
    former = target.read_bytes()

    def half(table: pd.DataFrame, file: TextIO, **_: object) -> None:
        file.write("slide,n_fi")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(ConfigError, match=r"report\.csv: cannot be written: the disk is full; make room"):
        write_csv(report_frame([report(field())]), target)
    assert target.read_bytes() == former
    assert [p.name for p in tmp_path.iterdir()] == ["report.csv"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "report.csv", tmp_path):
        with pytest.raises(ConfigError, match="cannot be written") as error:
            write_csv(report_frame([report(field())]), place)
        assert str(place) in str(error.value)


def test_cells_are_written_some_fields_at_a_time_as_in_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = replace(field(Path("=a, b/1.png"), types=("neutrophil",)), slide_id='"s"')
    odd.probs[0, :3] = [np.nan, 1.25e-7, 1]
    fine = {"fine_classes": FINE_CLASSES, "fine_types": ("", FINE_CLASSES[0])}
    other = replace(field(), fine_probs=np.array([np.nan, 0.5], np.float32), **fine)
    for fields in ([], [field(types=())], [field(), odd, field(types=())], [other] * 3):
        whole = cells_frame(fields, None, "card")
        write_csv(whole, tmp_path / "whole.csv")
        monkeypatch.setattr(field_results, "_AT_ONCE", 2)
        pd.testing.assert_frame_equal(cells_frame(fields, None, "card"), whole)
        write_cells_csv([fields], tmp_path / "parts.csv", None, "card")
        assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
        monkeypatch.undo()
