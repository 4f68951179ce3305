"""Turns the runs of a protocol into figures: of each set, of all, of each run, and how repeats differ."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.experiments import scores
from smearscan.experiments.cross_validation import Results, Run
from smearscan.experiments.leak_guard import Leaks
from smearscan.taxonomy import NOTICE

Figures = dict[str, Any]


def summarize(results: Results, protocol: str, leaks: Sequence[Leaks], site: str = "") -> Figures:
    """Compute all figures of a finished protocol, ready for JSON.

    A cell that several repeats scored counts once among ``cells``; its group is drawn with all of its scores.

    Parameters
    ----------
    results : Results
    protocol : str
        ``holdout``, ``kfold`` or ``lodo``.
    leaks : sequence of Leaks
        What the leak guard found in front of the runs, of each seed's folds.
    site : str, optional
        The site that was folded, or those that were left out where not all were.

    Returns
    -------
    dict
        ``all`` (every scored cell), ``sets`` (by site) and ``mean_over_sets``, ``each`` (a run: its facts,
        figures, learning curve), ``over_seeds`` and ``over_runs`` (mean and standard deviation), ``leaks``.
        A set's figures hold the points of its ``roc`` and ``reliability`` curves.
    """
    cells = pd.concat([one.scores.assign(seed=one.seed) for one in results.runs], ignore_index=True)
    cells = cells[cells["target"] >= 0].reset_index(drop=True)
    sets = dict(_sets(cells, results.classes))
    each = [_of_run(one, results.classes) for one in results.runs]
    by_seed = [_figures(part, results.classes) for _, part in cells.groupby("seed")]
    return {
        "notice": NOTICE,
        "name": results.config.name,
        "protocol": protocol,
        "site": site,
        "folds": len({one.split for one in results.runs}),
        "seeds": sorted({one.seed for one in results.runs}),
        "start": results.start,
        "classes": list(results.classes),
        "rounds": scores.ROUNDS,
        "leaks": _leaks(leaks),
        "all": _drawn(cells, results.classes)[0],
        "sets": {name: figures for name, (figures, _) in sets.items()},
        "mean_over_sets": _mean_over(sets) if len(sets) > 1 else None,
        "over_seeds": _over(by_seed) if len(by_seed) > 1 else None,
        "over_runs": _over([one["figures"] for one in each]) if len(each) > 1 else None,
        "each": each,
        "config": results.config.model_dump(mode="json"),
    }


def card_figures(summary: Figures) -> Figures:
    """Return what of a summary belongs on a card: no curves, no settings."""
    bare = {"roc", "reliability"}
    figures = [
        {k: v for k, v in one.items() if k not in bare} for one in (summary["all"], *_of_each(summary))
    ]
    told = {key: summary[key] for key in ("protocol", "site", "folds", "seeds")}
    return {**told, "leaked": summary["leaks"]["leaked"], "all": figures[0], "each": figures[1:]}


def _of_each(summary: Figures) -> Iterator[Figures]:
    return (one["figures"] for one in summary["each"])


def _probs(cells: pd.DataFrame, classes: tuple[str, ...]) -> NDArray[np.float64]:
    return cells[[f"p_{name}" for name in classes]].to_numpy(np.float64)


def _figures(cells: pd.DataFrame, classes: tuple[str, ...]) -> Figures:
    return scores.figures(_probs(cells, classes), cells, classes, cells["threshold"].to_numpy())


def _drawn(cells: pd.DataFrame, classes: tuple[str, ...]) -> tuple[Figures, dict[str, NDArray[np.float64]]]:
    """Figures with the points of their curves, and the draws they come from."""
    probs, threshold = _probs(cells, classes), cells["threshold"].to_numpy()
    drawn = scores.draws(probs, cells, classes, threshold)
    figures = scores.figures(probs, cells, classes, threshold, drawn)
    return figures | scores.curves(probs, cells, classes), drawn


def _sets(
    cells: pd.DataFrame, classes: tuple[str, ...]
) -> Iterator[tuple[str, tuple[Figures, dict[str, NDArray[np.float64]]]]]:
    for name, part in cells.groupby("site"):
        yield str(name), _drawn(part, classes)


def _mean_over(sets: dict[str, tuple[Figures, dict[str, NDArray[np.float64]]]]) -> Figures:
    counts = {name: {n: figures[n] for n in ("cells", "groups")} for name, (figures, _) in sets.items()}
    return scores.mean_over({name: drawn for name, (_, drawn) in sets.items()}, counts)


def _of_run(one: Run, classes: tuple[str, ...]) -> Figures:
    facts = {k: v for k, v in one.facts.items() if k not in ("config", "classes")}
    learned = one.scores[one.scores["target"] >= 0]
    curves = one.curves.drop(columns="seconds", errors="ignore")
    return {**facts, "figures": _figures(learned, classes), "curves": curves.to_dict("list")}


def _over(figures: list[Figures]) -> Figures:
    return scores.mean_sd_over_runs(
        {name: [one[name]["value"] for one in figures] for name in scores.METRICS}
    )


def _leaks(leaks: Sequence[Leaks]) -> Figures:
    """Of the first seed's folds, and of each further seed's where they leak."""
    told = [one for i, one in enumerate(leaks) if not i or one.leaked]
    return {
        "leaked": any(one.leaked for one in leaks),
        "text": "\n".join(dict.fromkeys(one.text() for one in told)),
        "findings": [asdict(finding) for one in told for finding in one.findings],
    }
