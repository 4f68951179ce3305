"""Drawn fields to measure with, kept in build/benchmarks: always the same pixels, never committed."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan import synthetic
from smearscan.io.decode import write_image
from smearscan.synthetic import BEIGE, HEALTHY, SmearSpec, draw_slide
from smearscan.taxonomy import LEUKOCYTE, RED_CELL_UM

FOLDER = Path(__file__).resolve().parents[1] / "build" / "benchmarks"
_SEED = 20


@dataclass(frozen=True, slots=True)
class Kind:
    """A camera's fields.

    Attributes
    ----------
    name : str
        Width and height.
    spec : SmearSpec
        What is drawn.
    enlarged : int
        The drawing is enlarged so many times before the sensor's noise is added.
    distinct : int
        Different fields; larger slides repeat them under other names.
    """

    name: str
    spec: SmearSpec
    enlarged: int
    distinct: int

    @property
    def um_per_px(self) -> float:
        """Micrometers a pixel of the field."""
        return self.spec.um_per_px / self.enlarged

    @property
    def red_cell_px(self) -> float:
        """Width of a red cell, pixels of the field."""
        return RED_CELL_UM / self.um_per_px


SMALL = Kind("640x480", replace(HEALTHY, stain=BEIGE), 1, 50)
"""As the fields of BCCD: a red cell is 105 px wide, one or two leukocytes a field."""

# The same field of view by a camera of 5 megapixels. The optics' blur is as wide on the slide as in the small
# field; drawn at half size, for the drawing's own grain is no finer.
LARGE = Kind(
    "2592x1944",
    replace(SMALL.spec, height=972, width=1296, um_per_px=SMALL.um_per_px * 640 / 1296, blur_px=1.6, noise=0),
    2,
    20,
)
KINDS = {kind.name: kind for kind in (SMALL, LARGE)}


def slide(kind: Kind, n_fields: int) -> Path:
    """Give a folder with one slide of so many fields; it is drawn if it is not there yet."""
    drawn = _drawn(kind)
    root = FOLDER / "slides" / f"{drawn.name}-{n_fields}"
    if not root.is_dir():
        new = root.with_name(f"{root.name}-{os.getpid()}")
        (new / "slide").mkdir(parents=True)
        sources = sorted(drawn.glob("*.jpg"))
        for i in range(n_fields):
            picture = sources[i % len(sources)].read_bytes()
            (new / "slide" / f"field_{i:05d}.jpg").write_bytes(numbered(picture, i))
        new.replace(root)
    return root


def write_slides(root: Path, spec: SmearSpec, n_fields: int, fields_a_slide: int, n_drawn: int) -> None:
    """Write slides of so many fields, ``slide_00000`` and on, each one of `n_drawn` drawn squares, turned.

    A field that came again as it is would be found to overlap with each of its like, which takes long.
    """
    diagonal = int(np.ceil(np.hypot(spec.height, spec.width)))
    more = diagonal**2 / (spec.height * spec.width)
    square = replace(spec, height=diagonal, width=diagonal, leukocytes=spec.leukocytes * more)
    drawn = [cv2.cvtColor(field.image, cv2.COLOR_RGB2BGR) for field in draw_slide(square, n_drawn, seed=1)]
    rng = np.random.default_rng(_SEED)
    for i in range(n_fields):
        folder = root / f"slide_{i // fields_a_slide:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        field = _turned(drawn[i % len(drawn)], rng.uniform(0, 360), spec)
        (folder / f"{i:06d}.jpg").write_bytes(cv2.imencode(".jpg", field)[1].tobytes())


def _turned(square: NDArray[np.uint8], degrees: float, spec: SmearSpec) -> NDArray[np.uint8]:
    """Turn a square about its middle, and cut a field out of there."""
    turn = cv2.getRotationMatrix2D((len(square) / 2, len(square) / 2), degrees, 1)
    turn[:, 2] += (spec.width - len(square)) / 2, (spec.height - len(square)) / 2
    return np.asarray(cv2.warpAffine(square, turn, (spec.width, spec.height)), np.uint8)


def numbered(picture: bytes, number: int) -> bytes:
    """Put a number after a JPEG's end, which is no part of the picture: of copies a scan reads one alone."""
    return picture + number.to_bytes(8, "big")


def truth(kind: Kind) -> list[NDArray[np.float32]]:
    """Boxes of the drawn leukocytes, (N, 4) field pixels, of each different field in order."""
    told = json.loads((_drawn(kind) / "truth.json").read_text())
    return [np.array(boxes, np.float32).reshape(-1, 4) for boxes in told]


def _drawn(kind: Kind) -> Path:
    """Draw the different fields of a kind, once for each state of the drawing code."""
    digest = hashlib.sha256(repr(sorted(asdict(kind).items())).encode())
    for file in (*sorted(Path(str(synthetic.__file__)).parent.glob("*.py")), Path(__file__)):
        digest.update(file.read_bytes())
    folder = FOLDER / "fields" / f"{kind.name}-{digest.hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    new = folder.with_name(f"{folder.name}-{os.getpid()}")
    new.mkdir(parents=True)
    boxes = []
    rng = np.random.default_rng(_SEED)
    for i, field in enumerate(draw_slide(kind.spec, kind.distinct, _SEED)):
        write_image(new / f"field_{i:03d}.jpg", _enlarged(field.image, kind.enlarged, rng))
        boxes.append((field.xyxy[field.labels == LEUKOCYTE] * kind.enlarged).tolist())
    (new / "truth.json").write_text(json.dumps(boxes))
    new.replace(folder)
    return folder


def _enlarged(image: NDArray[np.uint8], times: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    if times == 1:
        return image
    large = cv2.resize(image, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grain = cv2.GaussianBlur(rng.standard_normal(large.shape, dtype=np.float32), (3, 3), 0.6)
    return np.asarray(np.clip(large + grain * 1.6 * HEALTHY.noise + 0.5, 0, 255), np.uint8)
