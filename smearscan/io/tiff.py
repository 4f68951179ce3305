"""TIFF by tifffile and imagecodecs: each kind is read as its tags say, or refused by name."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from xml.etree import ElementTree

import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray

from smearscan.errors import ImageError
from smearscan.io.icc import to_srgb
from smearscan.io.limits import check_size
from smearscan.io.samples import to_rgb8, turned_upright
from smearscan.io.tiff_series import series_of

Rgb = NDArray[np.uint8]

_ORIENTATION, _PROFILE, _MAX_SAMPLE_VALUE = 274, 34675, 281  # tags
_JPEG = 7
_COMPRESSIONS = {1, 5, _JPEG, 8, 32773, 32946, 34925, 34926, 50000}
"""None, LZW, JPEG, Deflate, PackBits, LZMA, Zstandard. With JPEG-2000 or WebP damage is not noticed."""

_PHOTOMETRICS = {"MINISBLACK", "MINISWHITE", "RGB", "PALETTE", "YCBCR"}
_SAME_ASPECT = 0.03
_SMALL = 0.25
"""Another picture of so few pixels, beside the largest, is a label or an overview."""

_CHANNELS_ALIKE = 0.2
"""Least correlation of three gray pages that are the channels of one photograph, not three photographs."""


def decode_tiff(data: bytes, name: str, max_pixels: int) -> Rgb:
    """Decode the picture of a TIFF file: BigTIFF, OME-TIFF and ImageJ's among them.

    Parameters
    ----------
    data : bytes
        The file. Smaller versions of its picture (thumbnails, pyramid levels) are passed over; three gray
        pages that belong together are red, green and blue, in the order that ImageJ's or OME's names and
        colors of channels give, where they do.
    name : str
        Of the file, for messages.
    max_pixels : int
        Limit of height times width.

    Returns
    -------
    ndarray, (H, W, 3) uint8
        RGB, upright.

    Raises
    ------
    ImageError
        If the file is damaged, holds several pictures, or is of a kind that is not read.
    """
    try:
        with _complaints() as told, tifffile.TiffFile(BytesIO(data), _multifile=False) as file:
            series = _largest(file, name)
            _check_kind(series, name, max_pixels)
            _check_whole(series, data, name)
            samples = np.asarray(series.asarray())
            order = _order_of_channels(file)
    except ImageError:
        raise
    except Exception as error:  # a parser of foreign bytes may raise anything: then the file is not readable
        raise ImageError(f"{name}: is no readable picture ({error or type(error).__name__})") from error
    if told:
        raise ImageError(f"{name}: the TIFF file is damaged ({told[0]}); export it again")
    page = series.keyframe
    image = _colors(samples, series.axes, page, order, name)
    profile = page.tags.valueof(_PROFILE)
    if profile is not None and page.photometric.name in ("RGB", "YCBCR"):
        image = to_srgb(image, bytes(profile))
    return turned_upright(image, page.tags.valueof(_ORIENTATION))


class _Listener(logging.Handler):
    """Keeps what tifffile logs as an error while this thread reads: it goes on, with part of the picture."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        told: list[str] | None = getattr(self.told, "list", None)
        if told is not None:
            told.append(record.getMessage())


_LISTENER = _Listener()


@contextmanager
def _complaints() -> Iterator[list[str]]:
    logger = logging.getLogger("tifffile")
    if _LISTENER not in logger.handlers:
        logger.addHandler(_LISTENER)
    told: list[str] = []
    _LISTENER.told.list = told
    try:
        yield told
    finally:
        _LISTENER.told.list = None


def _largest(file: tifffile.TiffFile, name: str) -> Any:
    """Choose the picture; all others must be smaller versions of it, or labels beside it."""
    found = sorted(series_of(file), key=lambda s: _pixels(s), reverse=True)
    if not found:
        raise ImageError(f"{name}: is no readable picture (a TIFF file without a page)")
    page = found[0].keyframe
    for other in (s.keyframe for s in found[1:]):
        aspect = np.log((page.imagewidth * other.imagelength) / (page.imagelength * other.imagewidth))
        share = other.imagewidth * other.imagelength / (page.imagewidth * page.imagelength)
        smaller = share < 1 and (abs(aspect) < _SAME_ASPECT or other.is_reduced)
        if not smaller and share > _SMALL:
            raise ImageError(f"{name}: holds {len(found)} pictures; save each as a file of its own")
    return found[0]


def _pixels(series: Any) -> int:
    return int(series.keyframe.imagewidth * series.keyframe.imagelength)


def _check_kind(series: Any, name: str, max_pixels: int) -> None:
    """Refuse by name what is not known to be read rightly, before anything is decoded."""
    page = series.keyframe
    check_size(page.imagelength, page.imagewidth, name, max_pixels)
    if page.compression not in _COMPRESSIONS:
        kind = getattr(page.compression, "name", page.compression)
        raise ImageError(f"{name}: TIFF with {kind} compression is not read; save it with LZW or without")
    photometric = getattr(page.photometric, "name", str(page.photometric))
    if photometric not in _PHOTOMETRICS or (photometric == "YCBCR" and page.compression != _JPEG):
        raise ImageError(f"{name}: TIFF of {photometric} colors is not read; save it as RGB")
    if not isinstance(page.bitspersample, int):
        raise ImageError(f"{name}: samples of {page.bitspersample} bits are not read; save it as 8 bit RGB")
    axes, shape = _squeezed(series.axes, series.shape)
    if axes in ("YX", "YXS", "SYX"):
        return
    if len(axes) == 3 and axes.endswith("YX") and shape[0] == 3 and page.samplesperpixel == 1:
        return
    n = int(np.prod([size for axis, size in zip(axes, shape, strict=True) if axis not in "YXS"]))
    raise ImageError(f"{name}: holds {n} pictures (axes {axes}); save each as a file of its own")


