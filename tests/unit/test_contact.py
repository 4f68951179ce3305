"""Contact sheets: every cell once, under its own class, with the number by which tables tell it."""

from dataclasses import replace
from pathlib import Path

import drawn_run
import numpy as np
import pytest
from numpy.typing import NDArray

from smearscan.io.decode import read_image, write_image
from smearscan.report.exports import contact, write_exports
from smearscan.report.exports.contact import _pages, _Tile
from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.taxonomy import BLAST, UNCLASSIFIED
from smearscan.taxonomy.palette import LOOKS, look

KINDS = (BLAST, "neutrophil", "monocyte", UNCLASSIFIED)


def tiles(n: int, seed: int = 0) -> list[_Tile]:
    rng = np.random.default_rng(seed)
    probs = rng.uniform(0, 1, n)
    return [
        _Tile(KINDS[int(k)], float(probs[i]), "f", f"#{i}", i) for i, k in enumerate(rng.integers(0, 4, n))
    ]


@pytest.mark.parametrize("n", [0, 1, 14, 15, 252, 700])
def test_each_cell_is_on_one_page_below_its_class_the_surest_first(n: int) -> None:
    given, seen = tiles(n), []
    pages = list(_pages(given))
    for rows in pages:
        assert sum(1 for row in rows if row.tiles) <= contact._MOST_ROWS
        kind = ""
        for before, row in zip([None, *rows], rows, strict=False):
            if row.title:
                kind = row.type
                assert before is None or not before.title  # no class without a cell
            assert {tile.type for tile in row.tiles} <= {kind}
            seen += row.tiles
        assert not rows or rows[-1].tiles
    assert sorted(tile.at for tile in seen) == list(range(n))
    order = [list(LOOKS).index(tile.type) for tile in seen]
    assert order == sorted(order)
    for kind in KINDS:
        own = [tile.probability for tile in seen if tile.type == kind]
        assert own == sorted(own, reverse=True)


def colored(folder: Path, colors: NDArray[np.uint8]) -> FieldResult:
    """A field of a row of cells, each of one color; every second one a blast."""
    n = len(colors)
    image = np.full((200, 200 * n, 3), 230, np.uint8)
    for i, color in enumerate(colors):
        image[:, 200 * i : 200 * (i + 1)] = color
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "field.png"
    write_image(path, image)
    boxes = np.array([[200 * i + 50, 50, 200 * i + 150, 150] for i in range(n)], np.float32)
    types = tuple(BLAST if i % 2 else "neutrophil" for i in range(n))
    found = Detections(boxes, np.ones(n, np.float32), np.zeros(n, np.int64))
    return FieldResult(
        "s", path, image.shape[:2], found, np.zeros((n, 0), np.float32), (), np.ones(n, np.float32), types,
        Scale(0.1, "given"),
    )  # fmt: skip


def count_color(page: NDArray[np.uint8], color: NDArray[np.uint8]) -> int:
    near = (np.abs(page.astype(int) - color).max(axis=2) <= 12).sum()
    return round(float(near) / contact.CROP_PX**2)


def test_the_cells_of_a_slide_are_drawn_each_once(tmp_path: Path) -> None:
    colors = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 0, 250], [0, 120, 120]], np.uint8)
    result = colored(tmp_path / "slides/s", colors)
    report = drawn_run.report("s", [result], None)
    failure = FieldFailure("s", tmp_path / "slides/s/broken.png", "broken")
    slides = [(report, [failure, result])]
    done = write_exports(tmp_path, ["contact"], drawn_run.facts(), slides, tmp_path / "slides")
    assert done.missing_pictures == ()
    page = read_image(tmp_path / "contact/s.jpg")
    assert [count_color(page, color) for color in colors] == [1] * 5
    rows = [int(np.argwhere(np.abs(page.astype(int) - c).max(axis=2) <= 12)[:, 0].mean()) for c in colors]
    assert max(rows[1], rows[3]) < min(rows[0], rows[2], rows[4])  # blasts stand first
    assert (page == 0).sum() < page.size  # a whole picture
    assert count_color(page, np.array(look(BLAST).rgb)) == 0  # its mark is small


def test_many_cells_go_on_to_further_pages_and_names_stay_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contact, "_MOST_ROWS", 1)
    colors = np.array([[250, 0, 0], [0, 250, 0]], np.uint8)
    slides = []
    for name in ("a", "a_2", '../<img onerror>"'):
        result = replace(colored(tmp_path / f"slides/{len(slides)}", colors), slide_id=name)
        slides.append((drawn_run.report(name, [result], None), [result]))
    write_exports(tmp_path / "out", ["contact"], drawn_run.facts(), slides, tmp_path / "slides")
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.jpg"))
    assert len(made) == 6
    assert made[:4] == [
        "contact/_/_img onerror__.jpg",
        "contact/_/_img onerror___2.jpg",
        "contact/a.jpg",
        "contact/a_2 (2).jpg",
    ]


def test_a_slide_without_cells_has_a_sheet_that_says_so(tmp_path: Path) -> None:
    report = drawn_run.report("empty", [], None)
    write_exports(tmp_path, ["contact"], drawn_run.facts(), [(report, [])], None)
    assert read_image(tmp_path / "contact/empty.jpg").shape[1] == contact._WIDTH


def test_a_field_scanned_from_memory_is_told(tmp_path: Path) -> None:
    result = replace(colored(tmp_path / "s", np.array([[250, 0, 0]], np.uint8)), path=None)
    slides = [(drawn_run.report("s", [result], None), [result])]
    done = write_exports(tmp_path, ["contact"], drawn_run.facts(), slides, None)
    assert done.missing_pictures == ("a field was scanned from memory: it has no file to read again",)
