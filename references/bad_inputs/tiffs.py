"""The field as TIFF: every depth, layout, compression and order; odd and damaged ones."""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from references.bad_inputs.case import BROKEN, EITHER, SOUND, Case
from references.bad_inputs.pictures import damaged, stored

Rgb = NDArray[np.uint8]


def tiff(*arrays: NDArray[Any], **how: Any) -> bytes:
    """File of one page an array."""
    out = io.BytesIO()
    file = {key: how.pop(key) for key in ("bigtiff", "byteorder", "imagej", "ome") if key in how}
    with tifffile.TiffWriter(out, **file) as writer:
        for array in arrays:
            writer.write(array, **how)
    return out.getvalue()


def tiffs(image: Rgb) -> Iterator[Case]:
    """Yield all TIFF files."""
    yield from _sound(image)
    yield from _odd(image)
    yield from _broken(image)


def _sound(image: Rgb) -> Iterator[Case]:
    wide, planes = image.astype(np.uint16) * 257, np.ascontiguousarray(np.moveaxis(image, 2, 0))
    alpha = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    rgb: dict[str, Any] = {"photometric": "rgb"}
    files = {
        "rgb_8": tiff(image, **rgb), "rgb_16": tiff(wide, **rgb), "big_endian_16": tiff(wide, byteorder=">", **rgb),
        "bigtiff": tiff(image, bigtiff=True, **rgb), "planar_8": tiff(planes, planarconfig="separate", **rgb),
        "planar_16": tiff(np.moveaxis(wide, 2, 0), planarconfig="separate", **rgb),
        "tiles": tiff(image, tile=(128, 128), **rgb), "strips": tiff(image, rowsperstrip=7, **rgb),
        "float_32": tiff((image / 255).astype(np.float32), **rgb),
        "float_16": tiff((image / 255).astype(np.float16), **rgb), "float_64": tiff(image / 255.0, **rgb),
        "float_a_hair_above_1": tiff((image / 250).astype(np.float32), **rgb),
        "float_to_255": tiff(image.astype(np.float32), **rgb), "uint_32_of_16": tiff(wide.astype(np.uint32), **rgb),
        "12_in_16": tiff(image.astype(np.uint16) * 16 + 8, **rgb), "alpha": tiff(alpha, extrasamples=["unassalpha"], **rgb),
        "alpha_0": tiff(np.dstack([image, 0 * image[:, :, 0]]), extrasamples=["unassalpha"], **rgb),
        "associated": tiff(alpha, extrasamples=["assocalpha"], **rgb),
        "fourth_of_no_meaning": tiff(alpha, extrasamples=["unspecified"], **rgb),
        "three_pages": tiff(planes, photometric="minisblack"),
        "three_pages_imagej": tiff(planes, imagej=True, metadata={"axes": "CYX", "mode": "composite"}),
        "three_pages_ome": tiff(planes, ome=True, photometric="minisblack", metadata={"axes": "CYX"}),
        "thumbnail_first": tiff(image[::8, ::8], image, **rgb), "thumbnail_after": tiff(image, image[::8, ::8], **rgb),
        "trailing_bytes": tiff(image, **rgb) + bytes(9999),
    }  # fmt: skip
    for name in ("lzw", "zlib", "packbits", "zstd", "lzma"):
        files[f"compressed_{name}"] = tiff(image, compression=name, **rgb)
    files["predictor"] = tiff(wide, compression="zlib", predictor=True, **rgb)
    for turn in (2, 3, 6, 8):
        files[f"orientation_{turn}"] = tiff(stored(image, turn), extratags=[(274, "H", 1, turn, True)], **rgb)
    for name, data in files.items():
        yield Case("TIFF, sound", f"{name}.tif", data, SOUND)


