"""Fitting a calibration card: cells that agree change little, calls of blast stay, few slides are refused."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import CLASSES, KINDS, calibration, cards, errors, labeled

from smearscan.calibration import fit
from smearscan.calibration.fit import (
    best_threshold,
    count_errors,
    cross_validated,
    figures,
    fit_scalings,
    folds_of,
    named_limit,
    new_calibration,
    recalibrated,
    rescaled,
    rule_of,
    split_groups,
)
from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.classification.naming import NamingRule
from smearscan.differential.calibration_card import Calibration, RecalibrationParams
from smearscan.errors import DatasetError

CARDS = cards()
RULE = NamingRule(KINDS, 0.6, 0.4)


def called_blast(cells: LabeledCells, card: Calibration) -> list[bool]:
    seen = rescaled(cells, card, CARDS)
    names = rule_of(card, CARDS).names(seen.probs, seen.blast_probs.astype(np.float32))
    return [name == "blast" for name in names]


def overconfident(cells: LabeledCells, by: float = 3.0) -> LabeledCells:
    """The same cells by nets whose logits are too large."""
    probs = cells.probs**by
    odds = (cells.blast_probs / (1 - cells.blast_probs)) ** by
    return replace(cells, probs=probs / probs.sum(axis=1, keepdims=True), blast_probs=odds / (1 + odds))


def missing(cells: LabeledCells, lost: np.ndarray) -> LabeledCells:  # type: ignore[type-arg]
    """The same cells, of which the detector missed some."""
    probs, blast = cells.probs.copy(), cells.blast_probs.copy()
    probs[lost], blast[lost] = np.nan, np.nan
    return replace(cells, probs=probs, blast_probs=blast, asked=np.ones(len(cells), bool))


# ---------------------------------------------------------------- counting


def test_errors_are_counted_by_the_rule_of_a_scan() -> None:
    cells = labeled(300)
    made = count_errors(CLASSES, cells, RULE)
    names = RULE.names(cells.probs, cells.blast_probs)
    for i, truth in enumerate(CLASSES):
        for j, name in enumerate(made.names):
            assert made.counts[i, j] == sum(
                t == truth and n == name for t, n in zip(cells.truth, names, strict=True)
            )
    assert made.counts.sum() == 300
    assert not made.detector_recall.any()


def test_classes_that_the_card_does_not_know_are_left_out() -> None:
    cells = labeled(300)
    made = count_errors(("neutrophil", "monocyte", "smudge_cell", "blast"), cells, RULE)
    foreign = replace(cells, truth=np.where(cells.truth == "monocyte", "eosinophil", cells.truth))
    other = count_errors(CLASSES, foreign, RULE)
    assert other.counts[1].sum() == 0
    np.testing.assert_array_equal(other.counts[[0, 2, 3]], made.counts[[0, 2, 3]])


def test_missed_cells_lower_found_and_change_no_row() -> None:
    cells = labeled(300)
    lost = (cells.truth == "blast") & (np.arange(300) % 2 == 0)
    made = count_errors(CLASSES, missing(cells, lost), RULE)
    n = [int((cells.truth == name).sum()) for name in CLASSES]
    assert made.detector_recall.tolist() == [[k, k] for k in n[:3]] + [[n[3] - int(lost.sum()), n[3]]]
    assert made.mean_recall[3] == pytest.approx(made.detector_recall[3, 0] / n[3], abs=0.02)
    assert made.mean_recall[:3].min() > 0.95
    np.testing.assert_array_equal(made.counts, count_errors(CLASSES, cells.where(~lost), RULE).counts)


def test_cells_that_the_detector_was_not_asked_for_say_nothing_of_it() -> None:
    cells = missing(labeled(100), np.arange(100) < 10)
    half = replace(cells, asked=np.arange(100) < 50)
    assert count_errors(CLASSES, half, RULE).detector_recall.sum(axis=0).tolist() == [40, 50]


# ---------------------------------------------------------------- from scratch


def test_a_card_from_scratch_keeps_the_rate_of_wrong_names() -> None:
    cells = labeled(3000, slides=40)
    card = new_calibration("new", cells, CARDS, 0.1)
    assert card.classes == CLASSES
    assert card.networks == {task: own.sha256 for task, own in CARDS.items()}
    assert card.unclassified_rate == 0.1
    choosing, judging = split_groups(cells, 9)
    assert card.threshold == best_threshold(choosing, CARDS)
    assert card.unclassified_below == named_limit(judging, CARDS, card.threshold, 0.1)
    assert card.errors.counts.sum() == len(judging)
    assert card.errors.overdispersion_high >= card.errors.overdispersion >= 0
    assert card.scaling == {}
    assert Calibration.model_validate(card.model_dump()) == card
    strict = new_calibration("new", cells, CARDS, 0.05)
    assert strict.unclassified_below is not None
    assert card.unclassified_below is not None
    assert strict.unclassified_below > card.unclassified_below
    assert strict.errors.counts[:, -1].sum() > card.errors.counts[:, -1].sum()


def test_the_cells_that_choose_the_threshold_do_not_judge_it() -> None:
    cells = labeled(3000, slides=40)
    choosing, judging = split_groups(cells, 9)
    assert not set(choosing.group) & set(judging.group)
    assert len(choosing) + len(judging) == len(cells)
    assert len(set(choosing.group)) == 10
    card = new_calibration("new", cells, CARDS, 0.1)
    changed = np.isin(cells.group, choosing.group)
    surer = cells.probs**3 / (cells.probs**3).sum(axis=1, keepdims=True)
    other = np.where(changed[:, None], surer, cells.probs)  # their names stay
    again = new_calibration("new", replace(cells, probs=other), CARDS, 0.1)
    assert (again.threshold, again.unclassified_below) == (card.threshold, card.unclassified_below)
    assert again.confusion == card.confusion


@pytest.mark.parametrize(("slides", "least"), [(7, 1), (12, 10), (39, 1)])
def test_few_slides_do_both(slides: int, least: int) -> None:
    cells = labeled(600, slides=slides)
    choosing, judging = split_groups(cells, least)
    assert choosing is judging is cells


def test_a_card_says_where_the_same_cells_did_both() -> None:
    assert not new_calibration("new", labeled(3000, slides=40), CARDS, 0.1).limits
    (told,) = new_calibration("new", labeled(600, slides=7), CARDS, 0.2).limits
    assert "too few slides" in told


def test_a_card_from_few_slides_is_refused_with_the_number_needed() -> None:
    with pytest.raises(
        DatasetError, match=r"4 slides cannot promise a rate of wrong names of 0\.1: label at least 9 slides"
    ):
        new_calibration("new", labeled(500, slides=4), CARDS, 0.1)
    assert named_limit(labeled(500, slides=4), CARDS, 0.6, 0.1) is None


def test_the_threshold_is_the_lowest_that_hides_few_blasts() -> None:
    cells = labeled(4000, slides=40)
    found = best_threshold(cells, CARDS)
    assert 0.3 <= found <= 0.95
    healthy = cells.where(cells.truth != "blast")
    assert best_threshold(healthy, CARDS) == CARDS["blast"].threshold  # nothing to choose it by


def test_one_lucky_step_is_not_taken_for_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The share of blasts that would be found jumps from step to step."""
    detectable = iter([66, 62, 64, 41, 42, 50, 100, 100, 35, 100, 100, 100, 12, 100])

    def excess(*_: object) -> SimpleNamespace:
        return SimpleNamespace(detectable_percent=[next(detectable)])

    monkeypatch.setattr(fit, "blast_excess", excess)
    assert best_threshold(labeled(600, slides=25), CARDS) == 0.45


