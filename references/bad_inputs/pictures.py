"""The field as PNG, JPEG, BMP and kinds that are not read: sound, odd and damaged."""

import io
import struct
import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from references.bad_inputs.case import BROKEN, EITHER, SOUND, Case

Rgb = NDArray[np.uint8]

_CUTS = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
_ORIENTATION = 0x0112
# by EXIF orientation: what was done to the upright field before it was stored
_STORED = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}  # fmt: skip


def encoded(image: Rgb | Image.Image, kind: str, **options: object) -> bytes:
    """File of a picture by Pillow."""
    out = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(out, kind, **options)
    return out.getvalue()


def stored(image: Rgb, orientation: int) -> Rgb:
    """Return the field as a camera that was turned stores it."""
    return np.ascontiguousarray(_STORED[orientation](image))


def damaged(data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield a file's damaged copies: cut, with holes, with noise in its middle."""
    rng, n = np.random.default_rng(seed), len(data)
    for share in _CUTS:
        yield f"cut_{share:g}", data[: max(1, int(n * share))]
    for at, width in ((0.3, 0.05), (0.5, 0.2), (0.75, 0.02)):
        first, last = int(n * at), int(n * (at + width))
        yield f"hole_{at:g}", data[:first] + bytes(last - first) + data[last:]
        yield f"noise_{at:g}", data[:first] + rng.bytes(last - first) + data[last:]


def pngs(image: Rgb) -> Iterator[Case]:
    """Yield PNG files of every depth and kind, and damaged ones."""
    wide, ones = image.astype(np.uint16) * 257, np.full(image.shape[:2], 255, np.uint8)
    rgba = np.dstack([image, ones])
    samples = {
        "rgb_8": image, "rgb_16": wide, "rgb_12_in_16": image.astype(np.uint16) * 16, "rgba_8": rgba,
        "rgba_16": np.dstack([wide, np.full(image.shape[:2], 65535, np.uint16)]),
        "alpha_0": np.dstack([image, 0 * ones]), "alpha_half": np.dstack([image, ones // 2]),
    }  # fmt: skip
    for name, array in samples.items():
        yield Case("PNG, sound", f"{name}.png", imagecodecs.png_encode(array), SOUND)
    whole = encoded(image, "PNG")
    yield Case("PNG, sound", "trailing_bytes.png", whole + b"\0" * 5000, SOUND)
    yield Case("PNG, sound", "named.jpg", whole, SOUND)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 100_000)
    yield Case("PNG, sound", "long_comment.png", encoded(image, "PNG", pnginfo=text), SOUND)
    for turn in (3, 6):
        exif = Image.Exif()
        exif[_ORIENTATION] = turn
        yield Case(
            "PNG, sound", f"orientation_{turn}.png", encoded(stored(image, turn), "PNG", exif=exif), SOUND
        )
    palette = Image.fromarray(image).quantize(256, dither=Image.Dither.NONE)
    yield Case("PNG, odd", "palette_8.png", encoded(palette, "PNG"), EITHER)
    yield Case("PNG, odd", "palette_and_transparent.png", encoded(palette, "PNG", transparency=0), EITHER)
    yield Case("PNG, odd", "not_whole_color.png", encoded(image, "PNG", transparency=(1, 2, 3)), EITHER)
    still = Image.fromarray(image)
    moving = encoded(still, "PNG", save_all=True, append_images=[Image.fromarray(255 - image)])
    yield Case("PNG, odd", "animated.png", moving, EITHER)
    for name, data in damaged(whole, 1):
        yield Case("PNG, damaged", f"{name}.png", data, BROKEN)
    flipped = bytearray(whole)
    flipped[29] ^= 1
    yield Case("PNG, damaged", "wrong_header_sum.png", bytes(flipped), BROKEN)
    for width, height in ((30_000, 30_000), (2**31 - 1, 1), (0, 480), (640, 481)):
        yield Case("PNG, damaged", f"header_{width}x{height}.png", _resized_png(whole, width, height), BROKEN)


def _resized_png(data: bytes, width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def jpegs(image: Rgb) -> Iterator[Case]:
    """Yield JPEG files of every usual kind, and damaged ones."""
    whole = encoded(image, "JPEG", quality=95)
    kinds: dict[str, dict[str, object]] = {
        "quality_95": {}, "quality_75": {"quality": 75}, "progressive": {"progressive": True},
        "444": {"subsampling": 0}, "422": {"subsampling": 1}, "420": {"subsampling": 2},
        "restart_markers": {"restart_marker_rows": 1}, "optimized": {"optimize": True},
        "comment": {"comment": b"=1+1"}, "broken_exif": {"exif": b"Exif\0\0II*\0" + b"\xff" * 40},
        "broken_profile": {"icc_profile": b"no profile"}, "srgb_profile": {"icc_profile": _srgb()},
    }  # fmt: skip
    for name, options in kinds.items():
        yield Case("JPEG, sound", f"{name}.jpg", encoded(image, "JPEG", **{"quality": 95, **options}), SOUND)
    for turn in _STORED:
        exif = Image.Exif()
        exif[_ORIENTATION] = turn
        data = encoded(stored(image, turn), "JPEG", quality=95, exif=exif)
        yield Case("JPEG, sound", f"orientation_{turn}.jpg", data, SOUND)
    noise = np.random.default_rng(2).bytes(20_000).replace(b"\xff", b"\0")
    yield Case("JPEG, sound", "trailing_bytes.jpg", whole + noise, SOUND)
    yield Case("JPEG, sound", "motion_photo.jpg", whole + b"\0\0\0\x18ftypmp42" + noise, SOUND)
    yield Case("JPEG, sound", "two_pictures_mpo.jpg", whole + encoded(255 - image, "JPEG"), SOUND)
    yield Case("JPEG, sound", "named.png", whole, SOUND)
    yield Case("JPEG, sound", "named.TIFF", whole, SOUND)
    yield Case("JPEG, odd", "quality_10.jpg", encoded(image, "JPEG", quality=10), EITHER)
    cmyk = Image.fromarray(image).convert("CMYK")
    yield Case("JPEG, odd", "print_colors.jpg", encoded(cmyk, "JPEG", quality=95), EITHER)
    yield Case("JPEG, odd", "lossless.jpg", imagecodecs.ljpeg_encode(image[:, :, 1]), EITHER)
    yield Case("JPEG, odd", "jpeg_ls.jpg", imagecodecs.jpegls_encode(image), EITHER)
    yield Case("JPEG, odd", "without_end.jpg", whole[:-2], EITHER)
    for name, data in damaged(whole, 3):
        yield Case("JPEG, damaged", f"{name}.jpg", data, BROKEN)
        if name.startswith("cut") and len(data) > 4000:
            yield Case("JPEG, damaged", f"{name}_with_end.jpg", data + b"\xff\xd9", BROKEN)
    for name, data in damaged(encoded(image, "JPEG", quality=95, progressive=True), 4):
        yield Case("JPEG, damaged", f"progressive_{name}.jpg", data, BROKEN)
    n = len(whole)
    lost = whole[: int(n * 0.4)] + whole[int(n * 0.5) :]
    yield Case("JPEG, damaged", "lost_middle.jpg", lost, BROKEN)
    at = whole.index(b"\xff\xc0") + 5
    for width, height in ((30_000, 30_000), (65_535, 65_535), (0, 0), (640, 960), (1, 1)):
        size = struct.pack(">HH", height, width)
        name = f"header_{width}x{height}.jpg"
        yield Case("JPEG, damaged", name, whole[:at] + size + whole[at + 4 :], BROKEN)


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def bmps(image: Rgb) -> Iterator[Case]:
    """Yield BMP files, and damaged ones."""
    whole = encoded(image, "BMP")
    yield Case("BMP", "rgb_24.bmp", whole, SOUND)
    rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    yield Case("BMP", "rgba_32.bmp", encoded(rgba, "BMP"), SOUND)
    upside_down = whole[:22] + struct.pack("<i", -image.shape[0]) + whole[26:54]
    rows = image[:, :, ::-1].tobytes()  # sides of the field are multiples of four: no padding
    yield Case("BMP", "first_row_on_top.bmp", upside_down + rows, SOUND)
    palette = Image.fromarray(image).quantize(256, dither=Image.Dither.NONE)
    yield Case("BMP", "palette_8.bmp", encoded(palette, "BMP"), EITHER)
    for share in _CUTS:
        yield Case("BMP", f"cut_{share:g}.bmp", whole[: int(len(whole) * share)], BROKEN)
    for width, height in ((30_000, 30_000), (-640, 480), (0, 0)):
        size = struct.pack("<ii", width, height)
        yield Case("BMP", f"header_{width}x{height}.bmp", whole[:18] + size + whole[26:], BROKEN)


def others(image: Rgb) -> Iterator[Case]:
    """Yield kinds of files that are not read, named as what they are and as what they are not."""
    image = np.ascontiguousarray(image[:64, :64])  # whatever it shows, its first bytes are looked at
    rgba = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    files = {
        "webp": encoded(image, "WEBP"), "gif": encoded(image, "GIF"), "jp2": imagecodecs.jpeg2k_encode(image),
        "tga": encoded(image, "TGA"), "ppm": encoded(image, "PPM"), "ico": encoded(image, "ICO"),
        "avif": imagecodecs.avif_encode(image), "jxl": imagecodecs.jpegxl_encode(image),
        "qoi": imagecodecs.qoi_encode(rgba), "heic": b"\0\0\0\x18ftypheic" + bytes(400),
        "pdf": b"%PDF-1.7\n" + bytes(400), "zip": b"PK\x03\x04" + bytes(400), "svg": b"<svg/>" + bytes(99),
        "mp4": b"\0\0\0\x18ftypmp42" + bytes(400), "html": b"<html>404 Not Found</html>", "empty": b"",
        "one_byte": b"\xff", "start_alone": b"\xff\xd8", "text": b"field 1\n" * 99, "zeros": bytes(100_000),
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n",
    }  # fmt: skip
    for kind, data in files.items():
        for ending in (".jpg", ".png", ".tif"):
            yield Case("no picture that is read, named as one", f"{kind}{ending}", data, BROKEN)
    for ending in ("webp", "gif", "jp2", "tga", "ppm", "avif", "jxl", "heic"):
        yield Case("kinds that are not read", f"own_name.{ending}", files[ending], BROKEN)
    for ending in ("webp", "gif", "jp2"):
        yield Case("kinds that are not read", f"{ending}_without_ending", files[ending], BROKEN)
