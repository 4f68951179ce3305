"""The results of a protocol as CSV, JSON, Markdown and one HTML page, with pictures.

They tell what :func:`smearscan.experiments.cross_validation_summary.summarize` found, or its
``results.json`` read again.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from smearscan.errors import ConfigError
from smearscan.experiments.cross_validation_plots import Picture, pictures
from smearscan.report.figures import json_of_figures
from smearscan.report.page import plain_name, render, svg
from smearscan.report.tables import write_csv

Summary = Mapping[str, Any]

METRICS = {
    "accuracy": "Accuracy",
    "accuracy_within_present_classes": "Accuracy within present classes",
    "accuracy_on_trained_classes": "Accuracy on trained classes",
    "accuracy_on_trained_and_present_classes": "The same among its own types",
    "balanced_accuracy": "Balanced accuracy",
    "precision": "Precision",
    "recall": "Recall (sensitivity)",
    "specificity": "Specificity",
    "f1": "F1",
    "false_negatives": "False negatives",
    "auroc": "AUROC",
    "calibration_error": "Calibration error",
}
LEAKED = "LEAKED: cells or groups are on both sides of a fold; these figures are too good and prove nothing."
"""Stands above everything that is written of leaked folds."""

_TILES = {
    False: ("accuracy", "balanced_accuracy", "f1", "auroc", "calibration_error"),
    True: ("auroc", "recall", "specificity", "f1", "calibration_error"),
}
"""What stands large at the top: of many classes, and of a net that is asked for blasts."""

_FACTS = ("training_seconds", "inference_ms", "parameters", "temperature", "threshold")


def write_results(summary: Summary, folder: Path) -> list[Path]:
    """Write ``results.csv``, ``.json``, ``.md`` and ``.html``, and the pictures as ``plots/NAME.png``.

    Returns
    -------
    list of Path
        The four files.

    Raises
    ------
    ConfigError
        If the folder cannot be written to.
    """
    files = [folder / f"results.{suffix}" for suffix in ("csv", "json", "md", "html")]
    drawn = pictures(summary)
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        files[1].write_text(json_of_figures(summary), encoding="utf-8")
        shown = "".join(f"\n![{one.words}](plots/{one.name}.png)\n" for one in drawn)
        files[2].write_text(markdown(summary) + shown, encoding="utf-8")
        files[3].write_text(lab_page(summary, drawn), encoding="utf-8")
        for one in drawn:
            one.figure.savefig(folder / "plots" / f"{one.name}.png", dpi=130)
    except OSError as error:
        told = f"cannot be written ({error.strerror}); give --out a folder"
        raise ConfigError(f"{folder}: {told}") from error
    write_csv(results_table(summary), files[0])
    return files


def results_table(summary: Summary) -> pd.DataFrame:
    """Give a row for each set, their mean, all cells and each run; figures with their intervals.

    Returns
    -------
    DataFrame
        ``scope`` (``set``, ``mean over sets``, ``all``, ``run``), ``name``, ``leaked``, ``cells``,
        ``groups``; ``METRIC``, ``METRIC_low``, ``METRIC_high``; of runs ``seed``, times, parameters,
        temperature, threshold.
    """
    rows = []
    for scope, name, figures in scopes(summary):
        rows.append({"scope": scope, "name": name, **_cells_of_row(figures)})
    for one in summary["each"]:
        facts = {key: one[key] for key in _FACTS}
        rows.append(
            {
                "scope": "run",
                "name": one["split"],
                "seed": one["seed"],
                **_cells_of_row(one["figures"]),
                **facts,
            }
        )
    table = pd.DataFrame(rows)
    table.insert(2, "leaked", summary["leaks"]["leaked"])
    return table


def scopes(summary: Summary) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Scope, name and figures of each set, of their mean and of all cells."""
    for name, figures in summary["sets"].items():
        yield "set", name, figures
    if summary["mean_over_sets"]:
        yield "mean over sets", f"mean of {len(summary['sets'])} sets", summary["mean_over_sets"]
        yield "all", "all cells", summary["all"]


def _cells_of_row(figures: Mapping[str, Any]) -> dict[str, Any]:
    known = [figures[m] for m in METRICS if m in figures]
    row: dict[str, Any] = {n: max(f[n] for f in known) for n in ("cells", "groups")}
    for name in METRICS:
        if name in figures:
            low, high = figures[name]["interval_95"] or (None, None)
            row |= {name: figures[name]["value"], f"{name}_low": low, f"{name}_high": high}
    return row


