"""Label files of every reader, each sound but for one place: read as meant, refused by name, or said to be odd."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from references.bad_inputs.case import CRASHED, MARKED, READ, REFUSED, WRONG, Outcome
from smearscan.calibration.labeled_cells import labeled_rows
from smearscan.differential.calibration_card import load_calibration, shipped_calibration
from smearscan.differential.reference_ranges import SHIPPED, load_ranges
from smearscan.errors import SmearscanError
from smearscan.method_comparison.manual_counts import read_manual
from smearscan.training.annotated_fields import read_site
from smearscan.training.cells import read_manifest
from smearscan.training.config import DetectionDataset
from smearscan.training.corrections_file import read_corrections

_LOG = logging.getLogger("smearscan.labels")
_SIZE = (160, 120)
_VOC = (
    "<annotation><size><width>160</width><height>120</height></size>"
    "<object><name>WBC</name><bndbox><xmin>10</xmin><ymin>20</ymin><xmax>50</xmax><ymax>60</ymax></bndbox></object>"
    "<object><name>RBC</name><bndbox><xmin>70</xmin><ymin>30</ymin><xmax>90</xmax><ymax>50</ymax></bndbox></object>"
    "</annotation>"
)
_YOLO = "0 0.1875 0.33333334 0.25 0.33333334\n1 0.5 0.33333334 0.125 0.16666667\n"
_COCO = json.dumps(
    {
        "categories": [{"id": 1, "name": "WBC"}, {"id": 2, "name": "RBC"}],
        "images": [{"id": 5, "file_name": "a.png", "width": 160, "height": 120}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 1, "bbox": [10, 20, 40, 40]},
            {"id": 2, "image_id": 5, "category_id": 2, "bbox": [70, 30, 20, 20]},
        ],
    }
)
_CSV = "image,x0,y0,x1,y1,label\na.png,10,20,50,60,WBC\na.png,70,30,90,50,RBC\n"
_MANIFEST = "image,class,group,split\na.png,neutrophil,p1,train\na.png,blast,p2,val\n"
_LABELED = (
    "slide,truth,blast_probability,p_neutrophil,p_other\ns,neutrophil,0.1,0.9,0.1\ns,blast,0.8,0.2,0.8\n"
)
_CORRECTIONS = json.dumps({
    "schema": "smearscan.corrections/1", "notice": "", "run": {}, "saved": "", "classes": ["neutrophil"],
    "slides": [{
        "slide": "s", "um_per_px": 0.1, "fields": [{"field": "a.png", "height": 120, "width": 160}],
        "cells": {"field": [0], "xyxy": [1, 2, 30, 40], "score": [0.9], "type": ["neutrophil"], "probability": [0.9],
                  "blast": [None], "probs": [0.9], "possible": []},
        "readings": [{"reader": "r", "signed": None, "checked": [], "added": [],
                      "decisions": [{"cell": 0, "name": "blast", "at": ""}]}],
    }],
})  # fmt: skip
_COUNTS = "slide,neutrophil,lymphocyte\ns,60,40\nt,70,30\n"

_ANY_BYTES = (
    ("empty", b""), ("zeros", bytes(300)), ("no text", b"\xff\xfe\xfd\x80" * 50), ("a picture", b"\x89PNG\r\n\x1a\n" + bytes(99)),
    ("a page", b"<html><body>404 Not Found</body></html>"),
)  # fmt: skip
"""Contents that no reader of labels may take for labels."""


@dataclass(frozen=True, slots=True)
class LabelKind:
    """A reader, its sound file, and changes of it: old text, new text, outcomes that are right."""

    file: str
    sound: str
    read: Callable[[Path], object]
    changes: tuple[tuple[str, str, str], ...]


def try_labels() -> list[Outcome]:
    """Read every changed label file."""
    return [outcome for name, kind in KINDS.items() for outcome in _tried(f"labels: {name}", kind)]


def _changes(kind: LabelKind) -> Iterator[tuple[str, bytes, bool]]:
    """Yield what was changed, the file's content, and whether it means the same as before."""
    sound = kind.sound.encode()
    yield "sound", sound, True
    yield "with a byte order mark", b"\xef\xbb\xbf" + sound, True
    yield "Windows line ends", sound.replace(b"\n", b"\r\n"), True
    yield "cut in the middle", sound[: int(len(sound) * 0.55)], False
    for name, data in _ANY_BYTES:
        yield name, data, False
    for old, new, means in kind.changes:
        assert old in kind.sound, old
        yield (
            f"{old.strip() or 'end'} -> {new.strip() or 'nothing'}"[:70],
            kind.sound.replace(old, new, 1).encode(),
            means == "same",
        )


