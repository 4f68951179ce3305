"""The one reader of tables that people and programs hand over: CSV as written here, by Excel, by anything.

Excel writes what the country wants: semicolons or tabs between columns, a comma in decimal numbers, UTF-16 or
the Windows code page. All of it is read; what is not certain is refused with its line, column and cure. Names
stay text: a slide called ``001``, ``NA`` or ``null`` keeps its name.
"""

import codecs
import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import DatasetError
from smearscan.io.formulas import unguarded

if TYPE_CHECKING:
    import pandas as pd

_DELIMITERS = (",", ";", "\t")
_MOST_TOLD = 10

_POINT_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
_DATE = re.compile(
    r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}( .*)?|\d{1,2}[. -]{1,2}[^\W\d_]{3,}\.?[ -]?\d*|[^\W\d_]{3,}[. -]\d{1,4}"
)
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""In a table with commas between columns: a thousands mark as likely as a decimal comma."""


@dataclass(frozen=True, slots=True)
class TextTable:
    """Text of a table: its columns, and for each row its line in the file.

    Attributes
    ----------
    path : Path
    header : list of str
        Names of the columns, without blanks around them.
    lines : list of int
    rows : list of list of str
        As many cells as columns each.
    delimiter : str
        What parts the columns.
    """

    path: Path
    header: list[str]
    lines: list[int]
    rows: list[list[str]]
    delimiter: str = ","

    def __contains__(self, column: str) -> bool:
        return column in self.header

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, name: str) -> list[str]:
        """Text of a column, a cell a row."""
        at = self.header.index(name)
        return [row[at] for row in self.rows]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Numbers of a column, (N,); NaN where a cell is empty.

        Raises
        ------
        DatasetError
            If a cell holds anything else, or points and commas both stand in the column's numbers.
        """
        texts = self.column(name)
        empty = np.array([not text for text in texts], bool)
        point = [bool(_POINT_NUMBER.fullmatch(text)) for text in texts]
        comma = [
            not known and bool(_COMMA_NUMBER.fullmatch(text))
            for known, text in zip(point, texts, strict=True)
        ]
        for i, text in enumerate(texts):
            if not (empty[i] or point[i] or comma[i]):
                raise self.refusal(i, f"{name} is {text!r}, no number; {_cure_of(text)}")
            if comma[i] and self.delimiter == "," and _EITHER.fullmatch(text):
                whole, part = text.split(",")
                raise self.refusal(
                    i, f"{name} is {text!r}, which may be {whole}{part} or {whole}.{part}; write one of these"
                )
        if any(comma):
            first = comma.index(True)
            for i, text in enumerate(texts):
                if point[i] and "." in text:
                    raise self.refusal(
                        i,
                        f"{name} is {text!r}, with a point, but line {self.lines[first]} has "
                        f"{texts[first]!r}, with a comma; write all numbers of a column in one way",
                    )
        return np.array(
            [
                math.nan if gone else float(text.replace(",", "."))
                for gone, text in zip(empty, texts, strict=True)
            ],
            np.float64,
        )

    def refusal(self, row: int, why: str) -> DatasetError:
        """Error that names the file and a row's line."""
        return DatasetError(f"{self.path}: line {self.lines[row]}: {why}")

    def refuse_repeated_columns(self) -> None:
        """Raise if two columns have one name, as only one of them could be read."""
        for name in self.header:
            if name and self.header.count(name) > 1:
                raise DatasetError(
                    f"{self.path}: column {name!r} occurs {self.header.count(name)} times; keep one"
                )

    def need(self, columns: Iterable[str], cure: str) -> None:
        """Raise, naming the columns that there are, if one is missing."""
        for name in columns:
            if name not in self.header:
                raise DatasetError(
                    f"{self.path}: the column {name!r} is missing, there are "
                    f"{', '.join(self.header) or 'none'}; {cure}"
                )

    def to_frame(self, numbers: Sequence[str] = ()) -> "pd.DataFrame":
        """Return the table as text, empty where a cell is; the columns `numbers` are float64."""
        import pandas as pd

        found: dict[str, object] = {
            name: self.numbers(name) if name in numbers else self.column(name) for name in self.header if name
        }
        return pd.DataFrame(found, index=range(len(self.rows)))


