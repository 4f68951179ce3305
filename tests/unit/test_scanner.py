"""The scanner around fake networks: streaming equals one by one, in order, in bounded memory."""

import gc
import weakref
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from smearscan import scale as ruler
from smearscan import scanner as scanner_module
from smearscan.classifier import Classifier
from smearscan.detector import Detector
from smearscan.errors import ConfigError, ImageError
from smearscan.images import write_image
from smearscan.results import Field, FieldFailure, FieldResult, Scale
from smearscan.scanner import SmearScanner
from smearscan.sources import find_slides
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, RED_CELL_UM
from smearscan.weights import ClassifierCard

Picture = NDArray[np.uint8]
RED_PX = 32.0
UM_PER_PX = RED_CELL_UM / RED_PX


class LogitEngine:
    """Reads its logits off each crop's mean color: a crop's answer depends on that crop alone."""

    name = "fake"

    def __init__(self, k: int) -> None:
        self.mix = np.random.default_rng(k).normal(0, 0.2, (3, k))
        self.batches: list[int] = []

    def run(self, images: Picture) -> NDArray[np.float32]:
        self.batches.append(len(images))
        color = images.astype(np.float64).mean(axis=(1, 2)) - 128
        return (color @ self.mix).astype(np.float32)


def classifier(task: str, classes: tuple[str, ...], **card: Any) -> Classifier:
    made = ClassifierCard(
        name=task, task=task, architecture="none", classes=classes, crop_um=20, crop_px=32,
        mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), sha256="ab" * 32, **card,
    )  # fmt: skip
    return Classifier(LogitEngine(len(classes)), made)


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = {"differential": DIFFERENTIAL_CLASSES, "blast": ("healthy", "blast")}
    monkeypatch.setattr(Detector, "load", lambda *_: fakes.detector())
    monkeypatch.setattr(Classifier, "shipped", lambda task, *_: classifier(task, nets[task]))


def picture(seed: int, n_white: int = 2, factor: float = 1.0) -> Picture:
    """A field of about 2 leukocytes and 12 red cells, the leukocytes tinted so that their names differ."""
    rng = np.random.default_rng(seed)
    wanted = [(0, 1.85 * RED_PX * factor)] * n_white
    wanted += [(1, RED_PX * factor * rng.uniform(0.97, 1.03)) for _ in range(12)]
    height, width = round((200 + seed % 3) * factor), round(260 * factor)
    image, xyxy = fakes.draw(height, width, fakes.scattered(rng, height, width, wanted))
    for x0, y0, x1, y1 in xyxy[:n_white].astype(int):
        image[(y0 + y1) // 2 - 3 : (y0 + y1) // 2 + 3, (x0 + x1) // 2 - 3 : (x0 + x1) // 2 + 3] += (
            rng.integers(0, 25, 3, dtype=np.uint8)
        )
    return image


def scanner(**settings: object) -> SmearScanner:
    return SmearScanner(**{"um_per_px": UM_PER_PX, **settings})


def tables(items: list[FieldResult | FieldFailure]) -> list[pd.DataFrame | str]:
    return [item.to_frame() if isinstance(item, FieldResult) else item.reason for item in items]


def assert_same(a: list[FieldResult | FieldFailure], b: list[FieldResult | FieldFailure]) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert type(one) is type(other)
        if isinstance(one, FieldFailure) or isinstance(other, FieldFailure):
            assert one == other
            continue
        assert (one.path, one.slide_id, one.shape, one.types) == (
            other.path,
            other.slide_id,
            other.shape,
            other.types,
        )
        assert (one.scale, one.n_red_cells, one.n_platelets) == (
            other.scale,
            other.n_red_cells,
            other.n_platelets,
        )
        for field in ("probs", "blast_probs"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        np.testing.assert_array_equal(one.detections.xyxy, other.detections.xyxy)
        pd.testing.assert_frame_equal(one.to_frame(), other.to_frame())


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [picture(i, n_white=i % 4) for i in range(11)]


@pytest.fixture
def slides(tmp_path: Path, pictures: list[Picture]) -> Path:
    """Two slides of three fields, one broken; and a loose picture."""
    root = tmp_path / "slides"
    for i, image in enumerate(pictures[:6]):
        path = root / ("one" if i < 3 else "two") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, image)
    (root / "two" / "3b.png").write_text("no picture at all")
    write_image(root / "loose.png", pictures[6])
    return root


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
    assert isinstance(scan.blast, Classifier)
    assert isinstance(scan.blast.engine, LogitEngine)
    assert scan.blast.engine.batches == [sum(i % 4 for i in range(11))]


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

    stream = scanner(window=3, read_ahead=2).stream(endless())
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
    """Not more pictures alive than a window, those read ahead, those being read and one on its way."""
    most = total = 0
    living: dict[int, weakref.ref[_Tracked]] = {}
    pattern = picture(2)

    def track(path: object) -> Picture:
        nonlocal total, most
        image = pattern.copy().view(_Tracked)
        total += 1
        living[total] = weakref.ref(image, lambda _, key=total: living.pop(key, None))
        most = max(most, len(living))
        return image

    monkeypatch.setattr(scanner_module, "as_rgb", track)
    gc.disable()  # what only the cycle collector frees is not bounded
    try:
        scan = scanner(window=window, read_ahead=read_ahead, workers=workers)
        found = [len(result) for result in scan.stream(f"{i}.png" for i in range(200))]
    finally:
        gc.enable()
    assert found == [2] * 200
    assert total == 200
    assert window <= most <= window + read_ahead + workers + 1
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


