"""What is fuzzed: parsers of foreign bytes, each with sound files to start from and what it promises."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from references.bad_inputs.labels import KINDS, LabelKind, lay_out
from smearscan.errors import SmearscanError
from smearscan.io import read_image
from smearscan.io.folders import survey
from smearscan.weights.pairs import load_any_card, shipped

_MOST_PIXELS = 250_000
"""So large may a picture be that a fuzzer makes of a header: what is larger is refused, as in a scan."""


class BrokenPromiseError(Exception):
    """A parser did what it promises not to."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser.

    Attributes
    ----------
    seeds : tuple of bytes
        Sound files.
    run : callable
        Called with a folder of its own and a file's content; raises :class:`BrokenPromiseError`, or whatever
        the parser should not have raised.
    """

    seeds: tuple[bytes, ...]
    run: Callable[[Path, bytes], None]


def targets() -> dict[str, Target]:
    """Return every target by its name."""
    labels = {
        f"labels: {name}": Target((kind.sound.encode(),), partial(_read_labels, kind))
        for name, kind in KINDS.items()
    }
    card = shipped("detector").with_suffix(".yaml").read_bytes()
    return {
        "picture": Target(_pictures(), _read_picture),
        "folder": Target(_pictures()[:2], _survey),
        "weights card": Target((card,), _read_card),
        **labels,
    }


def _read_picture(folder: Path, data: bytes) -> None:
    """Read a file: an RGB picture within the limits, or an error that names the file."""
    path = folder / "field.png"
    path.write_bytes(data)
    try:
        image = read_image(path, _MOST_PIXELS)
    except SmearscanError as error:
        _check_named(error, path)
        return
    if (
        image.dtype != np.uint8
        or image.ndim != 3
        or image.shape[2] != 3
        or image[:, :, 0].size > _MOST_PIXELS
    ):
        raise BrokenPromiseError(f"read as {image.dtype} {image.shape}")


def _survey(folder: Path, data: bytes) -> None:
    """Look at a file of a slide's folder: it is a field, a failure or a whole slide, and it has a word."""
    (folder / "slide").mkdir(exist_ok=True)
    path = folder / "slide" / "field.tif"
    path.write_bytes(data)
    found = survey(folder)
    if len(found.slides) != 1:
        raise BrokenPromiseError(f"{len(found.slides)} slides")


def _read_labels(kind: LabelKind, folder: Path, data: bytes) -> None:
    """Read a label file: labels, or an error that names the file."""
    path = lay_out(kind, folder)
    path.write_bytes(data)
    try:
        kind.read(folder)
    except SmearscanError as error:
        _check_named(error, path)


def _read_card(folder: Path, data: bytes) -> None:
    path = folder / "card.yaml"
    path.write_bytes(data)
    try:
        load_any_card(path.with_suffix(".safetensors"))
    except SmearscanError as error:
        _check_named(error, path)


def _check_named(error: SmearscanError, path: Path) -> None:
    if path.stem not in str(error):
        raise BrokenPromiseError(f"the error does not name {path.name}: {error}")


def _pictures() -> tuple[bytes, ...]:
    """Small pictures of each kind that is read."""
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)

    def by_pillow(kind: str, **options: object) -> bytes:
        out = io.BytesIO()
        Image.fromarray(image).save(out, kind, **options)
        return out.getvalue()

    def by_tifffile(**options: object) -> bytes:
        out = io.BytesIO()
        tifffile.imwrite(out, image, photometric="rgb", **options)  # type: ignore[arg-type]
        return out.getvalue()

    return (
        by_tifffile(), by_tifffile(compression="lzw", tile=(16, 16)), by_tifffile(compression="jpeg"),
        by_tifffile(bigtiff=True, compression="zlib", predictor=True),
        by_pillow("JPEG"), by_pillow("JPEG", progressive=True), by_pillow("PNG"), by_pillow("BMP"),
        imagecodecs.png_encode(image.astype(np.uint16) * 257), imagecodecs.webp_encode(image),
    )  # fmt: skip
