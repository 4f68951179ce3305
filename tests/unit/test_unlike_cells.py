"""Slides of another stain than the networks learned from: what is measured, counted, doubted, and said."""

import json
from dataclasses import replace
from pathlib import Path

import drawn_run
import fakes
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fakes import use_fake_nets
from numpy.typing import NDArray
from pydantic import ValidationError

from smearscan.classification.crops import BACKGROUND
from smearscan.cli import main
from smearscan.differential import FlagRule, SlideReport, SlideTally, report_slide
from smearscan.io import write_image
from smearscan.report.exports.fhir import bundle
from smearscan.report.review import parts
from smearscan.report.scan_page import write_scan_page
from smearscan.report.slide_summary import why
from smearscan.results import Detections, FieldResult, Scale
from smearscan.results.doubts import ABOUT_NAMES, COLORS, COPIES, UNLIKE_TRAINING, Doubt
from smearscan.rulers import stain
from smearscan.rulers.unlike_cells import (
    FEWEST_COMPARED,
    count_unlike,
    doubts_of_unlike_cells,
    standing_apart,
)
from smearscan.scan.pipeline import Pipeline
from smearscan.weights import KnownCells

MEAN = tuple(np.ravel(stain.REFERENCE).tolist())
SPREAD = tuple(tuple(row) for row in np.diag(0.05 * np.array(MEAN) ** 2).tolist())
KNOWN = KnownCells(mean=MEAN, covariance=SPREAD, most_distance=4.0, most_unlike=0.1)


def crop(depth: tuple[float, float, float] = (1, 1, 1), px: int = 80) -> NDArray[np.uint8]:
    """A leukocyte of the reference's stain amid red cells, 20 um wide; each channel `depth` as deep."""
    at = (np.arange(px) - (px - 1) / 2) * 20 / px
    radius = np.hypot(at[:, None], at)
    density = np.zeros((px, px, 3))
    density[radius < 5], density[radius > 8.2] = stain.REFERENCE
    return np.asarray((BACKGROUND * np.exp(-density * depth)).clip(0, 255).round(), np.uint8)


def cells_of(unlike: int, compared: int) -> NDArray[np.float64]:
    """So many measured cells, of which so many are three times as deep as any that is known."""
    cells = np.tile(np.array(stain.REFERENCE), (compared, 1, 1))
    cells[:unlike] *= 3
    return cells


@pytest.mark.parametrize("px", [40, 80, 160])
def test_densities_are_the_stain_s_whatever_the_crops_size(px: int) -> None:
    np.testing.assert_allclose(stain.measure_cells(crop(px=px)[None], 20)[0].ravel(), MEAN, rtol=0.06)


def test_cells_of_another_stain_are_unlike_and_those_without_red_cells_are_not_compared() -> None:
    known, deep, exchanged = crop(), crop((3, 3, 3)), crop()[..., ::-1]
    bare = np.full_like(known, BACKGROUND)
    for crops, counts in (([known, known], (0, 2)), ([known, deep, exchanged, bare], (2, 3)), ([], (0, 0))):
        measured = stain.measure_cells(np.array(crops, np.uint8).reshape(-1, 80, 80, 3), 20)
        assert count_unlike(measured, KNOWN) == counts


def test_distances_are_those_of_mahalanobis() -> None:
    off = np.zeros((6, 6))
    np.fill_diagonal(off, 3 * np.sqrt(np.diag(SPREAD)))
    np.testing.assert_allclose(KNOWN.distances(np.array(MEAN) + off), 3)
    assert np.isnan(KNOWN.distances(np.full((1, 6), np.nan))).all()


def test_a_leukocyte_beside_another_is_not_measured_as_if_that_were_red_cells() -> None:
    boxes = np.array([[0, 0, 20, 20], [25, 0, 45, 20], [100, 100, 120, 120]], np.float32)
    assert standing_apart(boxes, 40).tolist() == [False, False, True]
    assert standing_apart(boxes, 20).tolist() == [True, True, True]
    assert standing_apart(boxes[:0], 40).shape == (0,)
    large = np.array(
        [[0, 0, 10, 10], [12, 0, 112, 100]], np.float32
    )  # reaches into the small one's crop alone
    assert standing_apart(large, 40).tolist() == [False, True]


def test_a_slide_is_doubted_from_the_card_s_share_on_and_never_by_few_cells() -> None:
    def doubts(*counts: tuple[int, int]) -> list[str]:
        return [doubt.name for doubt in doubts_of_unlike_cells(counts, KNOWN)]

    assert doubts() == doubts((0, 100)) == doubts((5, 50), (5, 50)) == []
    assert doubts((5, 50), (6, 50)) == [UNLIKE_TRAINING]
    assert doubts((FEWEST_COMPARED - 1, FEWEST_COMPARED - 1)) == []
    assert doubts((FEWEST_COMPARED, FEWEST_COMPARED)) == [UNLIKE_TRAINING]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": MEAN[:5]},
        {"covariance": SPREAD[:5]},
        {"covariance": tuple((0.0,) * 6 for _ in range(6))},
        {"covariance": (*SPREAD[:5], (1.0,) * 6)},
        {"most_distance": 0},
        {"most_unlike": 1.1},
        {"mean": (float("nan"),) * 6},
    ],
)
def test_a_card_s_distribution_is_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        KnownCells(**{**KNOWN.model_dump(), **wrong})


