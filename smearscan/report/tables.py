"""``report.csv`` and ``cells.csv``; their column names are stable, other programs read them."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd

from smearscan.errors import ConfigError
from smearscan.results import FieldFailure, FieldResult
from smearscan.slide import COUNTED, SlideReport
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, HEALTHY, OTHER, OUTSIDE

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


_PACKED = 1000  # cells at least


def cells_frame(
    results: Iterable[FieldResult | FieldFailure], root: Path | None = None, calibration: str = ""
) -> pd.DataFrame:
    """Return one row a leukocyte.

    Parameters
    ----------
    results : iterable of FieldResult or FieldFailure
        Failures have no cells.
    root : Path, optional
        ``field`` is the picture's path relative to it, where it lies below.
    calibration : str
        Name of the card that changed the probabilities; empty where none did.

    Returns
    -------
    DataFrame
        :data:`CELL_COLUMNS`, ``p_CLASS`` for each class of the differential, ``um_per_px``, ``calibration``.
        Boxes in pixels of the field as displayed.
    """
    frames: list[pd.DataFrame] = []
    rows: list[tuple[object, ...]] = []
    classes: tuple[str, ...] = ()

    def packed() -> list[pd.DataFrame]:
        named = [f"p_{name}" for name in classes]
        return [pd.DataFrame(rows, columns=[*CELL_COLUMNS, *named, "um_per_px", "calibration"])]

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
                *map(_digits, (cell.type_probability, cell.blast_probability, *cell.probabilities.values())),
                _digits(result.scale.um_per_px),
                calibration,
            )
            rows.append(values)
        if len(rows) >= _PACKED:  # Python's numbers take four times the room of a table's
            frames += packed()
            rows = []
    if rows or not frames:
        frames += packed()
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


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
    row |= {name: count.count(name) if name in count.classes else None for name in COUNTED}
    row |= {OTHER: report.n_other if set(OUTSIDE) & set(report.named) else None}
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
    row |= _outside(report) | _certainty(report) | _corrections(report)
    own = [name for name in count.classes if name not in (*DIFFERENTIAL_CLASSES, HEALTHY, BLAST)]
    row |= {name: count.count(name) for name in own}
    row |= {f"{name}_percent": _rounded(percent[name]) for name in own}
    return row


def _outside(report: SlideReport) -> dict[str, object]:
    """Cells outside the denominator, and how many come to 100 leukocytes."""
    names = [name for name in OUTSIDE if name != OTHER]
    row: dict[str, object] = {
        name: report.tally.types[name] if name in report.named else None for name in names
    }
    return row | {
        f"{name}_per_100": _rounded(report.per_100(name)) if name in report.named else None for name in names
    }


def _certainty(report: SlideReport) -> dict[str, object]:
    """Intervals for counting alone, the flag as a test, and how much was read."""
    count, test, flag = report.differential, report.test, report.flag
    row: dict[str, object] = {}
    for name in COUNTED:
        low, high = count.interval(name, report.level) if name in count.classes else (np.nan, np.nan)
        row |= {f"{name}_low": _rounded(low), f"{name}_high": _rounded(high)}
    corrected = report.corrected
    above = dict(zip(report.rule.tiers, corrected.above[0], strict=True)) if corrected else {}
    return row | {
        "interval_level": round(report.level, 6),
        "detection_limit": report.detection_limit,
        "possible_blasts": report.tally.n_possible_blasts if BLAST in count.classes else None,
        "flag_tier": flag.tier,
        "flag_p_value": _digits(flag.p_value),
        "expected_false_blasts": _rounded(test.expected[0]) if test else None,
        "detectable_blast_percent": _rounded(test.detectable_percent[0]) if test else None,
        **{f"blast_at_least_{tier:g}": _rounded(above.get(tier, np.nan), 4) for tier in report.rule.tiers},
        "n_fields_available": report.reading.n_available or None,
        "stopped": report.reading.why,
    }


def _corrections(report: SlideReport) -> dict[str, object]:
    """Percentages corrected for the nets' errors, with intervals for counting and naming together."""
    own = report.corrected
    row: dict[str, object] = {}
    for name in (*COUNTED, BLAST):
        k = own.classes.index(name) if own and name in own.classes else None
        for part in ("percent", "low", "high"):
            value = getattr(own, part)[0, k] if k is not None else np.nan
            row[f"{name}_corrected_{part}"] = _rounded(value)
    row["correction"] = own.reasons[0] if own else "not known how these nets err"
    return row


def _rounded(value: float, digits: int = 2) -> float:
    return round(float(value), digits)


def _digits(value: float) -> float:
    """Five significant digits: small probabilities keep theirs, so that a table can be calibrated on."""
    return float(f"{value:.5g}")


def _relative(path: Path | None, root: Path | None) -> str:
    if path is None:
        return ""
    base = root.parent if root is not None and root.is_file() else root
    return path.relative_to(base).as_posix() if base is not None and path.is_relative_to(base) else str(path)
