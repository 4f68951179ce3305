"""Compiled networks are kept whole, found again, remade where broken, and never trusted for another."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_nets import Backend, logits, pictures, use

from smearscan.runtime import cache, engine
from smearscan.runtime import mixed_precision as sure
from smearscan.runtime.engine import make, make_engine
from smearscan.runtime.network import NetworkSpec
from smearscan.runtime.self_check import Difference

NEAR = Difference(0.0, 0.001)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMEARSCAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def never(plan: NetworkSpec) -> NetworkSpec:
    """Return the same plan, which now must not be built."""

    def refuse() -> None:
        pytest.fail("the network was built")

    return replace(plan, build=refuse)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_what_was_compiled_is_found_again_with_the_same_bits(folder: Path, name: str) -> None:
    first = make(logits("net"), "cpu", name)
    assert not first.from_cache
    assert len(list(folder.iterdir())) == 1
    again = make(never(logits("net")), "cpu", name)
    assert again.from_cache
    assert again.apart == first.apart
    assert again.engine.name == first.engine.name
    assert np.array_equal(again.engine.run(pictures(9)), first.engine.run(pictures(9)))


def test_a_network_without_identity_is_not_kept(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    use(monkeypatch, Backend())
    make(logits(), "cpu")
    assert not folder.exists()


def test_another_network_precision_shape_or_version_is_another_file(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    write = cache.write
    monkeypatch.setattr(cache, "write", lambda file, entry: (asked.append(file), write(file, entry)))
    use(monkeypatch, Backend())
    for plan in (
        logits("a"),
        logits("b"),
        replace(logits("a"), batch=8),
        replace(logits("a"), sides=(32, 64)),
    ):
        make_engine(plan, "cpu")
    make_engine(logits("a"), "cpu", "auto", "bf16")
    monkeypatch.setattr(cache, "__version__", "99")
    make_engine(logits("a"), "cpu")
    monkeypatch.setattr(cache, "_processor", lambda: "another")
    make_engine(logits("a"), "cpu")
    monkeypatch.setattr(cache, "_code", lambda: "another")
    make_engine(logits("a"), "cpu")
    monkeypatch.setattr(Backend, "made_with", ("numpy",))
    make_engine(logits("a"), "cpu")
    monkeypatch.setattr(cache, "installed_version", lambda package: "99")
    make_engine(logits("a"), "cpu")
    assert len(set(asked)) == len(asked) == 10


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "words", "json", "folder"])
def test_a_broken_file_is_made_again(monkeypatch: pytest.MonkeyPatch, folder: Path, harm: str) -> None:
    use(monkeypatch, Backend())
    wanted = make_engine(logits("net"), "cpu").run(pictures(5))
    file = next(folder.iterdir())
    data = file.read_bytes()
    if harm == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif harm == "changed":
        file.write_bytes(data[:-1] + b"3")
    elif harm == "empty":
        file.write_bytes(b"")
    elif harm == "words":
        file.write_bytes(b"no cache at all")
    elif harm == "json":
        file.write_bytes(b'[1]\n{"sha256": 1}')
    else:
        file.unlink()
        file.mkdir()
    made = make(logits("net"), "cpu")
    assert not made.from_cache
    assert np.array_equal(made.engine.run(pictures(5)), wanted)
    if harm != "folder":
        assert make(logits("net"), "cpu").from_cache


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_whole_file_that_the_library_cannot_use_is_made_again(folder: Path, name: str) -> None:
    wanted = make_engine(logits("net"), "cpu", name).run(pictures(5))
    cache.write(next(folder.iterdir()), cache.Entry(NEAR, b"not a network"))
    made = make(logits("net"), "cpu", name)
    assert not made.from_cache
    assert np.array_equal(made.engine.run(pictures(5)), wanted)
    assert make(never(logits("net")), "cpu", name).from_cache


@pytest.mark.parametrize("given", ["off", "OFF"])
def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, folder: Path, given: str) -> None:
    use(monkeypatch, Backend())
    monkeypatch.setenv("SMEARSCAN_CACHE", given)
    assert cache.folder() is None
    assert not make(logits("net"), "cpu").from_cache
    assert not make(logits("net"), "cpu").from_cache
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    use(monkeypatch, Backend())
    folder.write_text("a file where the folder would be")
    first, again = make(logits("net"), "cpu"), make(logits("net"), "cpu")
    assert not first.from_cache
    assert not again.from_cache
    assert np.array_equal(first.engine.run(pictures(3)), again.engine.run(pictures(3)))


def test_it_lies_in_the_user_s_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMEARSCAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = cache.folder()
    assert place is not None
    assert place.name == "smearscan"


def test_readers_and_writers_at_once_see_whole_files_only(folder: Path) -> None:
    file = folder / "net"
    entries = [cache.Entry(NEAR, bytes([k]) * 300_000) for k in range(4)]
    cache.write(file, entries[0])
    done = threading.Event()

    def write(entry: cache.Entry) -> None:
        while not done.is_set():
            cache.write(file, entry)

    writers = [threading.Thread(target=write, args=(entry,)) for entry in entries]
    for writer in writers:
        writer.start()
    seen = [cache.read(file) for _ in range(200)]
    done.set()
    for writer in writers:
        writer.join()
    assert all(entry in entries for entry in seen)
    assert [f.name for f in folder.iterdir()] == ["net"]  # nothing temporary is left


def test_what_nobody_uses_goes(folder: Path) -> None:
    for name in ("old", "used"):
        cache.write(folder / name, cache.Entry(NEAR, b"x"))
        os.utime(folder / name, (time.time() - 100 * 24 * 3600,) * 2)
    assert cache.read(folder / "used")
    cache.write(folder / "new", cache.Entry(NEAR, b"x"))
    assert {f.name for f in folder.iterdir()} == {"used", "new"}


def test_what_is_too_far_is_not_kept_but_that_bf16_is_too_far_is(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    use(monkeypatch, Backend(f32=0.5))
    with pytest.raises(engine.EngineError, match="too far"):
        make(logits("net"), "cpu")
    assert not folder.exists()
    use(monkeypatch, Backend(bf16=0.5))
    monkeypatch.setattr(sure, "CONFIDENT", 0)  # this net is never sure, and would be computed again
    first = make(logits("net"), "cpu", "auto", "bf16")
    again = make(never_checked(monkeypatch), "cpu", "auto", "bf16")
    assert again.from_cache
    assert again.why == first.why
    assert "bf16 is too far" in again.why
    assert len(list(folder.iterdir())) == 2


def never_checked(monkeypatch: pytest.MonkeyPatch) -> NetworkSpec:
    monkeypatch.setattr(engine.check, "difference", lambda *_: pytest.fail("was compared again"))
    return logits("net")
