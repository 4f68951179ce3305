"""Bars, tables and colors, for commands that show them; importing rich costs a scan a tenth of its start."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

err = Console(stderr=True)
out = Console()


@contextmanager
def bar(title: str, total: int | None) -> Iterator[Callable[[str], None]]:
    """Show a bar; calling the given function with a word advances it by one."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=err, disable=not err.is_terminal) as shown:
        task = shown.add_task(title, total=total)
        yield lambda word: shown.update(task, advance=1, description=f"{title} {word}")


@contextmanager
def training(epochs: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """Show a bar of epochs with the latest figures; one line an epoch where there is no terminal."""
    with bar("Training", epochs) as advance:

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
