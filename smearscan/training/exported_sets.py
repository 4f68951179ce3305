"""Sets of boxed fields as annotation tools export them: a YOLO ``data.yaml``, a list of names, a COCO file.

Roboflow, Ultralytics, CVAT and Label Studio write these. Their names of classes are understood as labels are:
whatever is a leukocyte is one here, for the detector tells no types apart.
"""

import json
import os
from pathlib import Path
from typing import Any, Literal

from smearscan.config import checked, read_yaml
from smearscan.errors import ConfigError
from smearscan.io.kinds import SUFFIXES
from smearscan.taxonomy.cell_names import NOT_A_CELL, fold_name, standard_name
from smearscan.training.config import DetectionDataset, DetectorTraining

Kind = Literal["leukocyte", "red_cell", "platelet"]

_LEUKOCYTE = ("wbc", "white_blood_cell", "white_cell", "leukocyte", "leucocyte", "leukozyt", "leucocito")
_RED_CELL = ("rbc", "red_blood_cell", "red_cell", "erythrocyte")
_MEASURED = 6
_NAME_LISTS = {"classes.txt": ("images", "labels"), "obj.names": ("obj_train_data", "obj_train_data")}
"""Files of class names, a line each, and where pictures and labels lie beside them."""
_SPLITS: dict[Literal["train", "val", "test"], tuple[str, ...]] = {
    "train": ("train",),
    "val": ("val", "valid"),
    "test": ("test",),
}


def load_detector_training(path: Path, data_root: Path) -> tuple[DetectorTraining, Path]:
    """Read a configuration or an export of boxes, for training or measuring a detector.

    Parameters
    ----------
    path : Path
        A configuration; a YOLO ``data.yaml``; ``classes.txt`` or ``obj.names`` of YOLO exports without one
        (Label Studio, CVAT); or a COCO ``.json``.
    data_root : Path
        What a configuration's paths are relative to.

    Returns
    -------
    config : DetectorTraining
    data_root : Path
        What its paths are relative to: the export's own folder, or as given.

    Raises
    ------
    ConfigError
        Naming the file, the key and what was wrong with it.
    """
    if path.suffix.lower() == ".json":
        return _training(path, [_coco_set(path)]), path.parent
    if path.name in _NAME_LISTS:
        return _training(path, [_named_set(path)]), path.parent
    content = read_yaml(path)
    if isinstance(content, dict) and "names" in content and "sites" not in content:
        return _training(path, _yolo_sets(path, content)), path.parent
    return checked(DetectorTraining, content, path), data_root


def kind_of(name: str) -> Kind | None:
    """Tell what the detector calls a class of somebody's boxes; None where its name is not known."""
    folded = fold_name(name).removesuffix("s")
    if folded in _RED_CELL:
        return "red_cell"
    standard = standard_name(name)
    if standard == "platelet":
        return "platelet"
    known = standard is not None and standard not in (NOT_A_CELL, "leave_out", "other")
    return "leukocyte" if folded in _LEUKOCYTE or known else None


def _training(path: Path, sets: list[DetectionDataset]) -> DetectorTraining:
    return DetectorTraining(name="detector", sites=[_with_scale(own, path.parent) for own in sets])


def _with_scale(own: DetectionDataset, root: Path) -> DetectionDataset:
    """Measure the red cells of a set whose boxes hold none, as a scan would: they are its scale."""
    if own.red_cell_px or "red_cell" in own.classes.values():
        return own
    from smearscan.detection.detector import Detector
    from smearscan.io.decode import read_image, some_images
    from smearscan.rulers.scale import measure_scale

    paths = sorted(p for p in (root / own.images).iterdir() if p.suffix.lower() in SUFFIXES)
    scale = measure_scale(Detector.load(), some_images(paths, _MEASURED, read_image))
    if scale.source != "red cells":
        raise ConfigError(
            f"{own.name}: no red cell is boxed, and too few could be measured; add 'red_cell_px', the "
            "red-cell diameter in pixels, to data.yaml"
        )
    return own.model_copy(update={"red_cell_px": round(scale.red_cell_px, 1)})


def _classes(names: dict[str, str], path: Path) -> dict[str, Kind]:
    """Map each class of an export, by what its boxes call it."""
    found = {key: kind_of(name) for key, name in names.items()}
    unknown = [names[key] for key, kind in found.items() if kind is None]
    if unknown:
        raise ConfigError(
            f"{path}: the classes {', '.join(map(repr, unknown))} are not known; rename each in 'names' to "
            "leukocyte, red_cell or platelet"
        )
    return {key: kind for key, kind in found.items() if kind is not None}


