"""Whole-slide files as pyramids: any region of any level, and never a level whole.

Scanners' own formats are read by OpenSlide (the extra ``smearscan[wsi]``), tiled TIFF and OME-TIFF by
tifffile. Label and overview pictures, which may show a patient's name, are never opened.
"""

import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray

from smearscan.errors import ImageError
from smearscan.io.tiff_series import series_of

Rgb = NDArray[np.uint8]

_JPEG, _PROFILE = 7, 34675
_MICROMETERS = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
_PLAUSIBLE_UM = (0.02, 2.0)
"""Sizes of a pixel that a microscope gives; others are a writer's default (72 or 96 dots an inch)."""

INSTALL = "install it with: pip install 'smearscan[wsi]'"


class Pyramid(Protocol):
    """A slide in several resolutions.

    Attributes
    ----------
    levels : tuple of (int, int)
        Height and width of each level in its own pixels, the finest first.
    um_per_px : float or None
        Micrometers a pixel of level 0, where the file says so.
    profile : bytes or None
        ICC profile.
    """

    levels: tuple[tuple[int, int], ...]
    um_per_px: float | None
    profile: bytes | None

    def read(self, level: int, x: int, y: int, width: int, height: int) -> Rgb:
        """Read a region, (height, width, 3) uint8 RGB; `x` and `y` in pixels of that level, within it.

        Raises
        ------
        ImageError
            If a part of it is damaged.
        """

    def close(self) -> None:
        """Close the file."""


class OpenSlidePyramid:
    """A file in a scanner's own format, read by OpenSlide; several threads may read at once.

    Raises
    ------
    ImageError
        If OpenSlide is not installed, or cannot open the file.
    """

    def __init__(self, path: Path) -> None:
        openslide = _openslide(path)
        self._path = path
        self._failed: Any = openslide.OpenSlideError
        try:
            self._slide = openslide.OpenSlide(path)
        except (openslide.OpenSlideError, OSError) as error:
            raise _unreadable(path, error) from error
        told = self._slide.properties
        self.levels = tuple((height, width) for width, height in self._slide.level_dimensions)
        sides = [_number(told.get(f"openslide.mpp-{axis}")) for axis in "xy"]
        self.um_per_px = _pixel_size(*sides)
        color = told.get("openslide.background-color", "FFFFFF")
        self._background = np.array(list(bytes.fromhex(color)), np.float32)
        own = self._slide.color_profile
        self.profile = own.tobytes() if own is not None else None

    def read(self, level: int, x: int, y: int, width: int, height: int) -> Rgb:
        """See :class:`Pyramid`; where nothing was scanned, the background's color."""
        factor = self._slide.level_downsamples[level]
        try:
            picture = self._slide.read_region((round(x * factor), round(y * factor)), level, (width, height))
        except (self._failed, OSError) as error:
            raise ImageError(
                f"{self._path}: cannot be read at {x}, {y} of level {level} ({error}); copy it again"
            ) from error
        rgba = np.asarray(picture)
        alpha = rgba[:, :, 3:]
        if alpha.min() == 255:
            return np.ascontiguousarray(rgba[:, :, :3])
        share = alpha.astype(np.float32) / 255
        mixed = rgba[:, :, :3] * share + self._background * (1 - share)
        return np.asarray(np.round(mixed), np.uint8)

    def close(self) -> None:
        """See :class:`Pyramid`."""
        self._slide.close()


