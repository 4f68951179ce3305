"""What the terminal shows of a scan: progress and log on stderr, results on stdout.

A scan that is watched by nobody does without rich, see :mod:`smearscan.cli.rich_console`.
"""

import logging
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import click
from rich.cells import cell_len, set_cell_size

from smearscan.differential.slide_report import SlideReport
from smearscan.differential.suspects import TOLD_BY_THE_FLAG
from smearscan.report.slide_summary import printable, summarize, whole_percent
from smearscan.scan.timing import TimingReport


@contextmanager
def progress(title: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show a bar on a terminal; calling the given function with a word advances it by one."""
    if not sys.stderr.isatty():
        yield lambda word: None
        return
    from smearscan.cli.rich_console import bar

    with bar(title, total) as advance:
        yield advance


def account(taken: TimingReport) -> None:
    """Print what a scan took."""
    for line in taken.lines():
        click.echo(line, err=True)


def voice(quiet: bool) -> Callable[[str], None]:
    """Return what says a sentence on stderr; says nothing where the user wants quiet.

    A terminal gets it in lines of whole words, all else as it is.
    """

    def say(text: str) -> None:
        if quiet:
            return
        told = printable(text)
        if sys.stderr.isatty():
            width = shutil.get_terminal_size().columns
            told = textwrap.fill(told, width, break_long_words=False, break_on_hyphens=False)
        click.echo(told, err=True)

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
        no_name = "-" if line.no_name_percent is None else f"{whole_percent(line.no_name_percent)} %"
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
