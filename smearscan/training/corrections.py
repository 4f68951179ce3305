"""From a corrections file to training sets of either stage, and a table to calibrate on.

A folder holds it all: the fields themselves (``fields/``), the cells in them (``manifest.csv``, for ``train
classifier`` with ``differential.yaml`` and ``blast.yaml``), their crops by class to look at (``crops/``),
boxes of the fields that are whole (``detector.yaml`` with ``coco.json``, and ``labels/`` as YOLO), and
``truth.csv`` for ``calibrate``.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from smearscan.classification.crops import cut_crops
from smearscan.errors import DatasetError
from smearscan.io.atomic import write_text
from smearscan.io.decode import read_image, write_image
from smearscan.report.exports.names import FileNames
from smearscan.report.tables import write_csv
from smearscan.results import CELL_COLUMNS
from smearscan.taxonomy import BLAST, HEALTHY, RED_CELL_UM
from smearscan.training.corrections_file import CorrectionsFile, SettledSlide, class_counts, settle
from smearscan.weights.pairs import ClassifierCard, DetectorCard, load_card, shipped

_CROP_UM, _CROP_PX = 26.0, 104
_EPOCHS = 4
"""A net that goes on from a trained one needs a third of a new one's."""
_VAL_EACH = 5
"""One whole field of so many is held for validation."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was written: cells by class (``none`` are removed boxes), whole fields, cells in dispute.

    `nets` are the shipped classifiers that the cells teach something, each with a configuration.
    """

    classes: dict[str, int]
    whole_fields: int
    differing: int
    nets: tuple[str, ...]


def apply_corrections(file: CorrectionsFile, pictures: Path, to: Path, reader: str | None = None) -> Applied:
    """Write the training sets.

    Parameters
    ----------
    file : CorrectionsFile
    pictures : Path
        Folder that was scanned.
    to : Path
        Folder to write; must not exist, or be empty.
    reader : str, optional
        Take this reader's word alone.

    Raises
    ------
    DatasetError
        If nothing was decided, a picture is missing, or the folder holds something.
    """
    if to.exists() and any(to.iterdir()):
        raise DatasetError(f"{to}: is not empty; give a new folder, so that no old cell stays among the new")
    slides = [settle(slide, reader) for slide in file.slides]
    if not any(slide.cells for slide in slides):
        who = f" by {reader}" if reader else ""
        raise DatasetError(f"no cell was named, confirmed or signed{who}: there is nothing to learn from")
    fields = _copy_fields(slides, pictures, to)
    rows = _manifest(slides, fields, to)
    write_csv(rows, to / "manifest.csv")
    nets = _write_trainings(set(rows["class"]), to)
    _write_crops(rows, to)
    _write_boxes(slides, fields, to)
    write_csv(_truth(file, slides), to / "truth.csv")
    whole = sum(len(slide.whole_fields) for slide in slides)
    return Applied(dict(class_counts(slides)), whole, sum(slide.differing for slide in slides), nets)


Fields = dict[tuple[int, int], Path]


def _copy_fields(slides: list[SettledSlide], pictures: Path, to: Path) -> Fields:
    """Copy each field that is used, to one flat folder; returns their places by slide and field."""
    names, copied, base = FileNames(), {}, pictures.resolve()
    for s, slide in enumerate(slides):
        for k in sorted({cell.field for cell in slide.cells} | slide.whole_fields):
            name = slide.slide.fields[k].field
            source = (base / name).resolve()
            if not source.is_relative_to(base):
                raise DatasetError(f"field {name!r} lies outside {pictures}: this file was not made of it")
            if not source.is_file():
                raise DatasetError(
                    f"{pictures / name}: is not there; give the scanned folder with --pictures"
                )
            target = to / "fields" / _part(slide, s, k) / str(names(name.replace("/", "__")))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            copied[s, k] = target
    return copied


def _part(slide: SettledSlide, s: int, field: int) -> str:
    """Name of the folder of a field: by slide, and by what it may teach the detector."""
    whole = sorted(slide.whole_fields)
    if field not in slide.whole_fields:
        return f"slide_{s + 1:04d}_cells"  # has leukocytes without a box, maybe
    return f"slide_{s + 1:04d}_{'val' if whole.index(field) % _VAL_EACH == _VAL_EACH - 1 else 'train'}"