def _squeezed(axes: str, shape: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
    kept = [(a, n) for a, n in zip(axes, shape, strict=True) if n > 1 or a in "YX"]
    return "".join(a for a, _ in kept), tuple(n for _, n in kept)


def _check_whole(series: Any, data: bytes, name: str) -> None:
    """Check that each part of the picture is there; JPEG parts strictly, which tifffile does not."""
    for page in series.pages:
        if page is None or not all(page.databytecounts) or not all(page.dataoffsets):
            raise ImageError(f"{name}: a part of the TIFF picture is missing; export it again")
        if page.keyframe.compression != _JPEG:
            continue
        tables = page.keyframe.jpegtables
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            part = data[offset : offset + count]
            try:
                simplejpeg.decode_jpeg((tables[:-2] + part[2:]) if tables else part, "RGB")
            except ValueError as error:
                raise ImageError(f"{name}: JPEG within TIFF is damaged ({error}); export it again") from error


def _colors(samples: NDArray[Any], axes: str, page: Any, order: tuple[int, int, int], name: str) -> Rgb:
    axes, shape = _squeezed(axes, samples.shape)
    samples = samples.reshape(shape)
    if axes == "SYX":
        samples = np.moveaxis(samples, 0, 2)
    elif axes not in ("YX", "YXS"):
        _check_channels(samples, name)
        samples = np.moveaxis(samples[list(order)], 0, 2)
    if page.photometric.name == "PALETTE":
        return _from_palette(samples, page.colormap, name)
    alpha = [int(kind) for kind in page.extrasamples if int(kind) in (1, 2)]
    n = samples.shape[2] if samples.ndim == 3 else 1
    if n > 4 or (n == 4 and page.photometric.name == "MINISBLACK"):
        raise ImageError(f"{name}: {n} samples a pixel are not read; save it as RGB")
    if n in (2, 4) and not alpha:
        samples = samples[:, :, : n - 1]  # a sample that is said to mean nothing
    image = to_rgb8(samples, name, _full(samples, page), "associated" if 1 in alpha else "unassociated")
    return 255 - image if page.photometric.name == "MINISWHITE" else image


def _full(samples: NDArray[Any], page: Any) -> float | None:
    """Value of white as the tags give it; None where these leave open what the camera filled of 16 bits."""
    bits = page.bitspersample
    if samples.dtype.kind != "u" or bits > 16:
        return None
    if bits < 16 or page.photometric.name == "MINISWHITE":  # there the largest value is the darkest
        return float(2**bits - 1)
    told = page.tags.valueof(_MAX_SAMPLE_VALUE)
    told = max(told) if isinstance(told, tuple) else told
    return float(told) if told in (1023, 4095, 16383) and samples.max() <= told else None


def _from_palette(index: NDArray[Any], colormap: NDArray[Any], name: str) -> Rgb:
    if index.ndim != 2 or int(index.max()) >= colormap.shape[1]:
        raise ImageError(f"{name}: the TIFF file's palette lacks colors of its picture; save it as RGB")
    eight_bits = colormap >> 8 if colormap.max() > 255 else colormap
    return np.ascontiguousarray(eight_bits.T.astype(np.uint8)[index])


def _check_channels(pages: NDArray[Any], name: str) -> None:
    """Refuse three gray pages that are three photographs, of which channels would make a false one."""
    step = max(1, max(pages.shape[1:]) // 512)
    flat = pages[:, ::step, ::step].reshape(3, -1).astype(np.float64)
    spread = flat.std(axis=1)
    if (spread > 0).all() and np.corrcoef(flat).min() < _CHANNELS_ALIKE:
        raise ImageError(f"{name}: holds 3 gray pictures that do not belong together; save each as a file")


def _order_of_channels(file: tifffile.TiffFile) -> tuple[int, int, int]:
    """Which page is red, which green, which blue, as the file's own names or colors say; else in order."""
    found: list[int | None] = []
    if file.is_imagej and file.imagej_metadata:
        luts = file.imagej_metadata.get("LUTs", [])
        found = [_primary([int(channel[-1]) for channel in lut]) for lut in luts]
    elif file.is_ome and file.ome_metadata:
        tree = ElementTree.fromstring(file.ome_metadata)
        found = [_ome_primary(c.attrib) for c in tree.iter() if c.tag.endswith("}Channel")]
    if sorted(f for f in found if f is not None) != [0, 1, 2]:
        return 0, 1, 2
    return found.index(0), found.index(1), found.index(2)


def _ome_primary(channel: dict[str, str]) -> int | None:
    name = channel.get("Name", "").strip().lower()
    for i, names in enumerate((("red", "r"), ("green", "g"), ("blue", "b"))):
        if name in names:
            return i
    try:
        color = int(channel["Color"]) & 0xFFFFFFFF
    except (KeyError, ValueError):
        return None
    return _primary([color >> 24 & 255, color >> 16 & 255, color >> 8 & 255])


def _primary(rgb: list[int]) -> int | None:
    """0, 1 or 2 for pure red, green or blue."""
    lit = [i for i, value in enumerate(rgb) if value > 0]
    return lit[0] if len(lit) == 1 else None
