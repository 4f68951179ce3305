"""Fields with boxes for training and measuring the detector: YOLO, VOC, COCO and plain CSV."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from smearscan.detection import boxes
from smearscan.errors import DatasetError
from smearscan.io.kinds import SUFFIXES
from smearscan.taxonomy import DETECTOR_CLASSES, RED_CELL
from smearscan.training.config import DetectionDataset, resolve_list


@dataclass(frozen=True, slots=True)
class BoxedImage:
    """One annotated field.

    Attributes
    ----------
    path : Path
        The picture.
    xyxy : ndarray, (N, 4) float32
        Boxes in field pixels.
    labels : ndarray, (N,) int64
        Index into :data:`smearscan.taxonomy.DETECTOR_CLASSES`.
    labeled : tuple of bool, (3,)
        Which of the three classes were annotated at all; where False, absence of a box says nothing.
    site : str
        Name of the data set.
    red_cell_px : float
        Diameter of a red cell in this picture, field pixels: the scale for training.
    """

    path: Path
    xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]
    labeled: tuple[bool, bool, bool]
    site: str
    red_cell_px: float


_Raw = tuple[NDArray[np.float32], list[str]]


def read_site(site: DetectionDataset, data_root: Path, split: str) -> list[BoxedImage]:
    """Read one split of one data set.

    Parameters
    ----------
    site : DetectionDataset
        Where its pictures and boxes lie, relative to `data_root`, and what its classes are called.
    data_root : Path
        Folder that holds the data sets.
    split : str
        ``train``, ``val`` or ``test``.

    Returns
    -------
    list of BoxedImage
        Sorted by path.

    Raises
    ------
    DatasetError
        If a file is missing, a class name is not declared, or no red cell gives the scale.
    """
    images = _listed_images(site, data_root, split)
    raw = _READERS[site.format](site, data_root, images)
    for correction in site.corrections:  # all of them: a field outside this split is simply not listed
        _apply_corrections(raw, correction, {path.name for path in images})
    named = set(site.classes.values())
    labeled = ("leukocyte" in named, "red_cell" in named, "platelet" in named)
    found = []
    for path in images:
        xyxy, names = raw.get(path.name, (boxes.as_boxes([]), []))
        labels = np.array([_label(site, name, path) for name in names], np.int64)
        keep = boxes.areas(xyxy) > 0  # some sets hold boxes of no extent
        found.append((path, xyxy[keep], labels[keep]))
    scale = site.red_cell_px or _site_red_cell_px(site, found)
    return [
        BoxedImage(path, xyxy, labels, labeled, site.name, _red_cell_px(xyxy, labels, scale, path, site))
        for path, xyxy, labels in found
    ]


def _listed_images(site: DetectionDataset, data_root: Path, split: str) -> list[Path]:
    folder = data_root / site.images
    if not folder.is_dir():
        raise DatasetError(f"{site.name}: the image folder {folder} is not there; is the data root right?")
    on_disk = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES}
    listing = {str(name): files for name, files in site.splits.items()}.get(split)
    if listing is None:
        return []
    if listing == "*":
        return list(on_disk.values())
    listings = [listing] if isinstance(listing, str) else listing
    wanted = [name for file in listings for name in _listed_names(site, file)]
    missing = [name for name in wanted if Path(name).stem not in on_disk]
    if missing:
        raise DatasetError(f"{site.name}: the {split} list names {missing[0]}, which is not in {folder}")
    return sorted(on_disk[Path(name).stem] for name in wanted)


def _listed_names(site: DetectionDataset, file: str) -> list[str]:
    try:
        lines = resolve_list(file).read_text().splitlines()
    except OSError as error:
        raise DatasetError(f"{site.name}: the list {file} cannot be read ({error.strerror})") from error
    return [line.strip() for line in lines if line.strip()]


def _label(site: DetectionDataset, name: str, path: Path) -> int:
    if name not in site.classes:
        raise DatasetError(
            f"{path}: class {name!r} is not declared; add it to 'classes' of the data set {site.name!r}"
        )
    return DETECTOR_CLASSES.index(site.classes[name])


def _uncut_red_cells(xyxy: NDArray[np.float32], labels: NDArray[np.int64], path: Path) -> NDArray[np.float32]:
    with Image.open(path) as picture:
        width, height = picture.size
    red = xyxy[labels == RED_CELL]
    return boxes.mean_sides(red[~boxes.touches_border(red, height, width, margin_px=2)])


def _site_red_cell_px(
    site: DetectionDataset, found: Iterable[tuple[Path, NDArray[np.float32], NDArray[np.int64]]]
) -> float:
    sizes = [_uncut_red_cells(xyxy, labels, path) for path, xyxy, labels in found]
    if not sizes:
        return 1.0
    every = np.concatenate(sizes)
    if not len(every):
        raise DatasetError(
            f"{site.name}: no red cell is boxed, so its scale is unknown; "
            "give 'red_cell_px', the red-cell diameter in pixels"
        )
    return float(np.median(every))


def _red_cell_px(
    xyxy: NDArray[np.float32], labels: NDArray[np.int64], site_px: float, path: Path, site: DetectionDataset
) -> float:
    """Median red cell of the picture, shrunk towards the site's, which counts as four cells."""
    own = np.empty(0, np.float32) if site.red_cell_px else _uncut_red_cells(xyxy, labels, path)
    if not len(own):
        return site_px
    weight = len(own) / (len(own) + 4)
    return float(np.exp(weight * np.log(np.median(own)) + (1 - weight) * np.log(site_px)))


