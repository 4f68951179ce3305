"""The columns of report.csv and cells.csv are a promise to other programs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smearscan.errors import ConfigError
from smearscan.flag import FlagRule
from smearscan.report.tables import cells_frame, report_frame, write_csv
from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.slide import SlideReport, SlideTally, report_slide
from smearscan.taxonomy import DIFFERENTIAL_CLASSES

SCALE = Scale(0.0685714, "red cells", 30)

REPORT = """
slide n_fields n_failed_fields n_leukocytes n_unclassified
neutrophil lymphocyte monocyte eosinophil basophil immature_granulocyte other
neutrophil_percent lymphocyte_percent monocyte_percent eosinophil_percent basophil_percent
immature_granulocyte_percent
blast_count blast_percent blast_low blast_high flag flag_reason um_per_px ruler weights
""".split()  # noqa: SIM905
CELLS = """
slide field x0 y0 x1 y1 score type type_probability blast_probability
""".split()  # noqa: SIM905


def field(
    path: Path | None = None, slide: str = "s", types: tuple[str, ...] = ("neutrophil", "blast")
) -> FieldResult:
    n = len(types)
    corner = np.arange(n, dtype=np.float32)[:, None] * 10 + np.array([1.04, 2, 9.96, 12], np.float32)
    found = Detections(corner, np.linspace(0.98761, 0.5, n, dtype=np.float32), np.zeros(n, np.int64))
    probs = np.tile(np.array([0.7, 0.1, 0.1, 0.04, 0.03, 0.02, 0.01], np.float32), (n, 1))
    blast = np.array([0.9 if t == "blast" else 0.1 for t in types], np.float32)
    return FieldResult(slide, path, (50, 60), found, probs, DIFFERENTIAL_CLASSES, blast, types, SCALE, 12)


def report(*items: FieldResult | FieldFailure, task: str = "both", **more: object) -> SlideReport:
    tally = SlideTally.of("s", items)
    return report_slide(tally, task, SCALE, FlagRule(), ("detector:0a", "blast:1b"), **more)


def test_report_columns() -> None:
    table = report_frame([report(field())])
    assert list(table)[: len(REPORT)] == REPORT
    assert table.columns.is_unique


def test_report_values() -> None:
    types = ("neutrophil",) * 3 + ("blast",) + ("other",) * 2 + ("unclassified",)
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
    percent = [row[c] for c in REPORT if c.endswith("_percent")]
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
    assert list(table) == [*CELLS, *(f"p_{name}" for name in DIFFERENTIAL_CLASSES)]
    first, second = table.iloc[0], table.iloc[1]
    assert (first["slide"], first["field"], first["type"]) == ("s", "s/1.png", "neutrophil")
    assert first[["x0", "y0", "x1", "y1"]].tolist() == [1.0, 2.0, 10.0, 12.0]
    assert first["score"] == 0.9876
    assert (first["type_probability"], first["blast_probability"]) == (0.7, 0.1)
    assert (second["type"], second["type_probability"]) == ("blast", 0.9)
    assert first["p_neutrophil"] == 0.7


def test_failures_have_no_cells() -> None:
    broken = FieldFailure("s", Path("a.png"), "is broken")
    assert len(cells_frame([broken, field(), broken])) == 2
    none = cells_frame([broken])
    assert len(none) == 0
    assert list(none)[: len(CELLS)] == CELLS


def test_a_field_without_cells_keeps_the_columns() -> None:
    table = cells_frame([field(types=())])
    assert list(table) == [*CELLS, *(f"p_{name}" for name in DIFFERENTIAL_CLASSES)]


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

    def half(table: pd.DataFrame, path: Path, **_: object) -> None:
        path.write_text("slide,n_fi")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(ConfigError, match=r"report\.csv: cannot be written \(No space left on device\)"):
        write_csv(report_frame([report(field())]), target)
    assert target.read_bytes() == former
    assert [p.name for p in tmp_path.iterdir()] == ["report.csv"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file" / "report.csv", tmp_path):
        with pytest.raises(ConfigError, match="cannot be written") as error:
            write_csv(report_frame([report(field())]), place)
        assert str(place) in str(error.value)
