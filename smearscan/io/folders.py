"""Where fields come from: folders and files as slides."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smearscan.errors import ImageError
from smearscan.io.decode import SUFFIXES


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide on disk.

    Attributes
    ----------
    slide_id : str
        Its folder relative to the root, or the name of a loose picture.
    paths : tuple of Path
        Its fields, in the order of their names (numbers by value).
    """

    slide_id: str
    paths: tuple[Path, ...]


def find_slides(root: Path) -> list[Slide]:
    """Find the slides of a folder.

    Every folder below `root` that holds pictures is a slide; a picture lying in `root` itself, or given as
    `root`, is a slide of one field.

    Raises
    ------
    ImageError
        If `root` is not there or holds no picture.
    """
    if root.is_file():
        return [Slide(root.name, (root,))]
    if not root.is_dir():
        raise ImageError(f"{root}: there is no such folder or picture")
    slides = []
    for folder in _folders(root):
        pictures = sorted((p for p in folder.iterdir() if _is_picture(p)), key=_order)
        if folder == root:
            slides += [Slide(p.name, (p,)) for p in pictures]
        elif pictures:
            slides.append(Slide(folder.relative_to(root).as_posix(), tuple(pictures)))
    if not slides:
        raise ImageError(f"{root}: holds no picture ({', '.join(SUFFIXES)}), nor does any folder below it")
    return slides


def natural(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Sort key that puts ``field_9`` before ``field_10``."""
    parts: list[str] = [""]
    for c in path.name.lower():
        if parts[-1] and c.isdigit() != parts[-1][-1].isdigit():
            parts.append("")
        parts[-1] += c
    return tuple((0, int(p)) if p.isdecimal() else (1, p) for p in parts)


def _order(path: Path) -> tuple[tuple[tuple[int, int | str], ...], str]:
    return natural(path), path.name  # the name itself settles 1.png against 01.png


def _folders(root: Path) -> Iterator[Path]:
    yield root
    for path in sorted((p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")), key=_order):
        yield from _folders(path)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