def _read_voc(site: DetectionDataset, data_root: Path, images: list[Path]) -> dict[str, _Raw]:
    raw: dict[str, _Raw] = {}
    for path in images:
        source = data_root / site.annotations / f"{path.stem}.xml"
        try:
            objects = ElementTree.parse(source).getroot().findall("object")
        except (OSError, ElementTree.ParseError) as error:
            raise DatasetError(f"{source}: no readable VOC annotation ({error})") from error
        corners = [
            [float(o.findtext(f"bndbox/{k}", "nan")) for k in ("xmin", "ymin", "xmax", "ymax")]
            for o in objects
        ]
        raw[path.name] = boxes.as_boxes(corners), [o.findtext("name", "") for o in objects]
    return raw


def _read_yolo(site: DetectionDataset, data_root: Path, images: list[Path]) -> dict[str, _Raw]:
    raw: dict[str, _Raw] = {}
    for path in images:
        source = data_root / site.annotations / f"{path.stem}.txt"
        try:
            rows = [line.split() for line in source.read_text().splitlines() if line.strip()]
            values = np.array([[float(v) for v in row[1:5]] for row in rows], np.float32).reshape(-1, 4)
        except (OSError, ValueError) as error:
            raise DatasetError(f"{source}: no readable YOLO annotation ({error})") from error
        with Image.open(path) as picture:
            size = np.array(picture.size, np.float32)
        middle, half = values[:, :2] * size, values[:, 2:] * size / 2
        raw[path.name] = np.concatenate([middle - half, middle + half], axis=1), [row[0] for row in rows]
    return raw


def _read_coco(site: DetectionDataset, data_root: Path, images: list[Path]) -> dict[str, _Raw]:
    source = data_root / site.annotations
    try:
        content = json.loads(source.read_text())
        names = {c["id"]: c["name"] for c in content["categories"]}
        files = {i["id"]: Path(i["file_name"].replace("\\", "/")).name for i in content["images"]}
        rows = [(files[a["image_id"]], names[a["category_id"]], a["bbox"]) for a in content["annotations"]]
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{source}: no readable COCO annotation ({error!r})") from error
    return _grouped((file, name, (x, y, x + w, y + h)) for file, name, (x, y, w, h) in rows)


def _read_csv(site: DetectionDataset, data_root: Path, images: list[Path]) -> dict[str, _Raw]:
    source = data_root / site.annotations
    try:
        table = pd.read_csv(source)
        labels = table["label"].astype(str) if "label" in table else ["leukocyte"] * len(table)
        corners = table[["x0", "y0", "x1", "y1"]].itertuples(index=False)
        return _grouped(zip(table["image"].astype(str), labels, corners, strict=True))
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{source}: needs the columns image,x0,y0,x1,y1[,label] ({error!r})") from error


def _grouped(rows: Iterable[tuple[str, str, Iterable[float]]]) -> dict[str, _Raw]:
    corners: dict[str, list[list[float]]] = {}
    names: dict[str, list[str]] = {}
    for file, name, corner in rows:
        corners.setdefault(file, []).append([float(v) for v in corner])
        names.setdefault(file, []).append(name)
    return {file: (boxes.as_boxes(corners[file]), names[file]) for file in corners}


def _apply_corrections(raw: dict[str, _Raw], source: str, pictures: set[str]) -> None:
    """Drop and add leukocyte boxes of the listed pictures as a file (image,action,x0,y0,x1,y1) says."""
    try:
        table = pd.read_csv(resolve_list(source))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{source}: the corrections cannot be read ({error})") from error
    for image, rows in table[table["image"].isin(pictures)].groupby("image"):
        xyxy, names = raw.get(str(image), (boxes.as_boxes([]), []))
        corner = boxes.as_boxes(rows[["x0", "y0", "x1", "y1"]].to_numpy())
        dropped = corner[(rows["action"] == "drop").to_numpy()]
        added = corner[(rows["action"] == "add").to_numpy()]
        keep = ~(xyxy[:, None] == dropped[None]).all(axis=2).any(axis=1)
        if int((~keep).sum()) != len(dropped):
            raise DatasetError(f"{source}: a box to drop of {image} is not among its published boxes")
        kept = [name for name, stays in zip(names, keep, strict=True) if stays]
        raw[str(image)] = np.concatenate([xyxy[keep], added]), kept + ["leukocyte"] * len(added)


_READERS: Mapping[str, Callable[[DetectionDataset, Path, list[Path]], dict[str, _Raw]]] = {
    "voc": _read_voc,
    "yolo": _read_yolo,
    "coco": _read_coco,
    "csv": _read_csv,
}
