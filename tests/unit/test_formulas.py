"""No name in a table is a formula to a spreadsheet, and none changes on its way through a file."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.io.formulas import guarded, unguarded
from smearscan.io.tables import read_table
from smearscan.report.tables import write_csv, write_report_csv

NAMES = ["=1+1", '=HYPERLINK("http://x")', "+1", "-5", "@SUM(A1)", "'=1", "''-2", "plain", "-", "'quoted"]


@given(st.text() | st.text("'=+-@\t\r\n ax1"))
def test_a_text_comes_back_and_is_no_formula(text: str) -> None:
    written = guarded(text)
    assert unguarded(written) == text
    assert len(written) < 2 or written[0] not in "=+-@\t\r"


@pytest.mark.parametrize("text", ["", "-", "+", "=", "0.5", "slide 1", "a-b", "it's", "'"])
def test_other_text_is_written_as_it_is(text: str) -> None:
    assert guarded(text) == text


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_names_in_a_table_are_text_to_a_spreadsheet_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(pd.DataFrame({"slide": NAMES, "=x": -1.5}), path)
    assert all(len(cell) < 2 or cell[0] not in "=+@" for row in cells(path) for cell in row)
    assert [row[0][0] for row in cells(path)[1:6]] == ["'"] * 5
    table = read_table(path, ["slide"])
    assert table.header == ["slide", "=x"]
    assert table.column("slide") == NAMES
    assert table.numbers("=x").tolist() == [-1.5] * len(NAMES)  # a number below zero stays one


def test_a_report_s_names_are_guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"slide": name, "n": -1, "nothing": None} for name in NAMES]
    monkeypatch.setattr("smearscan.report.tables.report_row", lambda row: row)
    write_report_csv(lambda: rows, tmp_path / "r.csv")  # type: ignore[arg-type,return-value]
    assert [row[0] for row in cells(tmp_path / "r.csv")[1:]] == [guarded(name) for name in NAMES]
    assert [row[1:] for row in cells(tmp_path / "r.csv")[1:]] == [["-1", ""]] * len(NAMES)
    assert read_table(tmp_path / "r.csv").column("slide") == NAMES
