"""Slides pooled from labeled cells: of one group, with errors counted on the others; the truth is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_up import CLASSES, KINDS, calibration, cards, labeled, saved_pairs, written

from smearscan.calibration.labeled_cells import LabeledCells, joined
from smearscan.calibration.pooled_slides import (
    FEWEST,
    Judging,
    cross_fitted,
    each_site_alone,
    each_site_unseen,
    measure_pooled,
)
from smearscan.cli import main
from smearscan.differential.calibration_card import save_calibration
from smearscan.differential.statistics.estimates import share
from smearscan.weights import pairs as weights

CARDS = cards()
LABS = (("a", 0), ("b", 0), ("c", 0), ("odd", 2))


def cells(groups: int = 12, of_each: int = 60, every: int = 0) -> LabeledCells:
    """Cells of slides that each hold every class, named right but for false blasts, one `every` so many."""
    truth = np.tile(np.repeat(np.array(CLASSES), of_each // 4), groups)
    kind = np.where(truth == "blast", "neutrophil", truth)
    probs = np.where(kind[:, None] == np.array(KINDS), 0.9, 0.05)
    false = (truth != "blast") & (np.arange(len(truth)) % every == 0) if every else np.zeros(len(truth), bool)
    blast = np.where((truth == "blast") | false, 0.95, 0.05)
    group = np.repeat([f"g{i:02d}" for i in range(groups)], of_each)
    return LabeledCells(truth, group, np.full(len(truth), "x"), probs, blast, np.zeros(len(truth), bool))


def pooled(
    own: LabeledCells, shares: tuple[float, ...], n: int = 200, slides: int = 5
) -> list[dict[str, object]]:
    rng = np.random.default_rng(0)
    judgings = cross_fitted(own, calibration(), CARDS, 4, rng)
    return measure_pooled(own, judgings, CARDS, n, shares, slides, rng)


def value(row: dict[str, object], key: str) -> float:
    found = row[key]
    assert isinstance(found, dict)
    return float(found["value"])


def test_a_perfect_net_has_no_bias_and_flags_what_it_should() -> None:
    healthy, many = pooled(cells(groups=20), (0.0, 0.2))
    assert (healthy["blast_percent"], many["blast_percent"]) == (0, 20)
    assert (many["slides"], many["groups"], many["cells"]) == (100, 20, 200)
    assert value(healthy, "raw_bias") == 0
    assert abs(value(healthy, "corrected_bias")) < 0.3
    assert abs(value(many, "raw_bias")) < 1
    assert abs(value(many, "corrected_bias")) < 1
    assert value(many, "flagged") == value(many, "naive_any") == 1
    assert many["flagged"]["interval_95"] == share(20, 20)["interval_95"]  # type: ignore[index]
    assert value(healthy, "flagged") == value(healthy, "naive_any") == value(healthy, "naive_20") == 0
    assert value(healthy, "raw_covered") == 1
    assert value(many, "corrected_covered") >= 0.9
    assert 0.2 < value(many, "tier_20") < 0.9  # exactly on the tier


def test_a_laboratory_is_judged_by_what_the_others_make() -> None:
    """One that is unlike the others is found so: its false blasts are not in the card that judges it."""
    alike = [replace(cells(groups=3, every=every), site=np.full(180, name)) for name, every in LABS]
    every = joined(alike)
    judged = dict(each_site_unseen(every, calibration(), CARDS, 0.5, 0.9))
    assert list(judged) == sorted(name for name, _ in LABS)
    for site, (own, card) in judged.items():
        assert set(every.site[own]) == {site}
        assert site not in card.data["sites"]
        assert sum(card.data["sites"].values()) == (~own).sum()
    rng = np.random.default_rng(0)
    told = {
        site: measure_pooled(every, [own], CARDS, 200, (0.0, 0.6), 5, rng) for site, own in judged.items()
    }
    assert all(value(rows[1], "flagged") == 1 for rows in told.values())
    assert all(rows[0]["groups"] == 3 for rows in told.values())
    assert value(told["a"][0], "flagged") == 0
    assert value(told["odd"][0], "flagged") == 1
    alone = dict(each_site_alone(every, calibration()))
    assert list(alone) == list(judged)
    assert all(
        (own == judged[site].own).all() and card == calibration() for site, (own, card) in alone.items()
    )


def test_false_blasts_bias_the_raw_count_and_not_the_corrected_one() -> None:
    healthy, many = pooled(cells(groups=24, of_each=120, every=10), (0.0, 0.3), slides=10)
    assert value(healthy, "raw_bias") == pytest.approx(10, abs=0.5)
    assert abs(value(healthy, "corrected_bias")) < 2
    assert abs(value(many, "corrected_bias")) < abs(value(many, "raw_bias"))
    assert value(healthy, "naive_any") == 1
    assert value(healthy, "flagged") <= 0.05
    assert value(many, "flagged") == 1
    assert value(healthy, "corrected_covered") > value(healthy, "raw_covered")


def test_groups_with_few_cells_lend_none() -> None:
    own = cells()
    few = own.where((own.group != "g00") | (np.arange(len(own)) % 60 < FEWEST - 1))
    (row,) = pooled(few, (0.0,))
    assert row["groups"] == 11
    without = own.where(own.truth != "blast")
    assert [r["blast_percent"] for r in pooled(without, (0.0, 0.2))] == [0]


def test_slides_without_neutrophils_are_no_blood_and_lend_together() -> None:
    own = cells(groups=4)
    apart = replace(own, group=np.where(own.truth == "neutrophil", "neutrophils", own.group))
    (row,) = pooled(apart, (0.0,))
    assert row["groups"] == 1  # what the others have left is no blood
    one = own.where((own.group != "g00") | (own.truth != "neutrophil"))
    (row,) = pooled(one, (0.0,))
    assert row["groups"] == 3
    few = own.where((own.truth != "neutrophil") | (np.arange(len(own.truth)) < 3))
    assert pooled(few, (0.0,)) == []
    said: list[str] = []
    every = [Judging(np.ones(len(few.truth), bool), calibration())]
    assert measure_pooled(few, every, CARDS, 200, (0.0,), 5, np.random.default_rng(0), said.append) == []
    assert len(said) == 1
    assert said[0].startswith("x: 4 groups (")
    assert said[0].endswith("left out: not 5 each of neutrophil, as blood has them")
    small = cells(groups=4, of_each=12)  # three neutrophils each: together enough
    every = [Judging(np.ones(len(small.truth), bool), calibration())]
    (row,) = measure_pooled(small, every, CARDS, 200, (0.0,), 5, np.random.default_rng(0))
    assert (row["groups"], row["slides"]) == (1, 5)


def test_cells_that_were_missed_or_are_of_no_known_class_are_left_out() -> None:
    own = cells()
    spoiled = own.where(np.arange(len(own)) >= 0)
    spoiled.blast_probs[::7], spoiled.probs[::7] = np.nan, np.nan
    spoiled.truth[1::7] = "basophil"
    (row,) = pooled(spoiled, (0.2,))
    assert value(row, "flagged") == 1


def test_the_same_seed_gives_the_same_figures() -> None:
    assert pooled(cells(), (0.1,)) == pooled(cells(), (0.1,))


def test_the_command_reads_table_and_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = saved_pairs(tmp_path)
    monkeypatch.setattr(weights, "shipped", lambda task: pairs[task])
    save_calibration(tmp_path / "card.yaml", calibration())
    table = written(labeled(900, slides=6), tmp_path / "cells.csv")
    options = ["--calibration", str(tmp_path / "card.yaml"), "--slides", "2", "--cells", "100"]
    done = CliRunner().invoke(main, ["evaluate", "pooled", str(table), *options])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert [row["blast_percent"] for row in rows] == [0, 1, 5, 20, 60]
    assert all(row["slides"] == 12 for row in rows)
