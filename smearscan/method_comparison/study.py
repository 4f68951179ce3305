"""The method-comparison study: a report against counts by hand, class by class, blasts, flag and precision.

Slides that only one table has, and slides without a value, are named in the study; none is dropped silently.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from smearscan.differential.count import COUNTED
from smearscan.errors import DatasetError
from smearscan.method_comparison import agreement
from smearscan.method_comparison import counting_error as counting
from smearscan.method_comparison.agreement import USUAL_PAIRS, Estimate
from smearscan.method_comparison.manual_counts import Counts, read_manual, read_report
from smearscan.taxonomy import BLAST, NOTICE

Study = dict[str, Any]
Figures = dict[str, Estimate]

LEVEL = 0.95
BANDS = (5.0, 10.0, 20.0)
"""Limits of blast percentages between which a slide changes its category."""

FLAG_PERCENT = 20.0
"""Blasts by hand that define acute leukemia in most entities (WHO, 5th ed., and ICC, 2022)."""

COLUMNS = ("part", "subject", "figure", "unit", "value", "low_95", "high_95", "n", "reason")

_POINTS, _PERCENT = "percentage points", "%"
_UNITS = {
    **dict.fromkeys(("bias", "sd", "lower_limit", "upper_limit", "intercept", "counting_sd"), _POINTS),
    **dict.fromkeys(("repeatability_sd", "between_sd", "total_sd"), _POINTS),
    **dict.fromkeys(("repeatability_cv", "between_cv", "total_cv", "within_counting_error"), _PERCENT),
    **dict.fromkeys(("sensitivity", "specificity", "ppv", "npv", "agreement", "insufficient"), _PERCENT),
    **dict.fromkeys(("sensitivity_all", "specificity_all"), _PERCENT),
}


def validate(
    truth: Path,
    reports: Sequence[Path],
    flag_percent: float = FLAG_PERCENT,
    bands: Sequence[float] = BANDS,
    truth_cells: int | None = None,
) -> tuple[Study, pd.DataFrame]:
    """Compare a report with counts by hand.

    Parameters
    ----------
    truth : Path
        Table counted by hand; see :func:`smearscan.method_comparison.manual_counts.read_manual`.
    reports : sequence of Path
        Reports of ``smearscan run``. The first is compared; all of them together give the precision.
    flag_percent : float
        Blasts by hand that make a slide leukemic, where the table has no column ``leukemia``; percent.
    bands : sequence of float
        Rising limits of the categories of blast percentages.
    truth_cells : int, optional
        Cells counted for each row by hand, where the table has no ``n_counted``.

    Returns
    -------
    study : dict
        All figures, tables and pairs of values; plain types, ready for JSON. A figure has ``value``, ``low``,
        ``high``, ``n`` and ``reason``.
    table : DataFrame
        One row a figure, :data:`COLUMNS`.

    Raises
    ------
    DatasetError
        If a table cannot be used, or the two have no slide or no class in common.
    """
    runs = [read_report(path) for path in reports]
    report = runs[0]
    manual = read_manual(truth, [str(name) for name in report.percent], truth_cells)
    common = [slide for slide in manual.percent.index if slide in report.percent.index]
    if not common:
        told = f"{_some(manual)} in {truth}, {_some(report)} in {reports[0]}"
        raise DatasetError(f"no slide is in both tables: {told}; name the slides alike in both")
    classes = _classes(manual, report)
    if not classes:
        told = f"{truth} counts {_names(manual.percent)}, {reports[0]} {_names(report.percent)}"
        raise DatasetError(f"no class is in both tables: {told}; name the columns by hand as the report does")
    study: Study = {
        "notice": NOTICE,
        "truth": str(truth),
        "reports": [str(path) for path in reports],
        "level": LEVEL,
        "slides": {
            "compared": common,
            "only_in_truth": [s for s in manual.percent.index if s not in report.percent.index],
            "only_in_report": [s for s in report.percent.index if s not in manual.percent.index],
        },
        "ignored_columns": list(manual.ignored),
        "renamed_columns": manual.renamed,
        "uncompared_classes": [name for name in manual.percent if name not in classes],
        "classes": {name: _class_study(manual, report, common, name) for name in classes},
        "bands": _bands(manual, report, common, tuple(bands)) if BLAST in classes else None,
        "flag": _flag_study(manual, report, common, flag_percent),
        "repeats": _repeats(runs),
        "readers": _readers(manual),
    }
    study["remarks"] = list(_remarks(study))
    table = pd.DataFrame(list(_rows(study)), columns=list(COLUMNS))
    return _plain(study), table


def _classes(manual: Counts, report: Counts) -> list[str]:
    """Classes with values in both, in the order of the report's columns; blasts last."""
    order = dict.fromkeys((*COUNTED, *report.percent))
    return [
        name
        for name in (*(name for name in order if name != BLAST), BLAST)
        if all(name in side.percent and side.percent[name].notna().any() for side in (manual, report))
    ]


