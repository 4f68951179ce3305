"""What the terminal shows: progress and log on stderr, results on stdout."""

import logging
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from smearscan.differential.slide_report import SlideReport
from smearscan.differential.suspects import TOLD_BY_THE_FLAG
from smearscan.report.slide_summary import printable, summarize
from smearscan.scan.timing import TimingReport

err = Console(stderr=True)
out = Console()


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show a bar; calling the given function with a word advances it by one."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(title, total=total)
        yield lambda word: bar.update(task, advance=1, description=f"{title} {word}")


@contextmanager
def training(epochs: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """Show a bar of epochs with the latest figures; one line an epoch where there is no terminal."""
    with progress("Training", epochs) as advance:

        def report(row: dict[str, float]) -> None:
            told = "  ".join(f"{k} {v:.4g}" for k, v in row.items())
            advance(told) if err.is_terminal else err.print(told, markup=False, highlight=False)

        yield report


def figures_table(told: Mapping[str, Mapping[str, Any]]) -> None:
    """Print figures of labeled cells, a column a card, with 95 % intervals over slides."""
    from rich.table import Table

    from smearscan.calibration.verdict import figure_rows

    table = Table("", *told, box=None)
    for row in figure_rows(told):
        table.add_row(*row)
    out.print(table)


def account(taken: TimingReport) -> None:
    """Print what a scan took."""
    for line in taken.lines():
        err.print(line, markup=False, highlight=False)


def voice(quiet: bool) -> Callable[[str], None]:
    """Return what says a sentence on stderr; says nothing where the user wants quiet."""

    def say(text: str) -> None:
        if not quiet:
            err.print(printable(text), markup=False, highlight=False)

    return say


@contextmanager
def logging_to_terminal(quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Show the package's log on stderr: warnings; with `verbose` all of it, with the causes of failures."""

    class Sentence(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return super().format(record) if verbose else printable(record.getMessage())

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Sentence("%(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("smearscan")
    former = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(former)


_WIDTHS = (22, 8, 8, 21, 12)
"""Of the columns, with two blanks between them: 79 characters."""


def print_slides(reports: Iterable[SlideReport], to_stderr: bool = False) -> None:
    """Print a line a slide, and why its flag is what it is; 80 columns are enough."""

    def show(*columns: str) -> None:
        sized = [set_cell_size(text, width) for text, width in zip(columns, _WIDTHS, strict=True)]
        click.echo("  ".join(sized).rstrip(), err=to_stderr)

    show("slide", " counted", " no name", "blasts", "flag")
    for report in reports:
        line = summarize(report)
        no_name = "-" if line.no_name_percent is None else f"{line.no_name_percent:.0f} %"
        blasts = "-"
        if line.blast_percent is not None:
            blasts = f"{line.blast_percent:.1f} % ({line.blast_interval})"
        name = _shortened(printable(line.slide), _WIDTHS[0])
        show(name, f"{line.counted:>8}", f"{no_name:>8}", blasts, line.flag)
        abnormal = [s.reason for s in report.suspects if s.name not in TOLD_BY_THE_FLAG]
        doubts = [f"doubt: {doubt.reason}" for doubt in report.doubts]
        for text in (line.why, *abnormal, *doubts):
            for row in textwrap.wrap(text, 76):
                click.echo(f"   {row}", err=to_stderr)


def _shortened(name: str, width: int) -> str:
    """Cut a name in its middle: the numbers of slides stand at its end."""
    if cell_len(name) <= width:
        return name
    half = (width - 3) // 2
    return set_cell_size(name, half) + "..." + name[-(width - 3 - half) :]
