"""What the terminal shows: progress and log on stderr, results on stdout."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from smearscan.differential.slide_report import SlideReport
from smearscan.scan.timing import TimingReport
from smearscan.taxonomy import NOTICE

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


def account(taken: TimingReport) -> None:
    """Print what a scan took."""
    for line in taken.lines():
        err.print(line, markup=False, highlight=False)


def summary(reports: list[SlideReport], written: Path) -> None:
    """Print one line a slide, every failure, and what the report is not."""
    table = Table("slide", "fields", "leukocytes", "blasts %", "95 % interval", "flag", box=None)
    for report in reports:
        low, high = report.blast_interval
        known = report.blast_percent == report.blast_percent
        table.add_row(
            report.slide_id,
            str(report.tally.n_fields),
            str(report.n_leukocytes),
            f"{report.blast_percent:.1f}" if known else "-",
            f"{low:.1f}-{high:.1f}" if known else "-",
            report.flag.state,
        )
    out.print(table)
    for report in reports:
        for failure in report.tally.failures:
            err.print(f"failed: {failure.reason}", style="red", markup=False)
    err.print(f"written: {written}", markup=False)
    err.print(NOTICE, style="dim")
