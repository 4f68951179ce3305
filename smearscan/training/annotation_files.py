"""Readers of boxes: YOLO, Pascal VOC, COCO and CSV files. Nothing is bent, nothing dropped unsaid.

What a file says otherwise than meant (corners in the wrong order, polygons) is read as it is meant; what
leaves room for doubt is refused with the file, the place in it, the value, the limit and the cure.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smearscan.detection import boxes
from smearscan.errors import DatasetError
from smearscan.io.tables import read_table
from smearscan.results.doubts import counted, first_of
from smearscan.training.config import DetectionDataset

NamedBoxes = tuple[boxes.Boxes, list[str]]
"""Corners (N, 4) in pixels of a picture, and what each is called."""

_LOG = logging.getLogger(__name__)
_TURNED = range(5, 9)  # values of EXIF's orientation that swap height and width
_ORIENTATION = 0x0112
_ROUNDING = 0.01
"""So far beyond 0 and 1 may a share of a picture lie: tools round."""
_BEYOND = 0.05
"""So much of a picture's side may a box reach beyond it: a cell that the border cuts, boxed as if whole."""


_FILE_A_PICTURE = {"voc": ".xml", "yolo": ".txt"}
"""Formats with a label file a picture, and how its name ends."""
_LISTS_OF_CLASSES = ("classes.txt", "obj.names.txt", "predefined_classes.txt")
"""What labeling programs write beside the label files."""


@dataclass(frozen=True, slots=True)
class _Box:
    """A box as a file says it: of which picture, its name, its corners in pixels, and where that stands."""

    picture: str
    name: str
    corners: tuple[float, ...]
    where: str


def read_annotations(
    site: DetectionDataset, data_root: Path, images: Sequence[Path], on_disk: Iterable[Path]
) -> dict[str, NamedBoxes]:
    """Read the boxes of a data set.

    Parameters
    ----------
    site : DetectionDataset
    data_root : Path
    images : sequence of Path
        Pictures whose boxes are wanted.
    on_disk : iterable of Path
        Every picture of the set: a box of any other is refused.

    Returns
    -------
    dict
        Name of a picture to its boxes, in their order; boxes of no extent are left out, and said to be.

    Raises
    ------
    DatasetError
        Naming the file, the place in it, the value, the limit and the cure.
    """
    if site.annotations is None:
        return {}
    pictures = {path.name: path for path in on_disk}
    _tell_of_gone_pictures(site, data_root / site.annotations, pictures.values())
    found: dict[str, list[_Box]] = {}
    n_flat = 0
    for box in _READERS[site.format](data_root / site.annotations, images, pictures):
        if box.picture not in pictures:
            raise DatasetError(
                f"{box.where}: names the picture {box.picture!r}, which is not in {data_root / site.images}; "
                "correct the name (case and ending count), or add the picture"
            )
        if not all(map(math.isfinite, box.corners)):
            raise DatasetError(f"{box.where}: a corner of the box is missing or no number; fill it in")
        x0, x1 = sorted(box.corners[::2])
        y0, y1 = sorted(box.corners[1::2])
        if np.float32(x0) == np.float32(x1) or np.float32(y0) == np.float32(y1):
            n_flat += 1
            continue
        if box.name not in site.classes:
            raise DatasetError(
                f"{box.where}: class {box.name!r} is not declared; add it to 'classes' of the data set "
                f"{site.name!r}, which has {', '.join(map(repr, site.classes))}"
            )
        found.setdefault(box.picture, []).append(_Box(box.picture, box.name, (x0, y0, x1, y1), box.where))
    if n_flat:
        _LOG.warning("%s: %d boxes of no extent are left out", site.name, n_flat)
    for name, own in found.items():
        _check_inside(own, *upright_size(pictures[name]))
    return {
        name: (boxes.as_boxes([b.corners for b in own]), [b.name for b in own]) for name, own in found.items()
    }


