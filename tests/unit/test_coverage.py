"""Simulated slides of known truth: drawn right, and judged right."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from made_up import CLASSES, calibration, errors, perfect

from smearscan.calibration.coverage import measure_coverage, measure_sequential, simulate
from smearscan.cli import main
from smearscan.differential.calibration_card import save_calibration
from smearscan.taxonomy import BLAST

OWN = errors(spread=0.005, variation=0.2)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_every_drawn_cell_is_called_something(share: float) -> None:
    made = simulate(OWN, 150, share, 400, np.random.default_rng(0))
    assert made.drawn.shape == made.called.shape == (400, 4)
    assert (made.drawn.sum(axis=1) == 150).all()
    lost = 150 - made.called.sum(axis=1)  # left unclassified
    assert (lost >= 0).all()
    assert lost.mean() < 4
    assert made.percent[[0, 1, 3]].sum() == pytest.approx(100)
    assert made.percent[3] == pytest.approx(100 * share)
    inside = made.drawn[:, [0, 1, 3]].sum(axis=0)
    np.testing.assert_allclose(100 * inside / inside.sum(), made.percent[[0, 1, 3]], atol=1.5)


def test_without_errors_cells_are_called_what_they_are() -> None:
    made = simulate(perfect(), 200, 0.1, 100, np.random.default_rng(1))
    assert np.abs(made.called - made.drawn).sum() <= 20  # of 20 000, with one cell's weight of ignorance


def test_coverage_of_slides_drawn_from_the_errors_is_as_stated() -> None:
    rows = measure_coverage(OWN, (100, 200), (0.0, 0.2), 300, 0.01, seed=0)
    assert [(row["cells"], row["blast_percent"]) for row in rows] == [
        (100, 0),
        (100, 20),
        (200, 0),
        (200, 20),
    ]
    for found in rows:
        assert found["raw_of_true_names"]["value"] >= 0.93
        assert found["corrected"]["value"] >= 0.9
        assert min(found["corrected_by_class"].values()) >= 0.9
        assert abs(found["bias_corrected"]) < 1.5
        if found["blast_percent"]:
            assert found["excess_found"]["value"] > 0.95
            assert abs(found["bias_corrected"]) < 0.5
        else:
            assert found["excess_found"]["value"] <= 0.03
        assert 1 < found["detectable_percent"] < 20


def test_nets_too_uncertain_detect_nothing() -> None:
    (row,) = measure_coverage(errors(variation=100.0), (50,), (0.0,), 20, 0.001, seed=0)
    assert row["detectable_percent"] is None
    json.dumps(row, allow_nan=False)


def test_the_same_seed_gives_the_same_figures() -> None:
    one, again, other = (measure_coverage(OWN, (100,), (0.05,), 50, 0.01, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_reading_until_settled_keeps_its_promises() -> None:
    healthy, many = measure_sequential(OWN, (0.0, 0.4), 200, 0.01, 15.0, 1600, seed=0)
    assert healthy["flagged"]["value"] <= 0.03
    assert many["flagged"]["value"] == 1
    for found in (healthy, many):
        assert found["raw_of_true_names"]["value"] >= 0.95
        assert found["corrected"]["value"] >= 0.93
        assert 100 <= found["cells_read_median"] <= 1600
        assert found["of"] == 1600
    # intervals around one half are the widest: more cells are read until they are narrow enough
    assert many["cells_read_median"] >= healthy["cells_read_median"]


def test_a_class_that_cannot_be_corrected_is_left_out_of_the_figures() -> None:
    few = errors(variation=0.2)
    few.counts[1] = [0, 5, 0, 0, 0]
    (row,) = measure_coverage(few, (100,), (0.2,), 50, 0.01, seed=0)
    assert set(row["corrected_by_class"]) == {"neutrophil", BLAST}
    assert set(CLASSES) > set(row["corrected_by_class"])


def test_the_command_prints_valid_json(tmp_path) -> None:  # type: ignore[no-untyped-def]
    save_calibration(tmp_path / "card.yaml", calibration(OWN))
    options = [
        "--calibration",
        str(tmp_path / "card.yaml"),
        "--slides",
        "20",
        "--out",
        str(tmp_path / "f.json"),
    ]
    done = CliRunner().invoke(main, ["evaluate", "coverage", *options])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures == json.loads((tmp_path / "f.json").read_text())
    assert len(figures["fixed"]) == 20
    assert len(figures["until_resolved"]) == 5
    assert "NaN" not in done.stdout
