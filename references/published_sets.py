"""The published sets of single cells as one table: image, class, group, split, scale, and a box where known.

Every set is split by patient, slide or run of neighboring picture numbers, never by picture, and pictures
that two sets share (the PBC half of TXL and PBC itself) fall on the same side.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from smearscan.errors import DatasetError
from smearscan.taxonomy import DETECTOR_CLASSES, LEUKOCYTE, RED_CELL_UM
from smearscan.training.annotated_fields import read_site
from smearscan.training.config import DetectionDataset
from smearscan.weights.pairs import shipped_folder

COLUMNS = ("image", "class", "group", "site", "split", "um_per_px", "x0", "y0", "x1", "y1")

# Micrometers a pixel. Munich: 29 um over the picture (Matek 2019); PBC: red cells of the same pictures boxed
# in TXL; JHU, JTSC, CellaVision: red cells measured by the ruler, median over the set.
_UM_PER_PX = {
    "jhu_aml": RED_CELL_UM / 48.8,
    "pbc": RED_CELL_UM / 49.3,
    "munich_lmu": 29.0 / 256,
    "jtsc": RED_CELL_UM / 42.4,
    "cellavision": RED_CELL_UM / 81.0,
    "marrow_bites": 0.19,
    "aria_all": RED_CELL_UM / 16,
}
# LLD by patient, the ruler's red cells on six fields of each slide
_LLD_UM_PER_PX = {
    1: 0.1116, 4: 0.1122, 12: 0.1227, 15: 0.1202, 21: 0.1201, 23: 0.1230, 24: 0.1095, 27: 0.1143, 28: 0.1223,
    32: 0.1231,
}  # fmt: skip


def published_cells(data_root: Path, fine: bool = False) -> pd.DataFrame:
    """Gather the single cells of every published set that is there.

    Parameters
    ----------
    data_root : Path
        Folder with one folder a set.
    fine : bool
        With the sets that only a net of fine types learns from: several cells a picture, types that the
        blast or the differential net does not know, cells named by their field alone.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS`; ``image`` relative to `data_root`; box NaN where the set gives none.

    Raises
    ------
    DatasetError
        If no known set is there.
    """
    readers = {**_READERS, **_FINE_READERS} if fine else _READERS
    tables = [read(data_root) for name, read in readers.items() if (data_root / name).is_dir()]
    if not tables:
        raise DatasetError(f"{data_root}: holds none of the known sets ({', '.join(readers)})")
    table = pd.concat(tables, ignore_index=True)
    return table.reindex(columns=list(COLUMNS))


def _splits(name: str) -> set[str]:
    return set((shipped_folder("configs") / "splits" / f"{name}.txt").read_text().split())


def _listed_split(values: "pd.Series[str]", site: str) -> "pd.Series[str]":
    """Split by the committed lists of a site; what is in neither is for training."""
    val, test = _splits(f"{site}_val"), _splits(f"{site}_test")
    return values.map(lambda v: "test" if v in test else "val" if v in val else "train")


def _hashed_split(values: "pd.Series[str]") -> "pd.Series[str]":
    """Split sets without any known group: 60/15/25 by a hash of the picture's name, stable for ever."""
    share = values.map(lambda v: int(hashlib.sha256(v.encode()).hexdigest()[:8], 16) / 2**32)
    return share.map(lambda s: "test" if s < 0.25 else "val" if s < 0.4 else "train")


def _index(data_root: Path, site: str, image_folder: str) -> pd.DataFrame:
    table = pd.read_csv(data_root / site / "index.csv")
    prefix = f"{site}/{image_folder}/" if image_folder else f"{site}/"
    table["name"], table["image"] = table["image"], prefix + table["image"]
    table["site"], table["um_per_px"] = site, _UM_PER_PX[site]
    return table


def _jhu(data_root: Path) -> pd.DataFrame:
    table = _index(data_root, "jhu_aml", "images")
    table["group"] = table["patient"]
    return table.assign(split=_listed_split(table["patient"], "jhu_aml"))


def _pbc(data_root: Path) -> pd.DataFrame:
    table = _index(data_root, "pbc", "")
    parts = table["name"].str.extract(r"([A-Z]+)_(\d+)\.")
    cuts = pd.read_csv(shipped_folder("configs") / "splits" / "pbc_cuts.csv").set_index("prefix")
    number = parts[1].astype(int)
    limit = {name: parts[0].map(cuts[name]) for name in cuts.columns}
    held_out = (number < limit["test_below"]) | (number >= limit["test_from"])
    split = (
        pd.Series("train", index=table.index).mask(number >= limit["val_from"], "val").mask(held_out, "test")
    )
    finer = {
        "MY": "myelocyte", "MMY": "metamyelocyte", "PMY": "promyelocyte",
        "BNE": "band_neutrophil", "SNE": "segmented_neutrophil",
    }  # fmt: skip
    table["class"] = table["subtype"].map(finer).fillna(table["class"])
    return table.assign(group=parts[0] + "_" + parts[1], split=split)


def _ungrouped(site: str) -> Callable[[Path], pd.DataFrame]:
    def read(data_root: Path) -> pd.DataFrame:
        table = _index(data_root, site, "images")
        return table.assign(group=table["name"], split=_hashed_split(table["name"]))

    return read


def _bccd(data_root: Path) -> pd.DataFrame:
    site = _boxed("bccd", "voc", "annotations", ("WBC", "RBC", "Platelets"))
    types = pd.read_csv(data_root / "bccd" / "types.csv").query("one_type_one_box == 1").set_index("image")
    return _from_fields(site, data_root, types["types"]).assign(
        split=lambda t: _listed_split(t["group"], "bccd")
    )


def _boxed(
    name: str, format_: Literal["voc", "yolo"], folder: str, labels: tuple[str, ...]
) -> DetectionDataset:
    """All fields of a set whose boxes are in a folder beside its pictures, by its labels of our classes."""
    return DetectionDataset(
        name=name,
        format=format_,
        images=f"{name}/images",
        annotations=f"{name}/{folder}",
        classes=dict(zip(labels, DETECTOR_CLASSES, strict=True)),
        splits={"train": "*"},
    )


def _txl_cells(data_root: Path, source: str) -> tuple[pd.DataFrame, pd.DataFrame, "pd.Series[str]"]:
    """Cells of one of the two sets that TXL is made of, its index, and the picture's name of each cell."""
    index = pd.read_csv(data_root / "txl" / "index.csv").query(f"source == {source!r}").set_index("image")
    table = _from_fields(_boxed("txl", "yolo", "labels", ("0", "1", "2")), data_root, index["type"])
    return table, index, table["image"].str.rsplit("/", n=1).str[-1]


def _txl(data_root: Path) -> pd.DataFrame:
    # the PBC half repeats pictures of the set pbc at another size: it adds nothing
    table, index, name = _txl_cells(data_root, "raabin")
    split = _listed_split(name, "txl_raabin")
    return table.assign(site="txl_raabin", group=name.map(index["slide_or_group"]), split=split)


def overlapping_cells(data_root: Path) -> pd.DataFrame:
    """Gather the cells of TXL whose pictures are also in PBC; ``group`` is the picture they share.

    They are left out of :func:`published_cells`; the leak guard is tried on them.

    Returns
    -------
    DataFrame
        Columns :data:`COLUMNS` without ``split``; located.

    Raises
    ------
    DatasetError
        If the set is not there.
    """
    if not (data_root / "txl" / "index.csv").is_file():
        raise DatasetError(f"{data_root}: the set txl is not there")
    table, index, name = _txl_cells(data_root, "pbc")
    original = name.map(index["original_name"]).map(lambda own: Path(own).stem)
    return table.assign(site="txl_pbc", group=original)


def _from_fields(site: DetectionDataset, data_root: Path, types: "pd.Series[str]") -> pd.DataFrame:
    """Cells of boxed fields whose one leukocyte has a known type."""
    rows = []
    for item in read_site(site, data_root, "train"):
        cells = item.xyxy[item.labels == LEUKOCYTE]
        if item.path.name in types.index and len(cells) == 1:
            rows.append(
                {
                    "image": str(item.path.relative_to(data_root)),
                    "class": types[item.path.name].lower(),
                    "group": item.path.stem,
                    "site": site.name,
                    "um_per_px": RED_CELL_UM / item.red_cell_px,
                    **dict(zip(("x0", "y0", "x1", "y1"), cells[0].round(1).tolist(), strict=True)),
                }
            )
    return pd.DataFrame(rows)


def _lld(data_root: Path) -> pd.DataFrame:
    # the types of patient 24 are unsure: small dark erythroblasts and smudges go by the names of blasts
    table = pd.read_csv(data_root / "lld" / "boxes.csv").query("patient != 24")
    return table.assign(
        image="lld/images/" + table["image"],
        group="lld_" + table["patient"].astype(str),
        site="lld",
        split="train",
        um_per_px=table["patient"].map(_LLD_UM_PER_PX),
    )


def _marrow(data_root: Path) -> pd.DataFrame:
    table = _index(data_root, "marrow_bites", "images")
    return table.assign(group=table["name"], split="train")


_ARIA_BAR = (40, 30)
"""The scale bar in the lower right corner, width and height in pixels; its look differs by class."""


def _aria(data_root: Path) -> pd.DataFrame:
    """Cells that only their field's diagnosis names: those boxed, and one a field of those without boxes.

    A malignant field's leukocytes are lymphoblasts but for a few, a benign one has none. No cell was looked
    at alone. Cells whose surroundings show the scale bar are left out.
    """
    index = pd.read_csv(data_root / "aria_all" / "index.csv").set_index("image")
    table = pd.read_csv(data_root / "aria_all" / "boxes.csv")
    room = 1.42 * 20 / 2 / _UM_PER_PX["aria_all"]
    x, y = (table["x0"] + table["x1"]) / 2, (table["y0"] + table["y1"]) / 2
    table = table[(x < 224 - _ARIA_BAR[0] - room) | (y < 224 - _ARIA_BAR[1] - room)]
    unboxed = sorted(set(index.index[index["field_class"] != "early"]))
    table = pd.concat([table, pd.DataFrame({"image": unboxed})], ignore_index=True)
    name = table["image"]
    field = name.map(index["field_class"])
    return table.assign(
        image="aria_all/images/" + name,
        group=field + "_" + name.map(index["block"]).astype(str),
        site="aria_all",
        split=_listed_split(name, "aria_all"),
        um_per_px=_UM_PER_PX["aria_all"],
        **{"class": np.where(field == "benign", "benign field", "malignant field")},
    )


_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "bccd": _bccd,
    "txl": _txl,
    "pbc": _pbc,
    "jhu_aml": _jhu,
    "munich_lmu": _ungrouped("munich_lmu"),
    "jtsc": _ungrouped("jtsc"),
    "cellavision": _ungrouped("cellavision"),
}

_FINE_READERS: dict[str, Callable[[Path], pd.DataFrame]] = {
    "lld": _lld,
    "marrow_bites": _marrow,
    "aria_all": _aria,
}
