"""Folders and files as slides."""

import errno
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.errors import ImageError
from smearscan.io.copies import copies_among
from smearscan.io.fields import load_field
from smearscan.io.folders import find_slides, natural, survey
from smearscan.io.kinds import SUFFIXES


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def found(root: Path) -> dict[str, list[str]]:
    return {s.slide_id: [p.relative_to(root).as_posix() for p in s.paths] for s in find_slides(root)}


def test_each_folder_with_pictures_is_a_slide(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.png", "a/1.jpg", "a/2.TIF", "a/notes.txt")
    assert found(tmp_path) == {"a": ["a/1.jpg", "a/2.TIF"], "b": ["b/1.png"]}
    assert list(found(tmp_path)) == ["a", "b"]


def test_nested_folders_are_named_by_their_path(tmp_path: Path) -> None:
    touch(tmp_path, "patient/slide_1/f.png", "patient/slide_2/f.png", "patient/overview.png")
    assert found(tmp_path) == {
        "patient": ["patient/overview.png"],
        "patient/slide_1": ["patient/slide_1/f.png"],
        "patient/slide_2": ["patient/slide_2/f.png"],
    }


def test_loose_pictures_are_slides_of_one_field(tmp_path: Path) -> None:
    touch(tmp_path, "y.bmp", "x.jpeg", "s/1.png")
    assert found(tmp_path) == {"x.jpeg": ["x.jpeg"], "y.bmp": ["y.bmp"], "s": ["s/1.png"]}


def test_a_single_file_is_a_slide(tmp_path: Path) -> None:
    touch(tmp_path, "one.png", "two.png")
    (slide,) = find_slides(tmp_path / "one.png")
    assert slide.slide_id == "one.png"
    assert slide.paths == (tmp_path / "one.png",)


def test_numbers_are_ordered_by_value(tmp_path: Path) -> None:
    touch(tmp_path, *(f"s{k}/field_{i}.png" for k in (10, 9) for i in (100, 9, 10, 1)))
    wanted = [f"field_{i}.png" for i in (1, 9, 10, 100)]
    assert found(tmp_path) == {k: [f"{k}/{n}" for n in wanted] for k in ("s9", "s10")}
    assert list(found(tmp_path)) == ["s9", "s10"]


def test_numbers_and_words_can_be_compared() -> None:
    names = ["b.png", "10.png", "9a.png", "a10.png", "a9.png", "_.png", "²3.png"]
    ordered = [p.name for p in sorted(map(Path, names), key=natural)]
    assert sorted(ordered) == sorted(names)
    assert (
        ordered.index("9a.png") < ordered.index("10.png") < ordered.index("a9.png") < ordered.index("a10.png")
    )


def test_names_of_equal_number_keep_one_order(tmp_path: Path) -> None:
    names = ["1.png", "01.png", "001.png"]
    for i, order in enumerate((names, names[::-1])):
        touch(tmp_path / str(i), *(f"s/{name}" for name in order))
    first, second = (found(tmp_path / str(i))["s"] for i in range(2))
    assert first == second == ["s/001.png", "s/01.png", "s/1.png"]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.png", "s/._1.png", ".cache/1.png", "s/.thumbs/1.png")
    assert found(tmp_path) == {"s": ["s/1.png"]}


def test_a_folder_named_like_a_picture_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "odd.png/1.png")
    assert found(tmp_path) == {"odd.png": ["odd.png/1.png"]}


def test_no_picture_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "readme.txt")
    with pytest.raises(ImageError, match=r"holds no picture \(\.jpg") as error:
        find_slides(tmp_path)
    assert str(tmp_path) in str(error.value)


# ------------------------------------------------------- every folder has a row, every file a word


def failures(root: Path) -> dict[str, list[str]]:
    found = {s.slide_id: [f.reason.replace(f"{root}/", "") for f in s.failures] for s in find_slides(root)}
    return {slide: told for slide, told in found.items() if told}


