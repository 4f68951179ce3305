"""Fields with boxes for training and measuring the detector: YOLO, VOC, COCO and plain CSV."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smearscan.detection import boxes
from smearscan.errors import DatasetError
from smearscan.io.kinds import SUFFIXES
from smearscan.taxonomy import DETECTOR_CLASSES, RED_CELL
from smearscan.training.annotation_files import NamedBoxes, read_annotations, upright_size
from smearscan.training.config import DetectionDataset, resolve_list

UNKNOWN = -1
"""Label of an area that may hold cells without a box."""


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
        Index into :data:`smearscan.taxonomy.DETECTOR_CLASSES`, or :data:`UNKNOWN`.
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
    on_disk = _pictures(site, data_root)
    images = _listed_images(site, on_disk, data_root, split)
    raw = read_annotations(site, data_root, images, on_disk.values())
    for correction in site.corrections:  # all of them: a field outside this split is simply not listed
        _apply_corrections(raw, correction, {path.name for path in images})
    unknown = _unknown_areas(site, data_root, images, on_disk.values())
    named = set(site.classes.values())
    labeled = ("leukocyte" in named, "red_cell" in named, "platelet" in named)
    found = []
    for path in images:
        xyxy, names = raw.get(path.name, (boxes.as_boxes([]), []))
        areas = unknown.get(path.name, boxes.as_boxes([]))
        labels = np.array([*(_label(site, name) for name in names), *[UNKNOWN] * len(areas)], np.int64)
        found.append((path, np.concatenate([xyxy, areas]), labels))
    scale = site.red_cell_px or _site_red_cell_px(site, found)
    return [
        BoxedImage(path, xyxy, labels, labeled, site.name, _red_cell_px(xyxy, labels, scale, path, site))
        for path, xyxy, labels in found
    ]


def _pictures(site: DetectionDataset, data_root: Path) -> dict[str, Path]:
    """Every picture of a set by its name without the ending, by which lists and labels name it."""
    folder = data_root / site.images
    if not folder.is_dir():
        raise DatasetError(f"{site.name}: the image folder {folder} is not there; is the data root right?")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if (first := found.setdefault(path.stem, path)) != path:
            raise DatasetError(
                f"{path}: labels cannot tell it from {first.name}; give one of the two another name"
            )
    return found


def _listed_images(
    site: DetectionDataset, on_disk: dict[str, Path], data_root: Path, split: str
) -> list[Path]:
    listing = {str(name): files for name, files in site.splits.items()}.get(split)
    if listing is None:
        return []
    if listing == "*":
        return list(on_disk.values())
    listings = [listing] if isinstance(listing, str) else listing
    wanted = [name for file in listings for name in _listed_names(site, file)]
    missing = [name for name in wanted if Path(name).stem not in on_disk]
    if missing:
        raise DatasetError(
            f"{site.name}: the {split} list names {missing[0]}, which is not in {data_root / site.images}"
        )
    return sorted(on_disk[Path(name).stem] for name in wanted)


def _listed_names(site: DetectionDataset, file: str) -> list[str]:
    try:
        lines = resolve_list(file).read_text().splitlines()
    except OSError as error:
        raise DatasetError(f"{site.name}: the list {file} cannot be read ({error.strerror})") from error
    return [line.strip() for line in lines if line.strip()]


def _unknown_areas(
    site: DetectionDataset, data_root: Path, images: list[Path], on_disk: Iterable[Path]
) -> dict[str, NDArray[np.float32]]:
    if site.ignore is None:
        return {}
    of_areas = site.model_copy(update={"format": "csv", "annotations": site.ignore})
    return {name: xyxy for name, (xyxy, _) in read_annotations(of_areas, data_root, images, on_disk).items()}


def _label(site: DetectionDataset, name: str) -> int:
    """Index of a class; a box that a correction added is a leukocyte by that name."""
    return DETECTOR_CLASSES.index(site.classes.get(name, name))


def _uncut_red_cells(xyxy: NDArray[np.float32], labels: NDArray[np.int64], path: Path) -> NDArray[np.float32]:
    width, height = upright_size(path)
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


def _apply_corrections(raw: dict[str, NamedBoxes], source: str, pictures: set[str]) -> None:
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