def _tell_of_gone_pictures(site: DetectionDataset, source: Path, pictures: Iterable[Path]) -> None:
    """Say which label files have no picture: one that was lost, or renamed, takes its cells along."""
    if site.format not in _FILE_A_PICTURE or not source.is_dir():
        return
    known = {path.stem for path in pictures}
    labels = sorted(source.glob(f"*{_FILE_A_PICTURE[site.format]}"))
    gone = [
        path.name
        for path in labels
        if path.stem not in known and path.name not in _LISTS_OF_CLASSES and not path.name.startswith(".")
    ]
    if gone:
        _LOG.warning(
            "%s: %s in %s without a picture of that name in %s (%s); the cells in it are not used: add the "
            "picture, or delete the file",
            site.name,
            counted(len(gone), "label file", "label files"),
            source,
            site.images,
            first_of(gone),
        )


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height in px of a picture as it is displayed, turned by its EXIF tag."""
    with Image.open(path) as picture:
        width, height = picture.size
        return (height, width) if picture.getexif().get(_ORIENTATION, 1) in _TURNED else (width, height)


def _check_inside(own: list[_Box], width: int, height: int) -> None:
    low, high = -_BEYOND * np.array([width, height]), (1 + _BEYOND) * np.array([width, height])
    for box in own:
        x0, y0, x1, y1 = box.corners
        is_outside = x0 >= width or y0 >= height or x1 <= 0 or y1 <= 0
        if is_outside or x0 < low[0] or y0 < low[1] or x1 > high[0] or y1 > high[1]:
            raise DatasetError(
                f"{box.where}: the box {x0:g}, {y0:g}, {x1:g}, {y1:g} lies outside of {box.picture}, which "
                f"has {width}x{height} px; are the boxes those of a picture of another size?"
            )


def _check_size(told: tuple[int, int], picture: Path, where: str) -> None:
    """Refuse boxes of a picture that had another size when it was annotated."""
    if all(told) and told != (size := upright_size(picture)):
        raise DatasetError(
            f"{where}: was made for {told[0]}x{told[1]} px, but {picture.name} has {size[0]}x{size[1]}; "
            "use the picture that was annotated"
        )


def _from_voc(source: Path, images: Sequence[Path], _: Mapping[str, Path]) -> Iterator[_Box]:
    for path in images:
        file = source / f"{path.stem}.xml"
        try:
            root = ElementTree.parse(file).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise DatasetError(f"{file}: no readable VOC annotation ({error})") from error
        if root.tag != "annotation":
            raise DatasetError(
                f"{file}: no readable VOC annotation (begins with <{root.tag}>); export it again"
            )
        width, height = (_number(root.findtext(f"size/{side}") or "0") for side in ("width", "height"))
        if width > 0 and height > 0:
            _check_size((int(width), int(height)), path, str(file))
        for number, found in enumerate(root.findall("object"), 1):
            where, name = f"{file}: object {number}", found.findtext("name", "").strip()
            if not name:
                raise DatasetError(f"{where}: has no name; give it that of its class")
            corner = [_number(found.findtext(f"bndbox/{k}") or "") for k in ("xmin", "ymin", "xmax", "ymax")]
            yield _Box(path.name, name, tuple(corner), where)


def _from_yolo(source: Path, images: Sequence[Path], _: Mapping[str, Path]) -> Iterator[_Box]:
    for path in images:
        file = source / f"{path.stem}.txt"
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(f"{file}: no readable YOLO annotation ({error})") from error
        size = np.array(upright_size(path), np.float32)
        for number, line in enumerate(lines, 1):
            if row := line.split():
                yield _yolo_box(path.name, row, size, f"{file}: line {number}")


def _yolo_box(picture: str, row: list[str], size: NDArray[np.float32], where: str) -> _Box:
    """Box of a line ``class x y width height``, or the one around a polygon ``class x y x y x y ...``."""
    shares = [_number(word) for word in row[1:]]
    if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
        raise DatasetError(
            f"{where}: holds {len(row)} words; a box is 'class x y width height', a polygon 'class' and "
            "three or more points 'x y'; take a score away"
        )
    outside = [word for word, v in zip(row[1:], shares, strict=True) if not -_ROUNDING <= v <= 1 + _ROUNDING]
    if outside:
        raise DatasetError(
            f"{where}: no readable YOLO annotation ({outside[0]!r} is no share of the picture, 0 to 1); "
            "export the boxes again, divided by the picture's width and height"
        )
    if len(shares) > 4:
        points = np.array(shares, np.float32).reshape(-1, 2) * size
        low, high = points.min(axis=0), points.max(axis=0)
    else:
        values = np.array(shares, np.float32)
        middle, half = values[:2] * size, values[2:] * size / 2
        low, high = middle - half, middle + half
    return _Box(picture, row[0], (*low.tolist(), *high.tolist()), where)


def _from_coco(source: Path, _: Sequence[Path], pictures: Mapping[str, Path]) -> Iterator[_Box]:
    try:
        content = json.loads(source.read_text(encoding="utf-8-sig"))
        names = {c["id"]: str(c["name"]) for c in content["categories"]}
        listed = {i["id"]: (Path(i["file_name"].replace("\\", "/")).name, i) for i in content["images"]}
        rows = list(content["annotations"])
        files = [name for name, _ in listed.values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{source}: no readable COCO annotation ({error!r})") from error
    if twice := [name for name in files if files.count(name) > 1] if len(set(files)) < len(files) else []:
        raise DatasetError(f"{source}: two pictures are called {twice[0]!r}; give each a name of its own")
    for name, told in listed.values():
        if name in pictures and {"width", "height"} <= told.keys():
            _check_size((told["width"], told["height"]), pictures[name], f"{source}: image {told['id']!r}")
    n_crowds = 0
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise DatasetError(f"{source}: annotation {number} is {row!r}, no object; export the file again")
        where = f"{source}: annotation {row.get('id', number)!r}"
        if row.get("iscrowd"):
            n_crowds += 1
            continue
        box = row.get("bbox")
        if row.get("image_id") not in listed or row.get("category_id") not in names:
            raise DatasetError(f"{where}: its image_id or category_id is not in the file; export it again")
        if not (isinstance(box, list) and len(box) == 4 and all(type(v) in (int, float) for v in box)):
            raise DatasetError(f"{where}: 'bbox' is {box!r}; it must be [x, y, width, height]: export boxes")
        x, y, width, height = box
        if width < 0 or height < 0:
            raise DatasetError(f"{where}: 'bbox' is {box!r}; width and height must not be negative")
        picture, told = listed[row["image_id"]]
        if picture not in pictures and (source.parent / told["file_name"]).is_file():
            continue  # of another folder that this file serves, too
        yield _Box(picture, names[row["category_id"]], (x, y, x + width, y + height), where)
    if n_crowds:
        _LOG.warning("%s: %d areas of many cells (iscrowd) are left out", source, n_crowds)


def _from_csv(source: Path, _: Sequence[Path], pictures: Mapping[str, Path]) -> Iterator[_Box]:
    columns = ("image", "x0", "y0", "x1", "y1")
    table = read_table(source, (*columns, "label"))
    table.refuse_repeated_columns()
    table.need(columns, "it needs image,x0,y0,x1,y1[,label]")
    named = table.column("image")
    gone = [line for line, name in zip(table.lines, named, strict=True) if name not in pictures]
    if gone:
        raise DatasetError(
            f"{source}: {len(gone)} of {len(named)} rows name pictures that are not there, the first in line "
            f"{gone[0]} ({named[table.lines.index(gone[0])]!r}); write names as they are, case and ending "
            "count, without a folder"
        )
    labels = table.column("label") if "label" in table else ["leukocyte"] * len(table)
    corners = np.stack([table.numbers(side) for side in columns[1:]], axis=1).tolist()
    for line, name, label, corner in zip(table.lines, named, labels, corners, strict=True):
        yield _Box(name, label, tuple(corner), f"{source}: line {line}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


_READERS: Mapping[str, Callable[[Path, Sequence[Path], Mapping[str, Path]], Iterator[_Box]]] = {
    "voc": _from_voc,
    "yolo": _from_yolo,
    "coco": _from_coco,
    "csv": _from_csv,
}
