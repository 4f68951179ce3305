"""A page of one screen a slide, to read and print in place of a table of eighty columns."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from smearscan.differential import SlideReport
from smearscan.differential.suspects import TOLD_BY_THE_FLAG
from smearscan.io.atomic import write_text
from smearscan.report.page import plain_name, render
from smearscan.report.slide_summary import printable, summarize
from smearscan.taxonomy import BLAST, NOTICE

_TEMPLATE = "report/scan_page.html.j2"


def write_scan_page(reports: Iterable[SlideReport], path: Path) -> None:
    """Write the page, one file that needs nothing beside it and runs no script.

    Raises
    ------
    OutputError
        If the place cannot be written to.
    """
    filters: dict[str, Callable[..., Any]] = {"percent": _percent, "shown": printable}
    write_text(path, render(_TEMPLATE, filters, reports=[_slide(r) for r in reports], notice=NOTICE))


def _slide(report: SlideReport) -> dict[str, Any]:
    scale = report.scale
    source = {"assumed": "assumed, nothing could be measured", "given": "as given"}
    return {
        "line": summarize(report),
        "n_fields": report.tally.n_fields,
        "n_unclassified": report.n_unclassified,
        "level": f"{100 * report.level:.4g} %",
        "classes": _classes(report),
        "fine": _fine_types(report),
        "suspects": [s.reason for s in report.suspects if s.name not in TOLD_BY_THE_FLAG],
        "doubts": [doubt.reason for doubt in report.doubts],
        "failures": [failure.reason for failure in report.tally.failures],
        "reason": report.flag_reason if report.is_like_labeled else "",
        "scale": f"{scale.um_per_px:.4g} um a pixel ({source.get(scale.source, 'by ' + scale.source)})",
        "stain": str(report.stain),
        "weights": " ".join(report.weights),
    }


def _classes(report: SlideReport) -> list[dict[str, Any]]:
    """Rows of the differential; without a row of blasts where their percentage would mislead."""
    count = report.differential
    rows = []
    for name, cells, percent in zip(count.classes, count.counts, count.percent, strict=True):
        if name == BLAST and not report.is_like_labeled:
            continue
        low, high = count.interval(name, report.level)
        rows.append(
            {
                "name": plain_name(name),
                "cells": int(cells),
                "percent": round(float(percent), 1) if count.total else None,
                "interval": f"{low:.1f} to {high:.1f}" if count.total else "-",
                "is_blast": name == BLAST,
            }
        )
    return rows


def _fine_types(report: SlideReport) -> list[dict[str, Any]]:
    """Rows of the fine types that were found; none of a slide that the networks do not know."""
    return [
        {
            "name": plain_name(share.name),
            "cells": share.count,
            "percent": round(share.percent, 1),
            "interval": f"{share.low:.1f} to {share.high:.1f}",
        }
        for share in report.fine_shares
        if share.count and report.is_like_labeled
    ]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"
