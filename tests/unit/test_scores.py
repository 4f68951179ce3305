"""Figures with intervals over groups: right against independent ways of computing them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from smearscan.differential.statistics.estimates import over_groups, share_over_groups
from smearscan.differential.statistics.scaling import calibration_error
from smearscan.experiments import scores

KINDS = ("neutrophil", "monocyte", "eosinophil", "basophil")
BLAST = ("healthy", "blast")


def made_up(n: int, k: int, groups: int, seed: int = 0) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """Cells of unlike groups, with probabilities that tell something and have ties."""
    rng = np.random.default_rng(seed)
    target, group = rng.integers(k, size=n), rng.integers(groups, size=n)
    sure = np.eye(k)[target] * rng.uniform(0, 2.5, groups)[group, None] + rng.normal(0, 1, (n, k))
    probs = np.exp(sure).round(1) + 0.1
    return probs / probs.sum(axis=1, keepdims=True), pd.DataFrame(
        {"target": target, "group": [f"g{g}" for g in group], "cell": np.arange(n)}
    )


def value(figures: dict[str, dict[str, float]], name: str) -> float:
    return figures[name]["value"]


def test_figures_of_many_classes_are_those_of_scikit_learn() -> None:
    probs, table = made_up(400, 4, 12)
    found = scores.figures(probs, table, KINDS)
    truth, guess = table["target"].to_numpy(), probs.argmax(axis=1)
    p, r, f, _ = metrics.precision_recall_fscore_support(truth, guess, average="macro", zero_division=0)
    rest = [metrics.recall_score(truth != k, guess != k) for k in range(4)]
    wanted = {
        "accuracy": metrics.accuracy_score(truth, guess),
        "accuracy_within_present_classes": metrics.accuracy_score(truth, guess),
        "accuracy_on_trained_classes": metrics.accuracy_score(truth, guess),
        "accuracy_on_trained_and_present_classes": metrics.accuracy_score(truth, guess),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, guess),
        "precision": p,
        "recall": r,
        "specificity": np.mean(rest),
        "f1": f,
        "false_negatives": 1 - r,
        "auroc": metrics.roc_auc_score(truth, probs, multi_class="ovr"),
        "calibration_error": calibration_error(probs.max(axis=1), guess == truth),
    }
    assert tuple(wanted) == scores.METRICS
    for name, figure in wanted.items():
        assert value(found, name) == pytest.approx(figure, abs=6e-5), name
    assert found["confusion"] == metrics.confusion_matrix(truth, guess).tolist()
    assert {k: found["auroc"][k] for k in ("cells", "groups")} == {"cells": 400, "groups": 12}


def test_figures_of_a_blast_net_are_those_of_blasts_at_its_thresholds() -> None:
    probs, table = made_up(500, 2, 9)
    limits = np.where(table["group"] < "g4", 0.3, 0.6)
    found = scores.figures(probs, table, BLAST, limits)
    truth, called = table["target"].to_numpy() == 1, probs[:, 1] >= limits
    wanted = {
        "accuracy": metrics.accuracy_score(truth, called),
        "precision": metrics.precision_score(truth, called),
        "recall": metrics.recall_score(truth, called),
        "specificity": metrics.recall_score(~truth, ~called),
        "f1": metrics.f1_score(truth, called),
        "false_negatives": (truth & ~called).sum() / truth.sum(),
        "auroc": metrics.roc_auc_score(truth, probs[:, 1]),
        "calibration_error": calibration_error(probs[:, 1], truth),
    }
    for name, figure in wanted.items():
        assert value(found, name) == pytest.approx(figure, abs=6e-5), name
    assert (found["blasts"], found["healthy"]) == (truth.sum(), (~truth).sum())


@given(st.integers(0, 10_000), st.integers(2, 7), st.integers(30, 80))
@settings(max_examples=12, deadline=None)
def test_weights_of_groups_are_the_same_as_drawing_their_cells(seed: int, groups: int, n: int) -> None:
    """Every draw, computed from weights, is the figure of the cells that the draw holds."""
    probs, table = made_up(n, 3, groups, seed)
    classes, truth, guess = KINDS[:3], table["target"].to_numpy(), probs.argmax(axis=1)
    drawn = scores.draws(probs, table, classes, rounds=6, seed=seed)
    code = np.unique(table["group"], return_inverse=True)[1]
    rng = np.random.default_rng(seed)
    for i in range(1, 7):
        chosen = rng.integers(code.max() + 1, size=code.max() + 1)
        rows = np.concatenate([np.flatnonzero(code == g) for g in chosen])
        there = np.unique(truth[rows])
        assert drawn["accuracy"][i] == pytest.approx((truth == guess)[rows].mean())
        recalls = [(guess[rows] == k)[truth[rows] == k].mean() for k in there]
        assert drawn["recall"][i] == pytest.approx(np.mean(recalls))
        f1 = metrics.f1_score(truth[rows], guess[rows], labels=there, average="macro", zero_division=0)
        assert drawn["f1"][i] == pytest.approx(f1)
        if len(there) > 1:
            areas = [metrics.roc_auc_score(truth[rows] == k, probs[rows, k]) for k in there]
            assert drawn["auroc"][i] == pytest.approx(np.mean(areas))


def test_drawn_calibration_errors_are_those_of_the_drawn_cells_about_the_measured_one() -> None:
    rng = np.random.default_rng(1)
    n = 300
    probs = rng.permutation(np.linspace(0.01, 0.99, n))  # no ties: their order would be a matter of taste
    truth = rng.random(n) < probs**2
    table = pd.DataFrame({"target": truth.astype(int), "group": rng.integers(6, size=n).astype(str)})
    both = np.column_stack([1 - probs, probs])
    drawn = scores.draws(both, table, BLAST, rounds=8, seed=3)["calibration_error"]
    again, code = np.random.default_rng(3), table["group"].astype(int).to_numpy()
    errors = []
    for _ in range(8):
        rows = np.concatenate([np.flatnonzero(code == g) for g in again.integers(6, size=6)])
        errors.append(calibration_error(probs[rows], truth[rows]))
    np.testing.assert_allclose(np.diff(drawn[1:]), np.diff(errors), atol=1e-12)
    assert drawn[0] == pytest.approx(calibration_error(probs, truth))
    assert drawn[1:].mean() == pytest.approx(drawn[0])


def test_intervals_are_those_of_the_bootstrap_over_groups() -> None:
    probs, table = made_up(240, 4, 10)
    truth, guess = table["target"].to_numpy(), probs.argmax(axis=1)
    wanted = over_groups(lambda i: float((truth[i] == guess[i]).mean()), table["group"].to_numpy())
    assert scores.figures(probs, table, KINDS)["accuracy"] == wanted


def test_cells_of_one_group_have_no_interval() -> None:
    probs, table = made_up(60, 4, 1)
    assert scores.figures(probs, table, KINDS)["accuracy"]["interval_95"] is None
    alone = np.zeros(60, int)
    assert over_groups(lambda i: float(probs[i].mean()), alone)["interval_95"] is None
    assert share_over_groups(probs[:, 0] > 0.5, alone)["interval_95"] is None


def test_fewer_groups_make_wider_intervals_than_as_many_cells_alone() -> None:
    probs, table = made_up(600, 4, 8, seed=5)
    low, high = scores.figures(probs, table, KINDS)["accuracy"]["interval_95"]
    alone = table.assign(group=np.arange(600))
    low_alone, high_alone = scores.figures(probs, alone, KINDS)["accuracy"]["interval_95"]
    assert high - low > 1.5 * (high_alone - low_alone)


def test_what_cells_without_blasts_cannot_tell_is_left_open() -> None:
    probs, table = made_up(50, 2, 5)
    found = scores.figures(probs, table.assign(target=0), BLAST, 0.5)
    open_ = {"value": None, "interval_95": None, "cells": 50, "groups": 5}
    for name in ("recall", "false_negatives", "auroc", "precision", "f1"):
        assert found[name] == open_, name
    assert value(found, "specificity") == pytest.approx((probs[:, 1] < 0.5).mean(), abs=6e-5)


def test_a_class_that_the_cells_lack_does_not_count() -> None:
    """Called a class that is not there is wrong, but that class has no recall to enter the mean."""
    probs = np.array([[0.1, 0.2, 0.6, 0.1], [0.8, 0.1, 0.1, 0.0], [0.1, 0.9, 0.0, 0.0]])
    table = pd.DataFrame({"target": [0, 0, 1], "group": ["a", "b", "c"]})
    found = scores.figures(probs, table, KINDS)
    assert value(found, "recall") == pytest.approx(0.75)
    assert found["classes"] == ["neutrophil", "monocyte"]
    assert found["confusion"][0][2] == 1


def test_a_mean_over_sets_counts_every_set_alike() -> None:
    parts = {"large": made_up(900, 4, 30, 1), "small": made_up(60, 4, 6, 2)}
    drawn = {name: scores.draws(*part, KINDS) for name, part in parts.items()}
    counts = {"large": {"cells": 900, "groups": 30}, "small": {"cells": 60, "groups": 6}}
    mean = scores.mean_over(drawn, counts)["accuracy"]
    each = {name: value(scores.figures(*part, KINDS), "accuracy") for name, part in parts.items()}
    assert mean["value"] == pytest.approx(sum(each.values()) / 2, abs=1e-4)
    assert {k: mean[k] for k in ("cells", "groups", "sets")} == {"cells": 960, "groups": 36, "sets": 2}
    assert mean["interval_95"][0] < mean["value"] < mean["interval_95"][1]


def test_a_set_without_a_figure_is_not_in_its_mean() -> None:
    probs, table = made_up(80, 2, 8)
    only = table.assign(target=0)
    drawn = {"both": scores.draws(probs, table, BLAST), "healthy": scores.draws(probs, only, BLAST)}
    counts = {name: {"cells": 80, "groups": 8} for name in drawn}
    mean = scores.mean_over(drawn, counts)
    assert (mean["auroc"]["sets"], mean["specificity"]["sets"]) == (1, 2)


def test_repeats_are_told_by_mean_and_deviation() -> None:
    told = scores.mean_sd_over_runs({"f1": [0.8, 0.9, 1.0], "auroc": [None, 0.5], "recall": [None]})
    assert told == {"f1": {"mean": 0.9, "sd": 0.1, "n": 3}, "auroc": {"mean": 0.5, "sd": None, "n": 1}}


def test_a_cell_that_several_nets_scored_counts_once() -> None:
    probs, table = made_up(40, 4, 5)
    twice = pd.concat([table, table])
    found = scores.figures(np.concatenate([probs, probs]), twice, KINDS)
    once = scores.figures(probs, table, KINDS)
    assert found["accuracy"] == once["accuracy"]
    assert found["cells"] == 40


def test_curves_run_from_corner_to_corner() -> None:
    probs, table = made_up(300, 4, 5)
    roc = scores.curves(probs, table, KINDS)["roc"]
    assert set(roc) == set(KINDS)
    for points in roc.values():
        assert (points["false"][0], points["true"][0]) == (0, 0)
        assert (points["false"][-1], points["true"][-1]) == (1, 1)
        assert np.trapezoid(points["true"], points["false"]) == pytest.approx(points["auroc"], abs=0.01)


def test_accuracy_among_own_types_allows_no_name_that_the_cells_do_not_have() -> None:
    probs, table = made_up(300, 4, 9)
    here = table[table["target"] != 2]
    own = probs[here.index]
    found = scores.figures(own, here.reset_index(drop=True), KINDS)
    allowed = own.copy()
    allowed[:, 2] = -1
    assert value(found, "accuracy_within_present_classes") == pytest.approx(
        (allowed.argmax(axis=1) == here["target"]).mean(), abs=1e-4
    )
    assert value(found, "accuracy_within_present_classes") > value(found, "accuracy")


def test_what_training_never_had_is_told_apart() -> None:
    probs, table = made_up(300, 4, 9)
    probs[:, 2] = 0  # a net that was never shown the third class does not name it
    taught = (table["target"] != 2).to_numpy()
    found = scores.figures(probs, table.assign(taught=taught), KINDS)
    right = probs.argmax(axis=1) == table["target"]
    assert value(found, "accuracy") == pytest.approx(right.mean(), abs=1e-4)
    assert value(found, "accuracy_on_trained_classes") == pytest.approx(right[taught].mean(), abs=1e-4)
    assert found["accuracy_on_trained_classes"]["cells"] == taught.sum()
    assert found["untaught"] == {KINDS[2]: 300 - taught.sum()}
    alone = scores.figures(probs[taught], table[taught], KINDS)
    assert found["accuracy_on_trained_classes"]["interval_95"] == alone["accuracy"]["interval_95"]
    everything = scores.figures(probs, table, KINDS)
    assert everything["untaught"] == {}
    assert everything["accuracy_on_trained_classes"] == everything["accuracy"]
