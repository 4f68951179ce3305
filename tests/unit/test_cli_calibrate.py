"""``smearscan calibrate`` and what it writes, from the table to the card."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from made_up import CLASSES, KINDS, calibration, errors, labeled, saved_pairs, written

from smearscan.calibration import calibrate, last_layer
from smearscan.calibration.verdict import Verdict, weigh
from smearscan.cli import main
from smearscan.differential.calibration_card import load_calibration, save_calibration
from smearscan.results import STAIN_COLUMNS
from smearscan.weights.pairs import ClassifierCard, load_card, load_weights, save_weights


def ask(*args: object) -> Result:
    return CliRunner().invoke(main, ["calibrate", *map(str, args)])


@pytest.fixture
def pairs(tmp_path: Path) -> list[object]:
    return [part for path in saved_pairs(tmp_path).values() for part in ("--weights", path)]


@pytest.fixture
def networks(tmp_path: Path, pairs: list[object]) -> dict[str, str]:
    return {t: load_card(tmp_path / t, ClassifierCard).sha256 for t in ("blast", "differential")}


@pytest.fixture
def base(tmp_path: Path, networks: dict[str, str]) -> Path:
    card = calibration(errors(spread=0.02, variation=0.3), networks=networks, name="base")
    save_calibration(tmp_path / "base.yaml", card.model_copy(update={"unclassified_below": 0.45}))
    return tmp_path / "base.yaml"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return written(labeled(150), tmp_path / "labeled.csv")


def test_a_site_is_calibrated_from_table_to_card(
    tmp_path: Path, table: Path, base: Path, pairs: list[object], networks: dict[str, str]
) -> None:
    out, told, drawn = tmp_path / "new" / "site.yaml", tmp_path / "figures.json", tmp_path / "d" / "plot.png"
    done = ask("--cells", table, "--base", base, "--out", out, *pairs, "--json", told, "--plot", drawn)
    assert done.exit_code == 0, done.output
    card = load_calibration(out)
    assert (card.name, card.classes, card.networks) == ("site", CLASSES, networks)
    assert card.confusion == load_calibration(base).confusion
    assert np.array(card.site_confusion).sum() == 150
    assert card.unclassified_below == 0.45
    assert card.data == {"cells": 150, "slides": 12, "table": "labeled.csv", "sites": {"labeled": 150}}
    assert set(card.scaling) == {"blast", "differential"}
    written_figures = json.loads(told.read_text())
    assert {"before", "after", "judged"} <= set(written_figures)
    assert card.metrics == written_figures
    assert drawn.read_bytes().startswith(b"\x89PNG")
    right = written_figures["after"]["right_of_all"]
    assert f"{right['value']:.3f}" in done.stdout  # results on stdout, the rest on stderr
    assert "the card is" in done.stderr
    assert right["cells"] == 150
    blasts = written_figures["after"]["blasts_called"]
    assert blasts["cells"] == int((labeled(150).truth == "blast").sum())
    assert "reliability_blast" in written_figures["after"]
    assert f"written: {out}" in done.stderr.replace("\n", "")
    assert "never a diagnosis" in " ".join(done.stderr.split())


def test_a_worse_card_needs_force(
    tmp_path: Path, table: Path, base: Path, pairs: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrate, "weigh", lambda *_: Verdict("worse", "cells named right fell"))
    asked = ["--cells", table, "--base", base, "--out", tmp_path / "c.yaml", *pairs]
    refused = ask(*asked)
    assert refused.exit_code == 2
    assert "or give --force" in " ".join(refused.output.split())
    assert not (tmp_path / "c.yaml").exists()
    assert ask(*asked, "--force").exit_code == 0
    assert (tmp_path / "c.yaml").exists()


@pytest.mark.parametrize(("right", "told"), [(0.4, True), (0.6, False)])
def test_what_a_card_cannot_cure_is_told_with_what_does(
    tmp_path: Path, table: Path, base: Path, pairs: list[object], monkeypatch: pytest.MonkeyPatch,
    right: float, told: bool,
) -> None:  # fmt: skip
    shown = {when: {"right_of_all": {"value": right, "cells": 150}} for when in ("before", "after")}
    monkeypatch.setattr(calibrate.Calibrated, "compared", shown)
    done = ask("--cells", table, "--base", base, "--out", tmp_path / "c.yaml", *pairs)
    assert done.exit_code == 0, done.output
    assert ("add --last-layer FOLDER --slides SLIDES" in " ".join(done.stderr.split())) == told


@pytest.mark.parametrize(
    ("right", "error", "state"),
    [(0.9, 0.05, "better"), (0.805, 0.05, "no better"), (0.7, 0.01, "worse"), (0.9, 0.2, "worse")],
)
def test_a_card_is_weighed_by_right_names_and_by_probabilities(
    right: float, error: float, state: str
) -> None:
    before = {"right_of_all": {"value": 0.8}, "calibration_error_blast": 0.05}
    found = weigh(before, {"right_of_all": {"value": right}, "calibration_error_blast": error})
    assert found.state == state


def test_a_card_from_scratch(tmp_path: Path, pairs: list[object], networks: dict[str, str]) -> None:
    table, out = written(labeled(1500, slides=40), tmp_path / "many.csv"), tmp_path / "scratch.yaml"
    empty = ["slide 0", "none", "0.1", *["0.3"] * len(KINDS)]  # a box without a leukocyte
    table.write_text(table.read_text() + ",".join(empty) + "\n")
    done = ask("--cells", table, "--from-scratch", "--out", out, *pairs, "--error-rate", 0.2)
    assert done.exit_code == 0, done.output
    card = load_calibration(out)
    assert "1 box labeled 'none' left out" in " ".join(done.stderr.split())
    assert (card.name, card.networks, card.unclassified_rate) == ("scratch", networks, 0.2)
    assert 0.6 * 1500 < np.array(card.confusion).sum() < 0.9 * 1500  # one slide in four chose the threshold
    assert set(card.metrics) == {"fitted"}


def test_from_scratch_needs_slides(tmp_path: Path, pairs: list[object]) -> None:
    table = written(labeled(200, slides=3), tmp_path / "few.csv")
    refused = ask("--cells", table, "--from-scratch", "--out", tmp_path / "c.yaml", *pairs)
    assert refused.exit_code == 2
    assert "3 slides cannot promise a rate of wrong names of 0.1" in " ".join(refused.output.split())
    assert not (tmp_path / "c.yaml").exists()


def test_a_base_of_other_networks_is_refused_with_the_cure(
    tmp_path: Path, table: Path, pairs: list[object]
) -> None:
    save_calibration(tmp_path / "other.yaml", calibration())
    refused = ask("--cells", table, "--base", tmp_path / "other.yaml", "--out", tmp_path / "c.yaml", *pairs)
    assert refused.exit_code == 2
    told = " ".join(refused.output.split())
    assert "other.yaml: was made with other networks than these" in told
    assert "--from-scratch" in told


def test_a_base_that_changes_probabilities_is_refused(
    tmp_path: Path, table: Path, base: Path, pairs: list[object]
) -> None:
    first = ask("--cells", table, "--base", base, "--out", tmp_path / "one.yaml", *pairs)
    assert first.exit_code == 0, first.output
    again = ask("--cells", table, "--base", tmp_path / "one.yaml", "--out", tmp_path / "two.yaml", *pairs)
    assert again.exit_code == 2
    assert "is the card of a site already" in " ".join(again.output.split())


def test_a_table_scanned_under_another_card_is_refused(
    tmp_path: Path, table: Path, base: Path, pairs: list[object]
) -> None:
    head, *rows = table.read_text().splitlines()
    for card, code in (("", 0), ("site", 2)):
        table.write_text("\n".join([f"{head},calibration", *(f"{row},{card}" for row in rows)]) + "\n")
        done = ask("--cells", table, "--base", base, "--out", tmp_path / "c.yaml", *pairs)
        assert done.exit_code == code, done.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--last-layer", "x"], "--last-layer and --slides go together"),
        (["--slides", "x"], "--last-layer and --slides go together"),
        (["--last-layer", "x", "--slides", "y", "--from-scratch"], "not with --from-scratch"),
        (["--from-scratch", "--judge-split", "test"], "goes with neither"),
        (["--base", "none.yaml"], "none.yaml: the calibration card cannot be read"),
    ],
)
def test_wrong_usage(tmp_path: Path, table: Path, pairs: list[object], options: list[str], told: str) -> None:
    refused = ask("--cells", table, "--out", tmp_path / "c.yaml", *pairs, *options)
    assert refused.exit_code == 2
    assert told in " ".join(refused.output.split())


@pytest.mark.parametrize("label", ["unicorn", "promyelocyte"])
def test_a_label_that_cannot_be_used_is_named(
    tmp_path: Path, table: Path, base: Path, pairs: list[object], label: str
) -> None:
    table.write_text(table.read_text().replace("monocyte", label).replace(f"p_{label}", "p_monocyte"))
    refused = ask("--cells", table, "--base", base, "--out", tmp_path / "c.yaml", *pairs)
    assert refused.exit_code == 2
    assert label in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.parametrize("n", [0, 1])
def test_a_table_of_missed_cells_is_refused_in_words(
    tmp_path: Path, base: Path, pairs: list[object], n: int
) -> None:
    cells = labeled(10)
    cells.probs[n:], cells.blast_probs[n:] = np.nan, np.nan
    table = written(cells, tmp_path / "missed.csv")
    refused = ask("--cells", table, "--base", base, "--out", tmp_path / "c.yaml", *pairs)
    assert refused.exit_code == 2, refused.output
    assert isinstance(refused.exception, SystemExit)


def test_the_last_layers_go_with_their_new_pairs(
    tmp_path: Path, table: Path, base: Path, pairs: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card belongs to the new pairs; its cells are named by them."""

    def refitted(
        rows: object, found: object, target: object, slides: Path, pair: Path, out: Path, folds: object
    ) -> object:
        assert (slides, out, pair.parent) == (tmp_path / "slides", tmp_path / "o", tmp_path)
        card = load_card(pair, ClassifierCard)
        new = card.model_copy(update={"name": f"{card.name}_new", "sha256": card.task[0] * 64})
        probs, blast = labeled(150).probs[:, ::-1].copy(), labeled(150).blast_probs
        return new, np.column_stack([blast, 1 - blast]) if card.task == "blast" else probs

    monkeypatch.setattr(last_layer, "refit_last_layer", refitted)
    out = tmp_path / "site.yaml"
    layer = ["--last-layer", tmp_path / "o", "--slides", tmp_path / "slides"]
    done = ask("--cells", table, "--base", base, "--out", out, *pairs, *layer, "--force")
    assert done.exit_code == 0, done.output
    card = load_calibration(out)
    assert card.networks == {"blast": "b" * 64, "differential": "d" * 64}
    assert len(card.metrics["last_layer"]["pairs"]) == 2
    assert "last layer fitted anew: " in done.output
    # the new layers have a scale and offsets of their own; before are the nets as they were
    assert card.scaling == {}
    assert card.metrics["before"] == card.metrics["last_layer"]["before"]
    assert card.metrics["after"]["right_of_named"] == card.metrics["last_layer"]["after"]["right_of_named"]
    worse = card.metrics["last_layer"]
    assert worse["after"]["right_of_named"]["value"] < worse["before"]["right_of_named"]["value"]
    assert worse["after"]["blasts_called"]["value"] < worse["before"]["blasts_called"]["value"]
    assert set(KINDS) <= set(card.classes)


