"""The page of a method-comparison study: one HTML file that needs nothing beside it, light and printable.

It draws what :func:`smearscan.method_comparison.study.validate` found, or its ``validation.json`` read again.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from smearscan.errors import ConfigError
from smearscan.report.figures import json_of_figures
from smearscan.report.page import MINUS, number_text, plain_name, render, svg
from smearscan.report.tables import write_csv

Study = Mapping[str, Any]

_INK, _POINT, _LINE, _BAND = "#222222", "#1f5a8a", "#b3261e", "#e3e3e3"
# What the page calls a figure
_WORDS = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "agreement": "Agreement",
    "insufficient": "Share without an answer ('insufficient')",
    "sensitivity_all": "Sensitivity, no answer counted as missed",
    "specificity_all": "Specificity, no answer counted as wrong",
    "kappa_linear": "Weighted kappa, linear weights",
    "kappa_quadratic": "Weighted kappa, quadratic weights",
}


def study_page(study: Study) -> str:
    """Write a study as one HTML page.

    Parameters
    ----------
    study : mapping
        See :func:`smearscan.method_comparison.study.validate`.

    Returns
    -------
    str
        HTML with style and pictures (SVG) inside.
    """
    pictures = {name: _pictures(name, part) for name, part in study["classes"].items()}
    return render(
        "method_comparison/study.html.j2", {"number": _typeset, "plain": plain_name},
        study=study, pictures=pictures, words=_WORDS,
    )  # fmt: skip


def write_study(study: Study, table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write ``validation.json``, ``validation.csv`` and ``validation.html``.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ConfigError
        If the folder cannot be written to.
    """
    files = [folder / f"validation.{suffix}" for suffix in ("json", "csv", "html")]
    page = study_page(study)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files[0].write_text(json_of_figures(study), encoding="utf-8")
        files[2].write_text(page, encoding="utf-8")
    except OSError as error:
        told = f"cannot be written ({error.strerror}); give --out a folder"
        raise ConfigError(f"{folder}: {told}") from error
    write_csv(table, files[1])
    return files


def figure_text(figure: Mapping[str, Any], digits: int = 2) -> str:
    """Write a figure with its interval, ``1.02 (0.95 to 1.10)``, or the reason why there is none."""
    if figure["value"] is None:
        return f"not told: {figure['reason']}"
    text = number_text(figure["value"], digits)
    if figure["low"] is None and figure["high"] is None:
        return f"{text} (no interval: {figure['reason']})" if figure["reason"] else text
    return f"{text} ({number_text(figure['low'], digits)} to {number_text(figure['high'], digits)})"


def _typeset(value: float | None, digits: int) -> str:
    """Write a number for the page: with a minus in place of the hyphen, after which lines would break."""
    return number_text(value, digits).replace("-", MINUS)


def _pictures(name: str, part: Study) -> list[dict[str, str]]:
    """Draw the two pictures of a class, as data addresses with a text for those who do not see them."""
    words = plain_name(name)
    of = f"{words}, {len(part['slides'])} slides"
    told = {key: figure_text(figure, 1) for key, figure in part["figures"].items()}
    differences = (
        f"Bland-Altman plot of {of}: bias {told['bias']}, limits of agreement {told['lower_limit']} and "
        f"{told['upper_limit']} percentage points."
    )
    regression = (
        f"Report over count by hand of {of}: Passing-Bablok slope {figure_text(part['figures']['slope'])}, "
        f"intercept {told['intercept']} percentage points."
    )
    return [
        {"source": svg(_draw_differences(words, part), f"{name} differences"), "alt": differences},
        {"source": svg(_draw_regression(words, part), f"{name} regression"), "alt": regression},
    ]


def _draw_differences(words: str, part: Study) -> Figure:
    """Draw the Bland-Altman plot: differences over means, bias, limits, their intervals shaded."""
    hand, scan = np.array(part["manual"]), np.array(part["report"])
    picture, axes = _axes(f"{words}: difference", "mean of both, %", f"report {MINUS} by hand, points")
    axes.axhline(0, color=_INK, linewidth=0.8)
    for key, style in (("bias", "-"), ("lower_limit", "--"), ("upper_limit", "--")):
        figure = part["figures"][key]
        if figure["value"] is None:
            continue
        axes.axhspan(figure["low"], figure["high"], color=_BAND, zorder=0)
        axes.axhline(figure["value"], color=_LINE, linestyle=style, linewidth=1.2)
        label = f"{key.replace('_', ' ')} {number_text(figure['value'], 1)}"
        place = {"xy": (1, figure["value"]), "xycoords": ("axes fraction", "data")}
        axes.annotate(
            label, **place, xytext=(-3, 2), textcoords="offset points", ha="right", fontsize=7, color=_LINE
        )
    _points(axes, (hand + scan) / 2, scan - hand, part)
    return picture


def _draw_regression(words: str, part: Study) -> Figure:
    """Draw the report over the count by hand, with the line of identity and the fitted one."""
    hand, scan = np.array(part["manual"]), np.array(part["report"])
    picture, axes = _axes(f"{words}: regression", "by hand, %", "report, %")
    end = max(1.0, *(1.06 * values.max() for values in (hand, scan) if values.size))
    axes.plot([0, end], [0, end], color=_INK, linestyle=":", linewidth=1, label="identity")
    slope, intercept = (part["figures"][key]["value"] for key in ("slope", "intercept"))
    if slope is not None:
        fitted = [intercept, intercept + slope * end]
        axes.plot([0, end], fitted, color=_LINE, linewidth=1.3, label="Passing-Bablok")
    _points(axes, hand, scan, part)
    axes.set(xlim=(-0.03 * end, end), ylim=(-0.03 * end, end), aspect="equal")
    axes.legend(fontsize=7, frameon=False, loc="best")
    return picture


def _axes(title: str, x: str, y: str) -> tuple[Figure, Any]:
    picture = Figure(figsize=(4.4, 3.6))
    axes = picture.subplots()
    picture.subplots_adjust(left=0.15, right=0.97, bottom=0.14, top=0.91)
    axes.set_title(title, fontsize=10, color=_INK)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return picture, axes


def _points(axes: Any, x: NDArray[np.float64], y: NDArray[np.float64], part: Study) -> None:
    """Draw the slides; those that chance does not explain differ in shape, not only in color."""
    outside = set(part["outside_counting_error"])
    far = np.array([slide in outside for slide in part["slides"]], dtype=bool)
    for chosen, marker, color, label in (
        (~far, "o", _POINT, "slide"),
        (far, "^", _LINE, "beyond counting error"),
    ):
        if chosen.any():
            axes.scatter(
                x[chosen], y[chosen], s=22, marker=marker, facecolor="none",
                edgecolor=color, linewidth=1.1, label=label, zorder=3,
            )  # fmt: skip
