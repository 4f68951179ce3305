"""``smearscan validate``: a report against counts by hand."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)


@click.command("validate")
@click.option(
    "--truth",
    type=_PATH,
    required=True,
    help="CSV counted by hand: slide, NAME_percent of each class (or counts NAME), blast_percent; optional "
    "n_counted, reader, leukemia.",
)
@click.option(
    "--report",
    "reports",
    type=_PATH,
    required=True,
    multiple=True,
    help="Report of 'smearscan run'. Repeatable: further ones are repeats of the same slides (precision).",
)
@click.option("--out", type=_PATH, required=True, help="Folder for validation.json, .csv and .html.")
@click.option(
    "--flag-percent",
    type=click.FloatRange(0, 100, min_open=True),
    default=20.0,
    show_default=True,
    help="Blasts by hand that make a slide leukemic, where the table has no column leukemia.",
)
@click.option(
    "--bands", default="5,10,20", show_default=True, help="Limits between the categories of blasts, percent."
)
@click.option(
    "--truth-cells",
    type=click.IntRange(min=1),
    help="Cells counted in each row by hand, where the table has no n_counted.",
)
def command(
    truth: Path,
    reports: tuple[Path, ...],
    out: Path,
    flag_percent: float,
    bands: str,
    truth_cells: int | None,
) -> None:
    """Compare a report with counts by hand, as method-comparison studies of hematology analyzers do.

    Research use only, never a diagnosis. Slides that only one table has are named, not dropped.
    """
    from smearscan.cli.rich_console import err
    from smearscan.errors import ConfigError
    from smearscan.method_comparison.page import write_study
    from smearscan.method_comparison.study import validate

    limits = _limits(bands)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; --out is the folder to write to")
    study, table = validate(truth, reports, flag_percent, limits, truth_cells)
    files = write_study(study, table, out)
    click.echo(summary(study))
    for remark in study["remarks"]:
        err.print(remark, markup=False, highlight=False, soft_wrap=True)
    written = ", ".join(str(file) for file in files)
    err.print(f"written: {written}", markup=False, highlight=False, soft_wrap=True)
    err.print(study["notice"], style="dim")


def _limits(text: str) -> list[float]:
    """Read ``5,10,20``."""
    try:
        limits = [float(part) for part in text.split(",")]
    except ValueError:
        limits = []
    rising = all(low < high for low, high in pairwise(limits))
    if not limits or not rising or not 0 < limits[0] <= limits[-1] < 100:
        told = f"{text!r} is no rising list of percentages between 0 and 100; write for example 5,10,20"
        raise click.BadParameter(told, param_hint="--bands")
    return limits


def summary(study: dict[str, Any]) -> str:
    """Give one line a class, then the categories of blasts and the flag."""
    from smearscan.method_comparison.page import figure_text
    from smearscan.report.page import number_text

    head = ("class", "slides", "bias, points", "limits of agreement", "slope", "Pearson r")
    lines = [head]
    for name, part in study["classes"].items():
        figures, n = part["figures"], str(len(part["slides"]))
        if figures["bias"]["value"] is None:
            lines.append((name, n, f"not told: {figures['bias']['reason']}", "", "", ""))
            continue
        limits = " to ".join(number_text(figures[key]["value"], 1) for key in ("lower_limit", "upper_limit"))
        slope, r = figure_text(figures["slope"]), figure_text(figures["pearson"], 3)
        lines.append((name, n, figure_text(figures["bias"], 1), limits, slope, r))
    told = len(head) - 1
    widths = [max(len(line[i]) for line in lines if line[told] or i < 2) for i in range(len(head))]
    rows = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    if study["bands"]:
        kappa = figure_text(study["bands"]["figures"]["kappa_linear"])
        rows += ["", f"blast categories: weighted kappa (linear) {kappa}"]
    flag = study["flag"]
    if "reason" in flag:
        return "\n".join([*rows, f"flag: {flag['reason']}"])
    rates = ", ".join(
        f"{key} {figure_text(flag['figures'][key], 1)}" for key in ("sensitivity", "specificity")
    )
    rows.append(f"flag, percent: {rates}; insufficient: {len(flag['insufficient'])}")
    return "\n".join(rows)