ENDINGS = st.sampled_from([".jpg", ".TIFF", ".jfif", ".heic", ".webp", ".gif", ".svs", ".txt", ".csv", ""])
NAMES = st.text("ab1 .-_é=+@", min_size=1, max_size=8)
FOLDERS = st.lists(st.sampled_from(["p", "q", "9", "10"]), max_size=3).map("/".join)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.tuples(FOLDERS, NAMES, ENDINGS), min_size=1, max_size=12), st.sets(FOLDERS, max_size=4))
def test_each_file_is_a_field_a_failure_a_doubt_or_passed_over(
    files: set[tuple[str, str, str]], empty: set[str]
) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for path in empty:
            (root / path).mkdir(parents=True, exist_ok=True)
        for at, name, ending in files:
            path = root / at / f"{name}{ending}"
            if not path.exists() and not any(p.is_file() for p in path.parents):
                touch(root, path.relative_to(root).as_posix())
        visible = [
            p for p in root.rglob("*") if not any(n.startswith(".") for n in p.relative_to(root).parts)
        ]
        lying = {p for p in visible if p.is_file()}
        try:
            found = survey(root)
        except ImageError:
            leaves = [p for p in visible if p.is_dir()]
            assert not leaves
            assert not any(p.suffix.lower() in (*SUFFIXES, ".heic", ".webp", ".gif", ".svs") for p in lying)
            return
        told = [p for s in found.slides for p in (*s.paths, *(f.path for f in s.failures if f.path))]
        n_others = sum(int(text.split()[0]) for text in found.passed_over)
        assert len(told) == len(set(told))
        assert len([p for p in told if p.is_file()]) + n_others == len(lying)
        rows = {s.slide_id for s in found.slides}
        for leaf in (p for p in visible if p.is_dir() and not any(c.is_dir() for c in p.iterdir())):
            inner = [p for p in leaf.iterdir() if not p.name.startswith(".")]
            name = leaf.relative_to(root).as_posix()
            assert any(row == name or row.startswith(f"{name}/") for row in rows), (
                inner
            )  # whole slides are rows


def test_a_folder_without_fields_has_a_row_that_says_what_it_holds(tmp_path: Path) -> None:
    touch(tmp_path, "ok/1.jpg", "phone/1.HEIC", "phone/2.webp", "notes/a.txt", "notes/b.csv")
    (tmp_path / "gone").mkdir()
    assert failures(tmp_path) == {
        "gone": ["gone: holds no picture (it is empty); put the slide's fields there"],
        "notes": ["notes: holds no picture (only a.txt, b.csv); put the slide's fields there"],
        "phone": [
            f"phone/1.HEIC: HEIC or AVIF pictures are not read; export it as one of {', '.join(SUFFIXES)}",
            f"phone/2.webp: WebP pictures are not read; export it as one of {', '.join(SUFFIXES)}",
        ],
    }


def test_a_picture_of_another_name_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.jpg", "s/report.pdf", "s/movie.mov")
    (tmp_path / "s" / "IMG_2").write_bytes(b"\xff\xd8\xff\xe0" + bytes(20))
    (tmp_path / "s" / "IMG_3.dat").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    (tmp_path / "s" / "movie.mov").write_bytes(b"\0\0\0\x18ftypqt  " + bytes(20))
    assert failures(tmp_path) == {
        "s": [
            "s/IMG_2: is a picture (JPEG) by its content, but not by its name; end it so",
            "s/IMG_3.dat: is a picture (HEIC or AVIF) by its content, but not by its name; end it so",
        ]
    }
    assert survey(tmp_path).passed_over == ("2 files that are no pictures (1 .mov, 1 .pdf)",)


