"""Kinds of picture files: those that are read, and those that users take for such."""

from typing import Final

SUFFIXES: Final = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp")
"""Names that a picture must have to be read; which kind it is, its content says."""

_UNREAD_SUFFIXES: Final = {
    "HEIC or AVIF": (".heic", ".heif", ".hif", ".avif"),
    "WebP": (".webp",),
    "GIF": (".gif",),
    "JPEG-2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "JPEG XL": (".jxl",),
    "JPEG XR": (".jxr", ".wdp", ".hdp"),
    "Photoshop": (".psd", ".psb"),
    "camera raw": (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".raw"),
    "microscope": (".czi", ".lif", ".nd2", ".oib", ".oif", ".lsm", ".zvi", ".ims", ".stk"),
    "whole-slide": (".vsi", ".isyntax"),
    "portable any-map": (".ppm", ".pgm", ".pbm", ".pnm", ".pam"),
    "Targa": (".tga",),
    "OpenEXR": (".exr",),
}
"""Kinds of pictures that are not read, and how their names end."""

_HEADS: Final = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"GIF8": "GIF",
    b"\x00\x00\x00\x0cjP": "JPEG-2000",
    b"\xff\x4f\xff\x51": "JPEG-2000",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "Photoshop",
}
"""How picture files begin."""

_STILL_BRANDS: Final = (b"heic", b"heix", b"hevc", b"heim", b"mif1", b"msf1", b"avif", b"avis")
_NO_PICTURES: Final = {b"%PDF": "PDF", b"PK\x03\x04": "archive", b"RIFF": "RIFF"}

HEAD_BYTES: Final = 16
"""So many first bytes tell the kind of a file."""


def unread_kind_of_name(suffix: str) -> str | None:
    """Kind of picture, not read, whose names end so; None where the ending tells of none."""
    found = (kind for kind, endings in _UNREAD_SUFFIXES.items() if suffix.lower() in endings)
    return next(found, None)


def picture_kind(head: bytes) -> str | None:
    """Kind of picture that a file's first bytes tell, read or not; None where it is no picture.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD_BYTES` or more.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return "HEIC or AVIF"
    return next((kind for start, kind in _HEADS.items() if head.startswith(start)), None)


def told_kind(head: bytes) -> str | None:
    """Kind of any file that is not read, as far as it can be told: for a message."""
    if head[4:8] == b"ftyp" and picture_kind(head) is None:
        return "video"
    return picture_kind(head) or next(
        (k for start, k in _NO_PICTURES.items() if head.startswith(start)), None
    )
