"""Labels ``none``: the least score of a box, chosen where it pays and judged on other slides."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from made_up import KINDS, calibration, errors, labeled, saved_pairs, written

from smearscan.calibration.false_boxes import FEWEST, LabeledBoxes, best_score, fit_box_score, read_boxes
from smearscan.cli import main
from smearscan.differential.calibration_card import load_calibration, save_calibration
from smearscan.weights.pairs import ClassifierCard, DetectorCard, load_card, shipped


def boxes(scores: list[float], hold: list[bool], slides: int = 6) -> LabeledBoxes:
    group = np.array([f"s{i % slides}" for i in range(len(scores))])
    return LabeledBoxes(np.array(scores, np.float64), np.array(hold, np.bool_), group)


def wrong_by(least: float, of: LabeledBoxes) -> int:
    dropped = of.scores < least
    return int((dropped & of.hold_cell).sum() + (~dropped & ~of.hold_cell).sum())


SCORES = st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9])


@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=1, max_size=40))
def test_no_score_that_leaves_a_box_makes_fewer_errors_than_the_best(pairs: list[tuple[float, bool]]) -> None:
    own = boxes([score for score, _ in pairs], [hold for _, hold in pairs])
    tried = [t for t in (0, 0.2, 0.4, 0.6, 0.8) if t < own.scores.max()]
    assert wrong_by(best_score(own), own) == min(wrong_by(t, own) for t in tried)
    assert best_score(own) < own.scores.max()


def drawn(n: int, apart: float, seed: int = 0) -> LabeledBoxes:
    rng = np.random.default_rng(seed)
    hold = rng.random(n) < 0.5
    return boxes(list(np.clip(rng.normal(0.6 + apart * (hold - 0.5), 0.1), 0, 1)), list(hold))


def test_a_score_that_parts_them_is_taken_and_judged_on_other_slides() -> None:
    found = fit_box_score(drawn(200, apart=0.4))
    assert found.least_score is not None
    assert 0.5 < found.least_score < 0.7
    assert found.n_false_dropped > 0.9 * found.n_false
    assert found.n_cells_lost < 0.1 * found.n_cells
    told = list(found.sentences())
    assert told[0] == f"{found.n_false} of 200 labeled boxes hold no leukocyte"
    assert f"{found.n_cells_lost} of {found.n_cells} leukocytes with them" in told[1]


def test_scores_that_tell_nothing_drop_nothing() -> None:
    taken = [fit_box_score(drawn(200, apart=0.0, seed=seed)).least_score for seed in range(20)]
    assert taken.count(None) >= 18  # one in twenty by chance
    assert "all boxes stay: no least score" in list(fit_box_score(drawn(200, 0.0)).sentences())[1]


def test_labels_none_without_a_score_are_told_and_drop_nothing() -> None:
    found = fit_box_score(boxes([float("nan")] * 12, [False] * 12))
    assert (found.n_false, found.least_score) == (12, None)
    assert next(iter(found.sentences())) == "12 of 12 labeled boxes hold no leukocyte"
    assert "with their column 'score'" in list(found.sentences())[1]


def test_few_labels_drop_nothing() -> None:
    few = boxes([0.1] * (FEWEST - 1) + [0.9] * 50, [False] * (FEWEST - 1) + [True] * 50)
    found = fit_box_score(few)
    assert found.least_score is None
    assert "all boxes stay: 10 with and 10 without" in list(found.sentences())[1]
    assert not list(fit_box_score(boxes([0.5], [True])).sentences())


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Cells that score .9, and of every slide boxes without a cell that score .3; two cells score .2."""
    head, *rows = written(labeled(150), tmp_path / "labeled.csv").read_text().splitlines()
    scored = [f"{row},{0.2 if i < 2 else 0.9}" for i, row in enumerate(rows)]
    empty = ",".join(["0.1", *["0.3"] * len(KINDS)])
    scored += [f"slide {i % 12},none,{empty},0.3" for i in range(36)]
    (tmp_path / "labeled.csv").write_text("\n".join([f"{head},score", *scored]) + "\n")
    return tmp_path / "labeled.csv"


def test_boxes_are_read_with_their_scores(table: Path) -> None:
    read = read_boxes(table, KINDS)
    assert (len(read.scores), int(read.hold_cell.sum())) == (186, 150)
    assert read.group[-1] == "slide 11"
    bare = written(labeled(5), table.with_name("bare.csv"))
    assert not len(read_boxes(bare, KINDS).scores)


def test_a_card_of_the_site_drops_them_and_tells(table: Path, tmp_path: Path) -> None:
    pairs = saved_pairs(tmp_path)
    networks = {task: load_card(path, ClassifierCard).sha256 for task, path in pairs.items()}
    save_calibration(tmp_path / "base.yaml", calibration(errors(), networks=networks, name="base"))
    given = [part for path in pairs.values() for part in ("--weights", str(path))]
    asked = ["calibrate", "--cells", str(table), "--base", str(tmp_path / "base.yaml"), *given, "--force"]
    done = CliRunner().invoke(main, [*asked, "--out", str(tmp_path / "site.yaml")])
    assert done.exit_code == 0, done.output
    told = " ".join(done.stderr.split())
    assert "36 of 186 labeled boxes hold no leukocyte" in told
    assert "36 of the 36 without a leukocyte, and 2 of 150 leukocytes with them" in told
    card = load_calibration(tmp_path / "site.yaml")
    assert card.box_score == pytest.approx(0.6)
    assert card.detector == load_card(shipped("detector"), DetectorCard).sha256
    assert card.metrics["boxes"]["n_false_dropped"] == 36
    assert np.array(card.site_confusion).sum() == 148  # the two lost ones are not among the named
    asked[asked.index(str(tmp_path / "base.yaml"))] = str(tmp_path / "site.yaml")
    again = CliRunner().invoke(main, [*asked, "--out", str(tmp_path / "two.yaml")])
    assert "is the card of a site already" in " ".join(again.output.split())
