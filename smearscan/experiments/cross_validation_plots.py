"""Pictures of a protocol's results: figures of each set, confusion, ROC, reliability, learning curves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from smearscan.report.page import MINUS, plain_name

Summary = Mapping[str, Any]

INK, MAIN, SOFT = "#222222", "#1f5a8a", "#8a8f98"
# Told apart by people who do not see all colors (Okabe and Ito 2008, black left for 'all')
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7F3C8D",
    "#A5AA99",
    "#B3B300",
    "#666666",
)
_MOST_MATRICES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure with the name of its file and the words for those who do not see it."""

    name: str
    words: str
    figure: Figure


def pictures(summary: Summary) -> list[Picture]:
    """Draw every picture that the results have something for."""
    made = [_rows(summary), _confusions(summary), _roc(summary), _reliability(summary), _learning(summary)]
    return [one for one in made if one is not None]


def _rows(summary: Summary) -> Picture | None:
    """Draw figures with their intervals, a line a set, or a run where there is one set."""
    sets = {name: figures for name, figures in summary["sets"].items()}
    words = "data set"
    if len(sets) < 2:
        sets = {_run_name(summary, one): one["figures"] for one in summary["each"]}
        words = "run"
    if len(sets) < 2:
        return None
    lines = [
        *sets.items(),
        *([("mean of sets", m)] if (m := summary["mean_over_sets"]) else [("all", summary["all"])]),
    ]
    shown = [
        ("accuracy", "accuracy"),
        ("balanced_accuracy", "balanced accuracy"),
        ("auroc", "AUROC"),
        ("calibration_error", "calibration error"),
    ]
    if "blasts" in summary["all"]:
        shown = [
            ("auroc", "AUROC"),
            ("recall", "recall of blasts"),
            ("specificity", "specificity"),
            ("calibration_error", "calibration error"),
        ]
    picture = Figure(figsize=(10.4, 1.1 + 0.32 * len(lines)), layout="constrained")
    places = np.arange(len(lines))[::-1]
    for axes, (key, name) in zip(picture.subplots(1, len(shown), sharey=True), shown, strict=True):
        for place, (_, figures) in zip(places, lines, strict=True):
            _interval(axes, place, figures.get(key), last=place == 0)
        _plain(axes, name)
        axes.axhline(0.5, color="#d0d0d0", linewidth=0.8)
        axes.grid(axis="x", color="#ececec", linewidth=0.8)
        axes.set_yticks(places, [n for n, _ in lines], fontsize=8)
        axes.set_ylim(-0.6, len(lines) - 0.3)
        axes.tick_params(axis="y", length=0)
    return Picture("sets", f"{', '.join(n for _, n in shown)} of each {words} with 95 % intervals.", picture)


def _interval(axes: Axes, place: float, figure: Mapping[str, Any] | None, last: bool) -> None:
    if figure is None or figure["value"] is None:
        return
    color = INK if last else MAIN
    if figure["interval_95"]:
        axes.plot(figure["interval_95"], [place, place], color=color, linewidth=1.8, solid_capstyle="round")
    axes.plot(figure["value"], place, "D" if last else "o", color=color, markersize=5.5)
    axes.annotate(
        f"{figure['value']:.3f}", (figure["value"], place), xytext=(0, 4), textcoords="offset points",
        fontsize=7, color=color, ha="center",
    )  # fmt: skip


