"""The scanner around fake networks: streaming equals one by one, in order, in bounded memory."""

import gc
import os
import pickle
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from fakes import UM_PER_PX, assert_same, field, scanner, use_fake_nets
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier
from smearscan.config import ScanConfig
from smearscan.detection.detector import Detector
from smearscan.differential import SlideTally, StopInfo
from smearscan.errors import ConfigError, EngineError, ImageError
from smearscan.io import fields as io_fields
from smearscan.results import FieldFailure, FieldResult, Scale
from smearscan.runtime.batches import Batched
from smearscan.scan.scanner import SmearScanner
from smearscan.scan.timing import StageTimer

Picture = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [field(i, n_white=i % 4) for i in range(11)]


# ---------------------------------------------------------------- streaming


def test_the_pictures_have_cells_to_find(pictures: list[Picture]) -> None:
    found = list(scanner().stream(pictures))
    assert [len(f) for f in found] == [i % 4 for i in range(11)]
    assert len({cell.type for f in found for cell in f}) > 1
    assert all(f.n_red_cells > 5 for f in found)


def test_a_stream_equals_scanning_one_by_one(pictures: list[Picture]) -> None:
    one_by_one = [scanner(window=4).analyze(p) for p in pictures]
    assert_same(list(scanner(window=4).stream(pictures)), one_by_one)
    assert_same(scanner().analyze_batch(pictures), one_by_one)


@pytest.mark.parametrize(
    "settings", [{"window": 1}, {"window": 3}, {"window": 7}, {"workers": 5, "read_ahead": 1}]
)
def test_no_setting_of_memory_or_threads_changes_an_answer(
    pictures: list[Picture], settings: dict[str, int]
) -> None:
    assert_same(list(scanner(**settings).stream(pictures)), list(scanner(window=64).stream(pictures)))


def test_order_is_the_order_given(pictures: list[Picture]) -> None:
    order = np.random.default_rng(0).permutation(len(pictures))
    forward = list(scanner(window=3).stream(pictures))
    shuffled = list(scanner(window=3).stream([pictures[i] for i in order]))
    assert_same(shuffled, [forward[i] for i in order])


def test_crops_of_several_fields_fill_one_batch(pictures: list[Picture]) -> None:
    scan = scanner(window=11)
    list(scan.stream(pictures))
    assert isinstance(scan.classifier.blast, Classifier)
    assert isinstance(scan.classifier.blast.engine, fakes.LogitEngine)
    assert scan.classifier.blast.engine.batches == [sum(i % 4 for i in range(11))]


def test_failures_travel_in_their_place(tmp_path: Path, pictures: list[Picture]) -> None:
    (tmp_path / "bad.png").write_text("no picture")
    given: list[Any] = [
        pictures[0],
        tmp_path / "bad.png",
        pictures[1],
        tmp_path / "gone.jpg",
        np.zeros((5, 5), np.uint8),
    ]
    for window in (1, 2, 5):
        found = list(scanner(window=window).stream(given))
        assert [type(f) for f in found] == [
            FieldResult,
            FieldFailure,
            FieldResult,
            FieldFailure,
            FieldFailure,
        ]
        failures = [f for f in found if isinstance(f, FieldFailure)]
        assert [f.path for f in failures] == [tmp_path / "bad.png", tmp_path / "gone.jpg", None]
        assert "bad.png" in failures[0].reason
        assert "gone.jpg" in failures[1].reason
        assert "5x5 px is too small" in failures[2].reason
        assert_same([f for f in found if isinstance(f, FieldResult)], scanner().analyze_batch(pictures[:2]))


def test_a_stream_of_failures_alone_ends() -> None:
    assert len(list(scanner(window=2).stream([Path("a.png")] * 5))) == 5
    assert list(scanner().stream([])) == []


def test_analyze_raises_what_a_stream_hands_back(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png"):
        scanner().analyze(tmp_path / "gone.png")


def test_an_endless_stream_is_scanned_as_it_comes(pictures: list[Picture]) -> None:
    drawn = 0

    def endless() -> Iterator[Picture]:
        nonlocal drawn
        for i in count():
            drawn += 1
            yield pictures[i % 3]

    stream = scanner(window=3, read_ahead=2, workers=2).stream(endless())
    found = list(islice(stream, 7))
    assert_same(found[:3], found[3:6])
    assert drawn <= 3 * 3 + 2
    stream.close()


class _Tracked(np.ndarray):  # type: ignore[type-arg]
    """An array that can be watched by a weak reference."""


@pytest.mark.parametrize(("window", "read_ahead", "workers"), [(1, 1, 1), (4, 3, 2), (16, 8, 2)])
def test_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch, window: int, read_ahead: int, workers: int
) -> None:
    """Not more pictures alive than are being worked on, whatever window and read-ahead are."""
    most = total = 0
    living: dict[int, weakref.ref[_Tracked]] = {}
    pattern = field(2)

    def track(path: object, reduction: int, max_pixels: int) -> tuple[Picture, tuple[int, int], int]:
        nonlocal total, most
        image = pattern.copy().view(_Tracked)
        total += 1
        living[total] = weakref.ref(image, lambda _, key=total: living.pop(key, None))
        most = max(most, len(living))
        return image, image.shape[:2], 1

    monkeypatch.setattr(io_fields, "read_reduced", track)
    gc.disable()  # what only the cycle collector frees is not bounded
    try:
        scan = scanner(window=window, read_ahead=read_ahead, workers=workers)
        found = [len(result) for result in scan.stream(f"{i}.png" for i in range(200))]
    finally:
        gc.enable()
    assert found == [2] * 200
    assert total == 200
    assert most <= workers + 1  # pixels are dropped before the next picture is read; crops wait
    assert not living


