"""What is fitted on some sites and judged at another one."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from smearscan.calibration.transfer import (
    SITE_CELLS,
    SiteScores,
    fit_transfer,
    measure_transfer,
    read_site_scores,
)
from smearscan.cli import main
from smearscan.differential.statistics.estimates import over_groups, share_over_groups
from smearscan.errors import DatasetError

RNG = np.random.default_rng(3)
TYPES = ("neutrophil", "lymphocyte", "platelet")


def made(
    classes: tuple[str, ...],
    sizes: tuple[int, ...],
    off: tuple[float, ...],
    heat: float = 1.0,
    sharp: float = 2.0,
) -> SiteScores:
    """Cells of as many sites as sizes; every net adds `off` to true logits and multiplies them by `heat`."""
    k = len(classes)
    logs, targets, sites = [], [], []
    for number, n in enumerate(sizes):
        # targets are drawn by the true probabilities, so that these are calibrated
        logits = RNG.normal(0, sharp, (n, k))
        probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        targets.append([RNG.choice(k, p=p) for p in probs])
        logits = heat * (logits + np.array(off))
        logs.append(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))
        sites += [f"site{number}"] * n
    groups = [f"{site}/{i % 10}" for i, site in enumerate(sites)]
    return SiteScores(
        classes, np.concatenate(logs), np.concatenate(targets), np.array(sites), np.array(groups)
    )


def test_what_all_sites_have_in_common_is_undone_at_the_one_left_out() -> None:
    scores = made(TYPES, (400, 400, 400, 400, 400), off=(0, 0, 2.5), heat=2.0)
    told = measure_transfer(scores, error_rate=0.4)
    before, after = told["mean"]["before"], told["mean"]["after"]
    assert after["likeliest_right"] > before["likeliest_right"] + 0.05
    assert after["calibration_error"] < before["calibration_error"] / 2
    assert told["fitted"]["temperature"] == pytest.approx(2.0, rel=0.15)
    offsets = told["fitted"]["offsets"]
    assert offsets["platelet"] - offsets["neutrophil"] == pytest.approx(-2.5, abs=0.4)


def test_a_site_is_judged_by_the_others_alone() -> None:
    scores = made(TYPES, (200, 200, 200, 200), off=(0, 0, 0))
    own = scores.sites == "site2"
    other = SiteScores(
        scores.classes, scores.logs, np.where(own, (scores.targets + 1) % 3, scores.targets),
        scores.sites, scores.groups,
    )  # fmt: skip
    first, second = (measure_transfer(one, 0.4)["sites"]["site2"]["fitted"] for one in (scores, other))
    assert first == second


def test_every_site_speaks_alike_whatever_its_size() -> None:
    small = made(TYPES, (120, 120, 120), off=(0, 1, 0))
    repeated = np.repeat(np.arange(360), np.where(small.sites == "site1", 7, 1))
    grown = SiteScores(
        TYPES, *(getattr(small, name)[repeated] for name in ("logs", "targets", "sites", "groups"))
    )
    one, other = fit_transfer(small, 0.4, 0.95), fit_transfer(grown, 0.4, 0.95)
    assert one.temperature == pytest.approx(other.temperature, rel=1e-3)
    np.testing.assert_allclose(one.offsets, other.offsets, atol=0.01)
    assert SITE_CELLS > 0


def test_the_limit_keeps_the_stated_rate_of_wrong_names() -> None:
    scores = made(TYPES, (300,) * 12, off=(0, 0, 0), sharp=1.0)
    told = measure_transfer(scores, error_rate=0.2)
    wrong = [one["after"]["wrong_names"]["value"] for one in told["sites"].values()]
    assert np.mean(wrong) <= 0.2
    assert np.mean(wrong) > 0.1  # and names what it may
    few = measure_transfer(made(TYPES, (100, 100, 100), off=(0, 0, 0)), error_rate=0.1)
    assert "unclassified_below" not in few["fitted"]  # three sites cannot promise one in ten


@pytest.mark.parametrize("specificity", [0.9, 0.95])
def test_the_blast_threshold_keeps_the_mean_specificity(specificity: float) -> None:
    scores = made(("healthy", "blast"), (500,) * 8, off=(0, -1.5))
    fitted = fit_transfer(scores, 0.2, specificity)
    called = fitted.probs(scores)[:, 1] >= (fitted.threshold or 0)
    healthy = scores.targets == 0
    each = [1 - called[healthy & (scores.sites == s)].mean() for s in np.unique(scores.sites)]
    assert np.mean(each) >= specificity
    assert np.mean(each) < specificity + 0.01
    told = measure_transfer(scores, specificity=specificity)
    assert told["mean"]["after"]["specificity"] == pytest.approx(specificity, abs=0.03)
    assert told["mean"]["after"]["recall"] > told["mean"]["before"]["recall"]


def test_the_command_reads_what_crossval_wrote(tmp_path: Path) -> None:
    scores = made(TYPES, (60, 60, 60), off=(0, 0, 1))
    probs = pd.DataFrame(np.exp(scores.logs), columns=[f"p_{name}" for name in TYPES])
    table = probs.assign(site=scores.sites, group=scores.groups, target=scores.targets.astype(float))
    table.loc[0, "target"] = np.nan  # a cell of no class
    table.to_csv(tmp_path / "out_of_fold.csv", index=False)
    assert len(read_site_scores(tmp_path / "out_of_fold.csv").targets) == 179
    asked = ["evaluate", "transfer", tmp_path / "out_of_fold.csv", "--error-rate", 0.4]
    done = CliRunner().invoke(main, [str(a) for a in asked])
    assert done.exit_code == 0, done.output
    assert set(json.loads(done.stdout)["sites"]) == {"site0", "site1", "site2"}
    table[table["site"] != "site0"].to_csv(tmp_path / "two.csv", index=False)
    with pytest.raises(DatasetError, match=r"two\.csv: has cells of 2 sites"):
        read_site_scores(tmp_path / "two.csv")
    table.drop(columns="site").to_csv(tmp_path / "none.csv", index=False)
    with pytest.raises(DatasetError, match="needs the columns target, site, group"):
        read_site_scores(tmp_path / "none.csv")


def test_a_share_over_groups_is_that_of_the_slow_way() -> None:
    hit, groups = RNG.random(300) < 0.3, RNG.integers(0, 25, 300)
    quick = share_over_groups(hit, groups)
    slow = over_groups(lambda i: float(hit[i].mean()), groups)
    assert {k: v for k, v in quick.items() if k != "interval_95"} == {
        k: v for k, v in slow.items() if k != "interval_95"
    }
    np.testing.assert_allclose(quick["interval_95"], slow["interval_95"], atol=0.015)  # type: ignore[arg-type]
