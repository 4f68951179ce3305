"""The calibration card in a scan: whose it is, and what it changes."""

from pathlib import Path

import numpy as np
import pytest
from fakes import classifier, detector, field, scanner, use_fake_nets
from made_up import CLASSES, KINDS, calibration, errors

from smearscan.classification.naming import Recalibration
from smearscan.differential.calibration_card import Calibration, RecalibrationParams, save_calibration
from smearscan.differential.statistics.correction import correct_differential
from smearscan.errors import WeightsError
from smearscan.io.decode import write_image
from smearscan.results import FieldResult
from smearscan.scan import cell_classifier

NETWORKS = {"blast": "ab" * 32, "differential": "ab" * 32}


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch, KINDS, threshold=0.5)


def saved(folder: Path, **more: object) -> Path:
    card = calibration(errors(variation=0.2), **{"networks": NETWORKS, "name": "site", **more})
    save_calibration(folder / "site.yaml", card)
    return folder / "site.yaml"


def scanned(**settings: object) -> FieldResult:
    return scanner(**settings).analyze(field(3, n_white=3))


# ---------------------------------------------------------------- whose it is


def test_a_card_of_these_nets_is_used_and_named(tmp_path: Path) -> None:
    scan = scanner(calibration=saved(tmp_path))
    assert isinstance(scan.classifier.calibration, Calibration)
    assert scan.weights[-1] == "calibration:site"
    assert len(scan.weights) == 4


def test_a_given_card_of_other_nets_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, networks={**NETWORKS, "blast": "cd" * 32})
    with pytest.raises(
        WeightsError, match=r"made with other networks .* make one for them with 'smearscan cal"
    ):
        scanner(calibration=path)
    with pytest.raises(WeightsError, match=r"none\.yaml"):
        scanner(calibration=tmp_path / "none.yaml")


def test_the_shipped_card_is_used_where_it_belongs_to_the_nets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = saved(tmp_path / "a"), saved(tmp_path / "b", networks={**NETWORKS, "blast": "cd" * 32})
    for path, used in ((own, True), (other, False), (tmp_path / "none.yaml", False)):
        monkeypatch.setattr(cell_classifier, "shipped_calibration", lambda path=path: path)
        assert (scanner().classifier.calibration is not None) == used


@pytest.mark.parametrize("task", ["blast", "differential"])
def test_one_net_alone_has_no_card(tmp_path: Path, task: str) -> None:
    scan = scanner(task=task, calibration=saved(tmp_path))
    assert scan.classifier.calibration is None
    assert not any(name.startswith("calibration") for name in scan.weights)


# ---------------------------------------------------------------- what it changes


def test_a_card_that_changes_nothing_changes_nothing(tmp_path: Path) -> None:
    plain, same = scanned(), scanned(calibration=saved(tmp_path))
    assert same.types == plain.types
    np.testing.assert_array_equal(same.probs, plain.probs)
    np.testing.assert_array_equal(same.blast_probs, plain.blast_probs)


def test_probabilities_are_rescaled(tmp_path: Path) -> None:
    scaling = {
        "blast": RecalibrationParams(temperature=2.0, offsets={"blast": 1.0}),
        "differential": RecalibrationParams(temperature=0.5, offsets={"monocyte": 2.0}),
    }
    plain, found = scanned(), scanned(calibration=saved(tmp_path, scaling=scaling))
    np.testing.assert_array_equal(found.probs, Recalibration(0.5, (0.0, 2.0, 0.0))(plain.probs))
    both = np.column_stack([1 - plain.blast_probs, plain.blast_probs])
    np.testing.assert_allclose(found.blast_probs, Recalibration(2.0, (0.0, 1.0))(both)[:, 1], rtol=1e-3)
    np.testing.assert_allclose(found.probs.sum(axis=1), 1, rtol=1e-5)


