"""``report.csv`` and ``cells.csv``; their column names are stable, other programs read them."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from smearscan.errors import ConfigError
from smearscan.results import FieldFailure, FieldResult
from smearscan.slide import COUNTED, HEALTHY, SlideReport
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, OTHER

CELL_COLUMNS = (
    "slide",
    "field",
    "x0",
    "y0",
    "x1",
    "y1",
    "score",
    "type",
    "type_probability",
    "blast_probability",
)


def cells_frame(results: Iterable[FieldResult | FieldFailure], root: Path | None = None) -> pd.DataFrame:
    """Return one row a leukocyte.

    Parameters
    ----------
    results : iterable of FieldResult or FieldFailure
        Failures have no cells.
    root : Path, optional
        ``field`` is the picture's path relative to it, where it lies below.

    Returns
    -------
    DataFrame
        :data:`CELL_COLUMNS`, then ``p_CLASS`` for each class of the differential. Boxes in pixels of the
        field as displayed.
    """
    rows = []
    classes: tuple[str, ...] = ()
    for result in results:
        if isinstance(result, FieldFailure):
            continue
        classes = result.classes or classes
        where = _relative(result.path, root)
        for cell in result:
            values = (
                result.slide_id,
                where,
                *(round(v, 1) for v in cell.xyxy),
                round(cell.score, 4),
                cell.type,
                round(cell.type_probability, 4),
                round(cell.blast_probability, 4),
                *(round(p, 4) for p in cell.probabilities.values()),
            )
            rows.append(values)
    return pd.DataFrame(rows, columns=[*CELL_COLUMNS, *(f"p_{name}" for name in classes)])


def report_frame(reports: Iterable[SlideReport]) -> pd.DataFrame:
    """Return one row a slide; percentages are of counted leukocytes, see :mod:`smearscan.differential`."""
    return pd.DataFrame([_report_row(report) for report in reports])


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(part, index=False)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from error


def _report_row(report: SlideReport) -> dict[str, object]:
    count = report.differential
    low, high = report.blast_interval
    percent = dict(zip(count.classes, count.percent, strict=True))
    row: dict[str, object] = {
        "slide": report.slide_id,
        "n_fields": report.tally.n_fields,
        "n_failed_fields": report.tally.n_failed,
        "n_leukocytes": report.n_leukocytes,
        "n_unclassified": report.n_unclassified,
    }
    # a class that the net in use does not know was not looked for, which is not the same as none found
    named = HEALTHY not in count.classes
    known = (*count.classes, OTHER) if named else ()
    row |= {name: report.tally.types[name] if name in known else None for name in DIFFERENTIAL_CLASSES}
    row |= {f"{name}_percent": _rounded(percent.get(name, np.nan)) for name in COUNTED}
    row |= {
        "blast_count": report.tally.types[BLAST] if BLAST in count.classes else None,
        "blast_percent": _rounded(report.blast_percent),
        "blast_low": _rounded(low),
        "blast_high": _rounded(high),
        "flag": report.flag.state,
        "flag_reason": report.flag.reason,
        "um_per_px": float(f"{report.scale.um_per_px:.5g}"),
        "ruler": report.scale.ruler,
        "weights": " ".join(report.weights),
        "n_counted": count.total,
        "n_red_cells": report.tally.n_red_cells,
        "failures": "; ".join(failure.reason for failure in report.tally.failures),
        "notice": report.notice,
    }
    own = [name for name in count.classes if name not in (*DIFFERENTIAL_CLASSES, HEALTHY, BLAST)]
    row |= {name: count.count(name) for name in own}
    row |= {f"{name}_percent": _rounded(percent[name]) for name in own}
    return row


def _rounded(value: float) -> float:
    return round(float(value), 2)


def _relative(path: Path | None, root: Path | None) -> str:
    if path is None:
        return ""
    base = root.parent if root is not None and root.is_file() else root
    return path.relative_to(base).as_posix() if base is not None and path.is_relative_to(base) else str(path)