def _class_study(manual: Counts, report: Counts, slides: list[str], name: str) -> Study:
    """Pairs and figures of one class."""
    hand, scan = (side.percent.loc[slides, name].to_numpy(float) for side in (manual, report))
    cells = [side.cells.loc[slides, name].to_numpy(float) for side in (manual, report)]
    both = ~np.isnan(hand) & ~np.isnan(scan)
    known = both & ~np.isnan(cells[0]) & ~np.isnan(cells[1])
    x, y = hand[both], scan[both]
    figures: Figures = {
        **agreement.bland_altman(x, y, LEVEL),
        **agreement.passing_bablok(x, y, LEVEL),
        **agreement.correlation(x, y, LEVEL),
    }
    agree = [
        counting.two_counts_agree((hand[i], scan[i]), (cells[0][i], cells[1][i]), LEVEL)
        for i in np.flatnonzero(known)
    ]
    reason = "the numbers of cells counted by hand are unknown; add a column n_counted"
    figures["within_counting_error"] = counting.share_percent(sum(agree), len(agree), LEVEL, reason)
    named = np.array(slides, dtype=object)
    return {
        "slides": named[both].tolist(),
        "manual": x.tolist(),
        "report": y.tolist(),
        "left_out": named[~both].tolist(),
        "without_cells": named[both & ~known].tolist(),
        "outside_counting_error": named[known][~np.array(agree, dtype=bool)].tolist(),
        "figures": figures,
    }


def _bands(manual: Counts, report: Counts, slides: list[str], limits: Sequence[float]) -> Study:
    """Categories of blast percentages by either method, and their weighted kappas."""
    hand, scan = (side.percent.loc[slides, BLAST].to_numpy(float) for side in (manual, report))
    both = ~np.isnan(hand) & ~np.isnan(scan)
    a, b = (np.digitize(values[both], limits).astype(np.int64) for values in (hand, scan))
    table = np.zeros((len(limits) + 1, len(limits) + 1), np.int64)
    np.add.at(table, (a, b), 1)
    middle = [f"{low:g} to <{high:g} %" for low, high in pairwise(limits)]
    return {
        "labels": [f"<{limits[0]:g} %", *middle, f"{limits[-1]:g} % and more"],
        "table": table.tolist(),
        "figures": {
            f"kappa_{weights}": agreement.weighted_kappa(a, b, len(limits) + 1, weights, LEVEL)
            for weights in ("linear", "quadratic")
        },
    }


def _flag_study(manual: Counts, report: Counts, slides: list[str], limit: float) -> Study:
    """Compare flags with the truth."""
    if not report.flag:
        return {"reason": "the report has no column 'flag'"}
    if manual.leukemia:
        truth, source = manual.leukemia, "column 'leukemia' by hand"
    elif BLAST in manual.percent:
        by_hand = manual.percent[BLAST].items()
        truth = {str(slide): None if np.isnan(p) else bool(p >= limit) for slide, p in by_hand}
        source = f"blasts by hand at or above {limit:g} %"
    else:
        return {"reason": "neither leukemia nor blasts were noted by hand"}
    known = [slide for slide in slides if truth.get(slide) is not None]
    ill = np.array([truth[slide] for slide in known], dtype=bool)
    flags = [report.flag[slide] for slide in known]
    table = counting.flag_table(ill, flags)
    wrong = {True: "not flagged", False: "flagged"}
    return {
        "truth": source,
        "table": table,
        "without_truth": [slide for slide in slides if truth.get(slide) is None],
        "insufficient": [s for s, flag in zip(known, flags, strict=True) if flag == "insufficient"],
        "wrong": [s for s, t, flag in zip(known, ill, flags, strict=True) if flag == wrong[bool(t)]],
        "figures": counting.flag_rates(table, LEVEL),
    }


def _repeats(runs: Sequence[Counts]) -> Study:
    """Precision of the scan; slides need not have been counted by hand."""
    if len(runs) < 2:
        return {"reason": "one report; give further ones of the same slides for the precision"}
    return _crossed(runs)