def _manifest(slides: list[SettledSlide], fields: Fields, to: Path) -> pd.DataFrame:
    """Cells that are leukocytes, in their fields; cells of a slide share a group."""
    rows = [
        {
            "image": fields[s, cell.field].relative_to(to).as_posix(),
            "class": cell.name,
            "group": slide.slide.slide,
            "site": "corrections",
            "um_per_px": slide.slide.um_per_px,
            **dict(zip(("x0", "y0", "x1", "y1"), cell.xyxy, strict=True)),
        }
        for s, slide in enumerate(slides)
        for cell in slide.cells
        if cell.name is not None
    ]
    columns = ["image", "class", "group", "site", "um_per_px", "x0", "y0", "x1", "y1"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(split=held_for_validation(table))


def _write_trainings(kinds: set[str], to: Path) -> tuple[str, ...]:
    """Write a configuration for each shipped classifier of whose classes two are there.

    One class alone would make a net only surer. A net goes on from the shipped one, with its names, its last
    layer and the layers that both nets share.
    """
    of_blast = {BLAST if kind == BLAST else HEALTHY for kind in kinds}
    written = []
    for task, known in (("differential", kinds), (BLAST, of_blast)):
        card = load_card(shipped(task), ClassifierCard)
        if len(known & set(card.classes)) < 2:
            continue
        write_text(to / f"{task}.yaml", yaml.safe_dump(training_of(card, kinds), sort_keys=False))
        written.append(task)
    return tuple(written)


def training_of(card: ClassifierCard, kinds: set[str]) -> dict[str, object]:
    """Describe a training that goes on with a classifier on cells of some classes."""
    others = () if card.task == BLAST else sorted(kinds - set(card.classes))
    return {
        "name": f"{card.name}_corrected", "task": card.task, "classes": list(card.classes),
        "architecture": card.architecture, "crop_um": card.crop_um, "crop_px": card.crop_px,
        "norm": card.norm, "trunk": "held" if card.trunk else "learns", "last_layer": "kept",
        "epochs": _EPOCHS, "synonyms": dict.fromkeys(others),
    }  # fmt: skip


def held_for_validation(table: pd.DataFrame) -> list[str]:
    """Hold one cell of five for validation: whole slides where there are enough, else every fifth of a class.

    The blast threshold and the temperature are set on them.
    """
    groups = sorted(table["group"].unique())
    if len(groups) >= 2 * _VAL_EACH:
        held = set(groups[_VAL_EACH - 1 :: _VAL_EACH])
        return ["val" if group in held else "train" for group in table["group"]]
    at = table.groupby("class").cumcount()
    return ["val" if k % _VAL_EACH == _VAL_EACH - 1 else "train" for k in at]


def _write_crops(rows: pd.DataFrame, to: Path) -> None:
    """Cut cells by class, to look at and for other tools; training cuts its own from the fields."""
    names = FileNames()
    for image, own in rows.groupby("image", sort=False):
        pixels = read_image(to / str(image))
        boxes = own[["x0", "y0", "x1", "y1"]].to_numpy(np.float32)
        crops = cut_crops(pixels, boxes, float(own["um_per_px"].iloc[0]), _CROP_UM, _CROP_PX)
        for row, kind, crop in zip(own.index, own["class"], crops, strict=True):
            folder = to / "crops" / str(names(str(kind).replace("/", "_")))
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / f"cell_{row:06d}.png", crop)


def _write_boxes(slides: list[SettledSlide], fields: Fields, to: Path) -> None:
    """Boxes of the whole fields: COCO and YOLO, and a configuration of ``train detector``, a site a slide."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    sites = []
    (to / "labels").mkdir(parents=True, exist_ok=True)
    for s, slide in enumerate(slides):
        for k in sorted(slide.whole_fields):
            path, info = fields[s, k], slide.slide.fields[k]
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": path.relative_to(to).as_posix(),
                    "height": info.height,
                    "width": info.width,
                }
            )
            lines = []
            for x0, y0, x1, y1 in _boxes_of(slide, k):
                box = [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)]
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": len(images), "category_id": 1, "bbox": box,
                     "area": box[2] * box[3], "iscrowd": 0}
                )  # fmt: skip
                middle = (x0 + x1) / 2 / info.width, (y0 + y1) / 2 / info.height
                size = (x1 - x0) / info.width, (y1 - y0) / info.height
                lines.append("0 " + " ".join(f"{v:.6f}" for v in (*middle, *size)) + "\n")
            write_text(to / "labels" / f"{path.stem}.txt", "".join(lines))
        parts = {_part(slide, s, k) for k in slide.whole_fields}
        sites += [_site(name, slide.slide.um_per_px) for name in sorted(parts)]
    coco = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "leukocyte"}]}
    write_text(to / "coco.json", json.dumps(coco) + "\n")
    card = load_card(shipped("detector"), DetectorCard)
    config = {
        "name": "detector", "sites": sites, "working_red_cell_px": card.working_red_cell_px,
        "thresholds": list(card.thresholds),
    }  # fmt: skip
    write_text(to / "detector.yaml", yaml.safe_dump(config, sort_keys=False))


def _boxes_of(slide: SettledSlide, field: int) -> list[tuple[float, float, float, float]]:
    """Boxes of a whole field: all detected but those removed, and all added."""
    removed = {cell.index for cell in slide.cells if cell.name is None}
    own = slide.slide.cells
    found = [
        (own.xyxy[4 * i], own.xyxy[4 * i + 1], own.xyxy[4 * i + 2], own.xyxy[4 * i + 3])
        for i in range(len(own.type))
        if own.field[i] == field and i not in removed
    ]
    return found + [cell.xyxy for cell in slide.cells if cell.field == field and cell.index < 0]


def _site(name: str, um_per_px: float) -> dict[str, object]:
    return {
        "name": name, "format": "coco", "images": f"fields/{name}", "annotations": "coco.json",
        "classes": {"leukocyte": "leukocyte"}, "splits": {name.rpartition("_")[2]: "*"},
        "red_cell_px": round(RED_CELL_UM / um_per_px, 3),
    }  # fmt: skip


def _truth(file: CorrectionsFile, slides: list[SettledSlide]) -> pd.DataFrame:
    """Make the table for ``calibrate``: ``cells.csv`` with what each cell is; an added one was not found."""
    classes, rows = file.classes, []
    for slide in slides:
        own = slide.slide.cells
        for cell in slide.cells:
            i, k = cell.index, len(classes)
            seen = i >= 0
            values = (
                slide.slide.slide, slide.slide.fields[cell.field].field, *cell.xyxy,
                own.score[i] if seen else None, own.type[i] if seen else "",
                own.probability[i] if seen else None, own.blast[i] if seen else None,
            )  # fmt: skip
            probs = own.probs[i * k : (i + 1) * k] if seen else [None] * k
            rows.append((*values, *probs, slide.slide.um_per_px, cell.name or "none"))
    return pd.DataFrame(rows, columns=[*CELL_COLUMNS, *(f"p_{c}" for c in classes), "um_per_px", "truth"])