def test_a_result_keeps_no_pixels(pictures: list[Picture]) -> None:
    image = pictures[3].copy()
    watched = weakref.ref(image)
    result = scanner().analyze(image)
    del image
    assert len(result) == 3
    assert watched() is None
    own = [result.probs, result.blast_probs, result.detections.xyxy, result.detections.scores]
    assert all((a.base if a.base is not None else a).nbytes < 1000 for a in own)


# ---------------------------------------------------------------- settings


def test_settings_win_over_the_configuration_and_none_is_not_given() -> None:
    config = scanner(window=3, task="blast").config
    assert SmearScanner.load(config).config == config
    changed = SmearScanner(config=config, window=5, task=None).config
    assert (changed.window, changed.task, changed.um_per_px) == (5, "blast", UM_PER_PX)


def test_stages_are_plain_arguments(pictures: list[Picture]) -> None:
    by_settings = scanner()
    own = SmearScanner(fakes.detector(), by_settings.classifier, um_per_px=UM_PER_PX, false_colors="read")
    assert own.classifier is by_settings.classifier
    assert_same(list(own.stream(pictures)), list(by_settings.stream(pictures)))


def test_a_scanner_is_pickled_by_its_settings(pictures: list[Picture]) -> None:
    first = scanner(window=3)
    second = pickle.loads(pickle.dumps(first))
    assert second.config == first.config
    assert_same(list(second.stream(pictures)), list(first.stream(pictures)))
    with pytest.raises(TypeError, match="make it in the worker"):
        pickle.dumps(SmearScanner(first.detector, first.classifier))


def test_a_configuration_in_place_of_the_detector_is_refused_with_the_cure() -> None:
    with pytest.raises(ConfigError, match=r"SmearScanner\.load\(config\)"):
        SmearScanner(ScanConfig())  # type: ignore[arg-type]


def test_ranges_that_cannot_be_read_are_refused_before_a_scan(tmp_path: Path) -> None:
    (tmp_path / "ranges.yaml").write_text("neutrophil: {low: 90, high: 80}\n")
    with pytest.raises(ConfigError, match=r"low = 90 must be below high = 80"):
        scanner(reference_ranges=tmp_path / "ranges.yaml")


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="windows"):
        scanner(windows=3)


def test_the_networks_in_use_are_told() -> None:
    assert scanner().weights == ("fake:", "differential:abababababab", "blast:abababababab")
    assert scanner(task="blast").weights == ("fake:", "blast:abababababab")


@pytest.mark.parametrize("single", ["field.jpg", Path("field.jpg"), np.zeros((9, 9, 3), np.uint8)])
def test_one_picture_in_place_of_several_is_refused_at_the_call(
    monkeypatch: pytest.MonkeyPatch, single: object
) -> None:
    """A path was read letter by letter."""
    use_fake_nets(monkeypatch)
    with pytest.raises(ImageError, match=r"stream takes a sequence of pictures; give \[picture\]"):
        scanner().stream(single)


def test_threads_may_share_a_scanner(pictures: list[Picture]) -> None:
    shared = scanner()
    alone = [shared.analyze(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(shared.analyze, pictures * 3))
    assert_same(together, alone * 3)


def test_a_scanner_in_a_forked_process_says_what_to_do(pictures: list[Picture]) -> None:
    class OfTheParent(Batched):
        def _infer(self, batch: Any) -> Any:
            raise AssertionError("a network ran whose threads the fork left behind")

    engine = OfTheParent("fake", 1)
    engine._made_in = os.getpid() + 1  # as it looks from a child
    detector = Detector(engine, fakes.detector().card)
    parent = SmearScanner(detector, scanner().classifier, um_per_px=UM_PER_PX, false_colors="read")
    for scan in (lambda: parent.analyze(pictures[0]), lambda: list(parent.stream(pictures))):
        with pytest.raises(EngineError, match=r"before this process was forked .* 'spawn'"):
            scan()


def test_settings_that_are_replaced_are_followed() -> None:
    scanner = fakes.scanner()
    picture = fakes.field(0)
    assert scanner.analyze(picture).scale.um_per_px != 0.123
    scanner.config = scanner.config.model_copy(update={"um_per_px": 0.123})
    assert scanner.analyze(picture).scale.um_per_px == 0.123


def test_reports_follow_a_setting_and_a_timer_that_are_replaced() -> None:
    scanner = fakes.scanner()
    tally, stop = SlideTally.of("s", [scanner.analyze(fakes.field(0))]), StopInfo(1)
    assert scanner.judge.report(tally, Scale(0.1, "given"), stop).rule.min_cells == 100
    scanner.config = scanner.config.model_copy(update={"flag_min_cells": 7})
    scanner.timer = StageTimer()
    assert scanner.judge.report(tally, Scale(0.1, "given"), stop).rule.min_cells == 7
    assert scanner.timer.seconds["report"] > 0