def test_a_folder_that_cannot_be_opened_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "closed/1.jpg", "open/1.jpg")
    scandir = os.scandir

    def closed(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert found(tmp_path) == {"closed": [], "open": ["open/1.jpg"]}
    assert failures(tmp_path) == {
        "closed": ["closed: cannot be opened (Permission denied); change its rights, or move it"]
    }
    with pytest.raises(ImageError, match="closed: cannot be opened"):
        find_slides(tmp_path / "closed")


def test_a_pipe_is_never_opened_and_a_link_to_nothing_is_a_field_that_fails(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.jpg")
    os.mkfifo(tmp_path / "s" / "2.jpg")
    os.mkfifo(tmp_path / "s" / "queue")
    (tmp_path / "s" / "3.jpg").symlink_to(tmp_path / "nothing")
    assert found(tmp_path) == {"s": ["s/1.jpg", "s/3.jpg"]}
    assert failures(tmp_path) == {"s": ["s/2.jpg: is no regular file; copy the picture itself here"]}
    assert "No such file" in load_field(tmp_path / "s" / "3.jpg").reason


def test_a_run_folder_is_no_slide(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.jpg", "report.run/run.json", "report.run/lock", "report.run/slides/ab.npz")
    assert found(tmp_path) == {"s": ["s/1.jpg"]}
    assert survey(tmp_path).passed_over == ("report.run, which is a run folder of smearscan",)


# ----------------------------------------------------------------- each content once


def test_copies_and_links_of_a_field_count_once_and_are_told(tmp_path: Path) -> None:
    touch(tmp_path, "s/1.jpg", "s/2.jpg")
    for copy in ("1 - Copy.jpg", "1 (1).jpg"):
        shutil.copy(tmp_path / "s" / "1.jpg", tmp_path / "s" / copy)
    (tmp_path / "s" / "0.jpg").symlink_to("2.jpg")
    os.link(tmp_path / "s" / "2.jpg", tmp_path / "s" / "12.jpg")
    (slide,) = find_slides(tmp_path)
    assert found(tmp_path) == {"s": ["s/1.jpg", "s/2.jpg"]}
    (doubt,) = slide.doubts
    assert doubt.name == "copies"
    assert doubt.reason.replace(f"{tmp_path}/", "") == (
        "4 copies of its own fields left out, each content counts once: s/0.jpg is s/2.jpg, "
        "s/1 (1).jpg is s/1.jpg, s/1 - Copy.jpg is s/1.jpg and 1 more"
    )
    every = survey(tmp_path, with_copies=True).slides[0]
    assert len(every.paths) == 6
    assert not every.doubts


def test_a_field_of_two_slides_stays_in_both_and_both_say_so(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/2.jpg", "b/3.jpg", "c/4.jpg")
    shutil.copy(tmp_path / "a" / "1.jpg", tmp_path / "b" / "9.jpg")
    a, b, c = find_slides(tmp_path)
    assert [len(s.paths) for s in (a, b, c)] == [2, 2, 1]
    assert [[d.name for d in s.doubts] for s in (a, b, c)] == [["shared fields"], ["shared fields"], []]
    assert "a/1.jpg is" in a.doubts[0].reason
    assert "b/9.jpg is" in b.doubts[0].reason
    (one,) = find_slides(tmp_path, one_slide=True)
    assert len(one.paths) == 4
    assert [d.name for d in one.doubts] == ["copies"]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=3)), min_size=1, max_size=12), st.integers(0, 9)
)
def test_groups_of_copies_are_those_of_equal_bytes(files: list[tuple[int, bytes]], tail: int) -> None:
    with TemporaryDirectory() as folder:
        paths = []
        for i, (n, data) in enumerate(files):
            paths.append(Path(folder) / str(i))
            paths[-1].write_bytes(bytes(n * 70_000) + data + bytes(tail))
        groups = copies_among([*paths, Path(folder) / "gone"])
        content = {path: path.read_bytes() for path in paths}
        for group in groups:
            assert len({content[path] for path in group}) == 1
        alone = [path for path in paths if not any(path in group for group in groups)]
        # a file that stands alone has a content of its own, unless it is empty
        filled = [content[path] for path in alone if content[path]]
        assert len(filled) == len(set(filled))
        assert not any(content[path] in filled for group in groups for path in group)


def test_two_empty_files_are_two_failures(tmp_path: Path) -> None:
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).touch()
    assert found(tmp_path) == {"1.jpg": ["1.jpg"], "2.jpg": ["2.jpg"]}
    assert not any(slide.doubts for slide in find_slides(tmp_path))


def test_a_folder_of_several_names_is_read_once_by_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "slides/patient/1.jpg", "elsewhere/2.jpg")
    root = tmp_path / "slides"
    (root / "a link").symlink_to(root / "patient")
    (root / "patient" / "loop").symlink_to(root)
    (root / "outside").symlink_to(tmp_path / "elsewhere")
    assert found(root) == {"outside": ["outside/2.jpg"], "patient": ["patient/1.jpg"]}
    assert survey(root).passed_over == (
        "a link, which is the folder patient by another name",
        "patient/loop, which is the folder the scanned folder itself by another name",
    )


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere: there is no such folder or picture"):
        find_slides(tmp_path / "nowhere")