@pytest.mark.parametrize("gain", [1.0, 0.8])
def test_cells_of_unknown_stain_teach_the_net_that_named_them(
    tmp_path: Path, table: Path, networks: dict[str, str], pairs: list[object], gain: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Where most were brought to the reference, the net of such slides is refitted."""
    own, tensors = load_weights(tmp_path / "differential", ClassifierCard)
    unlike = tmp_path / "differential_unlike.safetensors"
    named = {"name": "differential_unlike", "only_unlike": True, "temperature": 2.0}
    other = save_weights(unlike, own.model_copy(update=named), {k: v + 1 for k, v in tensors.items()})
    base = tmp_path / "base.yaml"
    save_calibration(base, calibration(networks={**networks, "differential_unlike": other.sha256}))
    rows = pd.read_csv(table).assign(**dict.fromkeys(STAIN_COLUMNS, gain))
    rows.to_csv(table, index=False)
    taught: list[str] = []

    def refitted(
        rows: object, found: object, target: object, slides: Path, pair: Path, out: Path, folds: object
    ) -> object:
        taught.append(pair.stem)
        card, seen = load_card(pair, ClassifierCard), labeled(150)
        new = card.model_copy(update={"sha256": card.task[0] * 64})
        blast = np.column_stack([1 - seen.blast_probs, seen.blast_probs])
        return new, blast if card.task == "blast" else seen.probs

    monkeypatch.setattr(last_layer, "refit_last_layer", refitted)
    out = tmp_path / "site.yaml"
    layer = ["--last-layer", tmp_path / "o", "--slides", tmp_path / "slides", "--force"]
    done = ask("--cells", table, "--base", base, "--out", out, *pairs, "--weights", unlike, *layer)
    assert done.exit_code == 0, done.output
    assert sorted(taught) == ["blast", "differential" if gain == 1 else "differential_unlike"]
    assert load_calibration(out).networks == {"blast": "b" * 64, "differential": "d" * 64}
