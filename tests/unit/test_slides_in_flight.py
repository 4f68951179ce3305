"""Many slides through one pipeline: each as if it were alone, without a pause between them."""

from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from fakes import assert_same, field, scanner, use_fake_nets

from smearscan.errors import OutputError
from smearscan.io import Slide, find_slides, write_image
from smearscan.results import Field, FieldFailure, FieldResult
from smearscan.scan import pipeline, slide_opening
from smearscan.scan.cell_classifier import CellClassifier
from smearscan.scan.scanner import SmearScanner

N_FIELDS = {"a": 3, "b": 1, "c": 12, "d": 2}


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch, ("neutrophil", "monocyte"), threshold=1.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides; a field of the third cannot be read."""
    root = tmp_path_factory.mktemp("many") / "slides"
    for i, (name, n) in enumerate(N_FIELDS.items()):
        (root / name).mkdir(parents=True)
        for k in range(n):
            write_image(root / name / f"{k}.png", field(20 * i + k, n_white=3))
    (root / "c" / "3.png").write_bytes(b"no picture")
    return root


def scanned(scan: SmearScanner, slides: Sequence[Slide], **more: Any) -> list[Any]:
    return [done for _, done in scan.scan_each(slides, **more)]


@pytest.mark.parametrize(("read", "window"), [("all", 4), (4, 64), ("resolved", 1), ("resolved", 64)])
def test_each_slide_gets_the_answers_that_it_has_alone(root: Path, read: int | str, window: int) -> None:
    settings = {"read": read, "first_look": 20, "flag_min_cells": 20, "resolve_width_percent": 90.0}
    slides = find_slides(root)
    together = scanned(scanner(window=window, **settings), slides)
    for slide, (report, results) in zip(slides, together, strict=True):
        alone = scanner(window=2, workers=1, read_ahead=1, **settings).scan_slide(slide)
        assert report.to_frame().to_csv() == alone[0].to_frame().to_csv()
        assert report.reading == alone[0].reading
        assert_same(results, alone[1])
    if read != "all":  # what was scanned of it too much, in the window of the next one, is left out
        assert len(together[2][1]) < N_FIELDS["c"]


def test_the_next_slide_is_read_before_the_last_one_is_reported(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slides, inner = find_slides(root), slide_opening.load_field
    loaded = {slide.slide_id: Event() for slide in slides}

    def load(path: Path, slide_id: str, **more: Any) -> Field | FieldFailure:
        loaded[slide_id].set()
        return inner(path, slide_id=slide_id, **more)

    monkeypatch.setattr(slide_opening, "load_field", load)
    for slide, _ in scanner(window=2).scan_each(slides):
        for after in slides[slides.index(slide) + 1 :][:1]:
            assert loaded[after.slide_id].wait(60)


def test_slides_are_drawn_as_they_are_needed(root: Path) -> None:
    (slide, *_), drawn = find_slides(root), count()

    def endless() -> Iterator[Slide]:
        for _ in drawn:
            yield slide

    scan = scanner(window=2, workers=2, read_ahead=2)
    for _, done in islice(scan.scan_each(endless()), 5):
        assert not isinstance(done, Exception)
    assert next(drawn) < 12


# ---------------------------------------------------------------- what goes wrong


def others_are_whole(done: Sequence[Any], slides: Sequence[Slide], broken: int) -> None:
    assert [isinstance(one, Exception) for one in done] == [i == broken for i in range(len(slides))]
    assert isinstance(done[broken], ZeroDivisionError)
    for i, one in enumerate(done):
        if i != broken:
            assert_same(one[1], scanner().scan_slide(slides[i])[1])


@pytest.mark.parametrize("where", ["open", "detect", "on_field"])
def test_an_error_ends_its_slide_alone(root: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    slides = find_slides(root)

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    def on_field(field: Field, _: FieldResult) -> None:
        if field.slide_id == "c":
            raise ZeroDivisionError

    with monkeypatch.context() as patch:
        if where == "open":
            inner = slide_opening.SlideOpener.measure_scale
            patch.setattr(
                slide_opening.SlideOpener,
                "measure_scale",
                lambda self, slide: fails() if slide.slide_id == "c" else inner(self, slide),
            )
        if where == "detect":
            cut = pipeline.measure_quality
            calls = iter(range(99))
            patch.setattr(pipeline, "measure_quality", lambda *a: fails() if next(calls) == 5 else cut(*a))
        scan = scanner(workers=1, read_ahead=1)
        done = scanned(scan, slides, on_field=on_field if where == "on_field" else None)
    others_are_whole(done, slides, 2)


def test_classifiers_that_fail_for_one_slide_name_the_others_of_its_window(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slides, inner = find_slides(root), CellClassifier.predict_probs
    calls: list[int] = []

    def fails(self: CellClassifier, crops: Any, forms: Any, restained: Any) -> Any:
        calls.append(len(crops))
        if len(crops) in (17, 11):  # the fields of all slides together, and those of the third alone
            raise ZeroDivisionError
        return inner(self, crops, forms, restained)

    with monkeypatch.context() as patch:
        patch.setattr(CellClassifier, "predict_probs", fails)
        done = scanned(scanner(window=64), slides)
    assert calls == [17, 3, 1, 11, 2]
    others_are_whole(done, slides, 2)


def test_a_place_that_takes_no_more_ends_all(root: Path) -> None:
    def on_field(field: Field, _: FieldResult) -> None:
        if field.slide_id == "b":
            raise OutputError("full")

    done = scanner(window=1).scan_each(find_slides(root), on_field)
    assert next(done)[0].slide_id == "a"
    with pytest.raises(OutputError, match="full"):
        next(done)


def test_a_slide_without_a_field_is_reported_in_its_turn(root: Path) -> None:
    slides = find_slides(root)
    empty = Slide("empty", (), (FieldFailure("empty", Path("x"), "no picture"),))
    done = scanned(scanner(), [slides[0], empty, slides[1]])
    assert [report.slide_id for report, _ in done] == ["a", "empty", "b"]
    assert [len(results) for _, results in done] == [3, 1, 1]
    assert np.isnan(done[1][0].to_frame()["blast_percent"].iloc[0])
