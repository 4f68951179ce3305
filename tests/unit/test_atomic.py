"""Files are written whole or not at all, wherever the place leads."""

import errno
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from smearscan.errors import ConfigError, OutputError
from smearscan.io.atomic import atomic_binary, atomic_text, replacing, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_whole_with_its_folder(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "a.txt"
    with atomic_text(target) as file:
        file.write("one\n")
        assert not target.exists()
    assert target.read_bytes() == b"one\n"
    assert names(target.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError("bug"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_what_breaks_off_leaves_the_former_file(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "a.bin"
    write_bytes(target, b"former")

    def half() -> None:
        with atomic_binary(target) as file:
            file.write(b"half")
            file.flush()
            raise error

    with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
        half()
    assert target.read_bytes() == b"former"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "the disk is full; make room"),
        (errno.EDQUOT, "your quota of disk space is used up; make room"),
        (errno.EACCES, "you may not write there; give another place"),
        (errno.EIO, "Input/output error; give another place"),
    ],
)
def test_the_reason_and_the_cure_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, cure: str
) -> None:
    def sync(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", sync)  # where a full network disk tells it at last
    with pytest.raises(OutputError, match=cure) as caught:
        write_text(tmp_path / "a.txt", "text")
    assert str(tmp_path / "a.txt") in str(caught.value)
    assert isinstance(caught.value, ConfigError)
    assert names(tmp_path) == []


def test_the_bytes_are_on_disk_before_they_get_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def replaced(self: Path, target: Path) -> Path:
        order.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_text(tmp_path / "a.txt", "text")
    assert order == ["file", "name", "folder"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a.txt", tmp_path / "link.txt"
    target.write_text("former")
    link.symlink_to(target)
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    dangling = tmp_path / "dangling.txt"
    dangling.symlink_to(tmp_path / "far" / "b.txt")
    write_text(dangling, "new")
    assert dangling.is_symlink()
    assert (tmp_path / "far" / "b.txt").read_text() == "new"
    assert names(tmp_path) == ["dangling.txt", "far", "link.txt"]


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through\n")
    reader.join(10)
    assert read == ["through\n"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write_bytes(Path("/dev/null"), b"gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_rights_are_kept_and_new_ones_are_the_users(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    before = os.umask(0o027)
    try:
        write_text(target, "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    target.chmod(0o604)
    write_text(target, "newer")
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


def test_two_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as one, replacing(target) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert target.read_text() == "one"
    assert names(tmp_path) == ["a.txt"]


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    orphan, other = tmp_path / f".a.txt.{gone.pid}-0123abcd.part", tmp_path / f".a.txt.{gone.pid}-x.part"
    alive = tmp_path / f".a.txt.{os.getpid()}-0123abcd.part"
    for file in (orphan, other, alive):
        file.write_text("half")
    write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == sorted([other.name, alive.name, "a.txt"])


def test_a_name_that_is_no_utf8_is_escaped(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", os.fsdecode(b"caf\xe9.jpg") + ",é\n")
    assert (tmp_path / "a.csv").read_bytes() == "caf\\udce9.jpg,é\n".encode()


def test_a_folder_in_the_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(OutputError, match=r"a\.csv: cannot be written: Is a directory"):
        write_text(tmp_path / "a.csv", "text")
    assert names(tmp_path) == ["a.csv"]
