"""Drawn films in the formats of slide scanners, as OpenSlide's pages and sources tell them.

https://openslide.org/formats/: Leica SCN, Ventana BIF, Hamamatsu NDPI, MIRAX. Each file has two levels, and
a label or an overview where its format has one. BIF and MIRAX keep a film as the camera took it: pictures of
`CAMERA` px that overlap.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import fakes
import numpy as np
import simplejpeg
import tifffile
from drawn_films import Rgb

CAMERA, OVERLAP = 160, 16
HEIGHT, WIDTH = (n * (CAMERA - OVERLAP) + OVERLAP for n in (4, 6))
"""Of a film that is a whole number of the camera's pictures."""

LEICA_AROUND = 80
"""Glass around the film on Leica's slide, px."""

_REDUCED = 4
_BEST = {"compressionargs": {"level": 98}}
_PLAIN = {"photometric": "rgb", "compression": "jpeg", "metadata": None}


def _smaller(image: Rgb) -> Rgb:
    return np.asarray(cv2.resize(image, None, fx=1 / _REDUCED, fy=1 / _REDUCED, interpolation=cv2.INTER_AREA))


def _jpeg(image: Rgb) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=98, colorsubsampling="444")


# ---------------------------------------------------------------- Leica


def write_scn(path: Path, image: Rgb) -> Path:
    """Write Leica's format: XML tells where on the slide the film lies, in nanometers, and its overview."""
    height, width = image.shape[:2]
    nm = round(1000 * fakes.UM_PER_PX)
    around, across, down = (nm * px for px in (LEICA_AROUND, width, height))
    slide = f'sizeX="{across + 2 * around}" sizeY="{down + 2 * around}"'
    small = _smaller(image)
    light = (
        "<scanSettings><objectiveSettings><objective>40</objective></objectiveSettings><illuminationSettings>"
        "<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings>"
    )
    told = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection {slide}><image name="overview"><view {slide} offsetX="0" offsetY="0"/>{light}'
        '<pixels><dimension sizeX="64" sizeY="64" ifd="0"/></pixels></image>'
        f'<image name="film"><view sizeX="{across}" sizeY="{down}" offsetX="{around}" offsetY="{around}"/>'
        f'{light}<pixels><dimension sizeX="{width}" sizeY="{height}" ifd="1"/>'
        f'<dimension sizeX="{small.shape[1]}" sizeY="{small.shape[0]}" ifd="2"/></pixels></image>'
        "</collection></scn>"
    )
    size = {"resolution": (1e4 / fakes.UM_PER_PX,) * 2, "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(image[:64, :64], tile=(64, 64), description=told, **_PLAIN)
        file.write(image, tile=(256, 256), **size, **_PLAIN, **_BEST)
        file.write(small, tile=(256, 256), **_PLAIN, **_BEST)
    return path


# ---------------------------------------------------------------- Ventana


def write_bif(path: Path, image: Rgb) -> Path:
    """Write Ventana's format: the camera's pictures side by side, and XML of how far they overlap."""
    shots = _shots(image)
    rows, columns = len(shots), len(shots[0])
    mosaic = np.vstack([np.hstack(row) for row in shots])
    size = f'Width="{CAMERA}" Height="{CAMERA}" NumRows="{rows}" NumCols="{columns}"'
    joints = "".join(
        f'<TileJointInfo FlagJoined="1" Confidence="100" Direction="{where}" Tile1="{one}" Tile2="{other}" '
        f'OverlapX="{OVERLAP}" OverlapY="{OVERLAP}"/>'
        for where, one, other in _joints(rows, columns)
    )
    stitched = (
        f'<EncodeInfo Ver="2"><SlideStitchInfo><ImageInfo AOIScanned="1" AOIIndex="0" {size} Pos-X="0" '
        f'Pos-Y="0">{joints}</ImageInfo></SlideStitchInfo>'
        '<AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    )
    scan = f'<iScan Magnification="40" ScanRes="{fakes.UM_PER_PX}"/>'
    tiles = {"tile": (CAMERA, CAMERA), **_PLAIN, **_BEST}
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(image[:64, :64], description="Label_Image", extratags=[_xml(scan)], **_PLAIN)
        file.write(mosaic, description="level=0 mag=40 quality=98", extratags=[_xml(stitched)], **tiles)
        file.write(_smaller(mosaic), description="level=1 mag=10 quality=98", **tiles)
    return path


def _xml(text: str) -> tuple[int, int, int, bytes, bool]:
    data = text.encode()
    return 700, 1, len(data), data, True


def _shots(image: Rgb) -> list[list[Rgb]]:
    """Pictures that the camera took, row by row."""
    step = CAMERA - OVERLAP
    return [
        [image[y : y + CAMERA, x : x + CAMERA] for x in range(0, image.shape[1] - OVERLAP, step)]
        for y in range(0, image.shape[0] - OVERLAP, step)
    ]


def _joints(rows: int, columns: int) -> Iterator[tuple[str, int, int]]:
    """Neighbors by their numbers, which run from the lowest row up, there and back again."""

    def number(row: int, column: int) -> int:
        up = rows - 1 - row
        return up * columns + (columns - 1 - column if up % 2 else column) + 1

    for row in range(rows):
        for column in range(columns):
            if column + 1 < columns:
                yield "RIGHT", number(row, column), number(row, column + 1)
            if row:
                yield "UP", number(row, column), number(row - 1, column)


# ---------------------------------------------------------------- Hamamatsu


def write_ndpi(path: Path, image: Rgb) -> Path:
    """Write Hamamatsu's format: TIFF with offsets of 64 bits, a level one JPEG that can be entered within."""
    data = bytearray(b"II*\0" + bytes(8))
    link = 4
    for lens, level, interval in ((40.0, image, image.shape[1] // 16), (10.0, _smaller(image), 0)):
        jpeg = _entered_jpeg(level, interval)
        at = len(data)
        data += jpeg
        tags = _ndpi_tags(level.shape, lens, at, len(jpeg), _entries(jpeg) if interval else [])
        link = _add_directory(data, tags, link)
    overview = _jpeg(image[:64, :64])
    at = len(data)
    data += overview
    _add_directory(data, _ndpi_tags((64, 64), -1.0, at, len(overview), []), link)
    path.write_bytes(data)
    return path


def _entered_jpeg(image: Rgb, interval: int) -> bytes:
    """JPEG with a restart marker after so many blocks of 8 px; without any for 0."""
    told = [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_RST_INTERVAL, interval]
    told += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), told)[1].tobytes()


def _entries(jpeg: bytes) -> list[int]:
    """Where the data of each part between restart markers begins."""
    scan = jpeg.index(b"\xff\xda")
    first = scan + 2 + int.from_bytes(jpeg[scan + 2 : scan + 4], "big")
    return [first] + [
        at + 2 for at in range(first, len(jpeg) - 1) if jpeg[at] == 0xFF and 0xD0 <= jpeg[at + 1] <= 0xD7
    ]


Tag = tuple[int, str, Sequence[float]]
"""Number, kind of the values (of :mod:`struct`; ``r`` a ratio), the values."""
_TYPES = {"H": 3, "I": 4, "r": 5, "i": 9, "f": 11}


def _ndpi_tags(shape: tuple[int, ...], lens: float, at: int, size: int, entries: list[int]) -> list[Tag]:
    across = (round(1e7 / fakes.UM_PER_PX), 1000)
    tags: list[Tag] = [
        (256, "I", [shape[1]]), (257, "I", [shape[0]]), (258, "H", [8, 8, 8]), (259, "H", [7]),
        (262, "H", [6]), (273, "I", [at]), (277, "H", [3]), (278, "I", [shape[0]]), (279, "I", [size]),
        (282, "r", across), (283, "r", across), (296, "H", [3]),
        (65420, "I", [1]), (65421, "f", [lens]), (65424, "i", [0]),
    ]  # fmt: skip
    return [*tags, (65426, "I", entries)] if entries else tags


def _add_directory(data: bytearray, tags: list[Tag], link: int) -> int:
    """Append a directory that the link at this place then leads to; returns the place of its own link."""
    told = []
    for number, kind, values in tags:
        packed = struct.pack(f"<{len(values)}{'I' if kind == 'r' else kind}", *values)
        count = len(values) // 2 if kind == "r" else len(values)
        if len(packed) > 4:
            packed, beyond = struct.pack("<I", len(data)), packed
            data += beyond
        told.append(struct.pack("<HHI", number, _TYPES[kind], count) + packed.ljust(4, b"\0"))
    data[link : link + 8] = struct.pack("<Q", len(data))
    data += struct.pack("<H", len(told)) + b"".join(told)
    data += bytes(8)
    return len(data) - 8


# ---------------------------------------------------------------- MIRAX


_SLIDE_ID = "0123456789ABCDEF0123456789ABCDEF"


def write_mrxs(path: Path, image: Rgb) -> Path:
    """Write MIRAX: beside the file a folder of an index, a table of what is in it, and the pictures."""
    folder = path.with_suffix("")
    folder.mkdir()
    path.write_bytes(_jpeg(image[:64, :64]))  # a picture that no program needs
    shots = _shots(image)
    rows, columns = len(shots), len(shots[0])
    step, file = CAMERA - OVERLAP, bytearray(b"pictures")

    def stored(content: bytes) -> tuple[int, int]:
        file.extend(content)
        return len(file) - len(content), len(content)

    fine = [
        (row * columns + column, *stored(_jpeg(shots[row][column])), 0)
        for row in range(rows)
        for column in range(columns)
    ]
    mosaic = _smaller(np.vstack([np.hstack(row) for row in shots]))
    coarse = []
    for row in range(0, rows, _REDUCED):
        for column in range(0, columns, _REDUCED):
            y, x = (i * CAMERA // _REDUCED for i in (row, column))
            seen = np.full((CAMERA, CAMERA, 3), 255, np.uint8)
            part = mosaic[y : y + CAMERA, x : x + CAMERA]
            seen[: len(part), : part.shape[1]] = part
            coarse.append((row * columns + column, *stored(_jpeg(seen)), 0))
    positions = b"".join(
        struct.pack("<bii", 1, column * step, row * step) for row in range(rows) for column in range(columns)
    )
    beside = [stored(content) for content in (positions, _jpeg(image[:64, :64]), _jpeg(image[64:128, :64]))]
    (folder / "Data0000.dat").write_bytes(file)
    (folder / "Index.dat").write_bytes(_index([fine, coarse], beside))
    (folder / "Slidedat.ini").write_text(_slidedat(rows, columns))
    return path


def _index(levels: list[list[tuple[int, ...]]], beside: list[tuple[int, int]]) -> bytes:
    """Index of the pictures of each level, and of the records beside them: tables of pointers to pages."""
    data = bytearray(f"01.02{_SLIDE_ID}".encode())
    roots = len(data)
    data += bytes(8)

    def page(content: Sequence[int]) -> int:
        """Write a page and what leads to it; returns where that lies."""
        at = len(data)
        data.extend(struct.pack("<ii", 0, at + 8) + struct.pack(f"<{len(content)}i", *content))
        return at

    pages = [page([len(own), 0, *(number for record in own for number in record)]) for own in levels]
    records = [page([1, 0, 0, 0, at, size, 0]) for at, size in beside]
    for k, table in enumerate((pages, records)):
        data[roots + 4 * k : roots + 4 * k + 4] = struct.pack("<i", len(data))
        data += struct.pack(f"<{len(table)}i", *table)
    return bytes(data)


def _slidedat(rows: int, columns: int) -> str:
    groups: dict[str, dict[str, object]] = {
        "GENERAL": {"SLIDE_ID": _SLIDE_ID, "IMAGENUMBER_X": columns, "IMAGENUMBER_Y": rows,
                    "OBJECTIVE_MAGNIFICATION": 40, "CameraImageDivisionsPerSide": 1},
        "HIERARCHICAL": {
            "HIER_COUNT": 1, "NONHIER_COUNT": 2, "INDEXFILE": "Index.dat",
            "HIER_0_NAME": "Slide zoom level", "HIER_0_COUNT": 2,
            "HIER_0_VAL_0_SECTION": "LEVEL_0", "HIER_0_VAL_1_SECTION": "LEVEL_1",
            "NONHIER_0_NAME": "VIMSLIDE_POSITION_BUFFER", "NONHIER_0_COUNT": 1,
            "NONHIER_1_NAME": "Scan data layer", "NONHIER_1_COUNT": 2,
            "NONHIER_1_VAL_0": "ScanDataLayer_SlideThumbnail", "NONHIER_1_VAL_0_SECTION": "OVERVIEW",
            "NONHIER_1_VAL_1": "ScanDataLayer_SlideBarcode", "NONHIER_1_VAL_1_SECTION": "LABEL"},
        "OVERVIEW": {"THUMBNAIL_IMAGE_TYPE": "JPEG"},
        "LABEL": {"BARCODE_IMAGE_TYPE": "JPEG"},
        "DATAFILE": {"FILE_COUNT": 1, "FILE_0": "Data0000.dat"},
    }  # fmt: skip
    for level, (exponent, reduced) in enumerate(((0, 1), (2, _REDUCED))):
        groups[f"LEVEL_{level}"] = {
            "OVERLAP_X": OVERLAP / reduced, "OVERLAP_Y": OVERLAP / reduced,
            "MICROMETER_PER_PIXEL_X": fakes.UM_PER_PX * reduced,
            "MICROMETER_PER_PIXEL_Y": fakes.UM_PER_PX * reduced,
            "IMAGE_FORMAT": "JPEG", "IMAGE_FILL_COLOR_BGR": 0xFFFFFF,
            "DIGITIZER_WIDTH": CAMERA, "DIGITIZER_HEIGHT": CAMERA, "IMAGE_CONCAT_FACTOR": exponent,
        }  # fmt: skip
    return "".join(
        f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in own.items())
        for name, own in groups.items()
    )
