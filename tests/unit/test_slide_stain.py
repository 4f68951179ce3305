"""A slide of a stain that no training cell has is brought to the reference before its cells are named."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from fakes import assert_same, use_fake_nets
from made_up import KINDS, calibration, errors
from numpy.typing import NDArray

from smearscan.classification import Classifier
from smearscan.cli import main
from smearscan.differential import SlideTally, report_slide
from smearscan.differential.calibration_card import save_calibration
from smearscan.differential.slide_report import SlideReport, report_row
from smearscan.differential.statistics.correction import Corrector
from smearscan.io import find_slides, write_image
from smearscan.results import (
    AS_PHOTOGRAPHED,
    STAIN_COLUMNS,
    Detections,
    FieldFailure,
    FieldResult,
    Scale,
    Stain,
)
from smearscan.results.doubts import UNLIKE_TRAINING, Doubt
from smearscan.rulers.stain import REFERENCE
from smearscan.rulers.unlike_cells import (
    ENOUGH_CELLS,
    FEWEST_COMPARED,
    MOST_FIELDS,
    measured_stain,
    with_stain_told,
)
from smearscan.scan.detected_field import DetectedField, with_stains
from smearscan.scan.streams import Stream
from smearscan.weights import KnownCells

KNOWN = KnownCells(
    mean=tuple(np.ravel(REFERENCE).tolist()),
    covariance=tuple(tuple(row) for row in np.diag(0.05 * np.ravel(REFERENCE) ** 2).tolist()),
    most_distance=4.0,
    most_unlike=0.1,
)
N_FIELDS = 14
"""Of two leukocytes each: more than a stain is measured on."""


def cells_of(n: int, depth: float) -> NDArray[np.float64]:
    """Cells of the reference's colors, so many times as deep."""
    return np.tile(np.array(REFERENCE) * depth, (n, 1, 1))


@pytest.fixture
def slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two slides of enough cells, one of few; what is deep in them is a setting of the test's."""
    for name, n in (("a", N_FIELDS), ("b", N_FIELDS), ("few", 3)):
        (tmp_path / name).mkdir()
        for i in range(n):
            write_image(tmp_path / name / f"{i:02}.png", fakes.field(i + 100 * ord(name[0])))
    stained(monkeypatch, 2.5)
    return tmp_path


def stained(monkeypatch: pytest.MonkeyPatch, depth: float) -> None:
    """Let every cell be measured so many times as deep as the reference."""
    use_fake_nets(monkeypatch, known_cells=KNOWN)
    monkeypatch.setattr("smearscan.scan.pipeline.measure_cells", lambda crops, _: cells_of(len(crops), depth))


Scanned = dict[str, tuple[SlideReport, list[FieldResult | FieldFailure]]]


def scanned(root: Path, **settings: object) -> Scanned:
    return {r.slide_id: (r, results) for r, results in fakes.scanner(**settings).scan_slides(root)}


def test_a_slide_of_another_stain_is_named_in_the_reference_and_says_so(slides: Path) -> None:
    told, plain = scanned(slides), scanned(slides, reference_stain=False)
    for name in ("a", "b"):
        report, results = told[name]
        assert report.stain.source == "reference"
        assert report.stain.gain == pytest.approx((0.4, 0.4, 0.4), rel=0.01)
        (doubt,) = [doubt for doubt in report.doubts if doubt.name == UNLIKE_TRAINING]
        assert str(report.stain) in doubt.reason
        assert {result.stain for result in results} == {report.stain}
        assert len(results) == N_FIELDS
        pairs = list(zip(results, plain[name][1], strict=True))
        assert any(not np.allclose(one.probs, other.probs) for one, other in pairs)
        assert all(len(one) == len(other) for one, other in pairs)
        row = report_row(report)
        assert (row["stain"], row["stain_cells"]) == ("reference", report.stain.n_cells)
        assert list(row)[-6:] == ["stain", "stain_cells", *STAIN_COLUMNS, "flag_p_limit"]
    assert plain["a"][0].stain == AS_PHOTOGRAPHED
    assert report_row(plain["a"][0])["stain"] == "photographed"


def test_what_was_brought_to_the_reference_is_told_though_most_cells_are_like_the_known() -> None:
    stain, other = Stain((0.5, 1.2, 1.1), 64), Doubt("focus", "blurred")
    assert with_stain_told([other], AS_PHOTOGRAPHED) == (other,)
    first, added = with_stain_told([other], stain)
    assert (first, added.name) == (other, UNLIKE_TRAINING)
    assert "64 leukocytes, brought to the reference before cells were named" in added.reason
    (longer,) = with_stain_told([Doubt(UNLIKE_TRAINING, "30 of 40 leukocytes")], stain)
    assert longer.reason.startswith("30 of 40 leukocytes; the stain is unlike")


