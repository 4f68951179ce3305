"""Labeled cells: nothing is guessed, every refusal names file, place and cure."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import UM_PER_PX, classifier, detector, draw
from hypothesis import given
from hypothesis import strategies as st
from made_up import CLASSES, KINDS, labeled, written

from smearscan.calibration.labeled_cells import (
    LabeledCells,
    label_published,
    labeled_rows,
    read_labeled,
    true_class,
)
from smearscan.errors import DatasetError
from smearscan.io.decode import write_image
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES
from smearscan.training.config import ClassifierTraining

HEAD = "slide,truth,blast_probability," + ",".join(f"p_{name}" for name in KINDS)


def table(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "cells.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as error:
        read_labeled(path, KINDS)
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value)


# ---------------------------------------------------------------- reading


def test_what_was_written_is_read(tmp_path: Path) -> None:
    cells = labeled(40)
    read = read_labeled(written(cells, tmp_path / "c.csv"), KINDS)
    assert read.truth.tolist() == cells.truth.tolist()
    assert read.group.tolist() == cells.group.tolist()
    assert set(read.site) == {"c"}
    np.testing.assert_allclose(read.probs, cells.probs, rtol=1e-4)
    np.testing.assert_allclose(read.blast_probs, cells.blast_probs, rtol=1e-4)
    assert read.found.all()
    assert not read.asked.any()


def test_rows_without_a_truth_and_boxes_without_a_cell_are_passed_over(tmp_path: Path) -> None:
    lines = ["s,,0.1,0.8,0.1,0.1", "s,Monocyte,0.1,0.1,0.8,0.1", "s,none,0.1,0.8,0.1,0.1", "s, ,2,2,2,2"]
    read = read_labeled(table(tmp_path, *lines, "s,red cell,0,0,0,1"), KINDS)
    assert read.truth.tolist() == ["monocyte"]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("Segmented Neutrophil", "neutrophil"),
        ("smudge", "smudge_cell"),
        ("Blast, no lineage spec", "blast"),
        ("Myeloblast", "blast"),
        ("promonocyte", "blast"),
        ("metamyelocyte", "immature_granulocyte"),
        ("artifact", "other"),
        ("BLAST", "blast"),
    ],
)
def test_names_of_data_sets_are_ours(tmp_path: Path, label: str, name: str) -> None:
    read = read_labeled(table(tmp_path, f's,"{label}",0.1,0.8,0.1,0.1'), KINDS)
    assert read.truth.tolist() == [name]


@pytest.mark.parametrize("name", [*DIFFERENTIAL_CLASSES, BLAST])
def test_our_own_names_are_known(name: str) -> None:
    assert true_class(name, Path("c.csv")) == name


def test_slides_and_sites_are_text_and_the_file_s_name_where_missing(tmp_path: Path) -> None:
    head = HEAD.replace("slide", "slide,site")
    path = table(tmp_path, "007,1,blast,0.9,0.8,0.1,0.1", ",,monocyte,0.1,0.1,0.8,0.1", head=head)
    read = read_labeled(path, KINDS)
    assert read.group.tolist() == ["007", "cells"]
    assert read.site.tolist() == ["1", "cells"]
    bare = table(tmp_path, "blast,0.9,0.8,0.1,0.1", head=HEAD.removeprefix("slide,"))
    assert read_labeled(bare, KINDS).group.tolist() == ["cells"]


def test_a_cell_without_probabilities_was_missed(tmp_path: Path) -> None:
    read = read_labeled(table(tmp_path, "s,blast,,,,", "s,blast,0.9,0.8,0.1,0.1"), KINDS)
    assert read.found.tolist() == [False, True]
    assert read.asked.tolist() == [True, True]  # where one was missed, the others could have been
    assert np.isnan(read.probs[0]).all()


def test_the_table_may_say_which_cells_the_detector_had_to_find(tmp_path: Path) -> None:
    head = HEAD + ",asked"
    lines = ["s,blast,,,,,1", "s,blast,0.9,0.8,0.1,0.1,1", "s,blast,0.9,0.8,0.1,0.1,0"]
    assert read_labeled(table(tmp_path, *lines, head=head), KINDS).asked.tolist() == [True, True, False]


def test_only_rows_of_a_split_may_be_read(tmp_path: Path) -> None:
    path = table(
        tmp_path, *(f"s,{n},0.1,0.8,0.1,0.1,{s}" for n, s in zip(CLASSES, "abca", strict=True)),
        head=HEAD + ",split",
    )  # fmt: skip
    assert read_labeled(path, KINDS, ("a",)).truth.tolist() == ["neutrophil", "blast"]
    assert len(read_labeled(path, KINDS, ("a", "c"))) == 3
    assert len(read_labeled(path, KINDS)) == 4


def test_the_box_and_all_other_columns_stay(tmp_path: Path) -> None:
    rows = labeled_rows(table(tmp_path, "s,blast,0.9,0.8,0.1,0.1,f.png,3", head=HEAD + ",field,x0"), KINDS)
    assert rows.iloc[0][["field", "x0"]].tolist() == ["f.png", 3]


@given(keep=st.lists(st.booleans(), min_size=20, max_size=20))
def test_some_cells_are_chosen_with_all_that_belongs_to_them(keep: list[bool]) -> None:
    cells = labeled(20)
    chosen = cells.where(np.array(keep))
    assert len(chosen) == sum(keep)
    for name in LabeledCells.__slots__:
        np.testing.assert_array_equal(getattr(chosen, name), getattr(cells, name)[keep])


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("s,unicorn,0.1,0.8,0.1,0.1", "the label 'unicorn' is not known; use one of neutrophil, "),
        ("s,promyelocyte,0.1,0.8,0.1,0.1", "label a promyelocyte as 'blast' where it is leukemic"),
        ("s,blast,0.1,0.8,0.1,", "line 3 has probabilities outside 0 to 1, or some missing; leave all of"),
        ("s,blast,,0.8,0.1,0.1", "line 3 has probabilities"),
        ("s,blast,0.1,1.8,0.1,0.1", "line 3 has probabilities"),
        ("s,blast,-0.1,0.8,0.1,0.1", "line 3 has probabilities"),
        ("s,blast,much,0.8,0.1,0.1", "line 3: blast_probability is 'much', no number"),
        ("s,blast,a,b,c,d", "line 3: blast_probability is 'a', no number"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, line: str, told: str) -> None:
    path = table(tmp_path, "s,,0.1,0.8,0.1,0.1", line, "s,monocyte,0.1,0.1,0.8,0.1")
    assert told in refusal(path)


def test_an_unknown_label_lists_the_known_ones_once(tmp_path: Path) -> None:
    message = refusal(table(tmp_path, "s,unicorn,0.1,0.8,0.1,0.1"))
    for name in (*DIFFERENTIAL_CLASSES, BLAST):
        assert message.count(f" {name}") == 1
    assert message.endswith("or 'none'")


@pytest.mark.parametrize("column", ["truth", "blast_probability", "p_monocyte"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    path = table(tmp_path, "s,blast,0.9,0.8,0.1,0.1", head=HEAD.replace(column, "x"))
    message = refusal(path)
    assert f"the column {column!r} is missing" in message
    assert "smearscan run --cells" in message


def test_a_table_without_labels_is_refused(tmp_path: Path) -> None:
    assert "no row has a truth" in refusal(table(tmp_path, "s,,0.9,0.8,0.1,0.1"))
    assert "no row has a truth" in refusal(table(tmp_path))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"", "the column 'truth' is missing, there are none"),
        (b"\xff\xfe\x00", "is no text"),
        (b'a,"b\n1,2', "the column 'truth' is missing"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "cells.csv").write_bytes(content)
    assert told in refusal(tmp_path / "cells.csv")


def test_all_bad_labels_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    names = ["blast", "monocite", "unicorn", "monocite", "promyelocyte", "healthy", "seg"]
    message = refusal(table(tmp_path, *(f"s,{name},0.1,0.8,0.1,0.1" for name in names)))
    assert "lines 3, 5: the label 'monocite' is not known (did you mean monocyte?)" in message
    assert "line 4: the label 'unicorn' is not known;" in message
    assert "line 6: label a promyelocyte as 'blast'" in message
    assert "line 7: the label 'healthy' says only that the cell is no blast" in message
    assert "'seg'" not in message


def test_labels_that_readers_were_not_sure_of_are_left_out_and_counted(tmp_path: Path) -> None:
    names = ["blast", "blast?", "?", "monocyte", "unsure"]
    told: list[str] = []
    path = table(tmp_path, *(f"s,{name},0.1,0.8,0.1,0.1" for name in names))
    assert read_labeled(path, KINDS, tell=told.append).truth.tolist() == ["blast", "monocyte"]
    assert told == [
        f"{path}: 3 of 5 labels say that the reader was not sure (the first in line 3); "
        "these cells are left out"
    ]


def test_a_table_of_a_european_excel_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    head = HEAD.replace("truth", "Truth").replace(",", ";")
    path.write_bytes(
        f"{head}\r\n001;Linfócito;0,1;0,8;0,1;0,1\r\nNA;Segs;0,25;0,1;0,8;0,1\r\n".encode("cp1252")
    )
    read = read_labeled(path, KINDS)
    assert read.truth.tolist() == ["lymphocyte", "neutrophil"]
    assert read.group.tolist() == ["001", "NA"]
    assert read.blast_probs.tolist() == [0.1, 0.25]


@pytest.mark.parametrize("card", ["site", "7"])
def test_probabilities_that_a_calibration_changed_are_refused(tmp_path: Path, card: str) -> None:
    path = table(tmp_path, f"s,blast,0.9,0.8,0.1,0.1,{card}", head=HEAD + ",calibration")
    assert f"was scanned under the calibration '{card}'" in refusal(path)
    plain = table(tmp_path, "s,blast,0.9,0.8,0.1,0.1,", head=HEAD + ",calibration")
    assert len(read_labeled(plain, KINDS)) == 1


# ---------------------------------------------------------------- published cells


def test_published_cells_are_those_the_nets_have_not_learned(tmp_path: Path) -> None:
    """Single cells of a site without patients, one of them twice, and fields, one of which holds no cell."""
    image, xyxy = draw(200, 200, [(0, 100, 100, 58)])
    blank, _ = draw(200, 200, [])
    for name, picture in zip("abcfgt", (image, image, image, image, blank, image), strict=True):
        write_image(tmp_path / f"{name}.png", picture)
    box = dict(zip(("x0", "y0", "x1", "y1"), xyxy[0], strict=True))
    rows = [
        ("a", "single", "a", "train", "myeloblast", "middle"),
        ("b", "single", "b", "val", "neutrophil", "middle"),
        ("c", "single", "b", "val", "neutrophil", "middle"),
        ("f", "fields", "p1", "test", "monocyte", "given"),
        ("g", "fields", "p1", "test", "monocyte", "given"),
        ("t", "fields", "p2", "train", "monocyte", "given"),
    ]
    named = ("image", "site", "group", "split", "class", "located")
    manifest = pd.DataFrame(rows, columns=named).assign(um_per_px=UM_PER_PX, **box)
    manifest["image"] += ".png"
    nets = {t: classifier(t, c) for t, c in (("blast", ("healthy", "blast")), ("differential", KINDS))}
    folded = {
        "blast": pd.DataFrame({"image": ["a.png"], "p_healthy": [0.25], "p_blast": [0.75]}),
        "differential": pd.DataFrame({"image": ["a.png"], **{f"p_{n}": [1 / 3] for n in KINDS}}),
    }
    synonyms = {"myeloblast": None}
    configs = {
        "blast": ClassifierTraining(name="b", task="blast"),
        "differential": ClassifierTraining(name="d", task="differential", synonyms=synonyms),
    }
    found = label_published(manifest, tmp_path, nets, configs, folded, detector()).set_index("image")
    assert list(found.index) == ["a.png", "b.png", "c.png", "f.png", "g.png"]
    assert found["truth"].tolist() == ["blast", "neutrophil", "neutrophil", "monocyte", "monocyte"]
    assert found["split"].tolist() == ["crossval", "val", "val", "test", "test"]
    assert found["slide"].tolist() == ["single", "single", "single", "fields/p1", "fields/p1"]
    assert found["asked"].tolist() == [0, 0, 0, 1, 1]
    assert found.loc["a.png", "blast_probability"] == 0.75
    assert found["blast_probability"].isna().tolist() == [False, False, False, False, True]
    found.reset_index().to_csv(tmp_path / "all.csv", index=False)
    assert len(read_labeled(tmp_path / "all.csv", KINDS)) == 5
    every = label_published(manifest, tmp_path, nets, configs, {}, detector(), ("fields",))
    assert every["image"].tolist() == ["b.png", "c.png", "f.png", "g.png", "t.png"]
    crowded = pd.concat([manifest, manifest.iloc[[3]]])
    with pytest.raises(DatasetError, match=r"f.png: holds several labeled cells.*--site"):
        label_published(crowded, tmp_path, nets, configs, folded, detector())
