"""Systems side by side as CSV, JSON and Markdown: one row a system, beside what was published of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from smearscan.errors import ConfigError
from smearscan.experiments.cross_validation_report import INTERVALS, LEAKED, figure_text
from smearscan.report.figures import json_of_figures
from smearscan.report.page import plain_name
from smearscan.report.tables import write_csv
from smearscan.taxonomy import NOTICE

Row = Mapping[str, Any]

SHOWN = {
    "accuracy": "Accuracy",
    "recall": "Recall",
    "specificity": "Specificity",
    "f1": "F1",
    "auroc": "AUROC",
}
_PLAIN = (
    "system", "architecture", "regime", "start", "schedule", "cells", "groups", "trainings",
    "training_seconds", "inference_ms", "parameters", "device", "leaked", "failed",
)  # fmt: skip


_TITLES = (
    "System", *SHOWN.values(), "Training", "A cell", "Parameters", "Run here", "The work trained so",
    "The work printed",
)  # fmt: skip


def write_comparison(rows: Sequence[Row], protocol: str, folder: Path) -> list[Path]:
    """Write ``comparison.csv``, ``.json`` and ``.md``.

    Raises
    ------
    ConfigError
        If the folder cannot be written to.
    """
    files = [folder / f"comparison.{suffix}" for suffix in ("csv", "json", "md")]
    told = {"notice": NOTICE, "protocol": protocol, "systems": list(rows)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files[1].write_text(json_of_figures(told), encoding="utf-8")
        files[2].write_text(markdown(rows, protocol), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written ({error.strerror}); give --out a folder") from error
    write_csv(columns(rows), files[0])
    return files


def columns(rows: Sequence[Row]) -> pd.DataFrame:
    """One row a system: settings, figures with the limits of their intervals, costs, what was published.

    Returns
    -------
    DataFrame
        ``system, classes, architecture, regime, start, schedule, cells, groups, trainings, training_seconds``
        (of one training, mean), ``inference_ms`` (a cell), ``parameters, device, leaked, failed``; ``METRIC,
        METRIC_low, METRIC_high``; ``published_work, _result, _schedule, _start, _beware``.
    """
    made = []
    for row in rows:
        flat = {key: row.get(key) for key in _PLAIN} | {"classes": "|".join(row["classes"])}
        for name, figure in row.get("figures", {}).items():
            low, high = figure["interval_95"] or (None, None)
            flat |= {name: figure["value"], f"{name}_low": low, f"{name}_high": high}
        made.append(flat | {f"published_{key}": text for key, text in (row["published"] or {}).items()})
    return pd.DataFrame(made)


def markdown(rows: Sequence[Row], protocol: str) -> str:
    """Write one table for each set of classes: figures of different questions do not compare."""
    lines = [f"**{NOTICE}**", ""]
    if any(row["leaked"] for row in rows):
        lines += [f"> **{LEAKED}**", ""]
    for classes in dict.fromkeys(tuple(row["classes"]) for row in rows):
        own = [row for row in rows if tuple(row["classes"]) == classes]
        lines += [_headline(own, classes, protocol), ""]
        lines += ["| " + " | ".join(_TITLES) + " |", "|---" * len(_TITLES) + "|"]
        lines += [_line(row) for row in own] + [""]
    return "\n".join([*lines, *_works(rows), INTERVALS, "", TIMES]) + "\n"


TIMES = (
    "*Training* is the time of one training, *a cell* that of naming one in batches of 8, both by torch on "
    "the processor that ran the table. *Run here* is the schedule and the start of this table's figures; "
    "what the work printed is of its own data and by its own protocol, and compares with no figure here."
)


def _headline(rows: Sequence[Row], classes: tuple[str, ...], protocol: str) -> str:
    words = {
        "holdout": "one split of 70/15/15 by group",
        "kfold": "folds by group",
        "lodo": "leave one data set out",
    }
    done = next((row for row in rows if row.get("cells")), None)
    tested = f"; {done['cells']} cells of {done['groups']} groups tested" if done else ""
    named = ", ".join(map(plain_name, classes)) or "no classes"
    return f"**{named}** ({words.get(protocol, protocol)}{tested})"


def _line(row: Row) -> str:
    name = f"LEAKED {row['system']}" if row["leaked"] else str(row["system"])
    here = f"{row['regime']}; {row['schedule']}; start {row['start']}"
    if row["failed"]:
        shown = [f"failed: {row['failed']}", *[""] * (len(SHOWN) + 2)]
    else:
        shown = [figure_text(row["figures"].get(key)) for key in SHOWN]
        shown += [
            _time(row["training_seconds"]),
            f"{row['inference_ms']:.1f} ms",
            f"{row['parameters'] / 1e6:.2f} M",
        ]
    told = row["published"] or {}
    trained = f"{told['schedule']}; start {told['start']}" if told else "-"
    cells = [name, *shown, here, trained, told.get("result", "-")]
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def _works(rows: Sequence[Row]) -> list[str]:
    """List whose systems these are, and of what in their figures to beware."""
    told = [row["published"] for row in rows if row["published"]]
    lines = []
    for work in dict.fromkeys(one["work"] for one in told):
        beware = dict.fromkeys(one["beware"] for one in told if one["work"] == work and one["beware"])
        lines.append(f"- {work}" + (f". Beware: {'; '.join(beware)}" if beware else "") + ".")
    return [*lines, ""] if lines else []


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
