"""The statistics of drawn slides, from photographs to table: columns, early stopping, calibration."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from smearscan.cli import main
from smearscan.detection import boxes
from smearscan.synthetic import BEIGE, HEALTHY, LEUKEMIC, write_slides

pytestmark = [pytest.mark.weights, pytest.mark.slow]

BOX = ["x0", "y0", "x1", "y1"]


def smearscan(*told: object) -> Result:
    done = CliRunner().invoke(main, [str(o) for o in told])
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    specs = {"healthy": replace(HEALTHY, stain=BEIGE), "leukemic": replace(LEUKEMIC, stain=BEIGE)}
    write_slides(root, specs, 10, seed=11)
    return root


@pytest.fixture(scope="module")
def scanned(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scanned")
    smearscan("run", drawn, "--out", out / "report.csv", "--cells", out / "cells.csv")
    return out


def labeled(cells: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    parts = []
    for field, there in truth[truth["label"] == "leukocyte"].groupby("field"):
        found = cells[cells["field"] == field].copy()
        overlap = boxes.iou(there[BOX].to_numpy(np.float32), found[BOX].to_numpy(np.float32))
        found["truth"] = "none"
        if len(found):
            best = overlap.argmax(axis=0)
            hit = overlap.max(axis=0) >= 0.5
            found.loc[hit, "truth"] = there["type"].to_numpy()[best[hit]]
        missed = there[overlap.max(axis=1, initial=0) < 0.5]
        parts += [found, missed[["slide", "field", "type", *BOX]].rename(columns={"type": "truth"})]
    return pd.concat(parts, ignore_index=True)


def test_the_report_says_how_sure_it_is(scanned: Path) -> None:
    report = pd.read_csv(scanned / "report.csv").set_index("slide")
    leukemic = report.loc["leukemic"]
    assert leukemic["flag"] == "flagged"
    assert leukemic["flag_tier"] == ">= 20 %"
    assert leukemic["flag_p_value"] <= 0.01
    low, high = leukemic["blast_corrected_low"], leukemic["blast_corrected_high"]
    assert low <= leukemic["blast_corrected_percent"] <= high
    assert "are expected in such a slide without blasts" in leukemic["flag_reason"]
    assert (report["interval_level"] == 0.95).all()
    assert report["stopped"].tolist() == ["every field was read"] * 2
    assert report["detection_limit"].str.contains("cannot be excluded").all()
    assert report["weights"].str.contains("calibration").all()
    corrected = [c for c in report if c.endswith("_corrected_percent")]
    whole = report[corrected].dropna(axis=1)
    assert (whole.sum(axis=1) <= 100.1).all()


def test_reading_stops_when_the_slide_is_settled(drawn: Path, scanned: Path, tmp_path: Path) -> None:
    settings = tmp_path / "early.yaml"
    settings.write_text("first_look: 40\n")
    told = ["--config", settings, "--until-resolved", "--resolve-width", 60]
    smearscan("run", drawn, "--out", tmp_path / "report.csv", "--cells", tmp_path / "cells.csv", *told)
    report = pd.read_csv(tmp_path / "report.csv").set_index("slide")
    row = report.loc["leukemic"]
    assert row["n_fields"] < row["n_fields_available"] == 10
    assert row["stopped"] == f"settled after {row['n_fields']} of 10 fields"
    assert row["flag"] == "flagged"
    assert row["interval_level"] > 0.95
    few, all_cells = pd.read_csv(tmp_path / "cells.csv"), pd.read_csv(scanned / "cells.csv")
    own = all_cells[all_cells["field"].isin(few["field"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, own)


def test_a_site_is_calibrated_with_its_labeled_cells(drawn: Path, scanned: Path, tmp_path: Path) -> None:
    table = labeled(pd.read_csv(scanned / "cells.csv"), pd.read_csv(drawn / "truth.csv"))
    table.to_csv(tmp_path / "labeled.csv", index=False)
    card = tmp_path / "drawn_site.yaml"
    smearscan(
        "calibrate", "--cells", tmp_path / "labeled.csv", "--out", card, "--plot", tmp_path / "r.png",
        "--json", tmp_path / "figures.json", "--force",
    )  # fmt: skip
    told = json.loads((tmp_path / "figures.json").read_text())
    assert told["after"]["false_blasts"]["value"] <= 1
    assert (tmp_path / "r.png").stat().st_size > 5000
    smearscan("run", drawn, "--out", tmp_path / "report.csv", "--calibration", card)
    report, before = pd.read_csv(tmp_path / "report.csv"), pd.read_csv(scanned / "report.csv")
    assert report["weights"].str.contains("calibration:drawn_site").all()
    assert report["n_leukocytes"].tolist() == before["n_leukocytes"].tolist()
    assert report["blast_count"].tolist() == before["blast_count"].tolist()  # the threshold moves along


def test_the_last_layer_learns_from_labeled_cells(drawn: Path, scanned: Path, tmp_path: Path) -> None:
    table = labeled(pd.read_csv(scanned / "cells.csv"), pd.read_csv(drawn / "truth.csv")).head(100)
    table.to_csv(tmp_path / "labeled.csv", index=False)
    card = tmp_path / "site.yaml"
    told = ["--last-layer", tmp_path / "net", "--slides", drawn]
    smearscan("calibrate", "--cells", tmp_path / "labeled.csv", "--out", card, *told, "--force")
    nets = [
        ("--weights", tmp_path / "net" / f"{name}_refitted.safetensors") for name in ("differential", "blast")
    ]
    given = [word for net in nets for word in net]
    smearscan("run", drawn, "--out", tmp_path / "report.csv", *given, "--calibration", card)
    assert (
        pd.read_csv(tmp_path / "report.csv")["weights"]
        .str.contains("differential_refitted:.*blast_refitted")
        .all()
    )


def test_a_card_of_other_networks_is_refused(drawn: Path, scanned: Path, tmp_path: Path) -> None:
    from smearscan.differential.calibration_card import (
        load_calibration,
        save_calibration,
        shipped_calibration,
    )

    card = load_calibration(shipped_calibration())
    assert card.unlike is not None
    others = {"networks": {"blast": "0", "differential": "1"}}
    unlike = card.unlike.model_copy(update=others)
    save_calibration(tmp_path / "other.yaml", card.model_copy(update={**others, "unlike": unlike}))
    told = ["run", drawn, "--out", tmp_path / "report.csv", "--calibration", tmp_path / "other.yaml"]
    done = CliRunner().invoke(main, [str(o) for o in told])
    assert done.exit_code == 2
    assert "was made with other networks" in done.output
    assert not (tmp_path / "report.csv").exists()


def test_the_shipped_weights_are_intact_and_their_calibration_is_theirs() -> None:
    told = smearscan("weights", "verify").stdout
    assert told.count("intact, sha256") == 7
    assert "calibration: belongs to the shipped nets" in told
    assert "calibration of blast:" in smearscan("weights", "list").stdout
