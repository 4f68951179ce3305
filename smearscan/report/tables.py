"""Tables as files, written slide by slide: memory holds one slide at a time."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pandas as pd

from smearscan.differential import SlideReport
from smearscan.differential.slide_report import report_frame
from smearscan.io.atomic import atomic_text
from smearscan.report.slide_summary import summary_frame
from smearscan.results import FieldFailure, FieldResult, cells_frame

STDOUT = Path("-")
"""Given for a file, it means the standard output."""

Reports = Callable[[], Iterable[SlideReport]]


def write_csv(table: pd.DataFrame, path: Path, for_excel: bool = False) -> None:
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
        columns.update(dict.fromkeys(report_frame([report]).columns))
    with _opened(path, for_excel) as file:
        _rows(pd.DataFrame(columns=list(columns)), file)
        for report in reports():
            _rows(report_frame([report]).reindex(columns=list(columns)), file, header=False)


def write_summary_csv(reports: Iterable[SlideReport], path: Path, for_excel: bool = False) -> None:
    """Write the short table: twelve columns, one row a slide."""
    with _opened(path, for_excel) as file:
        _rows(summary_frame([]), file)
        for report in reports:
            _rows(summary_frame([report]), file, header=False)


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
    empty = cells_frame([])
    written = False
    with _opened(path, for_excel) as file:
        for fields in slides:
            table = cells_frame(fields, root, calibration)
            if len(table):
                _rows(table, file, header=not written)
                written = True
            elif len(table.columns) > len(empty.columns):
                empty = table  # names the classes that were looked for, though no cell was found
        if not written:
            _rows(empty, file)


def _rows(table: pd.DataFrame, file: TextIO, header: bool = True) -> None:
    table.to_csv(file, index=False, header=header, lineterminator="\n")


@contextmanager
def _opened(path: Path, for_excel: bool) -> Iterator[TextIO]:
    if path == STDOUT:
        yield sys.stdout
        sys.stdout.flush()
        return
    with atomic_text(path, "utf-8-sig" if for_excel else "utf-8") as file:
        yield file