def _tried(group: str, kind: LabelKind) -> Iterator[Outcome]:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        target = lay_out(kind, root)
        wanted = repr(kind.read(root))
        for name, data, means_the_same in _changes(kind):
            target.write_bytes(data)
            outcome, is_right, told = _read(kind, root, data, wanted, means_the_same)
            yield Outcome(group, name, outcome, is_right, told.replace(f"{root}/", ""))


def _read(
    kind: LabelKind, root: Path, data: bytes, wanted: str, means_the_same: bool
) -> tuple[str, bool, str]:
    """Read a changed file; return what became of it, whether that is right, and what is told of it."""
    with _Heard() as heard:
        try:
            found = repr(kind.read(root))
        except SmearscanError as error:
            is_named = Path(kind.file).stem in str(error)
            return REFUSED, is_named and not means_the_same, str(error)
        except Exception as error:
            return CRASHED, False, f"{type(error).__name__}: {error}"
    # a picture without cells has an empty file of YOLO's
    if found == wanted or (not data and kind is KINDS["YOLO"]):
        return READ, True, ""
    if heard.told:
        return MARKED, True, "; ".join(heard.told)
    return WRONG, False, found[:200]


def lay_out(kind: LabelKind, root: Path) -> Path:
    """Write a picture and the sound label file of it below `root`; return the file's path."""
    picture, target = root / "images" / "a.png", root / kind.file
    if not picture.exists():
        picture.parent.mkdir()
        Image.new("RGB", _SIZE, "white").save(picture)
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(kind.sound.encode())
    return target