def markdown(summary: Summary) -> str:
    """Write the table of figures as Markdown, with what was done and what the leak guard found."""
    lines = [f"# {title(summary)}", "", f"**{summary['notice']}**", ""]
    if summary["leaks"]["leaked"]:
        lines += [f"> **{LEAKED}**", ""]
    lines += [told(summary), ""]
    lines += [
        "| | cells | groups | " + " | ".join(METRICS.values()) + " |",
        "|---" * (3 + len(METRICS)) + "|",
    ]
    mark = "LEAKED " if summary["leaks"]["leaked"] else ""
    lines += [_row(mark + name, figures) for _, name, figures in scopes(summary)]
    for key, words in (("over_seeds", "seeds"), ("over_runs", "runs")):
        if summary[key]:
            shown = [spread_text(summary[key].get(name)) for name in METRICS]
            lines.append(f"| {mark}mean ± SD over {words} | | | " + " | ".join(shown) + " |")
    lines += ["", INTERVALS, "", untaught_text(summary), "", f"Leak guard: {summary['leaks']['text']}"]
    return "\n".join(lines) + "\n"


INTERVALS = (
    "Intervals are of 95 %, from a bootstrap that draws whole groups (patients, slides, else pictures). "
    "Precision, recall, specificity, F1, false negatives (share of a class called something else) and AUROC "
    "are those of blasts for a net that is asked for them, else the mean over the classes there are."
)


def untaught_text(summary: Summary) -> str:
    """Tell which cells no training could have taught their names, set by set."""
    left = {name: figures.get("untaught") for name, figures in summary["sets"].items()}
    told = [
        f"{name} {', '.join(f'{n} of class {plain_name(kind)}' for kind, n in kinds.items())}"
        for name, kinds in left.items()
        if kinds
    ]
    return TAUGHT + (f"Left out there: {'; '.join(told)}." if told else "No cell is left out there.")


TAUGHT = "Taught types are those that training had enough cells of: no net can name what it was never shown. "


def title(summary: Summary) -> str:
    """Head line."""
    words = {"holdout": "Hold-out", "kfold": "Cross-validation", "lodo": "Leave-one-dataset-out"}
    return f"{words[summary['protocol']]}: {plain_name(summary['name'])}"


def told(summary: Summary) -> str:
    """Tell in a sentence or two what was trained and what was scored."""
    config, folds, site = summary["config"], summary["folds"], summary["site"]
    done = {
        "holdout": "one split of 70/15/15 by group",
        "kfold": f"{folds} folds by group"
        + (f" of the site {site}, all other sites helping" if site else ""),
        "lodo": f"{folds} trainings, each without the data set that it is scored on",
    }[summary["protocol"]]
    seeds = f", repeated with {len(summary['seeds'])} seeds" if len(summary["seeds"]) > 1 else ""
    schedule = f"{config['epochs']} epoch{'s' * (config['epochs'] > 1)} of {config['epoch_cells']} cells"
    return (
        f"{config['architecture']} from {summary['start']}, {schedule}; {done}{seeds}. "
        f"{len(summary['classes'])} classes: {', '.join(map(plain_name, summary['classes']))}."
    )


def _row(name: str, figures: Mapping[str, Any]) -> str:
    row = _cells_of_row(figures)
    shown = [figure_text(figures.get(metric)) for metric in METRICS]
    return f"| {name} | {row['cells']} | {row['groups']} | " + " | ".join(shown) + " |"


def figure_text(figure: Mapping[str, Any] | None) -> str:
    """Write a figure with its interval, ``0.913 (0.880 to 0.941)``; a dash where it is undefined."""
    if figure is None or figure["value"] is None:
        return "-"
    if figure["interval_95"] is None:
        return f"{figure['value']:.3f}"
    low, high = figure["interval_95"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"


def spread_text(spread: Mapping[str, Any] | None) -> str:
    """Write mean and standard deviation, ``0.913 ± 0.012``."""
    if spread is None:
        return "-"
    return (
        f"{spread['mean']:.3f} ± {spread['sd']:.3f}" if spread["sd"] is not None else f"{spread['mean']:.3f}"
    )


def lab_page(summary: Summary, drawn: Sequence[Picture]) -> str:
    """Write the results as one HTML page with style and pictures (SVG) inside."""
    mean = summary["mean_over_sets"]
    headline = mean or summary["all"]
    return render(
        "experiments/cross_validation.html.j2", {"spread": spread_text},
        summary=summary, title=title(summary), told=told(summary), leaked=LEAKED, intervals=INTERVALS,
        untaught=untaught_text(summary),
        metrics=METRICS, scopes=list(scopes(summary)), row=_cells_of_row, rounds=f"{summary['rounds']:,}",
        tiles=[(key, METRICS[key]) for key in _TILES["blasts" in summary["all"]] if key in headline],
        headline=headline, of=f"Mean of {len(summary['sets'])} data sets." if mean else "All scored cells.",
        pictures=[_inside(one) for one in drawn],
        settings=yaml.safe_dump(dict(summary["config"]), sort_keys=False, default_flow_style=None, width=110),
    )  # fmt: skip


def _inside(one: Picture) -> dict[str, Any]:
    """Give a picture as the page takes it: its address, words, and width in pixels."""
    width = round(96 * one.figure.get_figwidth())
    return {"source": svg(one.figure, one.name), "words": one.words, "width": width}
