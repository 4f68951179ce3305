"""Whole slides around fake networks: tallied, measured once, named by the nets of the task."""

from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
from fakes import UM_PER_PX, classifier, field, scanner, use_fake_nets
from numpy.typing import NDArray

from smearscan.classification.classifier import Classifier
from smearscan.detection.detector import Detector
from smearscan.errors import ConfigError, ImageError
from smearscan.io.decode import write_image
from smearscan.io.folders import find_slides
from smearscan.results import Field, FieldFailure, FieldResult, Scale
from smearscan.rulers import slide_scale
from smearscan.rulers.scale import measure_scale
from smearscan.scan import cell_classifier
from smearscan.scan.scanner import SmearScanner
from smearscan.taxonomy import DIFFERENTIAL_CLASSES

Picture = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch)


def tables(items: list[FieldResult | FieldFailure]) -> list[pd.DataFrame | str]:
    return [item.to_frame() if isinstance(item, FieldResult) else item.reason for item in items]


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [field(i, n_white=i % 4) for i in range(11)]


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
    real = measure_scale

    def measure(detector: Detector, images: list[Picture]) -> Scale:
        calls.append(len(images))
        return real(detector, images)

    monkeypatch.setattr(slide_scale, "measure_scale", measure)
    for report, results in SmearScanner(ruler_fields=2).scan_slides(slides):
        assert report.scale.source == "red cells"
        assert report.scale.um_per_px == pytest.approx(UM_PER_PX, rel=0.05)
        assert {r.scale for r in results if isinstance(r, FieldResult)} == {report.scale}
    assert sorted(calls) == [1, 2, 2]  # slides are opened two at a time


def test_fields_of_a_stream_are_measured_one_by_one() -> None:
    found = SmearScanner().analyze_batch([field(1), field(1, red_px=64.0)])
    assert found[0].scale.um_per_px == pytest.approx(2 * found[1].scale.um_per_px, rel=0.05)
    assert [len(f) for f in found] == [2, 2]


def test_a_given_scale_is_not_measured(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slide_scale, "measure_scale", lambda *_: pytest.fail("measured"))
    for report, _ in scanner(um_per_px=0.2).scan_slides(slides):
        assert report.scale == Scale(0.2, "given")


def test_the_ruler_passes_over_broken_fields(tmp_path: Path, pictures: list[Picture]) -> None:
    for name in ("0.png", "1.png", "9.png"):
        (tmp_path / name).write_text(f"broken {name}")
    write_image(tmp_path / "5.png", pictures[2])
    (tmp_path / "s").mkdir()
    for path in tmp_path.glob("*.png"):
        path.rename(tmp_path / "s" / path.name)
    ((report, results),) = SmearScanner(ruler_fields=2).scan_slides(tmp_path)
    assert report.scale.source == "red cells"
    assert [type(r) for r in results] == [FieldFailure, FieldFailure, FieldResult, FieldFailure]
    assert report.tally.n_failed == 3