def test_few_cells_and_a_known_stain_stay_as_photographed(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = scanned(slides, reference_stain=False)
    few = scanned(slides)["few"]
    assert few[0].stain == Stain(n_cells=few[0].stain.n_cells)
    assert 0 < few[0].stain.n_cells < FEWEST_COMPARED
    assert [r.probs.tolist() for r in few[1]] == [r.probs.tolist() for r in plain["few"][1]]
    stained(monkeypatch, 1.1)
    for name, (report, results) in scanned(slides).items():
        assert report.stain.source == "photographed"
        for one, other in zip(results, plain[name][1], strict=True):
            np.testing.assert_array_equal(one.probs, other.probs)


def test_nets_of_ones_own_are_shown_cells_as_photographed(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They know their laboratory's stain, of which the shipped net's card tells nothing."""
    scan = fakes.scanner()
    own = scan.classifier.differential
    assert own is not None
    plain = Classifier(own.engine, own.card.model_copy(update={"known_cells": None}))
    mixed = fakes.SmearScanner(scan.detector, replace(scan.classifier, differential=plain), scan.config)
    assert {report.stain for report, _ in mixed.scan_slides(slides)} == {AS_PHOTOGRAPHED}
    assert scan.classifier.known_stain == scan.classifier.known_cells


@pytest.mark.parametrize(
    "settings", [{"window": 1, "workers": 1}, {"window": 3}, {"workers": 4, "read_ahead": 9}]
)
def test_threads_and_windows_change_nothing(slides: Path, settings: dict[str, int]) -> None:
    for (one, fields), (other, others) in zip(
        scanned(slides).values(), scanned(slides, **settings).values(), strict=True
    ):
        assert one.stain == other.stain
        assert_same(fields, others)


def test_slides_in_one_go_are_as_each_alone(slides: Path) -> None:
    together = scanned(slides)
    for slide in find_slides(slides):
        report, results = fakes.scanner().scan_slide(slide)
        assert report.stain == together[slide.slide_id][0].stain
        assert_same(results, together[slide.slide_id][1])


def test_who_sees_fields_sees_every_one_once_and_in_order(slides: Path) -> None:
    seen: list[str] = []
    for _ in fakes.scanner().scan_slides(slides / "a", lambda field, result: seen.append(str(field.path))):
        pass
    assert seen == [str(slides / "a" / f"{i:02}.png") for i in range(N_FIELDS)]


def test_a_slide_that_is_not_read_to_its_end_is_measured_too(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_nets(monkeypatch, ("neutrophil", "monocyte"), known_cells=KNOWN)  # every cell counts
    report, results = scanned(slides, read=10)["a"]
    assert report.stain.source == "reference"
    assert 0 < len(results) < N_FIELDS


def test_a_field_alone_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stained(monkeypatch, 2.5)
    one, crowd = fakes.field(1), fakes.field(2, n_white=1)
    assert fakes.scanner().analyze(one).stain.source == "photographed"
    monkeypatch.setattr("smearscan.scan.pipeline.measure_cells", lambda crops, _: cells_of(30, 2.5))
    found = list(fakes.scanner().stream([one, crowd]))
    assert [result.stain.source for result in found if isinstance(result, FieldResult)] == ["reference"] * 2


def detected(depth: float, n: int = 2) -> DetectedField:
    none = np.empty((0, 4), np.float32)
    empty = Detections(none, np.empty(0, np.float32), np.empty(0, np.int64))
    return DetectedField(
        "s",
        None,
        (9, 9),
        empty,
        Scale(1, "given"),
        {},
        {},
        None,
        None,
        (0, 0),
        cells_of(n, depth),
        None,
        None,
    )


def test_no_more_fields_wait_than_are_told_even_of_an_endless_slide() -> None:
    stream = Stream[int]((), lambda _: FieldFailure("s", None, "unread"), is_slide=True)
    drawn = 0

    def endless() -> Iterator[tuple[Stream[int], object]]:
        nonlocal drawn
        for _ in count():
            drawn += 1
            yield stream, detected(2.5, n=1)

    first = next(with_stains(endless(), KNOWN))
    assert drawn == MOST_FIELDS
    assert isinstance(first[1], DetectedField)
    assert first[1].stain is not None
    drawn, stream.stain = 0, None
    assert len(list(islice(with_stains(endless(), KNOWN), 100))) == 100
    assert drawn == 100


def test_what_ends_a_slide_ends_the_waiting_and_keeps_its_place() -> None:
    one, other = (Stream[int]((), lambda _: FieldFailure("s", None, "x"), is_slide=True) for _ in range(2))
    failure, end = FieldFailure("s", Path("f.png"), "cannot be read"), object()
    items = [(one, detected(2.5, 30)), (one, failure), (one, end), (other, end)]
    found = list(with_stains(items, KNOWN))
    assert [stream for stream, _ in found] == [one, one, one, other]
    assert found[1][1] is failure
    assert found[2][1] is found[3][1] is end
    assert one.stain == measured_stain([cells_of(30, 2.5)], KNOWN)
    assert other.stain == Stain()


def test_the_first_cells_decide() -> None:
    stream = Stream[int]((), lambda _: FieldFailure("s", None, "x"), is_slide=True)
    enough = [(stream, detected(1.0, 8))] * (ENOUGH_CELLS // 8)
    found = [item for _, item in with_stains([*enough, *[(stream, detected(2.5, 50))] * 5], KNOWN)]
    assert {item.stain for item in found if isinstance(item, DetectedField)} == {Stain(n_cells=ENOUGH_CELLS)}


def test_pictures_of_cells_are_measured_together(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = sorted((slides / "a").glob("*.png")) * 2
    monkeypatch.setattr(
        "smearscan.scan.single_cells.measure_cells", lambda crops, _: cells_of(len(crops), 2.5)
    )
    named, plain = (fakes.scanner(reference_stain=on).classify(pictures) for on in (True, False))
    stains = {result.stain.source for result in named.results if isinstance(result, FieldResult)}
    assert stains == {"reference"}
    assert not np.allclose([c.type_probability for c in named], [c.type_probability for c in plain])
    few = fakes.scanner().classify(pictures[: FEWEST_COMPARED - 1])
    assert {r.stain.source for r in few.results if isinstance(r, FieldResult)} == {"photographed"}


def test_the_command_leaves_stains_alone_where_told(slides: Path) -> None:
    settings = slides / "run.yaml"
    settings.write_text(f"um_per_px: {fakes.UM_PER_PX}\nfalse_colors: read\n")
    sources = []
    for k, more in enumerate(([], ["--no-stain"])):
        out, cells = slides / f"r{k}.csv", slides / f"c{k}.csv"
        args = [
            "run",
            str(slides),
            "--out",
            str(out),
            "--cells",
            str(cells),
            "--config",
            str(settings),
            *more,
        ]
        done = CliRunner().invoke(main, args)
        assert done.exit_code == 0, done.output
        report = pd.read_csv(out).set_index("slide")
        sources.append(report["stain"].to_dict())
        table = pd.read_csv(cells)
        assert list(table.columns[-3:]) == list(STAIN_COLUMNS)
        of_a = table.loc[table["slide"] == "a", list(STAIN_COLUMNS)].drop_duplicates().to_numpy()
        np.testing.assert_allclose(of_a, [report.loc["a", list(STAIN_COLUMNS)].to_numpy(float)])
    assert sources == [
        {"a": "reference", "b": "reference", "few": "photographed"},
        dict.fromkeys(["a", "b", "few"], "photographed"),
    ]


def test_a_slide_brought_to_the_reference_is_named_and_judged_by_the_card_of_such_slides(
    slides: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two slides are, one of few cells is not; parts of a slide add up as ever."""
    use_fake_nets(monkeypatch, KINDS, threshold=0.5, known_cells=KNOWN)
    file = tmp_path_factory.mktemp("card") / "card.yaml"
    networks = {"blast": "ab" * 32, "differential": "ab" * 32}
    often = errors(0.9 * np.eye(4, 5) + 0.025 * (1 - np.eye(4, 5)))
    data = {"sites": {"one": 20, "two": 30}}  # and no limit: then that of the network's card holds
    unlike = calibration(often, networks=networks, threshold=0.0, data=data)
    card = calibration(networks=networks, threshold=1.0, unlike=unlike.model_dump())
    save_calibration(file, card)
    found = scanned(slides, calibration=file)
    for name, (report, results) in found.items():
        is_unlike = name != "few"
        types = {kind for result in results if isinstance(result, FieldResult) for kind in result.types}
        assert (types == {"blast"}) == is_unlike
        assert report.tally.n_restained == (N_FIELDS if is_unlike else 0)
        parts = SlideTally.of(name, results[:2]) + SlideTally.of(name, results[2:])
        assert parts == report.tally
        corrector = Corrector((unlike if is_unlike else card).errors)
        own = report_slide(report.tally, "both", report.scale, report.rule, (), KINDS, corrector)
        assert report.test == own.test
        assert report.corrected is not None
        np.testing.assert_array_equal(report.corrected.high, own.corrected.high)  # type: ignore[union-attr]
        told = " ".join(doubt.reason for doubt in report.doubts)
        assert ("2 laboratories they had not seen (blasts from a probability of 0" in told) == is_unlike
