"""Single cells for a classifier: no class is guessed, no cell left out silently."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import detector, draw
from PIL import Image

from smearscan.classification.crops import cut_crops
from smearscan.detection.detector import Detector
from smearscan.errors import DatasetError
from smearscan.io.decode import read_image, write_image
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, RED_CELL_UM
from smearscan.taxonomy.cell_names import BLAST_SYNONYMS, DIFFERENTIAL_SYNONYMS, fold_name
from smearscan.training.cells import (
    load_crops,
    locate,
    read_cells,
    read_manifest,
    with_split,
    with_targets,
)
from smearscan.training.class_tree import read_tree

CLASSES = ("neutrophil", "lymphocyte", "blast")


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40)).save(path)


def table(*names: str, site: str = "here") -> pd.DataFrame:
    return pd.DataFrame({"image": [f"{i}.png" for i in range(len(names))], "class": names, "site": site})


def test_a_tree_is_read_class_by_class(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    for name in ("Neutrophil/2.png", "Neutrophil/deep/1.JPG", "blast/b.tif", "blast/notes.txt", "top.png"):
        if name.endswith("txt"):
            (root / "blast").mkdir(parents=True, exist_ok=True)
            (root / name).write_text("no picture")
        else:
            save(root / name)
    read = read_tree(root)
    assert sorted(zip(read["image"], read["class"], strict=True)) == [
        ("Neutrophil/2.png", "Neutrophil"),
        ("Neutrophil/deep/1.JPG", "Neutrophil"),
        ("blast/b.tif", "blast"),
    ]
    assert set(read["site"]) == {"mine"}
    assert read["group"].tolist() == ["Neutrophil/2", "Neutrophil/1", "blast/b"]


def test_a_tree_of_one_class_or_none_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "only" / "1.png")
    with pytest.raises(DatasetError, match="at least two; found 1 pictures"):
        read_tree(tmp_path)
    with pytest.raises(DatasetError, match="nowhere"):
        read_tree(tmp_path / "nowhere")


def test_a_manifest_is_read_with_its_groups(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text("image,class,group,um_per_px\na.png,Blast,007,0.1\nb.png,Lymphocyte,008,\n")
    read = read_manifest(path)
    assert read["group"].tolist() == ["007", "008"]  # text, not numbers
    assert read["site"].tolist() == ["set", "set"]
    assert np.isnan(read["um_per_px"][1])
    path.write_text("image,class,site\na.png,blast,munich\nb.png,blast,2\n")
    assert read_manifest(path)["group"].tolist() == ["a.png", "b.png"]
    assert read_manifest(path)["site"].tolist() == ["munich", "2"]


@pytest.mark.parametrize("column", ["site", "group", "split"])
def test_an_empty_name_in_a_manifest_is_refused_with_its_lines(tmp_path: Path, column: str) -> None:
    path = tmp_path / "set.csv"
    path.write_text(f"image,class,{column}\na.png,blast,x\nb.png,blast,\n")
    with pytest.raises(DatasetError, match=f"'{column}' is empty in line 3; fill it in"):
        read_manifest(path)


def test_words_of_laboratories_train_as_classes_and_doubts_are_refused() -> None:
    table = pd.DataFrame({"class": ["Segs", "lymphs", "NRBC"], "site": "a"})
    done = with_targets(table, DIFFERENTIAL_CLASSES, DIFFERENTIAL_SYNONYMS)
    assert [DIFFERENTIAL_CLASSES[k] for k in done["target"]] == ["neutrophil", "lymphocyte", "erythroblast"]
    doubtful = pd.DataFrame({"class": ["blast", "blast?", "plasma cells"], "site": "a"})
    with pytest.raises(DatasetError, match="classes 'blast\\?', 'plasma_cells' are not known"):
        with_targets(doubtful, ("healthy", "blast"), BLAST_SYNONYMS)


@pytest.mark.parametrize(
    "content", ["image\na.png\n", "class\nblast\n", "image,class\na.png,\nb.png,blast\n", ""]
)
def test_a_manifest_that_lacks_something_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "set.csv"
    path.write_text(content)
    with pytest.raises(DatasetError) as error:
        read_manifest(path)
    assert str(path) in str(error.value)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.csv"):
        read_manifest(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Blast, no lineage spec", "blast_no_lineage_spec"),
        (" Band-Neutrophil ", "band_neutrophil"),
        ("IG", "ig"),
    ],
)
def test_names_are_folded(name: str, folded: str) -> None:
    assert fold_name(name) == folded


def test_targets_follow_the_classes_in_order() -> None:
    read = with_targets(table("Blast", "neutrophil", "LYMPHOCYTE", "blast"), CLASSES, {})
    assert read["target"].tolist() == [2, 0, 1, 2]
    assert read["target"].dtype.kind == "i"


def test_synonyms_map_leave_out_and_differ_by_site() -> None:
    both = pd.concat(
        [table("Segmented", "Smudge", "Atypical", "blast"), table("Atypical", "blast", site="other")]
    )
    synonyms = {"segmented": "neutrophil", "smudge": None, "atypical": "lymphocyte", "other/atypical": None}
    read = with_targets(both, CLASSES, synonyms)
    assert list(zip(read["site"], read["class"], read["target"], strict=True)) == [
        ("here", "Segmented", 0),
        ("here", "Atypical", 1),
        ("here", "blast", 2),
        ("other", "blast", 2),
    ]
    assert read.index.tolist() == [0, 1, 2, 3]


def test_a_site_s_own_name_goes_before_a_class_of_that_name() -> None:
    both = pd.concat([table("blast", "neutrophil"), table("blast", site="odd")])
    read = with_targets(both, CLASSES, {"odd/blast": "lymphocyte"})
    assert read["target"].tolist() == [2, 0, 1]


def test_an_unknown_class_is_refused_by_name() -> None:
    with pytest.raises(DatasetError, match=r"class 'giant' is not known.*neutrophil, lymphocyte, blast"):
        with_targets(table("blast", "Giant", "neutrophil"), CLASSES, {"other/giant": "blast"})


def test_a_synonym_for_a_class_that_is_left_out_is_refused_by_name() -> None:
    synonyms = {"smudge": "smudge_cell", "platelet": "platelet"}
    with pytest.raises(
        DatasetError, match=r"'smudge_cell' is not among neutrophil, lymphocyte, blast; add it"
    ):
        with_targets(table("blast", "Smudge"), CLASSES, synonyms)
    assert len(with_targets(table("blast", "Smudge"), CLASSES, {**synonyms, "smudge": None})) == 1
    assert len(with_targets(table("blast"), CLASSES, synonyms)) == 1  # no cell has that name


def test_what_a_manifest_does_not_say_is_located(tmp_path: Path) -> None:
    image, xyxy = draw(240, 240, [(0, 130, 110, 58), (0, 30, 30, 50), (1, 200, 60, 32), (1, 60, 200, 32)])
    write_image(tmp_path / "cell.png", image)
    write_image(tmp_path / "empty.png", draw(240, 240, [])[0])
    um = RED_CELL_UM / 32
    rows = pd.DataFrame(
        {
            "image": ["cell.png", "empty.png", "cell.png"],
            "um_per_px": [um, um, 0.5],
            "x0": [np.nan, np.nan, 1],
            "y0": [np.nan, np.nan, 2],
            "x1": [np.nan, np.nan, 31],
            "y1": [np.nan, np.nan, 42],
        }
    )
    told = []
    found = locate(rows, tmp_path, detector(32), told.append)
    assert found["located"].tolist() == ["detected", "middle", "given"]
    box = found[["x0", "y0", "x1", "y1"]].to_numpy()
    assert box[0] == pytest.approx(xyxy[0], abs=1)  # the one nearest the middle
    assert (box[1, 2] - box[1, 0]) * um == pytest.approx(13, abs=0.1)
    assert (box[1, 0] + box[1, 2]) / 2 == pytest.approx(120, abs=0.1)
    assert box[2].tolist() == [1, 2, 31, 42]
    assert found["um_per_px"].tolist() == pytest.approx([um, um, 0.5])
    assert told == ["cell.png", "empty.png"]


def test_a_table_without_boxes_or_scale_is_measured(tmp_path: Path) -> None:
    discs = [(0, 130, 110, 58)] + [(1, 25 + 45 * (i % 5), 25 + 170 * (i // 5), 32) for i in range(10)]
    write_image(tmp_path / "cell.png", draw(240, 240, discs)[0])
    found = locate(pd.DataFrame({"image": ["cell.png"]}), tmp_path, detector(32))
    assert found["located"].tolist() == ["detected"]
    assert found["um_per_px"][0] == pytest.approx(RED_CELL_UM / 32, rel=0.06)


def test_a_tree_without_a_scale_is_measured_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detector, "load", lambda *_: detector(32))
    reds = [(1, 25 + 45 * (i % 5), 25 + 170 * (i // 5), 32) for i in range(10)]
    for kind, size in (("small", 45), ("large", 70)):
        (tmp_path / kind).mkdir()
        for i in range(8):  # every other picture shows its leukocyte alone
            image = draw(240, 240, [(0, 120, 110, size), *(reds if i % 2 else [])])[0]
            write_image(tmp_path / kind / f"{i}.png", image)
    found = read_cells(tmp_path, tmp_path, None, None, 0)
    assert found["um_per_px"].nunique() == 1
    assert found["um_per_px"][0] == pytest.approx(RED_CELL_UM / 32, rel=0.06)
    given = read_cells(tmp_path, tmp_path, None, 0.3, 0)
    assert set(given["um_per_px"]) == {0.3}


def test_a_class_without_a_cell_to_learn_from_is_refused() -> None:
    cells = table(*["blast"] * 20, *["neutrophil"] * 20, "giant").assign(group=lambda t: t["image"])
    split = [with_split(cells[cells["class"] != "giant"], seed)["split"].nunique() for seed in range(3)]
    assert split == [3, 3, 3]
    told = []
    for seed in range(20):
        try:
            with_split(cells, seed)
        except DatasetError as error:
            told.append(str(error))
    assert told
    assert all("class 'giant' has too few cells" in text for text in told)


def test_crops_are_cut_as_when_scanning(tmp_path: Path) -> None:
    image, xyxy = draw(200, 220, [(0, 60, 60, 50), (1, 140, 80, 30), (2, 100, 150, 12)])
    write_image(tmp_path / "a.png", image)
    rows = pd.DataFrame(xyxy, columns=["x0", "y0", "x1", "y1"]).assign(image="a.png", um_per_px=0.2)
    crops = load_crops(rows, tmp_path, 20.0, 48)
    assert np.array_equal(crops, cut_crops(read_image(tmp_path / "a.png"), xyxy, 0.2, 20.0, 48))


# ------------------------------------------------- nothing is bent, nothing is dropped unsaid


def test_a_tree_says_what_it_leaves_out_and_refuses_what_it_cannot_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a/1.png", "b/1.png", ".ipynb_checkpoints/1.png", "a/.ipynb_checkpoints/1.png", "top.png"):
        save(tmp_path / name)
    assert read_tree(tmp_path)["image"].tolist() == ["a/1.png", "b/1.png"]
    assert caplog.messages == [f"{tmp_path}: pictures in no class folder are left out: top.png"]
    (tmp_path / "b" / "2.heic").write_text("x")
    with pytest.raises(DatasetError, match=r"2\.heic: HEIC or AVIF pictures are not read"):
        read_tree(tmp_path)
    (tmp_path / "b" / "2.heic").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: the class folder holds no picture"):
        read_tree(tmp_path)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2.png,blast,7,training,0.1,1,1,9,9", "line 3: split is 'training', none of train, val, test"),
        ("2.png,blast,7,val,-0.1,1,1,9,9", "line 3: um_per_px must be more than 0"),
        ("2.png,blast,7,val,0.1,1,1,9,", "line 3: only a part of the box is given"),
        ("2.png,blast,7,val,0.1,9,1,1,9", "line 3: x1 and y1 of the box must be greater"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, row: str, told: str) -> None:
    path = tmp_path / "set.csv"
    path.write_text(f"image,class,site,split,um_per_px,x0,y0,x1,y1\n1.png,blast,1,train,,,,,\n{row}\n")
    with pytest.raises(DatasetError, match=told):
        read_manifest(path)


def test_pictures_that_are_not_there_are_counted_before_any_work(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    save(tmp_path / "1.png")
    path.write_text("image,class\n1.png,blast\n2.png,blast\n3.png,healthy\n")
    with pytest.raises(DatasetError, match=r"2 of 3 rows name pictures that are not below .*'2\.png'"):
        read_cells(path, tmp_path, None, None, 0)