def _confusions(summary: Summary) -> Picture:
    """Draw the confusion matrix of each set and of all: counts, colored by the share of the true class."""
    parts = {"all cells": summary["all"]}
    if 1 < len(summary["sets"]) < _MOST_MATRICES:
        parts |= summary["sets"]
    classes = summary["classes"]
    wide = min(len(parts), 3 if len(classes) > 4 else 4)
    rows = -(-len(parts) // wide)
    side = 1.7 + 0.33 * len(classes)
    picture = Figure(figsize=(wide * side, rows * side), layout="constrained")
    grid = picture.subplots(rows, wide, squeeze=False).ravel()
    for axes, (name, figures) in zip(grid, parts.items(), strict=False):
        _matrix(axes, name, figures, classes)
    for axes in grid[len(parts) :]:
        axes.set_visible(False)
    words = "rows true, columns called; color by share of the true class, gray where a set has none of it"
    return Picture("confusion", f"Confusion matrices: {words}.", picture)


def _matrix(axes: Axes, name: str, figures: Mapping[str, Any], classes: Sequence[str]) -> None:
    counts = np.array(figures["confusion"], float)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    axes.set_facecolor("#f3f3f3")  # seen where a set does not have the class
    axes.imshow(np.ma.masked_invalid(share), cmap="Blues", vmin=0, vmax=1)
    for (i, j), value in np.ndenumerate(counts):
        if value:
            color = "white" if share[i, j] > 0.55 else INK
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6.5, color=color)
    names = [plain_name(c) for c in classes]
    axes.set_xticks(range(len(names)), names, rotation=50, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_title(f"{name} ({figures['cells']} cells)", fontsize=9, color=INK)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _roc(summary: Summary) -> Picture | None:
    """Draw ROC curves: of each set where a net is asked for blasts, else of each class."""
    if "blasts" in summary["all"]:
        parts = {**(summary["sets"] if len(summary["sets"]) > 1 else {}), "all cells": summary["all"]}
        lines = {n: f["roc"]["blast"] for n, f in parts.items() if "blast" in f["roc"]}
    else:
        lines = {plain_name(n): points for n, points in summary["all"]["roc"].items()}
    if not lines:
        return None
    picture = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = picture.subplots()
    axes.plot([0, 1], [0, 1], color="#c8c8c8", linestyle="--", linewidth=1)
    for color, (name, points) in zip(_colors(lines), lines.items(), strict=True):
        axes.plot(
            points["false"],
            points["true"],
            color=color,
            linewidth=1.6,
            label=f"{name}  {points['auroc']:.3f}",
        )
    _plain(axes, "ROC", f"1 {MINUS} specificity", "sensitivity")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.legend(
        title="AUROC", fontsize=7.5, title_fontsize=8, frameon=False, loc="lower right", alignment="left"
    )
    return Picture("roc", f"ROC curves of {', '.join(lines)}.", picture)


def _reliability(summary: Summary) -> Picture:
    """Draw the reliability diagram: share right over probability stated, a line a set."""
    parts = {**(summary["sets"] if len(summary["sets"]) > 1 else {}), "all cells": summary["all"]}
    picture = Figure(figsize=(5.2, 4.6), layout="constrained")
    axes = picture.subplots()
    axes.plot([0, 1], [0, 1], color="#c8c8c8", linestyle="--", linewidth=1)
    for color, (name, figures) in zip(_colors(parts), parts.items(), strict=True):
        points = figures["reliability"]
        error = figures["calibration_error"]["value"]
        axes.plot(
            [p["confidence"] for p in points], [p["correct"] for p in points], color=color, marker="o",
            markersize=3.5, linewidth=1.4, label=f"{name}  {error:.3f}",
        )  # fmt: skip
    share = "share that are blasts" if "blasts" in summary["all"] else "share right"
    _plain(axes, "Reliability", "probability stated", share)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    title = "calibration error"
    axes.legend(
        title=title, fontsize=7.5, title_fontsize=8, frameon=False, loc="upper left", alignment="left"
    )
    return Picture("reliability", "Reliability diagram: share right over the probability stated.", picture)


def _learning(summary: Summary) -> Picture | None:
    """Draw learning curves, a line a run; losses in one panel, any other score in a panel of its own."""
    runs = summary["each"]
    names = [n for n in runs[0]["curves"] if n != "epoch"]
    if not names:
        return None
    picture = Figure(figsize=(4.6 * len(names) + 1.6, 3.4), layout="constrained")
    splits = list(dict.fromkeys(one["split"] for one in runs))
    color = dict(zip(splits, _colors(splits), strict=True))
    panels = picture.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for one in runs:
            label = one["split"] if one["seed"] == runs[0]["seed"] else None
            axes.plot(
                one["curves"]["epoch"], one["curves"][name], color=color[one["split"]], linewidth=1.4,
                alpha=0.85, marker="o", markersize=2.5, label=label,
            )  # fmt: skip
        _plain(axes, plain_name(name), "epoch", "")
        axes.xaxis.get_major_locator().set_params(integer=True)
    picture.legend(
        *panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=7.5, frameon=False
    )
    return Picture("learning", f"Learning curves of {len(runs)} runs: {', '.join(names)} by epoch.", picture)


def _run_name(summary: Summary, one: Mapping[str, Any]) -> str:
    return f"{one['split']}, seed {one['seed']}" if len(summary["seeds"]) > 1 else str(one["split"])


def _colors(lines: Sequence[str] | Mapping[str, Any]) -> Iterator[str]:
    """Give a color for each line; what is of all cells is black."""
    for i, name in enumerate(lines):
        yield INK if name == "all cells" else COLORS[i % len(COLORS)]


def _plain(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    axes.set_title(title, fontsize=10, color=INK)
    axes.set_xlabel(x, fontsize=9)
    axes.set_ylabel(y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
