"""Runs that outlive their process: kept slide by slide, restored to the last bit, gone on with."""

import gc
import json
import logging
import math
import os
import shutil
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from fakes import use_fake_nets
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from smearscan.differential import SlideReport, SlideTally, StopInfo
from smearscan.errors import ConfigError, OutputError, RunError
from smearscan.io import Slide, content, find_slides, write_image
from smearscan.io.naming import OutputNames, Pseudonyms
from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.scan import packed_slides, slide_file
from smearscan.scan.packed_slides import as_written
from smearscan.scan.run import RunSummary, answer_settings, open_run, run_slides, scan_into
from smearscan.scan.run_folder import RunFolder, read_reports, read_run, run_record
from smearscan.scan.run_reports import write_run_reports
from smearscan.scan.scanner import SmearScanner
from smearscan.scan.slide_file import read_fields, read_report, read_stored, slide_bytes
from smearscan.scan.slide_opening import SlideOpener
from smearscan.taxonomy import DIFFERENTIAL_CLASSES


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch)


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Three slides: two of two fields, one of which is broken, and a loose picture."""
    root = tmp_path / "slides"
    for i in range(4):
        path = root / ("one" if i < 2 else "two") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, fakes.field(i, n_white=i))
    (root / "two" / "broken.png").write_text("no picture")
    write_image(root / "loose.png", fakes.field(9))
    return root


def scanner(**settings: object) -> SmearScanner:
    return fakes.scanner(ruler_fields=1, **settings)


def identical(a: Any, b: Any) -> bool:
    """Whether two values are the same to the last bit, NaN with NaN."""
    if is_dataclass(a):
        return type(a) is type(b) and all(
            identical(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)
        )
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or a == b
    return bool(a == b)


def scanned(root: Path) -> list[tuple[SlideReport, list[FieldResult | FieldFailure]]]:
    """Give what a run folder keeps of a scan: with names that are relative to the scanned folder."""
    names = OutputNames(root)
    return [as_written(report, results, names, {}) for report, results in scanner().scan_slides(root)]


# ---------------------------------------------------------------- one slide in one file


def a_result(xyxy: Any, probs: Any, blasts: Any, names: tuple[str, ...]) -> FieldResult:
    n = len(xyxy)
    found = Detections(xyxy, np.linspace(1, 0, n, dtype=np.float32), np.zeros(n, np.int64))
    types = tuple("unclassified" for _ in range(n))
    where = Path("a b") / "ä\udce9.png"
    return FieldResult(
        "slide", where, (10, 20), found, probs, names, blasts, types, Scale(0.1, "given"), n,
        fine_classes=("myelocyte",), fine_types=("myelocyte",) * n, fine_probs=blasts,
    )  # fmt: skip


@given(st.integers(0, 5), st.integers(0, 3), st.data())
def test_a_field_is_restored_to_the_last_bit(n: int, k: int, data: st.DataObject) -> None:
    def array(*shape: int) -> Any:
        return data.draw(hnp.arrays(np.float32, shape))  # NaN, infinities and subnormals too

    result = a_result(array(n, 4), array(n, k), array(n), tuple("abc"[:k]))
    empty = a_result(np.empty((0, 4), np.float32), np.empty((0, k), np.float32), array(0), tuple("abc"[:k]))
    failure = FieldFailure("slide", None, "it's gone,\n'so'")
    report = _report(SlideTally("slide", types=Counter({"blast": n}), fine_types=Counter(myeloblast=n)))
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"smearscan-test-{os.getpid()}.npz"
    try:
        path.write_bytes(slide_bytes("key", report, [result, failure, empty]))
        assert identical(read_fields(path), [result, failure, empty])
        assert identical(read_report(path), report)
    finally:
        path.unlink()


def _report(tally: SlideTally) -> SlideReport:
    return scanner().judge.report(tally, Scale(0.1, "given"), StopInfo(1))


def test_reports_of_a_scan_are_restored_with_all_they_hold(slides: Path, tmp_path: Path) -> None:
    for report, results in scanned(slides):
        (tmp_path / "s.npz").write_bytes(slide_bytes("key", report, results))
        assert identical(read_report(tmp_path / "s.npz"), report)
        assert identical(read_fields(tmp_path / "s.npz"), results)
        assert list(read_report(tmp_path / "s.npz").tally.types) == list(report.tally.types)


def test_a_file_from_before_fine_types_is_read(tmp_path: Path) -> None:
    none = np.empty((2, 0), np.float32)
    old = replace(a_result(np.ones((2, 4), np.float32), none, none[:, :0].sum(axis=1), ()),
                  fine_classes=(), fine_types=(), fine_probs=np.empty(0, np.float32))  # fmt: skip
    report = _report(SlideTally("slide", types=Counter(blast=2)))
    path = tmp_path / "s.npz"
    path.write_bytes(slide_bytes("key", report, [old]))
    with np.load(path) as archive:
        members = dict(archive)
    slide, items = (json.loads(members[name].tobytes()) for name in ("slide", "fields"))
    for part in (slide["report"], slide["report"]["tally"], items[0][1]):
        for name in [name for name in part if name.startswith("fine_")]:
            del part[name]
    for name, value in (("slide", slide), ("fields", items)):
        members[name] = np.frombuffer(json.dumps(value).encode(), np.uint8)
    np.savez(path, **members)
    assert identical(read_fields(path), [old])
    assert identical(read_report(path), report)


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.99])
@pytest.mark.parametrize("harm", ["cut", "flip"])
def test_a_damaged_file_is_never_read_as_whole(slides: Path, tmp_path: Path, part: float, harm: str) -> None:
    report, results = scanned(slides)[1]
    path = tmp_path / "s.npz"
    path.write_bytes(slide_bytes("key", report, results))
    assert read_stored(path) == slide_file.StoredSlide("one", "key")
    whole = path.read_bytes()
    at = int(part * len(whole))
    path.write_bytes(whole[:at] if harm == "cut" else whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    if read_stored(path) is not None:  # the changed byte was of no content, as a date in the archive's index
        assert identical(read_fields(path), results)
        assert identical(read_report(path), report)


def test_no_changed_byte_of_the_index_loses_a_part_unseen(slides: Path, tmp_path: Path) -> None:
    report, results = scanned(slides)[1]
    path = tmp_path / "s.npz"
    path.write_bytes(slide_bytes("key", report, results))
    whole = path.read_bytes()
    for at in range(whole.index(b"PK\x01\x02"), len(whole)):  # the archive's index is at its end
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        if read_stored(path) is not None:
            assert len(read_fields(path)) == len(results)
            assert read_report(path).slide_id == report.slide_id


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    np.savez(tmp_path / "s.npz", slide=np.array([Evil()], dtype=object), fields=np.array([Evil()], object))
    assert read_stored(tmp_path / "s.npz") is None
    with pytest.raises(RunError, match=r"s\.npz: is damaged or was written by another version"):
        read_report(tmp_path / "s.npz")
    assert not (tmp_path / "ran").exists()


def test_what_has_no_form_is_refused_before_it_is_written(tmp_path: Path, slides: Path) -> None:
    report, _ = scanned(slides)[0]
    odd = replace(report, tally=replace(report.tally, n_fields=np.array(["text"])))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ndarray cannot be stored"):
        (tmp_path / "s.npz").write_bytes(slide_bytes("key", odd, []))
    assert not (tmp_path / "s.npz").exists()


# ---------------------------------------------------------------- a run


def test_a_run_gives_back_what_the_scan_gave(slides: Path, tmp_path: Path) -> None:
    done = run_slides(scanner(), slides, tmp_path / "r.run")
    assert done == RunSummary(3, 0)
    restored = list(read_run(tmp_path / "r.run", slides))
    direct = list(scanner().scan_slides(slides))
    assert [report.slide_id for report, _ in restored] == ["loose.png", "one", "two"]
    for (report, results), (expected, fresh) in zip(restored, direct, strict=True):
        assert identical([replace(item, sha256="") for item in results[:2]], fresh[:2])
        assert report.to_frame().drop(columns="failures").equals(expected.to_frame().drop(columns="failures"))
    broken = restored[2][1][2]
    assert isinstance(broken, FieldFailure)
    assert broken.reason.startswith("two/broken.png: ")
    assert broken.path == slides / "two" / "broken.png"
    relative = next(iter(read_run(tmp_path / "r.run")))[1][0]
    assert relative.path == Path("loose.png")


def test_a_run_folder_and_reports_name_no_place_of_the_machine(slides: Path, tmp_path: Path) -> None:
    calibrated = {"um_per_px": fakes.UM_PER_PX}
    run_slides(scanner(**calibrated), slides.absolute(), tmp_path / "r.run")
    write_run_reports(tmp_path / "r.run", report=tmp_path / "r.csv", cells=tmp_path / "c.csv")
    for file in [*(tmp_path / "r.run").rglob("*"), tmp_path / "r.csv", tmp_path / "c.csv"]:
        if file.is_file():
            assert str(tmp_path).encode() not in file.read_bytes(), file


def bytes_of(run: Path, place: Path) -> list[bytes]:
    files = [place / name for name in ("r.csv", "c.csv", "s.csv", "p.html")]
    write_run_reports(run, report=files[0], cells=files[1], summary=files[2], page=files[3])
    return [file.read_bytes() for file in files]


def test_stopped_after_each_slide_and_gone_on_with_gives_the_same_bytes(slides: Path, tmp_path: Path) -> None:
    run_slides(scanner(), slides, tmp_path / "whole.run")
    expected = bytes_of(tmp_path / "whole.run", tmp_path)

    class Stop(KeyboardInterrupt):
        pass

    def stop(_: SlideReport) -> None:
        raise Stop

    part = tmp_path / "part.run"
    for n in range(1, 3):
        with pytest.raises(Stop):
            run_slides(scanner(), slides, part, resume=True, on_slide=stop)
        assert len(list(read_run(part))) == n
        assert not run_record(part).finished
    done = run_slides(scanner(), slides, part, resume=True)
    assert (done.n_slides, done.n_kept) == (3, 2)
    assert run_record(part).finished
    assert bytes_of(part, tmp_path) == expected
    assert {p.name: p.read_bytes() for p in part.rglob("*.npz")} == {
        p.name: p.read_bytes() for p in (tmp_path / "whole.run").rglob("*.npz")
    }


def test_two_runs_are_byte_identical_whatever_the_windows_and_threads(slides: Path, tmp_path: Path) -> None:
    for name, settings in {"a": {}, "b": {"window": 1, "workers": 1}, "c": {"read_ahead": 3}}.items():
        run_slides(scanner(**settings), slides, tmp_path / f"{name}.run")
    a, b, c = (bytes_of(tmp_path / f"{name}.run", tmp_path) for name in "abc")
    assert a == b == c


def kept(root: Path, folder: Path, **settings: object) -> int:
    return run_slides(scanner(**settings), root, folder, resume=True).n_kept


def test_a_changed_picture_alone_is_read_again(slides: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r.run"
    assert kept(slides, folder) == 0
    assert kept(slides, folder) == 3
    write_image(slides / "one" / "0.png", fakes.field(50, n_white=5))
    assert kept(slides, folder) == 2
    assert [len(r) for _, items in read_run(folder) for r in items if isinstance(r, FieldResult)][1] == 5
    (slides / "two" / "2.png").rename(slides / "two" / "02.png")  # a name is in the report
    assert kept(slides, folder) == 2
    (slides / "one" / "1.png").unlink()
    assert kept(slides, folder) == 2
    os.utime(slides / "loose.png", (1, 1))  # its bytes are the same
    shutil.copytree(slides, tmp_path / "elsewhere")
    assert kept(tmp_path / "elsewhere", folder) == 3


def test_a_slide_that_is_gone_leaves_the_report(slides: Path, tmp_path: Path) -> None:
    kept(slides, tmp_path / "r.run")
    shutil.rmtree(slides / "two")
    assert kept(slides, tmp_path / "r.run") == 2
    assert [r.slide_id for r in read_reports(tmp_path / "r.run")] == ["loose.png", "one"]
    assert len(list((tmp_path / "r.run").rglob("*.npz"))) == 2


@pytest.mark.parametrize(
    "change", [{"flag_min_cells": 3}, {"um_per_px": fakes.UM_PER_PX * 1.01}, {"task": "blast"}]
)
def test_a_changed_setting_reads_all_again_and_says_which(
    slides: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    kept(slides, tmp_path / "r.run")
    scan = scanner(**change)
    names = OutputNames(slides)
    with open_run(scan, find_slides(slides), names, tmp_path / "r.run", True) as state:
        assert set(change) <= set(state.changed)
        assert scan_into(state, scan, find_slides(slides), names).n_kept == 0


def test_a_picture_refused_by_its_size_is_not_read_for_its_hash(
    slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (slides / "one/film.png").open("wb") as file:
        file.truncate(40_000_000_000)  # zeros that take no room on the disk
    read: list[str] = []
    monkeypatch.setattr(content, "file_sha256", lambda path: read.append(path.name) or "0" * 64)
    folder = tmp_path / "r.run"
    assert kept(slides, folder) == 0
    assert "film.png" not in read
    assert "broken.png" in read
    (told,) = (f.reason for r in read_reports(folder) for f in r.tally.failures if "film.png" in f.reason)
    assert "40000000000 bytes" in told
    assert kept(slides, folder) == 3
    write_image(slides / "one/film.png", fakes.field(7))
    assert kept(slides, folder) == 2


def test_changed_weights_read_all_again(
    slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(slides, tmp_path / "r.run")
    use_fake_nets(monkeypatch, sha256="cd" * 32)
    assert kept(slides, tmp_path / "r.run") == 0
    use_fake_nets(monkeypatch, sha256="cd" * 32, threshold=0.123)  # the card alone
    assert kept(slides, tmp_path / "r.run") == 0
    assert kept(slides, tmp_path / "r.run") == 3


def test_what_changes_no_answer_changes_no_key() -> None:
    a = answer_settings(scanner(window=1, workers=1, read_ahead=1))
    assert a == answer_settings(scanner(window=9, workers=2, read_ahead=7))
    assert a != answer_settings(scanner(flag_min_cells=7))


def test_reference_ranges_count_by_what_they_say_and_not_by_their_place(slides: Path, tmp_path: Path) -> None:
    own = tmp_path / "of_a_user" / "ranges.yaml"
    own.parent.mkdir()
    own.write_text("neutrophil: {low: 40, high: 80}\n")
    a = answer_settings(scanner(reference_ranges=own))
    moved = own.rename(tmp_path / "ranges.yaml")
    assert answer_settings(scanner(reference_ranges=moved)) == a
    assert "of_a_user" not in json.dumps(a)
    run_slides(scanner(reference_ranges=moved), slides, tmp_path / "r.run")
    moved.write_text("neutrophil: {low: 50, high: 80}\n")
    again = run_slides(scanner(reference_ranges=moved), slides, tmp_path / "r.run", resume=True)
    assert again.n_kept == 0


def test_a_picture_that_changes_while_it_is_read_is_read_again(slides: Path, tmp_path: Path) -> None:
    scan = scanner()
    inner = scan.scan_each

    def change(*given: Any) -> Any:
        for slide, done in inner(*given):
            if slide.slide_id == "one":
                write_image(slide.paths[0], fakes.field(60))
            yield slide, done

    scan.scan_each = change  # type: ignore[method-assign]
    run_slides(scan, slides, tmp_path / "r.run")
    assert kept(slides, tmp_path / "r.run") == 2
    assert kept(slides, tmp_path / "r.run") == 3


# ---------------------------------------------------------------- what goes wrong


def test_one_broken_slide_leaves_the_others(
    slides: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = scanner()
    inner = SlideOpener.measure_scale

    def breaks(self: SlideOpener, slide: Slide) -> Scale:
        if slide.slide_id == "one":
            raise MemoryError("40 GB")
        return inner(self, slide)

    with monkeypatch.context() as patch:
        patch.setattr(SlideOpener, "measure_scale", breaks)
        done = run_slides(scan, slides, tmp_path / "r.run")
    assert done.broken == ("one",)
    reports = list(read_reports(tmp_path / "r.run"))
    assert [(r.slide_id, r.tally.n_fields, r.tally.n_failed) for r in reports] == [
        ("loose.png", 1, 0), ("one", 0, 2), ("two", 2, 1),
    ]  # fmt: skip
    assert (
        "one/0.png: the slide could not be scanned (MemoryError: 40 GB)"
        in reports[1].tally.failures[0].reason
    )
    assert any(r.exc_info and r.levelno == logging.WARNING for r in caplog.records)
    assert kept(slides, tmp_path / "r.run") == 2  # and that one is tried again
    assert next(r for r in read_reports(tmp_path / "r.run") if r.slide_id == "one").tally.n_fields == 2


def test_two_processes_do_not_share_a_run_folder(slides: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r.run"
    run_slides(scanner(), slides, folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with FileLock(folder / "lock"), pytest.raises(RunError, match=r"r\.run: another smearscan is writing"):
        run_slides(scanner(), slides, folder, resume=False)
    assert before == {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert run_slides(scanner(), slides, folder, resume=True).n_kept == 3


def test_an_interrupted_run_is_not_thrown_away_unasked(slides: Path, tmp_path: Path) -> None:
    def stop(_: SlideReport) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "r.run"
    with pytest.raises(KeyboardInterrupt):
        run_slides(scanner(), slides, folder, on_slide=stop)
    with pytest.raises(RunError, match=r"holds 1 of 3 slides .* --resume, or read all anew with --no-resume"):
        run_slides(scanner(), slides, folder)
    assert len(list(read_run(folder))) == 1
    assert run_slides(scanner(), slides, folder, resume=False).n_kept == 0
    assert run_slides(scanner(), slides, folder).n_kept == 0  # a finished one is made anew


def test_a_full_disk_keeps_what_is_read(
    slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, sync, left = tmp_path / "r.run", os.fsync, [6]

    def full(handle: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        sync(handle)

    run_slides(scanner(), slides, tmp_path / "whole.run")
    monkeypatch.setattr(os, "fsync", full)  # run.json, facts.json, a slide, each with its folder
    with pytest.raises(OutputError, match=r"\.npz: cannot be written: the disk is full; make room"):
        run_slides(scanner(), slides, folder)
    monkeypatch.setattr(os, "fsync", sync)
    assert [r.slide_id for r in read_reports(folder)] == ["loose.png"]
    assert not list(folder.rglob("*.part"))
    assert run_slides(scanner(), slides, folder, resume=True).n_kept == 1
    assert bytes_of(folder, tmp_path) == bytes_of(tmp_path / "whole.run", tmp_path)


def test_damaged_state_is_read_again(slides: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r.run"
    kept(slides, folder)
    file = sorted(folder.rglob("*.npz"))[0]
    file.write_bytes(file.read_bytes()[:-30])
    assert kept(slides, folder) == 2
    (folder / "run.json").write_text("{half")
    with pytest.raises(RunError, match="holds no run"):
        list(read_run(folder))
    assert kept(slides, folder) == 3  # the slides' own keys tell enough


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no run; give the folder that 'smearscan run' wrote"):
        list(read_run(tmp_path))
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"), RunFolder(tmp_path / "file", {}, []):
        pass


# ---------------------------------------------------------------- memory


def test_memory_holds_one_slide_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen slides of 500 cells, as a scanner that reads nothing gives them."""
    root = tmp_path / "slides"
    for i in range(15):
        (root / f"{i:03d}").mkdir(parents=True)
        (root / f"{i:03d}" / "field.png").write_bytes(b"%d" % i)
    scan, alive, most = scanner(), list[weakref.ref[Any]](), [0]
    rng = np.random.default_rng(0)

    def made_up(slides: Iterable[Slide], *_: Any) -> Any:
        yield from ((slide, of_one(slide)) for slide in slides)

    def of_one(slide: Slide) -> Any:
        gc.collect()
        most[0] = max(most[0], sum(one() is not None for one in alive))
        n, k = 500, len(DIFFERENTIAL_CLASSES)
        found = Detections(rng.random((n, 4), np.float32), rng.random(n, np.float32), np.zeros(n, np.int64))
        result = FieldResult(
            slide.slide_id, slide.paths[0], (9, 9), found, rng.random((n, k), np.float32),
            DIFFERENTIAL_CLASSES, rng.random(n, np.float32), ("neutrophil",) * n, Scale(0.1, "given"),
        )  # fmt: skip
        alive.append(weakref.ref(result.probs))
        return scan.judge.report(SlideTally.of(slide.slide_id, [result]), result.scale, StopInfo(1)), [result]

    monkeypatch.setattr(scan, "scan_each", made_up)
    monkeypatch.setattr(packed_slides, "_doubts_of_scale", lambda *_: ())
    tracemalloc.start()
    sizes: list[int] = []

    def weigh(_: SlideReport) -> None:
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])

    run_slides(scan, root, tmp_path / "r.run", on_slide=weigh)
    tracemalloc.reset_peak()
    write_run_reports(tmp_path / "r.run", report=tmp_path / "r.csv", cells=tmp_path / "c.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most[0] <= 1
    assert sizes[-1] - sizes[4] < 100_000  # ten slides more, of 40 kB of numbers each
    assert peak - sizes[-1] < 3_000_000
    with (tmp_path / "c.csv").open() as file:
        assert sum(1 for _ in file) == 7_501


# ---------------------------------------------------------------- pseudonyms


def test_pseudonyms_replace_every_name(slides: Path, tmp_path: Path) -> None:
    (slides / "two").rename(slides / "MILLER ANNA")
    names = OutputNames(slides, Pseudonyms(b"a secret of sixteen bytes"))
    scan, found = scanner(), find_slides(slides)
    with open_run(scan, found, names, tmp_path / "r.run", None) as state:
        scan_into(state, scan, found, names)
    written = bytes_of(tmp_path / "r.run", tmp_path)
    everything = b"".join(
        [*written, *(p.read_bytes() for p in (tmp_path / "r.run").rglob("*") if p.is_file())]
    )
    for word in (b"MILLER", b"ANNA", b"broken.png", b"loose"):
        assert word not in everything
    ids = [report.slide_id for report in read_reports(tmp_path / "r.run")]
    assert len(set(ids)) == 3
    assert all(name.startswith("slide-") for name in ids)
    again = OutputNames(slides, Pseudonyms(b"a secret of sixteen bytes"))
    other = OutputNames(slides, Pseudonyms(b"another secret of more bytes"))
    assert [again.slide(s.slide_id) for s in found] == [names.slide(s.slide_id) for s in found]
    assert not {other.slide(s.slide_id) for s in found} & set(ids)


def test_keys_of_pseudonyms_that_keep_no_secret_are_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short\n")
    for path, told in (
        (tmp_path / "key", "has 5 bytes, 16 are needed"),
        (tmp_path / "none", "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=told) as caught:
            Pseudonyms.read(path)
        assert "token_hex(32)" in str(caught.value)
        assert str(path) in str(caught.value)


# ---------------------------------------------------------------------------------- doubts


def doubts(folder: Path) -> dict[str, list[str]]:
    return {r.slide_id: [d.name for d in r.doubts] for r in read_reports(folder) if r.doubts}


def test_doubts_stay_when_a_run_is_gone_on_with_and_a_new_one_reads_the_slide_again(
    slides: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "r.run"
    far_off = {"um_per_px": 2 * fakes.UM_PER_PX}
    assert kept(slides, folder, **far_off) == 0
    known = doubts(folder)
    assert known["one"] == ["scale", "colors"]  # drawn discs have no stain's colors
    assert kept(slides, folder, **far_off) == 3
    assert doubts(folder) == known
    shutil.copy(slides / "one" / "1.png", slides / "one" / "1 (1).png")
    assert kept(slides, folder, **far_off) == 2
    assert doubts(folder)["one"] == ["scale", "copies", "colors"]


def test_a_doubt_names_pictures_as_they_are_named_elsewhere(slides: Path, tmp_path: Path) -> None:
    shutil.copy(slides / "one" / "1.png", slides / "one" / "1 (1).png")
    shutil.copy(slides / "one" / "1.png", slides / "two" / "secret.png")
    scan, found = scanner(), find_slides(slides)
    for names in (OutputNames(slides), OutputNames(slides, Pseudonyms(b"a secret of sixteen bytes"))):
        with open_run(scan, found, names, tmp_path / "r.run", False) as state:
            scan_into(state, scan, found, names)
        reasons = " ".join(d.reason for r in read_reports(tmp_path / "r.run") for d in r.doubts)
        assert str(tmp_path) not in reasons
        assert ("one/1 (1).png is one/1.png" in reasons) == (names.pseudonyms is None)
        assert ("secret" in reasons) == (names.pseudonyms is None)
        assert names.field(slides / "two" / "secret.png").as_posix() in reasons
