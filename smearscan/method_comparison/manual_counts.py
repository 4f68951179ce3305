"""Reading differentials by slide: the table counted by hand, and the report of a scan.

Every cell is checked, and a refusal names the file, the line, the slide, the value, the limit and the cure: a
wrong number in a table typed by hand would silently become a wrong figure of the study.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from smearscan.differential.count import COUNTED
from smearscan.errors import DatasetError
from smearscan.io.tables import TextTable, read_table
from smearscan.method_comparison.agreement import Numbers
from smearscan.method_comparison.counting_error import FLAGS
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, FOUR_CLASSES
from smearscan.taxonomy.cell_names import PLASMA_CELL, known_as, standard_name

SUM_TOLERANCE = 5.0
"""Percentage points that the percentages of a slide may miss 100 by: whole numbers of ten classes round."""

_Columns = dict[str, list[str]]
_PERCENT = "_percent"
_COLUMNS = ("slide", "reader", "n_counted", "leukemia", "flag")
LYMPHOCYTE = "lymphocyte"
_OUTSIDE = tuple(name for name in DIFFERENTIAL_CLASSES if name not in COUNTED)
_YES_NO = {
    **dict.fromkeys(("yes", "y", "true", "1", "1.0"), True),
    **dict.fromkeys(("no", "n", "false", "0", "0.0"), False),
}


@dataclass(frozen=True, slots=True)
class Counts:
    """Differentials by slide.

    Attributes
    ----------
    percent : DataFrame, (S, K)
        Index slide, a column a class; NaN where a class was not counted.
    cells : DataFrame, (S, K)
        Cells that each percentage is of; NaN where unknown.
    leukemia : dict
        Slide -> truth of the flag, None where unknown; of a table by hand with a column ``leukemia``.
    flag : dict
        Slide -> flag; of a report with that column.
    readers : dict
        Reader -> what that reader counted; of a table by hand with a column ``reader``.
    ignored : tuple of str
        Columns by hand that were not used.
    renamed : dict
        Class -> columns by hand that it was read from, where these have other names.
    """

    percent: pd.DataFrame
    cells: pd.DataFrame
    leukemia: dict[str, bool | None] = field(default_factory=dict)
    flag: dict[str, str] = field(default_factory=dict)
    readers: "dict[str, Counts]" = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    renamed: dict[str, list[str]] = field(default_factory=dict)


def read_report(path: Path) -> Counts:
    """Read a report of ``smearscan run``, one row a slide.

    Raises
    ------
    DatasetError
        If it cannot be read, a slide occurs twice, or a value is no percentage, number of cells or flag.
    """
    table = _Table.read(path, "--report")
    table.refuse_repeats(("slide",), "a report has one row a slide; give repeats as further --report files")
    # other percentages of a report (limits, corrected ones) are no classes, and have no count beside them
    known = {*COUNTED, BLAST, *table.header, *(name.removesuffix("_count") for name in table.header)}
    classes = [name for name in table.percent_columns() if name in known]
    percent = {name: table.percentages(name + _PERCENT) for name in classes}
    cells = dict.fromkeys(classes, table.cells("n_counted"))
    flags = {}
    if "flag" in table.header:
        for i, (slide, flag) in enumerate(zip(table.column("slide"), table.column("flag"), strict=True)):
            if flag not in FLAGS:
                raise table.refusal(i, f"flag is {flag!r}; 'smearscan run' writes one of {', '.join(FLAGS)}")
            flags[slide] = flag
    index = pd.Index(table.column("slide"), name="slide")
    return Counts(pd.DataFrame(percent, index), pd.DataFrame(cells, index), flag=flags)


def read_manual(path: Path, classes: Sequence[str] = (), cells: int | None = None) -> Counts:
    """Read a table counted by hand, one row a slide, or one a slide and reader.

    Parameters
    ----------
    path : Path
        CSV with ``slide``; for each class ``NAME_percent``, or for all ``NAME`` (whole numbers of cells);
        names of laboratories are understood (``seg``, ``band``: their sum is ``neutrophil``);
        optional ``n_counted``, ``reader``, ``leukemia`` (yes or no). Percentages of counts are of
        ``n_counted``, or of the sum of the counts where that is not given.
    classes : sequence of str
        Classes whose counts are known by name besides those of smearscan: what the report counts.
    cells : int, optional
        Cells counted for each row, where there is no ``n_counted``.

    Returns
    -------
    Counts
        Averaged over the readers of a slide; their cells add up.

    Raises
    ------
    DatasetError
        If a value is missing, no number or out of its range, or the percentages of a row do not make 100.
    """
    table = _Table.read(path, "--truth")
    has_readers = "reader" in table.header
    keys = ("slide", "reader") if has_readers else ("slide",)
    cure = "one row a slide and reader" if has_readers else "counts of several readers need a column 'reader'"
    table.refuse_repeats(keys, cure)
    percent, counted, used = _by_hand(table, tuple(dict.fromkeys((*COUNTED, BLAST, *classes))))
    if cells is not None and np.isnan(counted).all():
        counted = np.full(len(counted), float(cells))
    slides = table.column("slide")
    by_slide = percent.groupby(slides, sort=False)
    # a reader's cells stand behind the classes that this reader counted; one unknown number hides the sum
    of_class = pd.DataFrame({name: np.where(percent[name].notna(), counted, 0.0) for name in percent})
    total = of_class.groupby(slides, sort=False).sum(min_count=1)
    total = total.mask(of_class.isna().groupby(slides, sort=False).any())
    readers = {}
    if has_readers:
        index = pd.Index(slides, name="slide")
        own = Counts(percent.set_axis(index, axis=0), of_class.set_axis(index, axis=0))
        names = np.array(table.column("reader"), dtype=object)
        for name in dict.fromkeys(names):
            readers[str(name)] = Counts(own.percent[names == name], own.cells[names == name])
    known = {"n_counted", *keys, "leukemia", *(column for own in used.values() for column in own)}
    ignored = tuple(name for name in table.header if name not in known)
    renamed = {k: own for k, own in used.items() if own not in ([k], [k + _PERCENT])}
    return Counts(by_slide.mean(), total, _leukemia(table), readers=readers, ignored=ignored, renamed=renamed)


class _Table(TextTable):
    """A table of slides, whose refusals name the slide, too."""

    __slots__ = ()

    @classmethod
    def read(cls, path: Path, option: str) -> "_Table":
        text = read_table(path, _COLUMNS, complete=True, option=option)
        table = cls(text.path, text.header, text.lines, text.rows, text.delimiter)
        table._check()
        return table

    def _check(self) -> None:
        if "slide" not in self.header:
            raise DatasetError(
                f"{self.path}: has no column 'slide', only {', '.join(self.header) or 'nothing'}; "
                "name the slides' column 'slide'"
            )
        self.refuse_repeated_columns()
        if not self.rows:
            raise DatasetError(f"{self.path}: has a header but no slide; write one row a slide")
        for line, slide in zip(self.lines, self.column("slide"), strict=True):
            if not slide:
                raise DatasetError(f"{self.path}: line {line}: slide is empty; name it as in the other table")

    def percent_columns(self) -> list[str]:
        """Classes given in percent, without those that are no part of a differential."""
        names = [name.removesuffix(_PERCENT) for name in self.header if name.endswith(_PERCENT)]
        return [name for name in names if name not in _OUTSIDE and not _is_said_beside(name)]

    def refusal(self, row: int, why: str) -> DatasetError:
        slide = f"slide {self.column('slide')[row]}"
        reader = f", reader {self.column('reader')[row]}" if "reader" in self.header else ""
        return DatasetError(f"{self.path}: line {self.lines[row]}, {slide}{reader}: {why}")

    def refuse_repeats(self, columns: Sequence[str], cure: str) -> None:
        seen = set()
        for i, key in enumerate(zip(*(self.column(name) for name in columns), strict=True)):
            if key in seen:
                raise self.refusal(i, f"occurs a second time; {cure}")
            seen.add(key)

    def percentages(self, column: str) -> Numbers:
        values = self.numbers(column)
        for i, value in enumerate(values):
            if not (math.isnan(value) or 0 <= value <= 100):
                limit = "outside 0 to 100; percentages are of all counted leukocytes"
                raise self.refusal(i, f"{column} is {value:g}, {limit}; correct it or leave the cell empty")
        return values

    def cells(self, column: str) -> Numbers:
        """Whole numbers of cells; all NaN where there is no such column."""
        if column not in self.header:
            return np.full(len(self.rows), np.nan)
        values = self.numbers(column)
        for i, value in enumerate(values):
            if value < 0 or value % 1 > 0:
                cure = f"correct it, or call the column {column}{_PERCENT} if it holds percentages"
                raise self.refusal(i, f"{column} is {value:g}, no number of cells (0, 1, 2, ...); {cure}")
        return values


def _by_hand(table: _Table, classes: Sequence[str]) -> tuple[pd.DataFrame, Numbers, _Columns]:
    """Percentages by class, the cells they are of, and the columns that each class was read from."""
    given, counted = _columns_of_classes(table, classes)
    if given and counted:
        told = f"gives {next(iter(given))} in percent and {next(iter(counted))} as a count"
        raise DatasetError(f"{table.path}: {told}; give all as NAME{_PERCENT}, or all as NAME")
    if not given and not counted:
        raise DatasetError(
            f"{table.path}: has no class; add columns in percent (blast{_PERCENT}, ...) "
            f"or counts ({', '.join(classes)})"
        )
    cells = table.cells("n_counted")
    if given:
        percent = pd.DataFrame({name: _sum(map(table.percentages, own)) for name, own in given.items()})
        _check_sums(percent, table)
        return percent, cells, given
    counts = pd.DataFrame({name: _sum(map(table.cells, own)) for name, own in counted.items()})
    return *_of_counts(counts, cells, table), counted


def _columns_of_classes(table: _Table, classes: Sequence[str]) -> tuple[_Columns, _Columns]:
    """Columns of each class in percent, and those of each class as counts.

    A class may go by a laboratory's name and be counted in parts: band and segmented neutrophils are both
    neutrophils. Plasma cells are lymphocytes, unless a class of `classes` is called so.
    """
    given: _Columns = {}
    counted: _Columns = {}
    for column in table.header:
        base, in_percent = _percent_base(column)
        kind = base if base in classes else known_as(base, classes) or standard_name(base)
        kind = LYMPHOCYTE if kind == PLASMA_CELL and kind not in classes else kind
        if in_percent and kind not in _OUTSIDE and not _is_said_beside(base):
            known = kind in classes or kind in (*COUNTED, BLAST)
            given.setdefault(str(kind) if known else base, []).append(column)
        elif not in_percent and kind in classes:
            counted.setdefault(str(kind), []).append(column)
    # a report may stand in for a table by hand: it has counts beside its percentages
    return given, {name: own for name, own in counted.items() if name not in given}


def _is_said_beside(name: str) -> bool:
    """Tell what a report says besides its counts, and is no class: it may stand in for a count by hand."""
    return name.startswith("fine_") or name.endswith("_corrected") or "detectable" in name


def _percent_base(column: str) -> tuple[str, bool]:
    """Name of what a column counts, and whether in percent: ``blast_percent``, ``Neutrophils (%)``."""
    found = re.fullmatch(r"(.+?)[ _]*(?:percent|\(?%\)?)", column, re.IGNORECASE)
    return (found[1].strip(), True) if found else (column, False)


def _sum(columns: Iterable[Numbers]) -> Numbers:
    """Sum of columns by row; what is empty in all of them stays NaN."""
    every = np.stack(list(columns))
    return np.where(np.isnan(every).all(axis=0), np.nan, np.nansum(every, axis=0))


def _of_counts(counts: pd.DataFrame, cells: Numbers, table: _Table) -> tuple[pd.DataFrame, Numbers]:
    """Percentages of counts, and the cells they are of."""
    names, total = list(counts), counts.to_numpy()
    total = np.nansum(total, axis=1)
    if len(names) == 1 and np.isnan(cells).any():
        cure = f"add n_counted or the other classes, or give {names[0]}{_PERCENT}"
        raise DatasetError(f"{table.path}: counts {names[0]} alone, which makes no percentage; {cure}")
    partly = counts.isna().any(axis=1) & counts.notna().any(axis=1) & np.isnan(cells)
    for i in np.flatnonzero(partly):
        gone = next(name for name in names if np.isnan(counts[name].iloc[i]))
        raise table.refusal(
            int(i),
            f"{gone} is empty, so that the others' percentages are not known; write 0, or add n_counted",
        )
    for i in np.flatnonzero(total > cells):
        told = f"the counts add up to {total[i]:g}, more than n_counted, {cells[i]:g}"
        raise table.refusal(int(i), f"{told}; correct one of them")
    cells = np.where(np.isnan(cells), total, cells)
    return 100 * counts.div(np.where(cells > 0, cells, np.nan), axis=0), cells


def _check_sums(percent: pd.DataFrame, table: _Table) -> None:
    """Refuse rows that add up to more than 100, or to less although the main classes are given."""
    total = np.nansum(percent.to_numpy(), axis=1)
    main = [name for name in FOUR_CLASSES if name in percent]
    complete = percent[main].notna().all(axis=1).to_numpy() & (len(main) == len(FOUR_CLASSES))
    wrong = (total > 100 + SUM_TOLERANCE) | (complete & (total < 100 - SUM_TOLERANCE))
    for i in np.flatnonzero(wrong):
        told = f"the percentages add up to {total[i]:g}, more than {SUM_TOLERANCE:g} off 100"
        cure = f"correct them, or add the class that is missing as a column NAME{_PERCENT}"
        raise table.refusal(int(i), f"{told}; {cure}")


def _leukemia(table: _Table) -> dict[str, bool | None]:
    """Truth of the flag by slide; None where no reader gives one."""
    found: dict[str, bool | None] = {}
    if "leukemia" not in table.header:
        return found
    for i, (slide, text) in enumerate(zip(table.column("slide"), table.column("leukemia"), strict=True)):
        if text and text.lower() not in _YES_NO:
            raise table.refusal(i, f"leukemia is {text!r}; write yes or no, or leave the cell empty")
        said, before = _YES_NO.get(text.lower()), found.get(slide)
        if None not in (said, before) and said != before:
            raise table.refusal(i, f"leukemia is {text!r}, but another reader says otherwise; agree on one")
        found[slide] = before if said is None else said
    return found
