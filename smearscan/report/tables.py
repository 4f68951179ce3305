"""Tables as files, written slide by slide: memory holds one slide at a time."""

import csv
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from smearscan.differential import SlideReport
from smearscan.differential.slide_report import report_row
from smearscan.io.atomic import atomic_text
from smearscan.io.formulas import guarded
from smearscan.report.slide_summary import SlideSummary, summarize
from smearscan.results import FieldFailure, FieldResult, cell_columns

if TYPE_CHECKING:
    import pandas as pd

STDOUT = Path("-")
"""Given for a file, it means the standard output."""

Reports = Callable[[], Iterable[SlideReport]]


def write_csv(table: "pd.DataFrame", path: Path, for_excel: bool = False) -> None:
    """Write a table whole or not at all.

    Parameters
    ----------
    table : DataFrame
    path : Path
        A link is followed; a pipe, a device or ``-`` (standard output) is written to.
    for_excel : bool
        Whether the file begins with the mark (BOM) by which Excel knows UTF-8.

    Raises
    ------
    OutputError
        If the place cannot be written to.
    """
    with _opened(path, for_excel) as file:
        _rows(table, file)


def write_report_csv(reports: Reports, path: Path, for_excel: bool = False) -> None:
    """Write ``report.csv``, one row a slide.

    Parameters
    ----------
    reports : callable
        Gives the reports, from the first on, each time it is called: once for the columns, once for the rows.
    path : Path
    for_excel : bool
        See :func:`write_csv`.
    """
    columns: dict[str, None] = {}
    for report in reports():
        columns.update(dict.fromkeys(report_row(report)))
    with _opened(path, for_excel) as file:
        rows = map(report_row, reports())
        _write_rows(file, columns, ([row.get(name) for name in columns] for row in rows))


def write_summary_csv(reports: Iterable[SlideReport], path: Path, for_excel: bool = False) -> None:
    """Write the short table: twelve columns, one row a slide."""
    with _opened(path, for_excel) as file:
        columns = [field.name for field in fields(SlideSummary)]
        _write_rows(file, columns, (astuple(summarize(report)) for report in reports))


def write_cells_csv(
    slides: Iterable[Iterable[FieldResult | FieldFailure]],
    path: Path,
    root: Path | None = None,
    calibration: str = "",
    for_excel: bool = False,
) -> None:
    """Write ``cells.csv``, one row a leukocyte, see :func:`smearscan.results.cells_frame`.

    Parameters
    ----------
    slides : iterable of iterable of FieldResult or FieldFailure
        Taken slide by slide.
    path : Path
    root, calibration
        See :func:`smearscan.results.cells_frame`.
    for_excel : bool
        See :func:`write_csv`.
    """
    empty, _ = cell_columns([])
    written = False
    with _opened(path, for_excel) as file:
        for fields in slides:
            names, blocks = cell_columns(fields, root, calibration)
            rows = chain.from_iterable(zip(*columns, strict=True) for columns in blocks)
            first = next(rows, None)
            if first is not None:
                _write_rows(file, () if written else names, chain([first], rows))
                written = True
            elif len(names) > len(empty):
                empty = names  # names the classes that were looked for, though no cell was found
        if not written:
            _write_rows(file, empty, ())


def _write_rows(file: TextIO, columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write rows without pandas, which takes longer to load than a field to read; the bytes are the same.

    Without columns rows go on after others.
    """
    writer = csv.writer(file, lineterminator="\n")
    if names := [guarded(name) for name in columns]:
        writer.writerow(names)
    for row in rows:
        writer.writerow(map(_shown, row))


def _shown(value: object) -> object:
    """Leave a place empty where nothing is known; no text is a formula."""
    if isinstance(value, str):
        return guarded(value)
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _rows(table: "pd.DataFrame", file: TextIO) -> None:
    table = table.copy()
    for name in table.select_dtypes(exclude="number"):
        table[name] = table[name].map(_shown)
    table.columns = [guarded(str(name)) for name in table.columns]
    table.to_csv(file, index=False, lineterminator="\n")


@contextmanager
def _opened(path: Path, for_excel: bool) -> Iterator[TextIO]:
    if path == STDOUT:
        yield sys.stdout
        sys.stdout.flush()
        return
    with atomic_text(path, "utf-8-sig" if for_excel else "utf-8") as file:
        yield file
