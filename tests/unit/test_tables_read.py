"""Tables as people hand them over: what Excel makes of one reads the same or is refused."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from smearscan.errors import DatasetError
from smearscan.io.tables import TextTable, read_table

NAMES = st.text(
    st.characters(codec="cp1252", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8
).filter(lambda name: not name.startswith("sep="))


def saved(
    rows: list[list[str]], delimiter: str = ",", encoding: str = "utf-8", end: str = "\r\n", hint: str = ""
) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(rows)
    return (hint + out.getvalue()).encode(encoding)


@given(
    slides=st.lists(NAMES, min_size=1, max_size=5),
    values=st.lists(st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.5g}")), min_size=5, max_size=5),
    delimiter=st.sampled_from([";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    comma=st.booleans(),
)
def test_every_way_of_saving_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    slides: list[str],
    values: list[float],
    delimiter: str,
    encoding: str,
    comma: bool,
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    numbers = [str(v).replace(".", ",") if comma else str(v) for v in values]
    rows = [[slide, number] for slide, number in zip(slides, numbers, strict=False)]
    data = saved([["Slide ", "value"], *rows], delimiter, encoding)
    if (
        encoding == "cp1252"
    ):  # the bytes of an A-circumflex and an exclamation mark are also one letter of UTF-8
        assume(data.isascii() or not is_utf8(data))
    path.write_bytes(data)
    table = read_table(path, ["slide"])
    assert table.header == ["slide", "value"]
    assert table.column("slide") == slides
    np.testing.assert_array_equal(table.numbers("value"), values[: len(slides)])


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def read(tmp_path: Path, data: bytes, complete: bool = False) -> TextTable:
    (tmp_path / "t.csv").write_bytes(data)
    return read_table(tmp_path / "t.csv", ["slide", "truth"], complete)


def test_names_stay_text_and_numbers_that_are_not_there_are_nan(tmp_path: Path) -> None:
    table = read(tmp_path, b"slide,x\nNA,1\nnull,\n001,2e-3\n")
    frame = table.to_frame(["x"])
    assert frame["slide"].tolist() == ["NA", "null", "001"]
    assert frame["x"].fillna(-1).tolist() == [1, -1, 0.002]


def test_excel_s_own_hint_of_the_delimiter_is_followed(tmp_path: Path) -> None:
    table = read(tmp_path, b"sep=;\r\nslide;a,b\r\ns;1\r\n")
    assert (table.header, table.rows, table.lines) == (["slide", "a,b"], [["s", "1"]], [3])


def test_a_name_of_other_case_is_taken_unless_the_name_itself_is_there(tmp_path: Path) -> None:
    assert read(tmp_path, b"TRUTH,Other\n1,2\n").header == ["truth", "Other"]
    assert read(tmp_path, b"Truth,truth\n1,2\n").header == ["Truth", "truth"]


def test_empty_rows_and_columns_of_a_spreadsheet_are_passed_over(tmp_path: Path) -> None:
    table = read(tmp_path, b"slide,x,,\n,,,\na,1,,\n\nb,2,,\n")
    assert (table.header, table.rows, table.lines) == (["slide", "x"], [["a", "1"], ["b", "2"]], [3, 5])


def test_a_short_row_is_filled_or_refused(tmp_path: Path) -> None:
    assert read(tmp_path, b"slide,x\na\n").rows == [["a", ""]]
    with pytest.raises(DatasetError, match="line 2 has 1 cells, the header 2"):
        read(tmp_path, b"slide,x\na\n", complete=True)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"slide,x\na,1,5\n", ["line 2 has 3 cells, the header 2", "decimal point"]),
        (b"slide;x\na;1;5\n", ["line 2 has 3 cells", "';' in quotes"]),
        (b"PK\x03\x04rest", ["workbook", "CSV UTF-8"]),
        (b"slide,x\n\x81,1\n", ["no text", "CSV UTF-8"]),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_cure(tmp_path: Path, data: bytes, words: list[str]) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, data)
    for word in (str(tmp_path / "t.csv"), *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"slide,x\na,1\nb,12.05.2024\n", ["line 3", "x is '12.05.2024'", "date", "From Text"]),
        (b"slide,x\na,05. Mai\n", ["line 2", "date"]),
        (b"slide,x\na,Jan-12\n", ["line 2", "date"]),
        (b"slide,x\na,many\n", ["line 2", "x is 'many'", "no number"]),
        (b"slide,x\na,1_000\n", ["'1_000'", "no number"]),
        (b"slide,x\na,inf\n", ["'inf'", "no number"]),
        (b'slide,x\na,"1,234"\n', ["'1,234'", "1234 or 1.234"]),
        (b"slide;x\na;0,5\nb;0.5\n", ["line 3", "'0.5'", "line 2", "'0,5'", "one way"]),
    ],
)
def test_what_is_no_number_is_refused_with_line_column_and_cure(
    tmp_path: Path, data: bytes, words: list[str]
) -> None:
    with pytest.raises(DatasetError) as caught:
        read(tmp_path, data).numbers("x")
    for word in words:
        assert word in str(caught.value)
