"""Published fields, scanned as slides: of people without leukemia, and of a promyelocytic leukemia."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from smearscan.differential.slide_report import SlideReport
from smearscan.errors import DatasetError
from smearscan.scan.scanner import SmearScanner

_FEWEST_FIELDS = 20
"""Smaller slides of TXL-Raabin are one: alone they are too few cells to be said anything of."""
LEUKEMIC = ("apml",)


def measure_published_slides(scanner: SmearScanner, data: Path) -> list[dict[str, Any]]:
    """Scan the fields of BCCD, TXL and the promyelocytic case as slides.

    BCCD and TXL-PBC, which tell no slide, are one slide each; TXL-Raabin's slides are its own. Part of their
    cells are in the classifiers' training.

    Returns
    -------
    list of dict
        Of each slide ``slide, leukemic, fields, leukocytes, unclassified_percent, blast_percent, flag,
        flag_tier, suspects``.

    Raises
    ------
    DatasetError
        If a set is not there.
    """
    with TemporaryDirectory() as folder:
        for slide, field in _fields(data):
            place = Path(folder, slide)
            place.mkdir(exist_ok=True)
            try:
                shutil.copy(field, place / field.name)
            except OSError as error:
                raise DatasetError(f"{field}: cannot be copied ({error.strerror})") from error
        return [_told(report) for report, _ in scanner.scan_slides(folder)]


def _fields(data: Path) -> Iterator[tuple[str, Path]]:
    try:
        txl = pd.read_csv(data / "txl/index.csv", dtype=str)
    except OSError as error:
        raise DatasetError(f"{data}: txl/index.csv cannot be read ({error.strerror})") from error
    raabin = txl["source"] == "raabin"
    large = txl.groupby("slide_or_group")["image"].transform("size") >= _FEWEST_FIELDS
    own = txl["slide_or_group"].where(raabin & large)
    slides = ("raabin_" + own).fillna(raabin.map({True: "raabin_small_slides", False: "pbc"}))
    for slide, image in zip(slides, txl["image"], strict=True):
        yield f"txl_{slide}", data / "txl/images" / image
    for name, place in (("bccd", "bccd/images"), ("apml", "apml_fields")):
        for path in sorted((data / place).glob("*.jpg")):
            yield name, path


def _told(report: SlideReport) -> dict[str, Any]:
    unnamed = report.n_unclassified / max(report.n_leukocytes, 1)
    return {
        "slide": report.slide_id,
        "leukemic": report.slide_id in LEUKEMIC,
        "fields": report.tally.n_fields,
        "leukocytes": report.n_leukocytes,
        "unclassified_percent": round(100 * unnamed, 1),
        "blast_percent": round(report.blast_percent, 1),
        "flag": report.flag.state,
        "flag_tier": report.flag.tier,
        "suspects": [suspect.name for suspect in report.suspects],
    }