def _yolo_sets(path: Path, content: dict[str, Any]) -> list[DetectionDataset]:
    """Return the sets of a ``data.yaml``: one a split, as each split has a folder of its own."""
    names = content["names"]
    if "kpt_shape" in content:
        raise ConfigError(f"{path}: its labels hold key points ('kpt_shape'), no boxes; export boxes")
    numbered = dict(enumerate(names)) if isinstance(names, list) else names
    classes = _classes({str(key): str(name) for key, name in numbered.items()}, path)
    root = path.parent / str(content.get("path") or "")
    sets = []
    for split, words in _SPLITS.items():
        given = next((content[word] for word in words if content.get(word)), None)
        for i, folder in enumerate(given if isinstance(given, list) else [given] if given else []):
            is_list = str(folder).endswith(".txt")
            listed = _listed(root, path, split, str(folder)) if is_list else None
            images = listed[1] if listed else _folder(root, path, split, str(folder))
            labels = _beside(images)
            sets.append(
                DetectionDataset(
                    name=f"{path.parent.name or 'export'}_{split}{i or ''}", format="yolo",
                    images=os.path.relpath(images, path.parent), classes=classes,
                    annotations=os.path.relpath(labels, path.parent),
                    splits={split: str(listed[0]) if listed else "*"}, red_cell_px=content.get("red_cell_px"),
                )
            )  # fmt: skip
    if not any("train" in own.splits for own in sets):
        raise ConfigError(f"{path}: names no folder of training pictures; add 'train: train/images'")
    return sets


def _named_set(path: Path) -> DetectionDataset:
    """Return the set beside a list of class names: all of it is for training."""
    images, labels = _NAME_LISTS[path.name]
    if not (path.parent / images).is_dir():
        raise ConfigError(f"{path}: no folder {images!r} lies beside it; export the pictures, too")
    return DetectionDataset(
        name=path.absolute().parent.name or "export", format="yolo", images=images, annotations=labels,
        classes=_classes({str(i): name for i, name in enumerate(_lines(path))}, path), splits={"train": "*"},
    )  # fmt: skip


def _listed(root: Path, path: Path, split: str, given: str) -> tuple[Path, Path]:
    """Return the list of a split's pictures, as CVAT writes one, and the folder that they lie in."""
    file = root / given if (root / given).is_file() else path.parent / given
    names = [Path(line) for line in _lines(file)]
    folders = {name.parent for name in names}
    if len(folders) != 1:
        raise ConfigError(f"{file}: names {split} pictures of {len(folders)} folders; a split lies in one")
    own = folders.pop()
    below = own.relative_to("data") if own.parts[:1] == ("data",) else own
    for folder in (root / own, path.parent / own, path.parent / below):
        if (folder / names[0].name).is_file():
            return file, folder
    raise ConfigError(f"{file}: names {names[0]}, which is not at {root / own}; export the pictures, too")


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as a list, a name a line ({error})") from error


def _folder(root: Path, path: Path, split: str, given: str) -> Path:
    """Folder of a split's pictures: as named, or, as Roboflow names it, one level too high."""
    tried = [root / given, path.parent / given.removeprefix("../").removeprefix("./")]
    tried += [folder / "images" for folder in tuple(tried)]
    for folder in tried:
        if folder.is_dir() and any(p.suffix.lower() in SUFFIXES for p in folder.iterdir()):
            return folder
    raise ConfigError(
        f"{path}: the folder of the {split} pictures, {given!r}, is not at {tried[0]}; correct '{split}', or "
        "put the export's folders beside this file"
    )


def _beside(images: Path) -> Path:
    """Folder of the labels of a folder of pictures: its last ``images`` becomes ``labels``."""
    parts = list(images.parts)
    for i in reversed(range(len(parts))):
        if parts[i] == "images":
            parts[i] = "labels"
            return Path(*parts)
    return images


def _coco_set(path: Path) -> DetectionDataset:
    """Return the set of a COCO file, whose pictures lie in a folder ``images`` near it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        used = {box["category_id"] for box in content["annotations"]}
        named = [c for c in content["categories"] if c["id"] in used or kind_of(str(c["name"]))]
        names = [str(category["name"]) for category in named]  # Roboflow's first one is the set's own name
        first = Path(str(content["images"][0]["file_name"]).replace("\\", "/"))
    except (OSError, UnicodeDecodeError, ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"{path}: is no COCO file with images and categories ({error!r})") from error
    near = (path.parent, path.parent.parent)
    tried = [base / inner for base in near for inner in ("images", "images/default", ".", first.parent)]
    for folder in tried:
        if (folder / first.name).is_file():
            return DetectionDataset(
                name=path.parent.name or "export", format="coco", images=os.path.relpath(folder, path.parent),
                annotations=path.name, classes=_classes(dict(zip(names, names, strict=True)), path),
                splits={"train": "*"},
            )  # fmt: skip
    raise ConfigError(f"{path}: the picture {first} is not near it; put the pictures into {tried[0]}")
