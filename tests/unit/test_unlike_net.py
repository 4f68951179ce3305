"""On slides of unknown stain other nets may answer: which ones, when, and what stays the same."""

from pathlib import Path

import fakes
import numpy as np
import pytest
from fakes import assert_same, use_fake_nets
from hypothesis import given
from hypothesis import strategies as st
from made_up import calibration
from test_slide_stain import KNOWN, cells_of

from smearscan.classification import Classifier
from smearscan.classification.naming import geometric_mean
from smearscan.cli.options import namers, stages
from smearscan.config import scan_config
from smearscan.differential.calibration_card import save_calibration
from smearscan.errors import ConfigError, WeightsError
from smearscan.io import write_image
from smearscan.results import FieldResult, Stain
from smearscan.scan.cell_classifier import unlike_nets
from smearscan.scan.facts_file import facts_of
from smearscan.scan.run import answer_settings
from smearscan.scan.unlike_nets import NO_OTHERS, USUAL, UnlikeNets, unlike_pairs
from smearscan.taxonomy import DIFFERENTIAL_CLASSES
from smearscan.weights import KnownCells, stage_of
from smearscan.weights.pairs import shipped

SHA = "dd" * 32
Named = dict[str, list[FieldResult]]


def other(classes: tuple[str, ...] = DIFFERENTIAL_CLASSES) -> Classifier:
    """A net that answers otherwise than that of known stains."""
    net = fakes.classifier("differential", classes, only_unlike=True, sha256=SHA)
    return Classifier(
        net.engine, net.card.model_copy(update={"name": "differential_unlike", "temperature": 9.0})
    )


@pytest.fixture
def slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slides of enough cells, two of unknown stain and one of a known one between them."""
    root = tmp_path / "slides"
    for name in "abc":
        (root / name).mkdir(parents=True)
        for i in range(14):
            write_image(root / name / f"{i:02}.png", fakes.field(i + 100 * ord(name)))
    use_fake_nets(monkeypatch, known_cells=KNOWN, unlike={"differential": other()})
    monkeypatch.setattr(
        "smearscan.scan.detected_field.measured_stain",
        lambda cells, known: stained() if sum(map(len, cells)) > 10 else stained(1.0),
    )
    return root


def stained(red: float = 0.8) -> Stain:
    return Stain((red, 1.0, 1.0), 30)


def named(root: Path, **settings: object) -> Named:
    return {
        report.slide_id: [r for r in results if isinstance(r, FieldResult)]
        for report, results in fakes.scanner(**settings).scan_slides(root)
    }


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 99))
def test_what_nets_say_is_joined_as_chances_and_in_no_order(n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.dirichlet(np.ones(k), (2, n)).astype(np.float32)
    both = geometric_mean(one, other)
    np.testing.assert_allclose(both.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(both, geometric_mean(other, one))
    np.testing.assert_allclose(geometric_mean(one, one), one, atol=1e-6)
    np.testing.assert_array_equal(geometric_mean(one), one)
    assert geometric_mean(one[:0], other[:0]).shape == (0, k)


def test_it_names_the_types_of_such_slides_alone(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = named(slides)
    use_fake_nets(monkeypatch, known_cells=KNOWN)
    usual = named(slides)
    scan = fakes.scanner()
    assert not scan.classifier.unlike.cards
    for name, results in both.items():
        for one, plain in zip(results, usual[name], strict=True):
            assert one.stain.is_reference
            assert one.classes == plain.classes
            np.testing.assert_array_equal(one.blast_probs, plain.blast_probs)  # has no other net
            if len(one):
                logits = np.log(plain.probs)  # the other one says the same at nine times the temperature
                wanted = np.exp((logits + logits / 9) / 2)
                wanted /= wanted.sum(axis=1, keepdims=True)
                np.testing.assert_allclose(one.probs, wanted, atol=1e-5)


def test_a_stain_that_is_known_is_named_by_the_usual_net(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smearscan.scan.detected_field.measured_stain", lambda cells, known: stained(1.0))
    with_other = named(slides)
    use_fake_nets(monkeypatch, known_cells=KNOWN)
    for name, results in named(slides).items():
        assert_same(list(results), list(with_other[name]))


@pytest.mark.parametrize("window", [1, 5, 64])
def test_slides_of_either_kind_in_one_window_are_as_each_alone(
    slides: Path, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """Every second field is of an unknown stain: none takes the other's net."""
    monkeypatch.setattr(
        "smearscan.scan.detected_field.measured_stain",
        lambda cells, known: stained(0.8 if int(cells[0].sum() * 1e4) % 2 else 1.0),
    )
    monkeypatch.setattr(
        "smearscan.scan.pipeline.measure_cells",
        lambda crops, _: cells_of(len(crops), 1 + crops[0].mean() / 255 if len(crops) else 1),
    )
    images = [fakes.field(seed) for seed in range(12)]
    together = list(fakes.scanner(window=window).stream(images))
    alone = [fakes.scanner().analyze(image) for image in images]
    assert_same(together, list(alone))
    assert {one.stain.is_reference for one in alone} == {True, False}