# ---------------------------------------------------------------- slides


def test_slides_are_their_fields_scanned_and_tallied(slides: Path) -> None:
    scan = scanner(window=2)
    found = list(scan.scan_slides(slides))
    assert [report.slide_id for report, _ in found] == ["loose.png", "one", "two"]
    for (report, results), slide in zip(found, find_slides(slides), strict=True):
        streamed = list(scan.stream(slide.paths))
        pairs = zip(results, streamed, strict=True)
        assert all(type(a) is type(b) and a.path == b.path for a, b in pairs)
        scanned = [r for r in results if isinstance(r, FieldResult)]
        alone = [r for r in streamed if isinstance(r, FieldResult)]
        assert [
            t.drop(columns="slide").to_dict() for t in tables(scanned) if isinstance(t, pd.DataFrame)
        ] == [t.drop(columns="slide").to_dict() for t in tables(alone) if isinstance(t, pd.DataFrame)]
        assert {r.slide_id for r in results} == {slide.slide_id}
        assert report.tally.n_fields == len(scanned)
        assert report.tally.n_failed == len(results) - len(scanned)
        assert report.n_leukocytes == sum(map(len, scanned))
        assert dict(report.tally.types) == dict(
            pd.Series([t for r in scanned for t in r.types]).value_counts()
        )
    assert found[2][0].tally.n_failed == 1
    assert "3b.png" in found[2][0].tally.failures[0].reason
    assert [type(r) for r in found[2][1]] == [FieldResult, FieldFailure, FieldResult, FieldResult]


def test_window_and_threads_change_no_report(slides: Path) -> None:
    def frames(**settings: int) -> pd.DataFrame:
        return pd.concat([report.to_frame() for report, _ in scanner(**settings).scan_slides(slides)])

    pd.testing.assert_frame_equal(frames(window=1), frames(window=7, workers=4, read_ahead=1))


def test_callbacks_see_every_field(slides: Path) -> None:
    drawn: list[tuple[Field, FieldResult]] = []
    words: list[str] = []
    for _ in scanner(window=2).scan_slides(slides, lambda f, r: drawn.append((f, r)), words.append):
        pass
    assert words == ["loose.png"] + ["one"] * 3 + ["two"] * 4
    assert len(drawn) == 7
    assert all(f.path == r.path and f.shape == r.shape and f.image.dtype == np.uint8 for f, r in drawn)


