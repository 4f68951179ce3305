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


def comparison_table(compared: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print figures of two networks on the same cells, and their paired difference, with intervals."""
    from rich.table import Table

    from smearscan.experiments.measure_classifier import COMPARED

    columns = ("before", "after", "difference")
    table = Table("", *columns, box=None)
    for name, row in compared.items():
        shown = (_with_interval(row[column], signed=column == "difference") for column in columns)
        table.add_row(COMPARED[name], *shown)
    out.print(table)
    one = next(iter(compared.values()))["after"]
    err.print(
        f"{one['cells']} cells of {one['groups']} groups; in brackets 95 % intervals over groups: where the "
        "difference's holds 0, chance explains it",
        markup=False, highlight=False,
    )  # fmt: skip


def _with_interval(estimate: Mapping[str, Any], signed: bool) -> str:
    sign, limits = "+" if signed else "", estimate["interval_95"]
    interval = f" ({limits[0]:{sign}.3f} to {limits[1]:{sign}.3f})" if limits else ""
    return f"{estimate['value']:{sign}.3f}{interval}"