def _odd(image: Rgb) -> Iterator[Case]:
    gray, rgb = image.mean(2), {"photometric": "rgb"}
    files = {
        "jpeg": tiff(image, compression="jpeg", **rgb), "jpeg_2000": tiff(image, compression="jpeg2000", **rgb),
        "webp": tiff(image, compression="webp", **rgb), "jpeg_xl": tiff(image, compression="jpegxl", **rgb),
        "two_fields": tiff(image, image[::-1], **rgb), "stack": tiff(np.stack([image] * 4), **rgb),
        "white_is_0": tiff(255 - gray.astype(np.uint8), photometric="miniswhite"),
        "white_is_0_16": tiff(65535 - (gray * 257).astype(np.uint16), photometric="miniswhite"),
        "int_8": tiff((image // 2).astype(np.int8), **rgb),
        "int_16": tiff(image.astype(np.int16), **rgb), "uint_64": tiff(image.astype(np.uint64), **rgb),
        "float_of_3000": tiff(image.astype(np.float32) * 12, **rgb),
        "float_from_minus_1": tiff((image / 127.5 - 1).astype(np.float32), **rgb),
        "cmyk": tiff(np.dstack([255 - image, 0 * image[:, :, 0]]), photometric="separated"),
        "lab": tiff(image, photometric="cielab"), "five_samples": tiff(np.dstack([image, image[:, :, :2]]), **rgb),
        "complex": tiff(gray.astype(np.complex64), photometric="minisblack"),
    }  # fmt: skip
    for name, data in files.items():
        yield Case("TIFF, odd", f"{name}.tif", data, EITHER)


def _broken(image: Rgb) -> Iterator[Case]:
    rgb: dict[str, Any] = {"photometric": "rgb"}
    nan = (image / 255).astype(np.float32)
    nan[9, 9] = np.nan
    yield Case("TIFF, damaged", "not_a_number.tif", tiff(nan, **rgb), BROKEN)
    whole = tiff(image, compression="lzw", rowsperstrip=20, **rgb)
    for name, data in damaged(tiff(image, compression="zlib", rowsperstrip=20, **rgb), 5):
        yield Case("TIFF, damaged", f"zlib_{name}.tif", data, BROKEN)
    for share in (0.05, 0.5, 0.95):
        yield Case("TIFF, damaged", f"lzw_cut_{share:g}.tif", whole[: int(len(whole) * share)], BROKEN)
        plain = tiff(image, **rgb)
        yield Case("TIFF, damaged", f"plain_cut_{share:g}.tif", plain[: int(len(plain) * share)], BROKEN)
    first = struct.unpack("<I", whole[4:8])[0]
    yield Case("TIFF, damaged", "no_page.tif", whole[:4] + bytes(4) + whole[8:], BROKEN)
    yield Case("TIFF, damaged", "page_beyond_end.tif", whole[:4] + b"\xf0\xff\xff\x7f" + whole[8:], BROKEN)
    n = struct.unpack("<H", whole[first : first + 2])[0]
    follows = first + 2 + 12 * n
    loop = whole[:follows] + struct.pack("<I", first) + whole[follows + 4 :]
    yield Case("TIFF, damaged", "pages_in_a_loop.tif", loop, EITHER)
    for tag, name, value in (
        (256, "30000_wide", 30_000), (257, "30000_high", 30_000), (257, "no_height", 0),
        (277, "200_samples", 200), (259, "unknown_compression", 60_000), (262, "unknown_colors", 60_000),
    ):  # fmt: skip
        yield Case("TIFF, damaged", f"{name}.tif", _with_tag(whole, first, n, tag, value), BROKEN)


def _with_tag(data: bytes, first: int, n: int, tag: int, value: int) -> bytes:
    """Return the file with another value of one tag of its first page."""
    out = bytearray(data)
    for at in range(first + 2, first + 2 + 12 * n, 12):
        found, kind = struct.unpack("<HH", out[at : at + 4])
        if found == tag:
            out[at + 8 : at + 12] = struct.pack("<I" if kind == 4 else "<Hxx", value)
    return bytes(out)