def test_it_is_told_with_the_other_networks(slides: Path) -> None:
    scan = fakes.scanner()
    assert scan.weights[-1] == f"differential_unlike:{SHA[:12]}"
    assert [n.stage for n in facts_of(scan).networks][-1] == "differential_unlike"
    assert facts_of(scan).classes == DIFFERENTIAL_CLASSES


def test_it_is_loaded_for_the_first_such_slide(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def load() -> dict[str, Classifier]:
        loaded.append("now")
        return {"differential": other()}

    monkeypatch.setattr(
        "smearscan.scan.cell_classifier.unlike_nets",
        lambda *_: UnlikeNets({"differential": other().card}, load),
    )
    scan = fakes.scanner()
    monkeypatch.setattr("smearscan.scan.detected_field.measured_stain", lambda cells, known: stained(1.0))
    list(scan.scan_slides(slides))
    assert not loaded
    monkeypatch.setattr("smearscan.scan.detected_field.measured_stain", lambda cells, known: stained())
    list(scan.scan_slides(slides))
    assert loaded == ["now"]


def test_a_run_goes_on_only_with_the_same_ones(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = answer_settings(fakes.scanner())
    assert first["differential_unlike_card"]
    use_fake_nets(monkeypatch, known_cells=KNOWN)
    assert answer_settings(fakes.scanner()) != first


def test_it_must_name_what_the_usual_one_names(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = {"differential": fakes.classifier("differential", DIFFERENTIAL_CLASSES, known_cells=KNOWN)}
    others = UnlikeNets({"differential": other(("neutrophil", "monocyte")).card}, dict)
    monkeypatch.setattr(UnlikeNets, "read", lambda *_: others)
    with pytest.raises(ConfigError, match="names neutrophil, monocyte, the usual net neutrophil, lymphocyte"):
        unlike_nets(scan_config(differential_unlike=Path("other.safetensors")), usual)


@pytest.mark.parametrize(
    ("settings", "known", "why"),
    [
        ({"reference_stain": False}, KNOWN, "reference_stain is off"),
        ({"cells_unlike": Path("fine.safetensors")}, KNOWN, "no usual net of the task 'cells' runs"),
        ({}, None, "does not tell how its training cells are stained"),
    ],
)
def test_one_that_was_given_and_would_name_no_slide_is_refused(
    settings: dict[str, object], known: KnownCells | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {"differential": fakes.classifier("differential", DIFFERENTIAL_CLASSES, known_cells=known)}
    given = scan_config(**{"differential_unlike": Path("other.safetensors"), **settings})
    monkeypatch.setattr(UnlikeNets, "read", lambda *_: UnlikeNets({"differential": other().card}, dict))
    with pytest.raises(ConfigError, match=why):
        unlike_nets(given, usual)
    assert unlike_nets(scan_config(reference_stain=False), usual) is NO_OTHERS


def test_a_calibration_of_another_one_is_refused(slides: Path, tmp_path: Path) -> None:
    file = tmp_path / "card.yaml"
    networks = {"blast": "ab" * 32, "differential": "ab" * 32}
    save_calibration(file, calibration(networks={**networks, "differential_unlike": "0" * 64}))
    with pytest.raises(WeightsError, match="made with other networks"):
        fakes.scanner(calibration=file)
    save_calibration(file, calibration(networks={**networks, "differential_unlike": SHA}))
    assert fakes.scanner(calibration=file).classifier.calibration is not None


def test_the_shipped_ones_go_with_the_shipped_nets_alone() -> None:
    own = {task: shipped(f"{task}_unlike") for task in USUAL}
    assert unlike_pairs(scan_config()) == own
    assert unlike_pairs(scan_config(differential=shipped("differential"))) == own
    assert unlike_pairs(scan_config(differential=Path("mine.safetensors"))) == {}
    assert unlike_pairs(scan_config(blast=Path("mine.safetensors"))) == {}
    assert unlike_pairs(scan_config(reference_stain=False)) == {}
    assert unlike_pairs(scan_config(task="blast")) == {"blast": own["blast"]}
    given = scan_config(differential=Path("mine.safetensors"), differential_unlike=Path("other.safetensors"))
    assert unlike_pairs(given) == {"differential": Path("other.safetensors")}
    with pytest.raises(ConfigError, match="is not run, for the task is 'blast'"):
        scan_config(task="blast", differential_unlike=own["differential"])


def test_it_is_known_by_its_card() -> None:
    assert stage_of(other().card) == "differential_unlike"
    own = {f"{task}_unlike": shipped(f"{task}_unlike") for task in USUAL}
    assert stages(tuple(own.values())) == own
    usual = {task: shipped(task) for task in ("blast", "differential")}
    others = {task: own[task] for task in ("blast_unlike", "differential_unlike")}
    assert namers(()) == namers((own["blast_unlike"],)) == {**usual, **others}