def _readers(manual: Counts) -> Study:
    """Precision of the counts by hand."""
    if len(manual.readers) < 2:
        return {"reason": "one reader; name several in a column 'reader' for the precision by hand"}
    return {"names": list(manual.readers), **_crossed(list(manual.readers.values()))}


def _crossed(runs: Sequence[Counts]) -> Study:
    """Precision of each class over the slides that have its value in every run."""
    slides = list(dict.fromkeys(slide for run in runs for slide in run.percent.index))
    classes = [n for n in runs[0].percent if all(n in r.percent and r.percent[n].notna().any() for r in runs)]
    found: Study = {}
    for name in classes:
        percent, cells = (
            np.stack([frame[name].reindex(slides).to_numpy(float) for frame in frames], axis=1)
            for frames in ([run.percent for run in runs], [run.cells for run in runs])
        )
        whole = ~np.isnan(percent).any(axis=1)
        named, percent, cells = np.array(slides, dtype=object), percent[whole], cells[whole]
        figures = counting.precision(percent, LEVEL)
        if percent.size and (cells > 0).all():
            figures["counting_sd"] = Estimate(counting.counting_sd(percent, cells), n=len(percent))
        found[str(name)] = {
            "slides": named[whole].tolist(),
            "left_out": named[~whole].tolist(),
            "mean": percent.mean(axis=1).tolist(),
            "sd": percent.std(axis=1, ddof=1).tolist(),
            "figures": figures,
        }
    return {"runs": len(runs), "classes": found}


def _remarks(study: Study) -> Iterator[str]:
    """Sentences that a reader of the study must not miss."""
    slides = study["slides"]
    n = len(slides["compared"])
    if n < USUAL_PAIRS:
        told = "1 slide is" if n == 1 else f"{n} slides are"
        yield f"{told} compared; {USUAL_PAIRS} are the usual minimum of a method comparison (CLSI EP09)."
    for side, where in (("only_in_truth", "counted by hand"), ("only_in_report", "in the report")):
        if slides[side]:
            yield f"Only {where}, not compared: {', '.join(slides[side])}."
    for name, part in study["classes"].items():
        if part["left_out"]:
            yield f"Without a value of {name} on one side: {', '.join(part['left_out'])}."
    if study["uncompared_classes"]:
        yield f"By hand only, not compared: {', '.join(study['uncompared_classes'])}."
    for name, columns in study["renamed_columns"].items():
        yield f"By hand, {name} is {' + '.join(columns)}."
    if study["ignored_columns"]:
        yield f"Columns by hand that were not read: {', '.join(study['ignored_columns'])}."
    flag = study["flag"]
    if flag.get("insufficient"):
        yield f"Flag 'insufficient', counted apart: {', '.join(flag['insufficient'])}."
    for key, told in (("repeats", "Not in every report"), ("readers", "Not counted by every reader")):
        parts = study[key].get("classes", {}).values()
        if missing := dict.fromkeys(slide for part in parts for slide in part["left_out"]):
            yield f"{told}, no part of that precision (some classes or all): {', '.join(missing)}."
    if flag.get("without_truth"):
        yield f"Without a truth for the flag: {', '.join(flag['without_truth'])}."


def _rows(study: Study) -> Iterator[tuple[object, ...]]:
    """Rows of the tidy table."""
    parts: list[tuple[str, str, Mapping[str, Estimate]]] = [
        ("agreement", name, part["figures"]) for name, part in study["classes"].items()
    ]
    if study["bands"]:
        parts.append(("categories", BLAST, study["bands"]["figures"]))
    parts.append(("flag", "flag", study["flag"].get("figures", {})))
    for key in ("repeats", "readers"):
        parts += [(key, name, part["figures"]) for name, part in study[key].get("classes", {}).items()]
    for part_name, subject, figures in parts:
        for name, e in figures.items():
            numbers = (None if v is None else _short(v) for v in (e.value, e.low, e.high))
            yield part_name, subject, name, _UNITS.get(name, ""), *numbers, e.n, e.reason


def _plain(value: Any) -> Any:
    """Turn figures into dictionaries and shorten numbers, for JSON."""
    if isinstance(value, Estimate):
        return _plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _short(value) if isinstance(value, float) else value


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _some(counts: Counts) -> str:
    names = [str(name) for name in counts.percent.index]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _names(percent: pd.DataFrame) -> str:
    return ", ".join(str(name) for name in percent) or "nothing"
