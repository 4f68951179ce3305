"""Folders and files as slides."""

from pathlib import Path

import pytest

from smearscan.errors import ImageError
from smearscan.io.folders import find_slides, natural


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(root: Path) -> dict[str, list[str]]:
    return {s.slide_id: [p.relative_to(root).as_posix() for p in s.paths] for s in find_slides(root)}


def test_each_folder_with_pictures_is_a_slide(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.png", "a/1.jpg", "a/2.TIF", "a/notes.txt", "empty/readme.md")
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
    touch(tmp_path, "s/readme.txt")
    with pytest.raises(ImageError, match=r"holds no picture \(\.jpg") as error:
        find_slides(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_missing_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nowhere: there is no such folder or picture"):
        find_slides(tmp_path / "nowhere")