class TiffPyramid:
    """A tiled TIFF or OME-TIFF file of 8-bit colors; several threads may read at once.

    Raises
    ------
    ImageError
        If the file is damaged or of a kind that is not read.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()  # one file handle: seeking and reading go together
        try:
            self._file = tifffile.TiffFile(path, _multifile=False)
        except Exception as error:  # a parser of foreign bytes may raise anything
            raise _unreadable(path, error) from error
        try:
            series = max(series_of(self._file), key=lambda s: s.keyframe.imagewidth * s.keyframe.imagelength)
            self._pages = [level.keyframe for level in series.levels]
            for page in self._pages:
                self._check(page)
            self.levels = tuple((page.imagelength, page.imagewidth) for page in self._pages)
            self.um_per_px = _ome_pixel_size(self._file) or _tiff_pixel_size(self._pages[0])
            profile = self._pages[0].tags.valueof(_PROFILE)
            self.profile = bytes(profile) if profile is not None else None
        except ImageError:
            self._file.close()
            raise
        except Exception as error:
            self._file.close()
            raise _unreadable(path, error) from error

    def _check(self, page: Any) -> None:
        colors = getattr(page.photometric, "name", str(page.photometric))
        if not page.is_tiled:
            told = "stored in strips, of which no region can be read alone; save it as tiles"
        elif page.bitspersample != 8 or page.samplesperpixel not in (3, 4) or page.planarconfig != 1:
            told = (
                f"of {page.samplesperpixel} samples of {page.bitspersample} bits; save it as 8-bit RGB, "
                "samples of a pixel together"
            )
        elif colors not in ("RGB", "YCBCR"):
            told = f"of {colors} colors; save it as RGB"
        elif not all(page.dataoffsets) or not all(page.databytecounts):
            told = "incomplete, a tile is missing; export it again"
        else:
            return
        raise ImageError(f"{self._path}: the whole slide is not read, it is {told}")

    def read(self, level: int, x: int, y: int, width: int, height: int) -> Rgb:
        """See :class:`Pyramid`."""
        page = self._pages[level]
        side_y, side_x = page.tilelength, page.tilewidth
        across = -(-page.imagewidth // side_x)
        out = np.empty((height, width, 3), np.uint8)
        for row in range(y // side_y, -(-(y + height) // side_y)):
            for column in range(x // side_x, -(-(x + width) // side_x)):
                tile = self._tile(page, row * across + column)
                top, left = row * side_y, column * side_x
                y0, y1 = max(y, top), min(y + height, top + tile.shape[0])
                x0, x1 = max(x, left), min(x + width, left + tile.shape[1])
                out[y0 - y : y1 - y, x0 - x : x1 - x] = tile[y0 - top : y1 - top, x0 - left : x1 - left]
        return out

    def _tile(self, page: Any, index: int) -> Rgb:
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        with self._lock:
            self._file.filehandle.seek(offset)
            data = self._file.filehandle.read(count)
        try:
            if page.compression == _JPEG and getattr(page.photometric, "name", "") == "YCBCR":
                tables = page.jpegtables  # strict, which tifffile is not
                return np.asarray(simplejpeg.decode_jpeg((tables[:-2] + data[2:]) if tables else data, "RGB"))
            samples = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0]
        except Exception as error:  # a decoder of foreign bytes may raise anything
            raise ImageError(f"{self._path}: a tile is damaged ({error}); copy the file again") from error
        if samples is None or len(data) < count:
            raise ImageError(f"{self._path}: a tile is missing; copy the file again")
        return np.asarray(samples[0][:, :, :3], np.uint8)

    def close(self) -> None:
        """See :class:`Pyramid`."""
        self._file.close()


def _unreadable(path: Path, error: Exception) -> ImageError:
    why = str(error) or type(error).__name__
    return ImageError(f"{path}: is no readable whole slide ({why}); copy it again, with all files beside it")


def open_pyramid(path: Path, is_tiff: bool) -> Pyramid:
    """Open a whole slide: a TIFF file that no scanner's own format is by tifffile, all else by OpenSlide.

    Raises
    ------
    ImageError
        As the classes above.
    """
    if is_tiff and _scanner_of(path) in (None, "generic-tiff"):
        return TiffPyramid(path)
    return OpenSlidePyramid(path)


def _scanner_of(path: Path) -> str | None:
    """Format of a file as OpenSlide knows it; None where it knows none, or is not installed."""
    try:
        from openslide import OpenSlide
    except ImportError:
        return None
    name: str | None = OpenSlide.detect_format(path)
    return name


def is_tiled_pyramid(path: Path, least_side: int) -> bool:
    """Whether a TIFF file is tiled, has reduced levels, and a side of at least `least_side` pixels."""
    try:
        with tifffile.TiffFile(path, _multifile=False) as file:
            first = file.pages.first
            if not first.is_tiled or max(first.imagewidth, first.imagelength) < least_side:
                return False
            return any(len(series.levels) > 1 for series in series_of(file))
    except Exception:  # what cannot be parsed is no pyramid: reading it as a picture tells why
        return False


def _openslide(path: Path) -> Any:
    """Import OpenSlide where a slide needs it."""
    try:
        import openslide
    except ImportError as error:  # also where the library beside the Python package is missing
        raise ImageError(f"{path}: a whole slide of this kind is read by OpenSlide; {INSTALL}") from error
    return openslide


def _pixel_size(x: float | None, y: float | None) -> float | None:
    """Micrometers a pixel from those of both directions; None where they are none of a microscope."""
    if x is None or y is None:
        return None
    low, high = _PLAUSIBLE_UM
    mean = float(np.sqrt(x * y)) if x > 0 and y > 0 else 0.0
    return mean if low <= mean <= high and max(x / y, y / x) < 1.05 else None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _ome_pixel_size(file: tifffile.TiffFile) -> float | None:
    if not file.is_ome or not file.ome_metadata:
        return None
    pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]
    told = (pixels[0] if isinstance(pixels, list) else pixels)["Pixels"]
    sizes = []
    for axis in "XY":
        unit = _MICROMETERS.get(str(told.get(f"PhysicalSize{axis}Unit", "µm")))
        size = told.get(f"PhysicalSize{axis}")
        sizes.append(float(size) * unit if size is not None and unit is not None else None)
    return _pixel_size(*sizes)


def _tiff_pixel_size(page: Any) -> float | None:
    if page.resolutionunit not in (2, 3):  # neither inch nor centimeter: without a unit it is a ratio
        return None
    x, y = page.get_resolution(tifffile.RESUNIT.MICROMETER)
    return _pixel_size(1 / x if x else None, 1 / y if y else None)