def read_table(path: Path, names: Iterable[str] = (), complete: bool = False, option: str = "") -> TextTable:
    """Read a table with a line of column names.

    Parameters
    ----------
    path : Path
    names : iterable of str
        Columns that a caller looks for: one that is written otherwise only in case or blanks
        (``Truth``, ``SLIDE``) gets this name.
    complete : bool
        Whether a row with fewer cells than the header is refused; else what is missing is empty.
    option : str
        What the file was given for, as ``--truth``; for the message where it cannot be read.

    Raises
    ------
    DatasetError
        If the file cannot be read, is no text, or a row does not fit the header; line and cure are named.
    """
    text = _text_of(path, option)
    first, _, rest = text.partition("\n")
    told = re.fullmatch(r"\"?sep=(.)\"?\r?", first.strip("\ufeff"), re.IGNORECASE)  # Excel's own hint
    skipped = 1 if told else 0
    delimiter = told[1] if told else _delimiter_of(text)
    reader = csv.reader(io.StringIO(rest if told else text, newline=""), delimiter=delimiter)
    try:
        header = [unguarded(name.strip()) for name in next(reader, [])]
        found = [(reader.line_num + skipped, [unguarded(cell.strip()) for cell in row]) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}: is no CSV text ({error}); save it as 'CSV UTF-8'") from error
    wanted = {_plain(name): name for name in names}
    exact = set(header)
    header = [new if (new := wanted.get(_plain(name), name)) not in exact else name for name in header]
    while header and not header[-1]:  # a spreadsheet's empty columns to the right
        header.pop()
    kept = [(line, row) for line, row in found if any(row)]
    rows = [_fitting(row, header, line, path, delimiter, complete) for line, row in kept]
    return TextTable(path, header, [line for line, _ in kept], rows, delimiter)


def _fitting(
    row: list[str], header: list[str], line: int, path: Path, delimiter: str, complete: bool
) -> list[str]:
    """Cells of a row, as many as the header has."""
    more = row[len(header) :]
    if any(more) or (complete and len(row) < len(header)):
        cure = "write numbers with a decimal point, and text that holds commas in quotes"
        if delimiter != ",":
            cure = f"put text that holds {'a tab' if delimiter == chr(9) else delimiter!r} in quotes"
        raise DatasetError(f"{path}: line {line} has {len(row)} cells, the header {len(header)}; {cure}")
    return [*row[: len(header)], *[""] * (len(header) - len(row))]


def _text_of(path: Path, option: str) -> str:
    """Text of a file in UTF-8, UTF-16, or Windows' Western European code page."""
    try:
        data = path.read_bytes()
    except OSError as error:
        asked = f"give {option} a CSV file" if option else "give a CSV file"
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); {asked}") from error
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DatasetError(f"{path}: is a workbook, not a table of text; save the sheet as 'CSV UTF-8'")
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            return _decoded(data, encoding, path)
    if b"\0" in data[:200]:  # UTF-16 without a mark: every second byte of plain text is 0
        return _decoded(data, "utf-16-le" if data[1:2] == b"\0" else "utf-16-be", path)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _decoded(data, "cp1252", path)


def _decoded(data: bytes, encoding: str, path: Path) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is no text ({error.reason}); save it as 'CSV UTF-8'") from error
    if "\0" in text:
        raise DatasetError(f"{path}: is no text (it holds zero bytes); save it as 'CSV UTF-8'")
    return text


def _delimiter_of(text: str) -> str:
    """Tell what parts the names of the first line that is not empty."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=unquoted.count)


def _plain(name: str) -> str:
    return "_".join(name.casefold().replace("_", " ").split())


def _cure_of(text: str) -> str:
    if _DATE.fullmatch(text):
        return (
            "a spreadsheet has turned a number into a date; read the original table again by Data > From "
            "Text with the column as text"
        )
    return "write it as 12.5, or leave the cell empty"


def told_lines(rows: Sequence[str]) -> str:
    """Join what is wrong in several lines, the first ones of many."""
    more = len(rows) - _MOST_TOLD
    return "; ".join(rows[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")