def test_a_scan_compares_its_crops_with_the_card_s_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "f.png", fakes.field(1, n_white=1))
    asked: list[tuple[tuple[int, ...], float]] = []

    def measured(crops: NDArray[np.uint8], side_um: float) -> NDArray[np.float64]:
        asked.append((crops.shape, side_um))
        return cells_of(FEWEST_COMPARED, FEWEST_COMPARED)

    monkeypatch.setattr("smearscan.scan.pipeline.measure_cells", measured)
    use_fake_nets(monkeypatch)
    ((report, (result,)),) = fakes.scanner().scan_slides(tmp_path)
    assert result.unlike_training == (0, 0)  # no card tells what its net learned from
    assert asked == []
    use_fake_nets(monkeypatch, known_cells=KNOWN)
    ((report, (result,)),) = fakes.scanner().scan_slides(tmp_path)
    assert asked == [((1, 32, 32, 3), 20)]
    assert result.unlike_training == (FEWEST_COMPARED, FEWEST_COMPARED)
    assert UNLIKE_TRAINING in [doubt.name for doubt in report.doubts]


def test_cells_already_cut_are_doubted_by_the_same_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a set; sets of few cells together; on the screen, in the table's last column, and from Python."""
    half = FEWEST_COMPARED // 2
    sites = {"near": (2, 0), "far": (2, half), "few": (1, half), "fewer": (1, half)}  # pictures; unlike ones
    counts = {}
    for height, (site, (n, unlike)) in enumerate(sites.items(), 100):
        (tmp_path / "cells" / site).mkdir(parents=True)
        counts[height] = (unlike, half)
        for i in range(n):
            image = np.full((height, 100, 3), 240 - i, np.uint8)
            write_image(tmp_path / "cells" / site / f"{i}.png", image)
    monkeypatch.setattr(Pipeline, "_stained", lambda _, crops, at, *__: cells_of(*counts[height_of(at)]))
    use_fake_nets(monkeypatch, known_cells=KNOWN)
    done = CliRunner().invoke(
        main,
        ["classify", str(tmp_path / "cells"), "--out", str(tmp_path / "c.csv"), "--um-per-px", "0.2"],
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "c.csv", keep_default_na=False)
    assert table.columns[-1] == "doubt"
    told = {(row.slide, row.doubt) for row in table.itertuples()}
    assert told == {("near", ""), *((site, UNLIKE_TRAINING) for site in ("far", "few", "fewer"))}
    screen = " ".join(done.stderr.split())
    assert f"far: doubt: {FEWEST_COMPARED} of {FEWEST_COMPARED} leukocytes" in screen
    assert f"few, fewer: doubt: {FEWEST_COMPARED} of {FEWEST_COMPARED} leukocytes" in screen
    assert screen.count("doubt:") == 2
    named = fakes.scanner().classify(sorted((tmp_path / "cells" / "far").glob("*.png")))
    assert [doubt.name for doubt in named.doubts] == [UNLIKE_TRAINING]
    assert fakes.scanner().classify(sorted((tmp_path / "cells" / "few").glob("*.png"))).doubts == ()


def height_of(xyxy: NDArray[np.float32]) -> int:
    """Height of a picture without a cell, whose middle is taken."""
    return round(float(xyxy[0, 1] + xyxy[0, 3]))


def slide(*names: str) -> SlideReport:
    found = Detections(np.array([[1, 2, 9, 12]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64))
    one = FieldResult(
        "s", Path("f.png"), (48, 64), found, np.ones((1, 1), np.float32), ("neutrophil",),
        np.zeros(1, np.float32), ("neutrophil",), Scale(0.1, "given"),
    )  # fmt: skip
    report = report_slide(
        SlideTally.of("s", [one]), "both", Scale(0.1, "given"), FlagRule(), (), ("neutrophil",)
    )
    return replace(report, doubts=tuple(Doubt(name, f"reason of {name}") for name in names))


def test_a_flag_whose_names_are_in_doubt_says_so_first_wherever_it_is_told(tmp_path: Path) -> None:
    sound, doubted = slide(COPIES), slide(COPIES, UNLIKE_TRAINING, COLORS)
    told = "suggested with doubt (unlike training cells, colors): "
    assert sound.flag_reason == sound.flag.reason
    assert doubted.flag_reason == told + sound.flag.reason
    assert doubted.to_frame()["flag_reason"].item() == doubted.flag_reason
    assert told in repr(doubted)
    assert why(doubted) == f"S{told[1:]}{why(sound)}"
    write_scan_page([doubted], tmp_path / "page.html")
    assert told in (tmp_path / "page.html").read_text()
    facts = drawn_run.facts()
    assert bundle(doubted, facts)["entry"][0]["resource"]["conclusion"].endswith(doubted.flag_reason)
    entry = parts._entry(doubted, [], None)
    assert entry["flag"]["reason"] == doubted.flag_reason
    assert entry["names_in_doubt"] == [UNLIKE_TRAINING, COLORS]


@pytest.mark.parametrize("language", ["en", "es", "pt"])
def test_the_page_has_a_word_for_each_doubt_of_names(language: str) -> None:

    words = json.loads(
        Path(parts.__file__).with_name("words").joinpath(f"{language}.json").read_text("utf-8")
    )
    assert {key.removeprefix("doubt.") for key in words if key.startswith("doubt.")} == ABOUT_NAMES
    assert "{names}" in words["flag.doubted"]
