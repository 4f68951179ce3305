"""Drawn slides on disk: folders of fields, and the truth as one table."""

import csv
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2

from smearscan.errors import ConfigError, SmearscanError
from smearscan.synthetic.smear import draw_slide, seed_sequence
from smearscan.synthetic.spec import SmearSpec
from smearscan.taxonomy import DETECTOR_CLASSES

TRUTH_COLUMNS: Final = ("slide", "field", "x0", "y0", "x1", "y1", "label", "type")
_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")


def write_slides(
    directory: Path,
    slides: Mapping[str, SmearSpec],
    n_fields: int,
    seed: int,
    quality: int = 92,
    suffix: str = ".jpg",
) -> Path:
    """Write drawn slides and their truth.

    Parameters
    ----------
    directory : Path
        Made where it is missing; gets ``SLIDE/field_0001.jpg`` and so on, and ``truth.csv``.
    slides : mapping of str to SmearSpec
        Name of each slide (a plain folder name) and what is on it. A slide's pixels depend on its name, its
        spec and the seed, not on the other slides.
    n_fields : int
        Fields a slide, from 1.
    seed : int
        Seed of the whole set.
    quality : int, optional
        JPEG quality, 1 to 100.
    suffix : str, optional
        ``.jpg``, ``.png``, ``.tif`` or ``.bmp``.

    Returns
    -------
    Path
        ``truth.csv``: one row a cell with columns slide, field, x0, y0, x1, y1, label, type. ``field`` is the
        path relative to `directory`, boxes are field pixels, half-open, ``label`` is a name from
        `smearscan.taxonomy.DETECTOR_CLASSES`, ``type`` is empty but for leukocytes.

    Raises
    ------
    ConfigError
        A value is out of its range or a slide's name is no folder name.
    SmearscanError
        A picture cannot be written.
    """
    _check(slides, n_fields, quality, suffix)
    directory.mkdir(parents=True, exist_ok=True)
    truth = directory / "truth.csv"
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix.lower() in (".jpg", ".jpeg") else []
    with truth.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(TRUTH_COLUMNS)
        for slide, spec in slides.items():
            folder = directory / slide
            folder.mkdir(exist_ok=True)
            slide_seed = seed_sequence(seed, zlib.crc32(slide.encode()))
            for number, drawn in enumerate(draw_slide(spec, n_fields, slide_seed), 1):
                path = folder / f"field_{number:04d}{suffix}"
                if not cv2.imwrite(str(path), cv2.cvtColor(drawn.image, cv2.COLOR_RGB2BGR), options):
                    raise SmearscanError(f"{path} cannot be written; check its folder's rights and space")
                name = path.relative_to(directory).as_posix()
                for box, label, kind in zip(drawn.xyxy, drawn.labels, drawn.types, strict=True):
                    corners = [str(int(v)) for v in box]
                    writer.writerow([slide, name, *corners, DETECTOR_CLASSES[int(label)], kind])
    return truth


def _check(slides: Mapping[str, SmearSpec], n_fields: int, quality: int, suffix: str) -> None:
    if n_fields < 1:
        raise ConfigError(f"n_fields is {n_fields}; give 1 or more")
    if not 1 <= quality <= 100:
        raise ConfigError(f"quality is {quality}; give a JPEG quality from 1 to 100")
    if suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"suffix is {suffix!r}; use one of {', '.join(_SUFFIXES)}")
    if not slides:
        raise ConfigError("no slide to write; name at least one")
    for name in slides:
        if not re.fullmatch(r"\w[\w .\-]*", name):
            raise ConfigError(
                f"slide name {name!r} is no plain folder name; use letters, digits, '_', '-', '.' and spaces"
            )
