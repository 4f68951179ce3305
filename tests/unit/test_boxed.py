"""Four formats of annotation say the same; what they cannot say is refused by name."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smearscan.cli.evaluate import command
from smearscan.detection.detector import Detector
from smearscan.errors import DatasetError
from smearscan.experiments import measure_detector
from smearscan.taxonomy import LEUKOCYTE, PLATELET, RED_CELL
from smearscan.training import exported_sets
from smearscan.training.annotated_fields import BoxedImage, read_site
from smearscan.training.config import DetectionDataset

CLASSES = {"WBC": "leukocyte", "RBC": "red_cell", "Platelets": "platelet"}
SIZE = {"a.png": (160, 120), "b.png": (200, 100), "c.png": (96, 128)}  # width, height
TRUTH = {
    "a.png": [
        ("WBC", 30, 40, 70, 88),
        ("RBC", 80, 20, 100, 40),
        ("RBC", 100, 60, 121, 80),
        ("RBC", 0, 0, 9, 20),
    ],
    "b.png": [("RBC", 50, 50, 80, 80), ("Platelets", 10, 10, 18, 20), ("WBC", 120, 30, 170, 80)],
    "c.png": [],
}


def write_voc(root: Path) -> dict[str, object]:
    (root / "voc").mkdir()
    for name, rows in TRUTH.items():
        objects = "".join(
            f"<object><name>{n}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>"
            f"<ymax>{y1}</ymax></bndbox></object>"
            for n, x0, y0, x1, y1 in rows
        )
        (root / "voc" / f"{Path(name).stem}.xml").write_text(f"<annotation>{objects}</annotation>")
    return {"format": "voc", "annotations": "voc", "classes": CLASSES}


def write_yolo(root: Path) -> dict[str, object]:
    (root / "yolo").mkdir()
    numbers = {name: str(i) for i, name in enumerate(CLASSES)}
    for name, rows in TRUTH.items():
        w, h = SIZE[name]
        lines = [
            f"{numbers[n]} {(x0 + x1) / 2 / w} {(y0 + y1) / 2 / h} {(x1 - x0) / w} {(y1 - y0) / h}\n"
            for n, x0, y0, x1, y1 in rows
        ]
        (root / "yolo" / f"{Path(name).stem}.txt").write_text("".join(lines))
    return {"format": "yolo", "annotations": "yolo", "classes": {numbers[n]: c for n, c in CLASSES.items()}}


def write_coco(root: Path) -> dict[str, object]:
    content = {
        "categories": [{"id": 10 + i, "name": n} for i, n in enumerate(CLASSES)],
        "images": [{"id": i, "file_name": f"somewhere/{n}"} for i, n in enumerate(TRUTH)],
        "annotations": [
            {
                "image_id": list(TRUTH).index(name),
                "category_id": 10 + list(CLASSES).index(n),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
            }
            for name, rows in TRUTH.items()
            for n, x0, y0, x1, y1 in rows
        ],
    }
    (root / "coco.json").write_text(json.dumps(content))
    return {"format": "coco", "annotations": "coco.json", "classes": CLASSES}


def write_csv(root: Path) -> dict[str, object]:
    rows = [f"{name},{x0},{y0},{x1},{y1},{n}" for name, r in TRUTH.items() for n, x0, y0, x1, y1 in r]
    (root / "boxes.csv").write_text("\n".join(["image,x0,y0,x1,y1,label", *rows]))
    return {"format": "csv", "annotations": "boxes.csv", "classes": CLASSES}


WRITERS = {"voc": write_voc, "yolo": write_yolo, "coco": write_coco, "csv": write_csv}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name, size in SIZE.items():
        Image.new("RGB", size, "white").save(tmp_path / "images" / name)
    (tmp_path / "images" / "readme.txt").write_text("no picture")
    return tmp_path


def site(root: Path, kind: str, **changes: object) -> DetectionDataset:
    told = {"name": "here", "images": "images", "splits": {"train": "*"}, **WRITERS[kind](root), **changes}
    return DetectionDataset.model_validate(told)


def by_name(items: list[BoxedImage]) -> dict[str, BoxedImage]:
    return {item.path.name: item for item in items}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_boxes(root: Path, kind: str) -> None:
    items = read_site(site(root, kind), root, "train")
    assert [item.path.name for item in items] == sorted(TRUTH)
    for item in items:
        rows = TRUTH[item.path.name]
        assert item.xyxy.dtype == np.float32
        np.testing.assert_allclose(item.xyxy, np.reshape([r[1:] for r in rows], (-1, 4)), atol=1e-4)
        named = {"WBC": LEUKOCYTE, "RBC": RED_CELL, "Platelets": PLATELET}
        assert item.labels.tolist() == [named[r[0]] for r in rows]
        assert item.labeled == (True, True, True)
        assert item.site == "here"


@pytest.mark.parametrize("kind", WRITERS)
def test_the_scale_comes_from_whole_red_cells(root: Path, kind: str) -> None:
    items = by_name(read_site(site(root, kind), root, "train"))
    # whole red cells: 20 and sqrt(21*20) in a, 30 in b; the cut one at a's border does not count
    middle = float(np.sqrt(21 * 20))
    own = {"a.png": (float(np.median([20, middle])), 2), "b.png": (30.0, 1)}
    for name, (size, n) in own.items():
        expected = np.exp((n * np.log(size) + 4 * np.log(middle)) / (n + 4))
        assert items[name].red_cell_px == pytest.approx(expected, rel=1e-4)
    assert items["c.png"].red_cell_px == pytest.approx(middle, rel=1e-4)
    given = read_site(site(root / "images" / "..", "csv", red_cell_px=17), root, "train")
    assert [i.red_cell_px for i in given] == [17, 17, 17]


def test_a_set_without_red_cells_must_give_its_scale(root: Path) -> None:
    told = site(root, "csv")
    lines = (root / "boxes.csv").read_text().splitlines()
    (root / "boxes.csv").write_text("\n".join(line for line in lines if "RBC" not in line))
    only = told.model_copy(update={"classes": {"WBC": "leukocyte", "Platelets": "platelet"}})
    with pytest.raises(DatasetError, match=r"here: no red cell is boxed.*'red_cell_px'"):
        read_site(only, root, "train")
    items = read_site(only.model_copy(update={"red_cell_px": 21.0}), root, "train")
    assert {i.labeled for i in items} == {(True, False, True)}


def test_splits_choose_pictures(root: Path) -> None:
    (root / "train.txt").write_text("a\nc.png\n")
    (root / "more.txt").write_text("b.png")
    one = site(root, "voc", splits={"train": str(root / "train.txt"), "test": [str(root / "more.txt")]})
    assert [i.path.name for i in read_site(one, root, "train")] == ["a.png", "c.png"]
    assert [i.path.name for i in read_site(one, root, "test")] == ["b.png"]
    assert read_site(one, root, "val") == []


def test_boxes_of_no_extent_are_left_out(root: Path) -> None:
    told = site(root, "csv")
    with (root / "boxes.csv").open("a") as file:
        file.write("\nc.png,5,5,5,40,WBC\nc.png,9,9,30,30,WBC")
    (item,) = [i for i in read_site(told, root, "train") if i.path.name == "c.png"]
    assert item.xyxy.tolist() == [[9, 9, 30, 30]]


def test_an_undeclared_class_is_refused_by_name(root: Path) -> None:
    classes = {k: v for k, v in CLASSES.items() if k != "Platelets"}
    with pytest.raises(DatasetError, match=r"b\.xml: object 2: class 'Platelets' is not declared.*'here'"):
        read_site(site(root, "voc", classes=classes), root, "train")


@pytest.mark.parametrize(
    ("kind", "gone"),
    [("voc", "voc/b.xml"), ("yolo", "yolo/b.txt"), ("coco", "coco.json"), ("csv", "boxes.csv")],
)
def test_a_missing_annotation_is_named(root: Path, kind: str, gone: str) -> None:
    told = site(root, kind)
    (root / gone).unlink()
    with pytest.raises(DatasetError) as error:
        read_site(told, root, "train")
    assert str(root / gone) in str(error.value)


@pytest.mark.parametrize(
    ("kind", "file", "content"),
    [
        ("voc", "voc/b.xml", "<annotation><object>"),
        ("yolo", "yolo/b.txt", "0 0.5 half 0.1 0.1\n"),
        ("yolo", "yolo/b.txt", "0 0.5 0.5\n"),
        ("coco", "coco.json", "{"),
        ("coco", "coco.json", "{}"),
        ("csv", "boxes.csv", "image,x0\na.png,4"),
    ],
)
def test_a_broken_annotation_is_named(root: Path, kind: str, file: str, content: str) -> None:
    told = site(root, kind)
    (root / file).write_text(content)
    with pytest.raises(DatasetError) as error:
        read_site(told, root, "train")
    assert str(root / file) in str(error.value)


def test_a_page_in_place_of_an_annotation_is_no_picture_without_cells(root: Path) -> None:
    own = site(root, "voc")
    (root / "voc" / "b.xml").write_text("<html><body>404 Not Found</body></html>")
    with pytest.raises(DatasetError, match=r"b\.xml: no readable VOC annotation \(begins with <html>\)"):
        read_site(own, root, "train")


@pytest.mark.parametrize("kind", WRITERS)
def test_the_mark_that_windows_writes_before_a_text_changes_nothing(root: Path, kind: str) -> None:
    own = site(root, kind)
    wanted = read_site(own, root, "train")
    for path in [*root.glob("*.*"), *root.glob(f"{kind}/*")]:
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert repr(read_site(own, root, "train")) == repr(wanted)


def test_missing_folders_lists_and_pictures_are_named(root: Path) -> None:
    with pytest.raises(DatasetError, match="nowhere"):
        read_site(site(root, "voc", images="nowhere"), root, "train")
    told = DetectionDataset(name="x", format="voc", images="images", annotations="voc", classes={}, splits={})
    with pytest.raises(DatasetError, match=r"gone\.txt"):
        read_site(told.model_copy(update={"splits": {"train": "gone.txt"}}), root, "train")
    (root / "list.txt").write_text("a.png\nz.png")
    with pytest.raises(DatasetError, match=r"the train list names z\.png"):
        read_site(told.model_copy(update={"splits": {"train": str(root / "list.txt")}}), root, "train")


@pytest.mark.parametrize("kind", ["voc", "csv"])
def test_corrections_drop_and_add(root: Path, kind: str) -> None:
    fix = root / "fix.csv"
    fix.write_text(
        "image,action,x0,y0,x1,y1\na.png,drop,30,40,70,88\na.png,add,5,50,40,90\nc.png,add,1,2,30,40\n"
    )
    (root / "train.txt").write_text("a.png\nb.png\n")
    (root / "test.txt").write_text("c.png")
    told = site(
        root,
        kind,
        classes={**CLASSES, "leukocyte": "leukocyte"},
        corrections=[str(fix)],
        splits={"train": str(root / "train.txt"), "test": str(root / "test.txt")},
        red_cell_px=20,
    )
    train = by_name(read_site(told, root, "train"))
    assert train["a.png"].xyxy[train["a.png"].labels == LEUKOCYTE].tolist() == [[5, 50, 40, 90]]
    assert (train["a.png"].labels == RED_CELL).sum() == 3
    assert train["b.png"].xyxy.tolist() == [list(r[1:]) for r in TRUTH["b.png"]]
    # the drop concerns a picture of the other split: it must not stop this one
    assert read_site(told, root, "test")[0].xyxy.tolist() == [[1, 2, 30, 40]]


def test_a_correction_that_matches_nothing_is_refused(root: Path) -> None:
    fix = root / "fix.csv"
    fix.write_text("image,action,x0,y0,x1,y1\na.png,drop,31,40,70,88\n")
    with pytest.raises(DatasetError, match=r"fix\.csv: a box to drop of a\.png"):
        read_site(site(root, "voc", corrections=[str(fix)]), root, "train")
    with pytest.raises(DatasetError, match=r"none\.csv"):
        read_site(site(root / "images" / "..", "csv", corrections=["none.csv"]), root, "train")


# ------------------------------------------------- nothing is bent, nothing is dropped unsaid


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 80), st.integers(0, 60), st.integers(1, 60), st.integers(1, 50)), max_size=6
    ),
    st.integers(0, 3),
)
def test_corners_in_any_order_and_polygons_are_the_boxes_that_are_meant(
    drawn: list[tuple[int, int, int, int]], turn: int
) -> None:
    width, height = SIZE["a.png"]
    meant = [(x, y, x + w, y + h) for x, y, w, h in drawn]
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "images").mkdir()
        Image.new("RGB", (width, height)).save(root / "images" / "a.png")
        swapped = [
            (x1, y0, x0, y1)
            if turn == 1
            else (x0, y1, x1, y0)
            if turn == 2
            else (x1, y1, x0, y0)
            if turn
            else box
            for box in meant
            for x0, y0, x1, y1 in [box]
        ]
        objects = "".join(
            f"<object><name>WBC</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>"
            f"<ymax>{y1}</ymax></bndbox></object>"
            for x0, y0, x1, y1 in swapped
        )
        (root / "a.xml").write_text(f"<annotation>{objects}</annotation>")
        (root / "boxes.csv").write_text(
            "image,x0,y0,x1,y1\n" + "".join(f"a.png,{','.join(map(str, box))}\n" for box in swapped)
        )
        corners = [[(x0, y0), (x1, y0), (x1, y1), ((x0 + x1) / 2, y1), (x0, y1)] for x0, y0, x1, y1 in meant]
        corners = [polygon[turn:] + polygon[:turn] for polygon in corners]
        (root / "a.txt").write_text(
            "".join(f"0 {' '.join(f'{x / width} {y / height}' for x, y in p)}\n" for p in corners)
        )
        for told in ({"format": "voc", "annotations": "."}, {"format": "csv", "annotations": "boxes.csv"},
                     {"format": "yolo", "annotations": "."}):  # fmt: skip
            own = DetectionDataset(
                name="x", images="images", classes=dict.fromkeys(("WBC", "leukocyte", "0"), "leukocyte"),
                splits={"train": "*"}, red_cell_px=20, **told,
            )  # fmt: skip
            (item,) = read_site(own, root, "train")
            np.testing.assert_allclose(item.xyxy, np.reshape(meant, (-1, 4)), atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "file", "old", "new", "told"),
    [
        ("csv", "boxes.csv", "a.png,30", "A.PNG,30", r"1 of 7 rows name pictures .* line 2 \('A\.PNG'\)"),
        ("csv", "boxes.csv", "b.png,50,50,80", "b.png,,50,80", r"line 6: a corner of the box is missing"),
        ("csv", "boxes.csv", "b.png,50,", "b.png,abc,", r"line 6: x0 is 'abc', no number"),
        ("csv", "boxes.csv", "120,30,170,80", "520,30,570,80", r"line 8: the box .* outside of b\.png, "),
        ("csv", "boxes.csv", "120,30,170,80", "120,30,1170,80", r"line 8: the box .* outside of b\.png, "),
        ("csv", "boxes.csv", ",WBC", ",wbc", r"boxes\.csv: line 2: class 'wbc' is not declared"),
        ("coco", "coco.json", '"annotations": [', '"annotations": [7, ', r"annotation 1 is 7, no object"),
        ("coco", "coco.json", "[30, 40, 40, 48]", "[30, 40, true, 48]", r"'bbox' is \[30, 40, True, 48\]"),
        ("voc", "voc/b.xml", "<xmin>50</xmin>", "", r"b\.xml: object 1: a corner of the box is missing"),
        ("voc", "voc/b.xml", "<name>RBC</name>", "", r"b\.xml: object 1: has no name"),
        ("voc", "voc/b.xml", "<annotation>", 
         "<annotation><size><width>400</width><height>200</height></size>",
         r"b\.xml: was made for 400x200 px, but b\.png has 200x100"),
        ("yolo", "yolo/a.txt", "0 0.3125", "0 50.0", r"a\.txt: line 1: .*'50\.0' is no share of the picture"),
        ("yolo", "yolo/a.txt", "0 0.3125", "0 0.9 0.3125", r"a\.txt: line 1: holds 6 words"),
        ("yolo", "yolo/a.txt", "0 0.3125", "0 0.1 0.1 0.1 0.3125", r"a\.txt: line 1: holds 8 words"),
        ("coco", "coco.json", '"image_id": 0', '"image_id": 99', r"annotation 1: its image_id"),
        ("coco", "coco.json", '"bbox": [30, 40, 40, 48]', '"bbox": []', r"annotation 1: 'bbox' is \[\]"),
        ("coco", "coco.json", '"bbox": [30, 40, 40, 48]', '"bbox": [30, 40, -4, 48]', "must not be negative"),
        ("coco", "coco.json", "somewhere/a.png", "a/c.png", r"two pictures are called 'c\.png'"),
        ("coco", "coco.json", "somewhere/a.png", "a/q.png", r"annotation 1: names the picture 'q\.png'"),
        ("coco", "coco.json", '"file_name": "somewhere/a.png"',
         '"file_name": "a.png", "width": 80, "height": 60', r"made for 80x60 px, but a\.png has 160x120"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_place(
    root: Path, kind: str, file: str, old: str, new: str, told: str
) -> None:
    own = site(root, kind)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new, 1))
    with pytest.raises(DatasetError, match=told) as error:
        read_site(own, root, "train")
    assert str(root) in str(error.value)


def test_areas_of_many_cells_and_flat_boxes_are_left_out_and_said_to_be(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = site(root, "coco")
    content = json.loads((root / "coco.json").read_text())
    content["annotations"] += [
        {"image_id": 2, "category_id": 10, "bbox": [0, 0, 96, 128], "iscrowd": 1},
        {"image_id": 2, "category_id": 10, "bbox": [5, 5, 0, 9], "iscrowd": 0},
    ]
    (root / "coco.json").write_text(json.dumps(content))
    assert not len(by_name(read_site(own, root, "train"))["c.png"].xyxy)
    assert [message.split(": ", 1)[1] for message in caplog.messages] == [
        "1 areas of many cells (iscrowd) are left out",
        "1 boxes of no extent are left out",
    ]


@pytest.mark.parametrize(("kind", "ending"), [("voc", "xml"), ("yolo", "txt")])
def test_label_files_without_a_picture_are_said(
    root: Path, kind: str, ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = site(root, kind)
    read_site(told, root, "train")
    (root / kind / "classes.txt").write_text("WBC")
    (root / kind / f".hidden.{ending}").write_text("")
    read_site(told, root, "train")
    assert not caplog.records
    for name in "de":
        (root / kind / f"{name}.{ending}").write_text("")
    assert len(read_site(told, root, "train")) == 3
    assert (
        f"2 label files in {root / kind} without a picture of that name in images (d.{ending}, e.{ending})"
        in (caplog.text)
    )


def test_evaluate_says_what_readers_warn_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(net: object, config: object, data: Path, *_: object) -> dict[str, object]:
        told = site(root, "voc")
        (data / "voc" / "lost.xml").write_text("")
        return {"fields": len(read_site(told, data, "train"))}

    monkeypatch.setattr(measure_detector, "measure_sites", measured)
    monkeypatch.setattr(Detector, "load", lambda *_: None)
    monkeypatch.setattr(exported_sets, "load_detector_training", lambda *_: (None, root))
    done = CliRunner().invoke(command, ["detector", "--config", "c.yaml", "--data", str(root)])
    assert "lost.xml" in done.stderr
    assert '"fields": 3' in done.stdout


def test_two_pictures_that_labels_cannot_tell_apart_are_refused(root: Path) -> None:
    own = site(root, "yolo")
    Image.new("RGB", SIZE["a.png"]).save(root / "images" / "a.jpg")
    with pytest.raises(DatasetError, match=r"a\.png: labels cannot tell it from a\.jpg"):
        read_site(own, root, "train")


def test_shares_are_of_the_picture_as_it_is_displayed(root: Path) -> None:
    own = site(root, "yolo")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    width, height = SIZE["a.png"]
    Image.new("RGB", (height, width)).save(root / "images" / "a.png", exif=exif)
    item = by_name(read_site(own, root, "train"))["a.png"]
    np.testing.assert_allclose(item.xyxy, [row[1:] for row in TRUTH["a.png"]], atol=1e-4)