def test_few_slides_do_not_choose_the_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "blast_excess", None)  # is not asked
    assert best_threshold(labeled(600, slides=12), CARDS) == CARDS["blast"].threshold


def test_the_limit_is_of_cells_that_get_their_name_from_the_differential() -> None:
    cells = labeled(2000, slides=40)
    surely = replace(cells, blast_probs=np.where(cells.truth == "blast", 0.99, 0.01))
    limit, before = named_limit(surely, CARDS, 0.6, 0.1), named_limit(cells, CARDS, 0.6, 0.1)
    assert limit is not None
    assert before is not None
    assert limit <= before  # no blast is named wrongly any more


# ---------------------------------------------------------------- for a site


def test_cells_that_agree_with_the_base_change_little() -> None:
    base = calibration(count_errors(CLASSES, labeled(20_000, 999), RULE), unclassified_below=0.4)
    made = [recalibrated("site", base, labeled(100, seed), CARDS) for seed in range(8)]
    for net in ("blast", "differential"):
        temperatures = [card.scaling[net].temperature for card in made]
        assert np.exp(np.mean(np.log(temperatures))) == pytest.approx(1, abs=0.15)
        assert min(temperatures) > 0.5
        assert max(temperatures) < 2
        assert max(abs(v) for card in made for v in card.scaling[net].offsets.values()) < 1
    np.testing.assert_allclose(
        np.mean([card.errors.mean for card in made], axis=0), base.errors.mean, atol=0.01
    )
    for card in made:
        assert card.confusion == base.confusion
        assert card.errors.site.sum() == 100
        assert (card.name, card.unclassified_below) == ("site", 0.4)
        assert card.networks == base.networks


def test_overconfident_nets_are_cooled() -> None:
    cells = overconfident(labeled(2000))
    card = recalibrated("site", calibration(), cells, CARDS)
    assert card.scaling["blast"].temperature == pytest.approx(3, rel=0.15)
    assert card.scaling["differential"].temperature == pytest.approx(3, rel=0.15)
    before, after = figures(cells, calibration(), CARDS), figures(cells, card, CARDS)
    for net in ("blast", "differential"):
        assert after[f"calibration_error_{net}"] < 0.04 < before[f"calibration_error_{net}"]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 500), by=st.floats(0.3, 4), threshold=st.floats(0.05, 0.95))
