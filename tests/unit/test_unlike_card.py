"""The card of slides that are stained unlike the training cells: how it is fitted, and what it changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_up import CLASSES, KINDS, calibration, cards, errors, labeled, saved_pairs, written

from smearscan.calibration.calibrate import calibrate_from_scratch
from smearscan.calibration.fit import recalibrated, rule_of
from smearscan.calibration.labeled_cells import LabeledCells, joined
from smearscan.calibration.unlike_fit import with_unlike
from smearscan.cli import main
from smearscan.differential.calibration_card import load_calibration, save_calibration
from smearscan.errors import DatasetError
from smearscan.taxonomy import BLAST, UNCLASSIFIED
from smearscan.weights.pairs import ClassifierCard, load_card

CARDS = cards()


def laboratory(name: str, n: int = 400, seed: int = 0, surer: float = 0.0) -> LabeledCells:
    """Cells of a laboratory; its blast net is `surer` of blasts, in logits, than is right."""
    cells = labeled(n, seed)
    odds = cells.blast_probs / (1 - cells.blast_probs) * np.exp(surer)
    return replace(cells, site=np.full(len(cells), name), blast_probs=odds / (1 + odds))


def laboratories(n: int = 9, **more: float) -> LabeledCells:
    return joined([laboratory(f"lab {k}", seed=k, surer=k / 4, **more) for k in range(n)])  # type: ignore[arg-type]


def false_rates(cells: LabeledCells, threshold: float) -> list[float]:
    """Of each laboratory, in a mixture of 58 neutrophils, 7 monocytes and 2 smudge cells."""
    rates = []
    for site in np.unique(cells.site):
        called = {
            kind: cells.blast_probs[(cells.site == site) & (cells.truth == kind)] >= threshold
            for kind in KINDS
        }
        parts = zip((58, 7, 2), KINDS, strict=True)
        rates.append(sum(share * called[kind].mean() for share, kind in parts) / 67)
    return rates


def test_the_threshold_keeps_the_healthy_cells_of_the_mean_laboratory() -> None:
    cells = laboratories()
    cells = cells.where((cells.truth != "monocyte") | (np.arange(len(cells)) % 5 == 0))  # a rare type
    unlike = with_unlike(calibration(), cells, CARDS, 0.5, 0.95).unlike
    assert unlike is not None
    assert unlike.threshold is not None
    assert np.mean(false_rates(cells, unlike.threshold)) <= 0.05
    assert np.mean(false_rates(cells, unlike.threshold - 0.0101)) > 0.05  # in whole hundredths


def test_each_laboratory_counts_as_one_however_many_cells_it_has() -> None:
    cells = laboratories()
    often = joined([cells, *([cells.where(cells.site == "lab 8")] * 5)])
    one, other = (with_unlike(calibration(), each, CARDS, 0.5, 0.95).unlike for each in (cells, often))
    assert one is not None
    assert other is not None
    assert (one.threshold, one.unclassified_below) == (other.threshold, other.unclassified_below)


def test_errors_are_those_of_its_own_rule_by_slide() -> None:
    cells = laboratories()
    unlike = with_unlike(calibration(), cells, CARDS, 0.5, 0.95).unlike
    assert unlike is not None
    names = np.array(rule_of(unlike, CARDS).names(cells.probs, cells.blast_probs))
    for i, truth in enumerate(CLASSES):
        called = [int(((names == name) & (cells.truth == truth)).sum()) for name in (*CLASSES, UNCLASSIFIED)]
        assert unlike.confusion[i] == called
    assert unlike.groups == [12] * len(CLASSES)  # slides
    found = np.tile([[90, 100]], (len(CLASSES), 1))
    known = with_unlike(calibration(errors(found=found)), cells, CARDS, 0.5, 0.95).unlike
    assert known is not None
    assert known.found == [(90, 100)] * len(CLASSES)
    assert unlike.data["sites"] == {f"lab {k}": 400 for k in range(9)}
    assert unlike.metrics["left_out"]["unclassified"]["groups"] == 12


def test_names_go_wrong_no_more_than_stated() -> None:
    cells = laboratories()
    limits = []
    for rate in (0.25, 0.3, 0.4):
        unlike = with_unlike(calibration(), cells, CARDS, rate, 0.95).unlike
        assert unlike is not None
        names = np.array(rule_of(unlike, CARDS).names(cells.probs, cells.blast_probs))
        wrong = (names != cells.truth) & (names != UNCLASSIFIED) & (names != BLAST)
        assert np.mean([wrong[cells.site == site].mean() for site in np.unique(cells.site)]) <= rate
        limits.append(unlike.unclassified_below)
    assert limits == sorted(limits, reverse=True)


def test_too_few_laboratories_and_such_without_healthy_cells_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"of 3 laboratories left out cannot promise .* at least 9"):
        with_unlike(calibration(), laboratories(3), CARDS, 0.1, 0.95)
    blasts = laboratories().where(laboratories().truth == BLAST)
    with pytest.raises(DatasetError, match="no laboratory that was left out has 20 healthy cells"):
        with_unlike(calibration(), blasts, CARDS, 0.5, 0.95)


def test_a_card_holds_the_other_and_a_site_s_own_does_not(tmp_path: Path) -> None:
    made = calibrate_from_scratch("made", labeled(3000, slides=60), CARDS, 0.3, laboratories(), 0.5)
    assert set(made.figures) == {"fitted", "left_out"}
    card = made.card
    save_calibration(tmp_path / "made.yaml", card)
    read = load_calibration(tmp_path / "made.yaml")
    assert read == card
    assert read.of_slide(False) is read
    assert read.of_slide(True) is read.unlike
    plain = calibration()
    assert plain.of_slide(True) is plain
    assert recalibrated("site", card, labeled(100, seed=5), CARDS).unlike is None


def test_the_other_card_changes_no_probabilities_and_holds_none_itself() -> None:
    plain = calibration()
    for wrong in (
        calibration(box_score=0.5, detector="ab" * 32),
        calibration(unlike=plain),
        calibration(networks={"blast": "cd" * 32, "differential": "cd" * 32}),
        calibration(errors(np.eye(3, 4), classes=("a", "b", BLAST))),
    ):
        with pytest.raises(ValueError, match="unlike must be of the same classes"):
            calibration(unlike=wrong.model_dump())


def test_the_command_takes_several_tables_and_only_from_scratch(tmp_path: Path) -> None:
    pairs = [part for path in saved_pairs(tmp_path).values() for part in ("--weights", str(path))]
    own = written(labeled(3000, slides=60), tmp_path / "own.csv")
    tables = [written(laboratory(f"lab {k}", seed=k), tmp_path / f"lab{k}.csv") for k in range(9)]
    left_out = [part for path in tables for part in ("--left-out", str(path))]
    common = ["calibrate", "--cells", str(own), *pairs, *left_out, "--out", str(tmp_path / "card.yaml")]
    done = CliRunner().invoke(
        main, [*common, "--from-scratch", "--error-rate", "0.3", "--left-out-rate", "0.5"]
    )
    assert done.exit_code == 0, done.output
    card = load_calibration(tmp_path / "card.yaml")
    unlike = card.unlike
    assert unlike is not None
    assert (set(card.metrics), set(unlike.metrics)) == ({"fitted"}, {"left_out"})
    assert set(unlike.data["sites"]) == {f"lab{k}" for k in range(9)}
    refused = CliRunner().invoke(main, common)
    assert refused.exit_code == 2
    assert "--left-out goes with --from-scratch alone" in refused.output
    alone = ["--from-scratch", "--left-out-rate", "0.5"]
    refused = CliRunner().invoke(main, [arg for arg in common if arg not in left_out] + alone)
    assert refused.exit_code == 2
    assert "--left-out-rate says how --left-out is used" in refused.output


@pytest.mark.parametrize(("gain", "limit"), [(0.7, 0.33), (1.0, 0.44)])
def test_a_site_that_was_scanned_in_the_reference_stain_starts_from_the_card_of_such_slides(
    tmp_path: Path, gain: float, limit: float
) -> None:
    pairs = [part for path in saved_pairs(tmp_path).values() for part in ("--weights", str(path))]
    networks = {task: load_card(tmp_path / f"{task}.safetensors", ClassifierCard).sha256 for task in CARDS}
    unlike = calibration(networks=networks, unclassified_below=0.33)
    save_calibration(
        tmp_path / "base.yaml",
        calibration(networks=networks, unclassified_below=0.44, unlike=unlike.model_dump()),
    )
    lines = written(labeled(200), tmp_path / "own.csv").read_text().splitlines()
    told = [lines[0] + ",stain_red,stain_green,stain_blue", *(f"{line},1,{gain},1" for line in lines[1:])]
    (tmp_path / "own.csv").write_text("\n".join(told))
    out = tmp_path / "site.yaml"
    args = ["--cells", str(tmp_path / "own.csv"), "--base", str(tmp_path / "base.yaml"), "--out", str(out)]
    done = CliRunner().invoke(main, ["calibrate", *pairs, *args, "--force"])
    assert done.exit_code == 0, done.output
    card = load_calibration(out)
    assert card.unclassified_below == limit
    assert card.unlike is None
    assert ("scanned in the reference stain: the card starts" in done.output) == (gain != 1)