def test_boxes_below_the_score_of_a_sites_card_are_dropped(tmp_path: Path) -> None:
    """Discs are found with .9: the card decides whether they count; red cells stay as they are."""
    own = detector(sha256="de" * 32)
    plain = scanned(detector=own)
    for least, left in ((0.85, 3), (0.95, 0)):
        card = saved(tmp_path, box_score=least, detector="de" * 32)
        found = scanned(detector=own, calibration=card)
        assert len(found) == left
        np.testing.assert_array_equal(found.red_cell_xyxy, plain.red_cell_xyxy)
        assert scanner(detector=own, calibration=card).calibration_name == "site"


def test_the_score_of_boxes_belongs_to_its_detector(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="box_score was fitted to another detector than fake:"):
        scanner(calibration=saved(tmp_path, box_score=0.5, detector="ef" * 32))
    with pytest.raises(ValueError, match="box_score needs the SHA-256 of its detector"):
        saved(tmp_path, box_score=0.5)


def test_threshold_and_limit_of_the_card_go_before_those_of_the_nets(tmp_path: Path) -> None:
    plain = scanned()
    assert len(plain) == 3
    every = scanned(calibration=saved(tmp_path, threshold=0.0))
    assert set(every.types) == {"blast"}
    none = scanned(calibration=saved(tmp_path, threshold=1.0, unclassified_below=1.0))
    assert set(none.types) == {"unclassified"}
    np.testing.assert_array_equal(every.probs, plain.probs)


def test_the_cards_of_the_nets_hold_where_the_card_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch, KINDS, threshold=0.0)
    assert set(scanned().types) == {"blast"}


def test_a_slide_is_tested_and_corrected_with_the_errors_of_the_card(tmp_path: Path) -> None:
    (tmp_path / "slides" / "s").mkdir(parents=True)
    for i in range(3):
        write_image(tmp_path / "slides" / "s" / f"{i}.png", field(i, n_white=3))
    rule = {"flag_level": 0.02, "flag_tiers": (5.0, 30.0)}
    scan = scanner(calibration=saved(tmp_path), **rule)
    ((report, _),) = scan.scan_slides(tmp_path / "slides")
    assert (report.rule.level, report.rule.tiers) == (0.02, (5.0, 30.0))
    assert report.test is not None
    assert report.corrected is not None
    assert report.corrected.classes == CLASSES
    seen = np.array([[report.tally.types[name] for name in CLASSES]])
    counted = report.differential.classes
    again = correct_differential(seen, errors(variation=0.2), counted, limits=(5.0, 30.0))
    np.testing.assert_array_equal(report.corrected.high, again[0].high)
    assert "are expected in such a slide without blasts" in report.flag.reason
    ((plain, _),) = scanner().scan_slides(tmp_path / "slides")
    assert plain.test is None
    assert "not known" in plain.flag.reason


def test_classes_are_those_of_the_nets_whatever_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card may list classes in another order than the net answers."""
    order = (3, 1, 0, 2)
    names = tuple(CLASSES[k] for k in order)
    shares = np.eye(4, 5)
    path = saved(tmp_path)
    turned = calibration(errors(shares, classes=names, variation=0.2), networks=NETWORKS, name="turned")
    save_calibration(tmp_path / "turned.yaml", turned)
    (tmp_path / "slides").mkdir()
    write_image(tmp_path / "slides" / "0.png", field(3, n_white=3))
    straight = calibration(errors(shares, variation=0.2), networks=NETWORKS, name="straight")
    save_calibration(path, straight)
    rows = [
        next(scanner(calibration=p).scan_slides(tmp_path / "slides"))[0].to_frame().iloc[0]
        for p in (path, tmp_path / "turned.yaml")
    ]
    columns = [c for c in rows[0].index if c.endswith("corrected_percent")]
    assert rows[0][columns].astype(float).tolist() == pytest.approx(
        rows[1][columns].astype(float).tolist(), abs=0.02, nan_ok=True
    )
    assert classifier("blast", ("healthy", "blast")).card.sha256 == NETWORKS["blast"]
