"""Names, links, folders and rights: what lies in a slide's folder beside its sound fields."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from references.bad_inputs.case import BROKEN, MARKED, READ, SOUND, Place

_NAMES = (
    "field é ü ß.png", "поле_1.png", "视野一.png", "حقل.png", "🔬.png", "e\u0301.png", "=1+1.png", "+cmd.png", "-x.png",
    "@SUM(A1).png", "a,b.png", 'q"uote.png', "line\nbreak.png", "tab\there.png", "semi;colon.png", "100%s%d.png",
    "[bold]x[bold].png", "[red.png", "{curly}.png", "a'b.png", "back\\slash.png", "x..png..png", " blank.png ",
    "CON.png", "NUL", "UPPER.PNG", "null.png", "NA.png", "1e5.png", "0x1F.png", "<script>.png", "&amp;.png", "$HOME.png",
    "`id`.png", "~.png", "-rf.png", "\u202egnp.exe.png", "zero\u200bwidth.png", "x" * 240 + ".png", "é" * 120 + ".png",
)  # fmt: skip


def places() -> Iterator[Place]:
    """Yield all names, links and folders."""
    for name in _NAMES:
        shown = name.strip() if name == "NUL" else name
        kind = SOUND if shown.lower().strip().endswith(".png") and shown == shown.strip() else BROKEN
        yield Place("names", name, lambda at, data, n=name: _write(at / n, data), kind)  # type: ignore[misc]
    for raw in (b"\xff\xfe.png", b"caf\xe9.png", b"\x80[]\n.png"):
        name = os.fsdecode(raw)
        yield Place("names that are no UTF-8", name, lambda at, data, n=name: _write(at / n, data), SOUND)  # type: ignore[misc]
    told = frozenset({MARKED})
    yield Place("copies and links", "copy.png", _copy, told, "copy", 0)
    yield Place("copies and links", "link.png", _link_to_sibling, told, "copy", 0)
    yield Place("copies and links", "hard.png", _hard_link, told, "copy", 0)
    yield Place("copies and links", "elsewhere.png", _link_elsewhere, SOUND)
    yield Place("copies and links", "nowhere.png", _link_to_nothing, BROKEN, "nowhere.png", 0)
    yield Place("copies and links", "itself.png", _link_to_itself, BROKEN, "itself.png", 0)
    yield Place("copies and links", "folder_loop", _loop, frozenset({MARKED}), "by another name", 0)
    yield Place(
        "no regular files", "pipe.png", lambda at, _: os.mkfifo(at / "pipe.png"), BROKEN, "pipe.png", 0
    )
    yield Place("no regular files", "socket.png", _socket, BROKEN, "socket.png", 0)
    yield Place("no regular files", "device.png", _device, BROKEN, "device.png", 0)
    yield Place(
        "no regular files", "folder.png", lambda at, _: (at / "folder.png").mkdir(), BROKEN, "is empty", 0
    )
    yield Place("folders", "empty", lambda at, _: (at / "empty").mkdir(), BROKEN, "is empty", 0)
    yield Place("folders", "notes", _notes, BROKEN, "holds no picture", 0)
    yield Place("folders", "deep", _deep, SOUND)
    yield Place("folders", "closed", _closed, BROKEN, "closed", 0)
    yield Place(
        "files beside", "notes.txt", lambda at, _: _write(at / "notes.txt", b"x"), told, "no picture", 0
    )
    yield Place(
        "files beside",
        "._resource.png",
        lambda at, _: _write(at / "._resource.png", b"x"),
        frozenset({READ}),
        "",
        0,
    )
    yield Place("files that cannot be read", "closed.png", _closed_file, BROKEN, "closed.png", 0)
    yield Place("files that cannot be read", "sparse.png", _sparse, BROKEN, "4500000000 bytes", 0)
    yield Place("files that vanish", "vanishes.png", lambda at, data: _write(at / "vanishes.png", data), BROKEN, "vanishes.png", 0)  # fmt: skip


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _copy(at: Path, _: bytes) -> None:
    _write(at / "a - Copy.png", (at / "a.png").read_bytes())


def _link_to_sibling(at: Path, _: bytes) -> None:
    (at / "link.png").symlink_to("a.png")


def _hard_link(at: Path, _: bytes) -> None:
    os.link(at / "a.png", at / "hard.png")


def _link_elsewhere(at: Path, data: bytes) -> None:
    beside = at.parent.parent / "elsewhere.png"
    _write(beside, data)
    (at / "elsewhere.png").symlink_to(beside)


def _link_to_nothing(at: Path, _: bytes) -> None:
    (at / "nowhere.png").symlink_to("gone.png")


def _link_to_itself(at: Path, _: bytes) -> None:
    (at / "itself.png").symlink_to("itself.png")


def _loop(at: Path, _: bytes) -> None:
    (at / "loop").symlink_to(at, target_is_directory=True)


def _socket(at: Path, _: bytes) -> None:
    here = os.getcwd()
    os.chdir(at)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.png")
    finally:
        os.chdir(here)


def _device(at: Path, _: bytes) -> None:
    (at / "device.png").symlink_to("/dev/zero")


def _notes(at: Path, _: bytes) -> None:
    (at / "notes").mkdir()
    _write(at / "notes" / "a.txt", b"x")


def _deep(at: Path, data: bytes) -> None:
    deep = at.joinpath(*["d"] * 40)
    deep.mkdir(parents=True)
    _write(deep / "f.png", data)


def _closed(at: Path, _: bytes) -> None:
    (at / "closed").mkdir()
    (at / "closed").chmod(0)


def _closed_file(at: Path, data: bytes) -> None:
    _write(at / "closed.png", data)
    (at / "closed.png").chmod(0)


def _sparse(at: Path, _: bytes) -> None:
    """Make a file of 4.5 GB that takes no room on the disk: more than any field's, and not even read."""
    with (at / "sparse.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.truncate(4_500_000_000)