class _Heard(logging.Handler):
    """Keeps what the package warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())

    def __enter__(self) -> "_Heard":
        logging.getLogger("smearscan").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("smearscan").removeHandler(self)


def _site(kind: str, source: str) -> Callable[[Path], object]:
    names = ("0", "1") if kind == "yolo" else ("WBC", "RBC")
    told = DetectionDataset.model_validate({
        "name": "here", "format": kind, "images": "images", "annotations": source, "splits": {"train": "*"},
        "classes": dict(zip(names, ("leukocyte", "red_cell"), strict=True)), "red_cell_px": 20,
    })  # fmt: skip

    def read(root: Path) -> object:
        (one,) = read_site(told, root, "train")
        return np.round(one.xyxy, 3).tolist(), one.labels.tolist()

    return read


def _rows(read: Callable[[Path], object], file: str) -> Callable[[Path], object]:
    return lambda root: read(root / file)


KINDS = {
    "VOC": LabelKind("voc/a.xml", _VOC, _site("voc", "voc"), (
        ("<xmin>10</xmin>", "<xmin>50</xmin>", "other"), ("<xmin>10", "<xmin>ten", "other"), ("<xmin>10", "<xmin>nan", "other"),
        ("<xmin>10", "<xmin>inf", "other"), ("<xmin>10</xmin>", "", "other"), ("<xmin>10", "<xmin>1000", "other"),
        ("<name>WBC</name>", "", "other"), ("<name>WBC</name>", "<name>wbc?</name>", "other"), ("<width>160", "<width>320", "other"),
        ("<xmin>10</xmin><ymin>20</ymin><xmax>50</xmax><ymax>60", "<xmin>50</xmin><ymin>60</ymin><xmax>10</xmax><ymax>20", "same"),
        ("<annotation>", '<!DOCTYPE x [<!ENTITY a "b">]><annotation>', "same"),
    )),
    "YOLO": LabelKind("yolo/a.txt", _YOLO, _site("yolo", "yolo"), (
        ("0 0.1875", "7 0.1875", "other"), ("0.1875", "30", "other"), ("0.1875", "nan", "other"), ("0.1875", "-0.5", "other"),
        ("0.1875", "0,1875", "other"), ("0.1875 ", "", "other"), ("0.25 0.33333334", "0.25 0.33333334 0.9", "other"),
        ("0.25", "0", "other"), ("0.25", "-0.25", "other"), ("0 0.1875", "WBC 0.1875", "other"),
        ("0 0.1875 0.33333334 0.25 0.33333334", "0 0.0625 0.16666667 0.3125 0.16666667 0.3125 0.5 0.0625 0.5", "same"),
    )),
    "COCO": LabelKind("coco.json", _COCO, _site("coco", "coco.json"), (
        ('"bbox": [10, 20, 40, 40]', '"bbox": [10, 20, 40]', "other"), ("[10, 20, 40, 40]", "[10, 20, -40, 40]", "other"),
        ("[10, 20, 40, 40]", '["10", 20, 40, 40]', "other"), ("[10, 20, 40, 40]", "[NaN, 20, 40, 40]", "other"),
        ("[10, 20, 40, 40]", "[null, 20, 40, 40]", "other"), ("[10, 20, 40, 40]", "[900, 20, 40, 40]", "other"),
        ("[10, 20, 40, 40]", "[10, 20, true, 40]", "other"), ('"image_id": 5', '"image_id": 6', "other"),
        ('"category_id": 1', '"category_id": 9', "other"), ('"a.png"', '"b.png"', "other"), ('"width": 160', '"width": 80', "other"),
        ('"id": 1, "image_id"', '"iscrowd": 1, "id": 1, "image_id"', "other"), ('"name": "WBC"', '"name": "cell"', "other"),
        ('"images": [', '"images": [{"id": 6, "file_name": "x/a.png"}, ', "other"), ('"annotations"', '"annotation"', "other"),
        ('{"id": 1, "image_id"', '7, {"id": 1, "image_id"', "other"), ('"file_name": "a.png"', '"file_name": 5', "other"),
    )),
    "CSV of boxes": LabelKind("boxes.csv", _CSV, _site("csv", "boxes.csv"), (
        ("a.png,10", "b.png,10", "other"), (",10,", ",,", "other"), (",10,", ",ten,", "other"), (",10,", ",10 px,", "other"),
        (",10,", ",1.10.24,", "other"), (",10,20,", ",1000,20,", "other"), ("WBC", "wbc", "other"), ("x1,y1", "x1,x1", "other"),
        ("image,", "picture,", "other"), ("10,20,50,60", "50,60,10,20", "same"), (",10,", ",nan,", "other"),
        ("a.png,10,20,50,60,WBC", "a.png,10,20,50,60", "other"), ("a.png,10,20,50,60,WBC", "a.png,10,20,50,60,WBC,9", "other"),
    )),
    "manifest of cells": LabelKind("cells.csv", _MANIFEST, _rows(lambda p: read_manifest(p).to_dict("records"), "cells.csv"), (
        ("neutrophil", "", "other"), ("p1", "", "other"), ("train", "training", "other"), ("image,class", "image,type", "other"),
        ("image,class,group", "image,class,class", "other"), ("a.png,neutrophil,p1,train", "a.png,neutrophil,p1", "other"),
        ("a.png,neutrophil,p1,train", "a.png,neutrophil,p1,train,x", "other"), ("image,class,group,split", "image;class;group;split", "other"),
    )),
    "labeled cells": LabelKind("labeled.csv", _LABELED, _rows(
        lambda p: labeled_rows(p, ("neutrophil", "other"), tell=_LOG.warning).to_dict("records"), "labeled.csv"), (
        ("neutrophil,0.1", "neutrofil_x,0.1", "other"), ("0.9", "1.9", "other"), ("0.9", "", "other"), ("0.9", "-0.1", "other"),
        ("0.9", "9 %", "other"), ("0.9", "nan", "other"), ("p_other", "other", "other"), ("truth", "label", "other"),
        ("s,neutrophil,0.1,0.9,0.1", "s,neutrophil,0.1,0.9", "other"), ("blast,0.8", "blast?,0.8", "other"), ("neutrophil,0.1", "seg,0.1", "same"),
    )),
    "counts by hand": LabelKind("counts.csv", _COUNTS, _rows(lambda p: read_manual(p).percent, "counts.csv"), (
        ("60,40", "60.5,40", "other"), ("60,40", "-60,40", "other"), ("60,40", ",40", "other"), ("60,40", "sixty,40", "other"),
        ("slide,", "patient,", "other"), ("t,70", "s,70", "other"), ("neutrophil,lymphocyte", "neutrophil,neutrophil", "other"),
        ("60,40", "60", "other"), ("60,40", "1.6.24,40", "other"), ("neutrophil,", "seg,", "same"),
    )),
    "corrections": LabelKind("corrections.json", _CORRECTIONS, _rows(read_corrections, "corrections.json"), (
        ('"cell": 0', '"cell": 1', "other"), ('"field": [0]', '"field": [3]', "other"), ('"field": [0]', '"field": [-1]', "other"),
        ('"um_per_px": 0.1', '"um_per_px": 0', "other"), ("corrections/1", "corrections/9", "other"), ('"height": 120', '"height": -1', "other"),
        ("[1, 2, 30, 40]", "[1, 2, 30]", "other"), ('"reader": "r", ', "", "other"), ('"notice"', '"note"', "other"),
    )),
    "calibration card": LabelKind("card.yaml", shipped_calibration().read_text(encoding="utf-8"), _rows(load_calibration, "card.yaml"), (
        ("threshold: ", "threshold: 9", "other"), ("threshold:", "treshold:", "other"),
        ("threshold: ", "threshold: !!python/name:os.system ", "other"), ("threshold: ", "threshold: .nan #", "other"),
        ("classes:", "classes: 7 #", "other"),
    )),
    "reference ranges": LabelKind("ranges.yaml", SHIPPED.read_text(encoding="utf-8"), _rows(load_ranges, "ranges.yaml"), (
        ("neutrophil:", "neutrofil:", "other"), ("low: ", "low: 9", "other"), ("low: ", "low: -1 #", "other"),
        ("low: ", "low: .nan #", "other"),
    )),
}  # fmt: skip