def test_the_scale_of_a_slide_is_measured_once_and_used_for_all_fields(
    slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = ruler.measure

    def measure(detector: Detector, images: list[Picture]) -> Scale:
        calls.append(len(images))
        return real(detector, images)

    monkeypatch.setattr(ruler, "measure", measure)
    for report, results in SmearScanner(ruler_fields=2).scan_slides(slides):
        assert report.scale.ruler == "red cells"
        assert report.scale.um_per_px == pytest.approx(UM_PER_PX, rel=0.05)
        assert {r.scale for r in results if isinstance(r, FieldResult)} == {report.scale}
    assert calls == [1, 2, 2]


def test_fields_of_a_stream_are_measured_one_by_one() -> None:
    found = SmearScanner().analyze_batch([picture(1), picture(1, factor=2.0)])
    assert found[0].scale.um_per_px == pytest.approx(2 * found[1].scale.um_per_px, rel=0.05)
    assert [len(f) for f in found] == [2, 2]


def test_a_given_scale_is_not_measured(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruler, "measure", lambda *_: pytest.fail("measured"))
    for report, _ in scanner(um_per_px=0.2).scan_slides(slides):
        assert report.scale == Scale(0.2, "given")


def test_the_ruler_passes_over_broken_fields(tmp_path: Path, pictures: list[Picture]) -> None:
    for name in ("0.png", "1.png", "9.png"):
        (tmp_path / name).write_text("broken")
    write_image(tmp_path / "5.png", pictures[2])
    (tmp_path / "s").mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(tmp_path / "s" / path.name)
    ((report, results),) = SmearScanner(ruler_fields=2).scan_slides(tmp_path)
    assert report.scale.ruler == "red cells"
    assert [type(r) for r in results] == [FieldFailure, FieldFailure, FieldResult, FieldFailure]
    assert report.tally.n_failed == 3


def test_a_slide_of_broken_fields_alone_is_reported(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name in ("a.png", "b.jpg"):
        (tmp_path / "s" / name).write_bytes(b"")
    ((report, results),) = SmearScanner().scan_slides(tmp_path)
    assert report.scale.ruler == "assumed"
    assert (report.tally.n_fields, report.tally.n_failed, len(results)) == (0, 2, 2)
    assert report.flag.state == "insufficient"


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no picture"):
        next(scanner().scan_slides(tmp_path))


# ---------------------------------------------------------------- naming


def named(task: str, probs: list[float], blast: float, **cards: Any) -> str:
    scan = scanner(task=task)
    if scan.differential:
        scan.differential = classifier(
            "differential", ("neutrophil", "monocyte", "other"), unclassified_below=0.5
        )
    if scan.blast:
        scan.blast = classifier("blast", ("healthy", "blast"), threshold=0.75)
    return scan._name(np.array(probs, np.float32), np.float32(blast))


@pytest.mark.parametrize(
    ("task", "probs", "blast", "name"),
    [
        ("both", [0.6, 0.3, 0.1], 0.75, "blast"),  # exactly at the threshold
        ("both", [0.6, 0.3, 0.1], 0.74, "neutrophil"),
        ("both", [0.2, 0.7, 0.1], 0.0, "monocyte"),
        ("both", [0.1, 0.1, 0.8], 0.0, "other"),
        ("both", [0.1, 0.1, 0.8], 0.9, "blast"),  # the blast net goes before
        ("both", [0.5, 0.3, 0.2], 0.0, "neutrophil"),  # exactly at the limit
        ("both", [0.49, 0.31, 0.2], 0.0, "unclassified"),
        ("both", [0.49, 0.31, 0.2], 0.8, "blast"),
        ("blast", [], 0.8, "blast"),
        ("blast", [], 0.7, "healthy"),
        ("differential", [0.6, 0.3, 0.1], np.nan, "neutrophil"),
        ("differential", [0.4, 0.3, 0.3], np.nan, "unclassified"),
    ],
)
def test_a_cell_is_named(task: str, probs: list[float], blast: float, name: str) -> None:
    assert named(task, probs, blast) == name


def test_only_the_nets_of_the_task_run(pictures: list[Picture]) -> None:
    blast = scanner(task="blast").analyze(pictures[3])
    assert blast.classes == ()
    assert blast.probs.shape == (3, 0)
    assert np.isfinite(blast.blast_probs).all()
    assert set(blast.types) <= {"healthy", "blast"}
    differential = scanner(task="differential").analyze(pictures[3])
    assert np.isnan(differential.blast_probs).all()
    assert differential.classes == DIFFERENTIAL_CLASSES
    assert differential.probs.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_the_column_of_blast_is_found_by_its_name(
    pictures: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = scanner(task="blast").analyze(pictures[3])

    def turned(task: str, *_: object) -> Classifier:
        made = classifier(task, ("blast", "healthy"))
        assert isinstance(made.engine, LogitEngine)
        made.engine.mix = made.engine.mix[:, ::-1]
        return made

    monkeypatch.setattr(Classifier, "shipped", turned)
    np.testing.assert_array_equal(scanner(task="blast").analyze(pictures[3]).blast_probs, usual.blast_probs)


def test_a_net_without_blasts_cannot_serve_as_blast_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classifier, "load", lambda *_: classifier("custom", ("a", "b")))
    with pytest.raises(ConfigError, match="has no class 'blast'"):
        scanner(blast=Path("own.safetensors"))


def test_cells_named_by_a_net_of_ones_own_are_counted(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Classifier, "load", lambda *_: classifier("custom", ("a", "b")))
    scan = scanner(differential=Path("own.safetensors"))
    for report, results in scan.scan_slides(slides):
        assert report.differential.total == sum(len(r) for r in results if isinstance(r, FieldResult))


# ---------------------------------------------------------------- settings


def test_settings_win_over_the_configuration_and_none_is_not_given() -> None:
    config = scanner(window=3, task="blast").config
    assert SmearScanner(config).config == config
    changed = SmearScanner(config, window=5, task=None).config
    assert (changed.window, changed.task, changed.um_per_px) == (5, "blast", UM_PER_PX)


def test_a_wrong_setting_is_named() -> None:
    with pytest.raises(ConfigError, match="windows"):
        scanner(windows=3)


def test_the_networks_in_use_are_told() -> None:
    assert scanner().weights == ("fake:", "differential:abababababab", "blast:abababababab")
    assert scanner(task="blast").weights == ("fake:", "blast:abababababab")