def test_the_same_cells_are_called_blast_whatever_the_temperature(
    seed: int, by: float, threshold: float
) -> None:
    cells = overconfident(labeled(120, seed), by)
    base = calibration(threshold=threshold)
    card = recalibrated("site", base, cells, CARDS)
    assert card.scaling["blast"].temperature != 1
    before = called_blast(cells, base)
    near = np.abs(cells.blast_probs - threshold) < 1e-6  # a cell on the threshold may fall to either side
    assert [c for c, at in zip(called_blast(cells, card), near, strict=True) if not at] == [
        c for c, at in zip(before, near, strict=True) if not at
    ]


def test_cells_of_one_kind_alone_change_no_probability() -> None:
    cells = labeled(200)
    only = cells.where(cells.truth == "monocyte")
    card = recalibrated("site", calibration(), only, CARDS)
    assert card.scaling == {}
    assert card.threshold == CARDS["blast"].threshold
    assert card.errors.site[1].sum() == len(only)
    scaling, threshold = fit_scalings(calibration(threshold=0.3), only, CARDS)
    assert (scaling, threshold) == ({}, 0.3)


def test_missed_cells_tell_of_the_detector_alone() -> None:
    cells = labeled(200)
    lost = np.arange(200) % 4 == 0
    card = recalibrated("site", calibration(), missing(cells, lost), CARDS)
    other = recalibrated("site", calibration(), cells.where(~lost), CARDS)
    assert card.scaling == other.scaling
    assert card.site_confusion == other.site_confusion
    assert np.array(card.found).sum(axis=0).tolist() == [150, 200]


def test_the_rule_is_that_of_the_card_before_those_of_the_nets() -> None:
    assert rule_of(calibration(), CARDS) == NamingRule(KINDS, 0.6, 0.4, 0.6)
    own = calibration(threshold=0.2, unclassified_below=0.7)
    assert rule_of(own, CARDS) == NamingRule(KINDS, 0.2, 0.7, 0.2)


def test_rescaling_keeps_everything_but_probabilities() -> None:
    cells = labeled(50)
    own = calibration(scaling={"differential": RecalibrationParams(temperature=2.0)})
    changed = rescaled(cells, own, CARDS)
    np.testing.assert_allclose(changed.blast_probs, cells.blast_probs, rtol=1e-6)
    assert (changed.probs.max(axis=1) <= cells.probs.max(axis=1) + 1e-6).all()
    assert changed.truth is cells.truth


# ---------------------------------------------------------------- figures


def test_figures_are_those_of_the_cells() -> None:
    cells = labeled(400)
    made = figures(cells, calibration(), CARDS)
    names = np.array(RULE.names(cells.probs, cells.blast_probs))
    blast = cells.truth == "blast"
    assert made["false_blasts"]["value"] == pytest.approx((names[~blast] == "blast").mean(), abs=1e-4)
    assert made["blasts_called"]["value"] == pytest.approx((names[blast] == "blast").mean(), abs=1e-4)
    assert made["unclassified"]["value"] == pytest.approx((names == "unclassified").mean(), abs=1e-4)
    assert made["false_blasts"]["groups"] == 12
    assert sum(p["cells"] for p in made["reliability_blast"]) == 400
    assert made["calibration_error_blast"] < 0.06


@pytest.mark.parametrize(("slides", "judged"), [(12, "by slide"), (2, "by cell: too few slides")])
def test_each_cell_is_judged_by_a_fit_that_did_not_see_it(slides: int, judged: str) -> None:
    cells = overconfident(labeled(200, slides=slides))
    for taught, tested in folds_of(cells.group, 5):
        assert not set(taught) & set(tested)
        if slides > 5:
            assert not set(cells.group[taught]) & set(cells.group[tested])
    told = cross_validated(calibration(), cells, CARDS)
    assert told["judged"] == judged
    assert told["before"] == figures(cells, calibration(), CARDS)
    assert told["after"]["calibration_error_blast"] < told["before"]["calibration_error_blast"]
    assert sum(p["cells"] for p in told["after"]["reliability_blast"]) == 200


@pytest.mark.parametrize("kind", ["blast", "monocyte", "basophil"])
def test_cells_of_one_kind_have_figures_too(kind: str) -> None:
    """A site may label its blasts alone; what cannot be said is left out: no warning, no NaN in a file."""
    cells = labeled(400)
    only = cells.where(cells.truth == ("blast" if kind == "blast" else "monocyte"))
    made = figures(replace(only, truth=np.full(len(only), kind)), calibration(), CARDS)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert ("blasts_called" in made) == (kind == "blast")


def test_cells_without_any_name_have_figures_too() -> None:
    own = calibration(threshold=1.0, unclassified_below=1.0)
    made = figures(labeled(100, skill=1.0), own, CARDS)
    assert made["unclassified"]["value"] == 1
    json.dumps(made, allow_nan=False)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_found_cells_are_refused_in_words(n: int) -> None:
    cells = labeled(20)
    with pytest.raises(DatasetError, match="cells"):
        cross_validated(calibration(errors()), missing(cells, np.arange(20) >= n), CARDS)
