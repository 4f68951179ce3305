"""Files that lie at a URL: all fetched or named, once, and what is gone there is gone here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from smearscan.errors import ConfigError, ImageError, OutputError
from smearscan.io import remote
from smearscan.io.folders import survey
from smearscan.io.remote import fetch, is_url

URL = "memory://bucket/slides"
FILES = {"a/1.jpg": b"one", "a/2.jpg": b"two", "b/film/Data.dat": b"three", "loose.png": b"four"}


@pytest.fixture
def store() -> Iterator[MemoryFileSystem]:
    memory = MemoryFileSystem()
    for name, content in FILES.items():
        memory.pipe(f"/bucket/slides/{name}", content)
    memory.pipe("/bucket/other/9.jpg", b"of another folder")
    memory.pipe("/bucket/slides/.hidden/1.jpg", b"hidden")
    yield memory
    memory.rm("/bucket", recursive=True)


def held(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def broken(path: str, why: Exception) -> Any:
    """A store that cannot give one file."""
    whole = MemoryFileSystem.get_file

    def get_file(self: MemoryFileSystem, source: str, target: str, **more: Any) -> None:
        if source.endswith(path):
            raise why
        whole(self, source, target, **more)

    return mock.patch.object(MemoryFileSystem, "get_file", get_file)


@pytest.mark.parametrize("url", [URL, f"{URL}/", Path(URL), Path("memory:/bucket/slides")])
@pytest.mark.usefixtures("store")
def test_every_file_is_fetched_in_its_place(tmp_path: Path, url: Path | str) -> None:
    done = fetch(url, tmp_path / "here")
    assert held(tmp_path / "here") == FILES
    assert (done.root, done.n_fetched, done.n_kept, done.failures) == (tmp_path / "here", 4, 0, {})


@pytest.mark.usefixtures("store")
def test_a_url_of_one_file_is_that_file(tmp_path: Path) -> None:
    done = fetch(f"{URL}/a/2.jpg", tmp_path)
    assert done.root == tmp_path / "2.jpg"
    assert held(tmp_path) == {"2.jpg": b"two"}


def test_what_did_not_change_is_not_fetched_again(tmp_path: Path, store: MemoryFileSystem) -> None:
    fetch(URL, tmp_path)
    store.pipe("/bucket/slides/a/1.jpg", b"changed")
    store.rm("/bucket/slides/loose.png")
    (tmp_path / "a" / "2.jpg").unlink()
    done = fetch(URL, tmp_path)
    assert (done.n_fetched, done.n_kept) == (2, 1)
    assert held(tmp_path) == {"a/1.jpg": b"changed", "a/2.jpg": b"two", "b/film/Data.dat": b"three"}


def test_a_file_that_cannot_be_fetched_is_a_failure_of_its_slide(
    tmp_path: Path, store: MemoryFileSystem
) -> None:
    fetch(URL, tmp_path)
    store.pipe("/bucket/slides/a/1.jpg", b"new there")
    store.pipe("/bucket/slides/c/1.jpg", b"the only one of its slide")
    with broken("/1.jpg", PermissionError("it is closed")):
        done = fetch(URL, tmp_path)
    assert not (tmp_path / "a" / "1.jpg").exists()  # what was fetched before is not what lies there
    slides = {slide.slide_id: slide for slide in survey(tmp_path, missing=done.failures).slides}
    assert [path.name for path in slides["a"].paths] == ["2.jpg"]
    for name in ("a", "c"):
        (failure,) = slides[name].failures
        assert failure.path == tmp_path / name / "1.jpg"
        assert "could not be fetched (PermissionError: it is closed)" in failure.reason
    again = fetch(URL, tmp_path)
    assert (again.failures, again.n_fetched) == ({}, 2)


@pytest.mark.usefixtures("store")
def test_a_file_that_comes_in_part_is_not_kept(tmp_path: Path) -> None:
    def in_part(self: MemoryFileSystem, source: str, target: str) -> None:
        Path(target).write_bytes(b"t")

    with mock.patch.object(MemoryFileSystem, "get_file", in_part):
        done = fetch(f"{URL}/a", tmp_path)
    assert held(tmp_path) == {}
    assert "1 of 3 bytes came" in done.failures[tmp_path / "1.jpg"]


@pytest.mark.usefixtures("store")
def test_a_single_file_that_cannot_be_fetched_is_an_error(tmp_path: Path) -> None:
    with broken("/1.jpg", OSError("gone")):
        done = fetch(f"{URL}/a/1.jpg", tmp_path)
    with pytest.raises(ImageError, match="could not be fetched"):
        survey(done.root, missing=done.failures)


@pytest.mark.usefixtures("store")
def test_a_disk_without_room_is_told_before(tmp_path: Path) -> None:
    full = mock.patch.object(remote.shutil, "disk_usage", return_value=mock.Mock(free=5))
    with full, pytest.raises(OutputError, match=r"needs 0\.0 GB, 0\.0 GB are free"):
        fetch(URL, tmp_path / "here")
    assert not (tmp_path / "here").exists()


@pytest.mark.usefixtures("store")
def test_a_folder_of_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="holds other files"):
        fetch(URL, tmp_path)
    assert held(tmp_path) == {"mine.jpg": b"mine"}


def test_no_name_leads_out_of_the_folder(tmp_path: Path, store: MemoryFileSystem) -> None:
    store.store["/bucket/slides/../../evil.jpg"] = store.store["/bucket/slides/a/1.jpg"]
    try:
        with pytest.raises(ImageError, match="is no name of a file here"):
            fetch(URL, tmp_path / "here")
    finally:
        del store.store["/bucket/slides/../../evil.jpg"]
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("memory://nothing", ImageError, "cannot be listed|no file there"),
        ("nowhere://bucket", ConfigError, "no URL that fsspec knows"),
    ],
)
def test_a_wrong_url_is_told(tmp_path: Path, url: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        fetch(url, tmp_path)


def test_a_store_whose_package_is_missing_is_told(tmp_path: Path) -> None:
    lacking = mock.patch("fsspec.core.url_to_fs", side_effect=ImportError("Install s3fs to access S3"))
    with lacking, pytest.raises(ConfigError, match=r"Install s3fs.*smearscan\[cloud\]"):
        fetch("s3://bucket", tmp_path)


def test_a_url_is_told_from_a_path(tmp_path: Path) -> None:
    assert all(map(is_url, ("s3://bucket/x", Path("s3://bucket/x"), "gs://b", "memory://x")))
    assert not any(map(is_url, ("slides", "/data/slides", "C:/slides", "C:\\slides", tmp_path, "a:b/c")))