def test_a_slide_of_broken_fields_alone_is_reported(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for name in ("a.png", "b.jpg"):
        (tmp_path / "s" / name).write_bytes(b"")
    ((report, results),) = SmearScanner().scan_slides(tmp_path)
    assert report.scale.source == "assumed"
    assert (report.tally.n_fields, report.tally.n_failed, len(results)) == (0, 2, 2)
    assert report.flag.state == "insufficient"


def test_no_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no picture"):
        next(scanner().scan_slides(tmp_path))


# ---------------------------------------------------------------- naming


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

    def turned(weights: list[Path], *_: object) -> list[Classifier]:
        made = classifier(weights[0].stem, ("blast", "healthy"))
        assert isinstance(made.engine, fakes.LogitEngine)
        made.engine.mix = made.engine.mix[:, ::-1]
        return [made]

    monkeypatch.setattr(cell_classifier, "load_classifiers", turned)
    np.testing.assert_array_equal(scanner(task="blast").analyze(pictures[3]).blast_probs, usual.blast_probs)


def own_net(weights: list[Path], *_: object) -> list[Classifier]:
    """Load nets, of which ``custom`` knows classes of its own."""
    classes = {"custom": ("a", "b"), "blast": ("healthy", "blast")}
    return [classifier(path.stem, classes.get(path.stem, DIFFERENTIAL_CLASSES)) for path in weights]


def test_a_net_without_blasts_cannot_serve_as_blast_net(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_classifier, "load_classifiers", own_net)
    with pytest.raises(ConfigError, match="has no class 'blast'"):
        scanner(blast=Path("custom.safetensors"))


def test_cells_named_by_a_net_of_ones_own_are_counted(slides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_classifier, "load_classifiers", own_net)
    scan = scanner(differential=Path("custom.safetensors"))
    for report, results in scan.scan_slides(slides):
        assert report.differential.total == sum(len(r) for r in results if isinstance(r, FieldResult))


# ---------------------------------------------------------------- fewer pixels


def test_large_fields_are_read_with_fewer_pixels_and_answered_in_their_own(tmp_path: Path) -> None:
    slide = tmp_path / "slides" / "large"
    slide.mkdir(parents=True)
    for i in range(2):
        write_image(slide / f"{i}.jpg", field(i, n_white=2, red_px=300), quality=98)
    scan, seen = scanner(um_per_px=7.2 / 300), []
    assert scan.reduction(Scale(7.2 / 300, "given")) == 8
    ((_, results),) = scan.scan_slides(tmp_path / "slides", lambda f, r: seen.append((f, r)))
    for i, result in enumerate(results):
        assert isinstance(result, FieldResult)
        whole = scan.analyze(field(i, n_white=2, red_px=300))
        assert result.shape == whole.shape == field(i, red_px=300).shape[:2]
        assert len(result) == len(whole) == 2
        mine, its = (fakes.in_order(r.detections.xyxy) for r in (result, whole))
        np.testing.assert_allclose(
            mine, its, atol=300 / 32 * 1.5
        )  # half a pixel of the working scale and more
        np.testing.assert_allclose(np.sort(result.blast_probs), np.sort(whole.blast_probs), atol=0.03)
        assert result.scale.um_per_px == pytest.approx(7.2 / 300)  # the photograph's
    for i, (shown, _) in enumerate(seen):
        assert (shown.reduction, shown.image.shape) == (1, field(i, red_px=300).shape)


@pytest.mark.parametrize(
    ("red_cell_px", "reduction"), [(3, 1), (32, 1), (67, 1), (68, 2), (134, 2), (135, 4), (269, 8), (3000, 8)]
)
def test_a_field_keeps_more_pixels_than_a_net_is_given(red_cell_px: float, reduction: int) -> None:
    """The fake detector asks for 32 px a red cell, the fake classifiers for 32 px of 20 um: 11.5."""
    assert scanner().reduction(Scale(7.2 / red_cell_px, "given")) == reduction


@pytest.mark.parametrize(("red_px", "wholly"), [(300, False), (30, True)])
def test_a_slide_is_measured_on_reduced_fields_where_these_show_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, red_px: float, wholly: bool
) -> None:
    """Red cells of 30 px are smaller in the reduced field than the detector works at."""
    slide = tmp_path / "slides" / "one"
    slide.mkdir(parents=True)
    image = field(0, red_px=300) if red_px == 300 else np.tile(field(0, red_px=30), (8, 6, 1))
    for i in range(3):
        write_image(slide / f"{i}.jpg", image, quality=98)
    sides = []
    measure = measure_scale
    monkeypatch.setattr(
        slide_scale,
        "measure_scale",
        lambda d, images: (sides.append(max(images[0].shape)), measure(d, images))[1],
    )
    (one,) = find_slides(tmp_path / "slides")
    scale = SmearScanner().measure_scale(one)
    assert scale.um_per_px == pytest.approx(7.2 / red_px, rel=0.05)
    whole = max(image.shape)
    assert (sides[-1] == whole) == wholly
    assert sides[0] < whole


def test_a_slide_of_jpegs_and_others_is_measured_whole(tmp_path: Path) -> None:
    slide = tmp_path / "slides" / "mixed"
    slide.mkdir(parents=True)
    for i, suffix in enumerate((".jpg", ".png", ".jpg")):
        write_image(slide / f"{i}{suffix}", field(i, red_px=300), quality=98)
    (one,) = find_slides(tmp_path / "slides")
    assert SmearScanner().measure_scale(one).um_per_px == pytest.approx(7.2 / 300, rel=0.05)
