"""Reading until it is settled: early where it can be, whole where it must be, always the same fields."""

from pathlib import Path

import numpy as np
import pytest
from fakes import assert_same, field, scanner, use_fake_nets

from smearscan.differential.slide_report import SlideReport
from smearscan.differential.tally import SlideTally
from smearscan.io.decode import write_image
from smearscan.io.folders import find_slides
from smearscan.results import FieldFailure, FieldResult
from smearscan.scan.scanner import SmearScanner

Results = list[FieldResult | FieldFailure]


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch, ("neutrophil", "monocyte"), threshold=1.0)


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty fields of three leukocytes, of which three cannot be read."""
    folder = tmp_path_factory.mktemp("slides") / "s"
    folder.mkdir()
    for i in range(40):
        if i % 13 == 5:
            (folder / f"{i:02d}.png").write_text(f"no picture {i}")
        else:
            image = field(i % 7, n_white=3)
            image[0, 0] -= np.uint8(i)  # no two files are copies
            write_image(folder / f"{i:02d}.png", image)
    return folder.parent


def adaptive(**settings: object) -> SmearScanner:
    quick = {"read": "resolved", "first_look": 20, "flag_min_cells": 20, "resolve_width_percent": 60.0}
    return scanner(**{**quick, **settings})


def read(folder: Path, **settings: object) -> tuple[SlideReport, Results]:
    ((report, results),) = adaptive(**settings).scan_slides(folder)
    return report, results


# ---------------------------------------------------------------- stopping


def test_reading_stops_at_the_first_look_that_is_settled(slide: Path) -> None:
    report, results = read(slide)
    assert 20 <= report.differential.total < 23  # the first look comes with the field that reaches 20 cells
    assert len(results) < 12
    assert report.reading.reason == f"settled after {len(results)} of 40 fields"
    assert report.reading.n_available == 40
    assert report.level == pytest.approx(0.98125)
    assert report.flag.state != "insufficient"
    widths = [
        high - low
        for low, high in (report.differential.interval(n, 0.98125) for n in ("neutrophil", "blast"))
    ]
    assert max(widths) <= 60


def test_a_narrower_interval_takes_more_looks(slide: Path) -> None:
    made = {width: read(slide, resolve_width_percent=width)[0] for width in (60.0, 50.0, 35.0)}
    totals = [report.differential.total for report in made.values()]
    assert totals == sorted(totals)
    assert totals[-1] > totals[0]
    for width, report in made.items():
        looks = 1
        while 20 * 2**looks <= report.differential.total:
            looks += 1
        if report.reading.reason.startswith("settled"):
            assert report.reading.alpha_share == 0.75 * 0.5**looks
            for name in report.differential.classes:
                low, high = report.differential.interval(name, report.level)
                assert high - low <= width


def test_fields_are_read_in_a_random_order_that_is_always_the_same(slide: Path) -> None:
    one, again = read(slide)[1], read(slide)[1]
    assert_same(one, again)
    (found,) = find_slides(slide)
    assert [r.path for r in one] != found.paths[: len(one)]
    more = {r.path for r in read(slide, first_look=40)[1]}
    assert {r.path for r in one} < more  # a later stop has read the same fields, and others


def test_results_come_in_the_order_of_the_fields(slide: Path) -> None:
    (found,) = find_slides(slide)
    for width in (60.0, 1.0):
        paths = [r.path for r in read(slide, resolve_width_percent=width)[1]]
        assert paths == [p for p in found.paths if p in set(paths)]


def test_the_report_is_of_the_fields_that_were_read(slide: Path) -> None:
    report, results = read(slide)
    assert report.tally == SlideTally.of("s", results)
    whole = {r.path: r for r in next(scanner().scan_slides(slide))[1]}
    assert_same(results, [whole[r.path] for r in results])


@pytest.mark.parametrize(
    "settings", [{"window": 1}, {"window": 3}, {"window": 64}, {"workers": 4, "read_ahead": 1}]
)
def test_window_and_threads_change_nothing(slide: Path, settings: dict[str, int]) -> None:
    one, other = read(slide, resolve_width_percent=50.0), read(slide, resolve_width_percent=50.0, **settings)
    assert one[0].to_frame().to_csv() == other[0].to_frame().to_csv()
    assert_same(one[1], other[1])


# ---------------------------------------------------------------- who looks on


@pytest.mark.parametrize("window", [1, 16])
def test_nobody_hears_of_a_field_beyond_the_last_one(slide: Path, window: int) -> None:
    heard: list[Path | None] = []
    words: list[str] = []
    scan = adaptive(window=window)
    ((report, results),) = scan.scan_slides(slide, lambda _, result: heard.append(result.path), words.append)
    scanned = [r.path for r in results if isinstance(r, FieldResult)]
    assert sorted(map(str, heard)) == sorted(map(str, scanned))
    assert words == ["s"] * len(results)
    assert report.to_frame().to_csv() == read(slide)[0].to_frame().to_csv()


# ---------------------------------------------------------------- to the end


def test_a_slide_that_cannot_be_settled_is_read_whole_and_says_so(slide: Path) -> None:
    report, results = read(slide, resolve_width_percent=1.0)
    assert len(results) == 40
    assert report.reading.reason == "every field was read, not settled"
    assert report.differential.total == 111
    spent = 1 / 2 + 1 / 4 + 1 / 8  # of what is not kept for the end, by looks at 20, 40 and 80 cells
    assert report.reading.alpha_share == pytest.approx(1 - 0.75 * spent)
    assert report.reading.flag_share == pytest.approx(1 - 0.1 * spent)
    assert report.tally.n_failed == 3


@pytest.mark.parametrize(("width", "told"), [(60.0, ""), (1.0, ", not settled")])
def test_few_leukocytes_are_read_whole_before_the_first_look(slide: Path, width: float, told: str) -> None:
    report, results = read(slide, first_look=500, resolve_width_percent=width)
    assert len(results) == 40
    assert report.reading.reason == f"every field was read{told}"
    assert (report.reading.alpha_share, report.reading.flag_share) == (1, 1)  # one look has all of the error


def test_without_leukocytes_the_slide_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for i in range(3):
        write_image(tmp_path / "s" / f"{i}.png", field(i, n_white=0))
    report, results = read(tmp_path)
    assert len(results) == 3
    assert (report.flag.state, report.flag.reason) == ("insufficient", "no leukocyte was counted")
    assert report.reading.reason == "every field was read, not settled"


def test_an_undecided_flag_keeps_reading(slide: Path) -> None:
    report, _ = read(slide, flag_min_cells=60)
    assert report.differential.total >= 80  # the looks at 20 and 40 cells cannot clear the slide


@pytest.mark.parametrize("task", ["blast", "differential"])
def test_one_net_alone_settles_too(slide: Path, task: str) -> None:
    report, results = read(slide, task=task)
    assert len(results) < 20
    assert report.reading.reason.startswith("settled")
    assert (report.flag.state == "insufficient") == (task == "differential")


def test_a_failed_field_counts_as_failed_where_it_was_met(slide: Path) -> None:
    report, results = read(slide, first_look=80)
    failed = [r for r in results if isinstance(r, FieldFailure)]
    assert 0 < report.tally.n_failed == len(failed)
    assert report.tally.n_fields == len(results) - len(failed)
    assert report.reading.reason == f"settled after {len(results)} of 40 fields"


def test_unless_asked_every_field_is_read_at_once(slide: Path) -> None:
    report, results = next(scanner().scan_slides(slide))
    assert len(results) == 40
    assert (report.reading.reason, report.reading.alpha_share, report.level) == (
        "every field was read",
        1.0,
        0.95,
    )
    assert report.reading.n_available == 40
