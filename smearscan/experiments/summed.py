"""A protocol's runs of a net of fine types, told as those of a blast net and of a differential net."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.experiments.cross_validation import Results, Run
from smearscan.taxonomy import SUMS
from smearscan.training.partial import summed_targets


def answering(results: Results, task: str) -> Results:
    """Sum the fine types of every run's scores to the classes of a task.

    Parameters
    ----------
    results : Results
        Of a configuration of the task ``cells``.
    task : str
        ``blast`` or ``differential``.

    Returns
    -------
    Results
        With the task's classes. A cell whose name does not tell which of them it is, or of which the task
        does not ask, has the target -1.
    """
    sums = SUMS[task]
    runs = tuple(_summed(one, results, task) for one in results.runs)
    return Results(results.config, tuple(sums), results.start, runs)


def summed_probs(fine: NDArray[np.float64], classes: tuple[str, ...], task: str) -> NDArray[np.float64]:
    """Sum probabilities of fine types (N, K) to those of a task's classes, which add up to one."""
    sums = [fine[:, np.isin(classes, own)].sum(axis=1) for own in SUMS[task].values()]
    probs = np.stack(sums, axis=1)
    return np.asarray(probs / np.maximum(probs.sum(axis=1, keepdims=True), 1e-30), np.float64)


def _summed(run: Run, results: Results, task: str) -> Run:
    scores, sums = run.scores, SUMS[task]
    fine = scores[[f"p_{name}" for name in results.classes]].to_numpy(np.float64)
    probs = summed_probs(fine, results.classes, task)
    target = summed_targets(scores, results.classes, task, results.config.normal_promyelocytes)
    # a sum was taught where any name was that is within it
    taught = scores["taught"].groupby(target).transform("any")
    others = scores[[c for c in scores.columns if not c.startswith("p_")]]
    summed = pd.DataFrame(probs, scores.index, [f"p_{name}" for name in sums])
    return replace(run, scores=pd.concat([others.assign(target=target, taught=taught), summed], axis=1))
