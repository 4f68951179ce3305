"""Where fields come from: folders and files as slides. Nothing that lies there is passed over in silence."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from smearscan.errors import ImageError
from smearscan.io.copies import copies_among
from smearscan.io.kinds import HEAD_BYTES, SUFFIXES, picture_kind, unread_kind_of_name
from smearscan.io.whole_slides import files_of, first_of_each_series, is_part_of_slide, is_whole_slide
from smearscan.results import FieldFailure
from smearscan.results.doubts import COPIES, MOST_TOLD, SHARED_FIELDS, Doubt, counted, first_of

_RUN_FOLDER = ("run.json", "slides")
"""What a run folder of :mod:`smearscan.scan.run_folder` holds."""


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide on disk.

    Attributes
    ----------
    slide_id : str
        Its folder relative to the root, or the name of a loose picture.
    paths : tuple of Path
        Its fields, in the order of their names (numbers by value); none where it holds nothing that is read.
    failures : tuple of FieldFailure
        What lies in its folder and is not read, though it is or should be a picture; and a folder that
        cannot be opened or holds no picture.
    doubts : tuple of Doubt
        Copies that are left out, and fields that are another slide's, too.
    is_whole : bool
        Whether `paths` is the one file of a whole slide, see :mod:`smearscan.io.whole_slides`.
    """

    slide_id: str
    paths: tuple[Path, ...]
    failures: tuple[FieldFailure, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    is_whole: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that its pixels are read from."""
        return tuple(files_of(self.paths[0])) if self.is_whole else self.paths


@dataclass(frozen=True, slots=True)
class FoundSlides:
    """What a folder holds.

    Attributes
    ----------
    slides : tuple of Slide
        In the order of the report.
    passed_over : tuple of str
        Sentences about what is no slide and no picture.
    """

    slides: tuple[Slide, ...]
    passed_over: tuple[str, ...] = ()


@dataclass(slots=True)
class _Folder:
    path: Path
    pictures: list[Path] = field(default_factory=list)
    whole_slides: list[Path] = field(default_factory=list)
    failures: list[tuple[Path, str]] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


def find_slides(root: Path, one_slide: bool = False) -> list[Slide]:
    """Find the slides of a folder, each content of a slide once; see :func:`survey`."""
    return list(survey(root, one_slide).slides)


def survey(
    root: Path,
    one_slide: bool = False,
    with_copies: bool = False,
    missing: Mapping[Path, str] | None = None,
) -> FoundSlides:
    """Find the slides of a folder, and all that is none.

    Every folder below `root` that holds pictures is a slide; a picture lying in `root` itself, or given as
    `root`, is a slide of one field. A folder that holds none, nor any folder, is a slide of one failure and
    no field, and so is one that cannot be opened. Names that begin with a dot are no part of it. A folder
    that is reached by several names (a link, a loop) is read by one. A whole slide is a slide wherever it
    lies.

    Parameters
    ----------
    root : Path
    one_slide : bool
        Whether all photographs are fields of one slide, named as `root`.
    with_copies : bool
        Whether a content that lies in a slide several times is a field each time.
    missing : mapping of Path to str, optional
        Why a file that should lie below `root` does not: a failure of the slide that it is of.

    Raises
    ------
    ImageError
        If `root` is not there or holds nothing that could be a slide.
    """
    if missing and root in missing:
        raise ImageError(missing[root])
    if root.is_file():
        return FoundSlides((Slide(root.name, (root,), is_whole=is_whole_slide(root)),))
    if not root.is_dir():
        raise ImageError(f"{root}: there is no such folder or picture")
    folders, passed_over = _walk(root)
    folders = _with_missing(folders, missing or {}, root)
    if root in (closed := {path: why for path, why in folders[0].failures}):
        raise ImageError(closed[root])
    slides = [slide for folder in folders for slide in _slides_of(folder, root)]
    if not slides:
        raise ImageError(f"{root}: holds no picture ({', '.join(SUFFIXES)}), nor does any folder below it")
    if one_slide:
        photographs = [slide for slide in slides if not slide.is_whole]
        whole = [slide for slide in slides if slide.is_whole]
        slides = [_joined(root.absolute().name or "slide", photographs)] if photographs else []
        slides += whole
    if not with_copies:
        slides = _each_content_once(slides)
    others = sorted(path for folder in folders for path in folder.others)
    if others:
        kinds = Counter(path.suffix.lower() or "without ending" for path in others)
        told = first_of([f"{n} {kind}" for kind, n in kinds.most_common()])
        passed_over.append(
            f"{counted(len(others), 'file that is no picture', 'files that are no pictures')} ({told})"
        )
    return FoundSlides(tuple(slides), tuple(passed_over))


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


def _walk(root: Path) -> tuple[list[_Folder], list[str]]:
    """List every folder once, in the order of names; links wait, so that a folder keeps its own name."""
    found, passed_over = [], []
    seen: dict[tuple[int, int], Path] = {}
    waiting, links = [root], list[Path]()
    while waiting or links:
        path = waiting.pop() if waiting else links.pop(0)
        folder, identity = _Folder(path), _identity(path)
        if identity is not None and (first := seen.setdefault(identity, path)) != path:
            other = _below(first, root)
            passed_over.append(f"{_below(path, root)}, which is the folder {other} by another name")
            continue
        entries = _entries(folder)
        if {entry.name for entry in entries}.issuperset(_RUN_FOLDER):
            passed_over.append(f"{_below(path, root)}, which is a run folder of smearscan")
            continue
        for entry in entries:
            _sort_in(entry, folder)
        found.append(folder)
        links += sorted((p for p in folder.folders if p.is_symlink()), key=_order)
        waiting += [p for p in folder.folders if not p.is_symlink()]
    return _sorted(found, root), passed_over


def _sorted(folders: Iterable[_Folder], root: Path) -> list[_Folder]:
    return sorted(folders, key=lambda one: [_order(Path(p)) for p in one.path.relative_to(root).parts])


def _with_missing(folders: list[_Folder], missing: Mapping[Path, str], root: Path) -> list[_Folder]:
    """Add to each folder the files that should lie there, and the folders that held no other."""
    by_path = {folder.path: folder for folder in folders}
    for path, why in missing.items():
        by_path.setdefault(path.parent, _Folder(path.parent)).failures.append((path, why))
    return _sorted(by_path.values(), root)


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else "the scanned folder itself"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _entries(folder: _Folder) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder.path) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        folder.failures.append(
            (
                folder.path,
                f"{folder.path}: cannot be opened ({error.strerror}); change its rights, or move it",
            )
        )
        return []


def _sort_in(entry: os.DirEntry[str], folder: _Folder) -> None:
    """Tell what an entry of a folder is: a folder, a field, a picture that is not read, or something else."""
    path = Path(entry.path)
    if path.is_dir():
        if not is_part_of_slide(path):
            folder.folders.append(path)
        return
    is_named_so, kind = path.suffix.lower() in SUFFIXES, unread_kind_of_name(path.suffix)
    if path.exists() and not path.is_file():  # opening a pipe waits for ever
        if is_named_so or kind:
            folder.failures.append((path, f"{path}: is no regular file; copy the picture itself here"))
        else:
            folder.others.append(path)
    elif path.is_file() and is_whole_slide(path):
        folder.whole_slides.append(path)
    elif is_named_so:  # a link to nothing among them: reading it tells why
        folder.pictures.append(path)
    elif kind:
        folder.failures.append(
            (path, f"{path}: {kind} pictures are not read; export it as one of {', '.join(SUFFIXES)}")
        )
    elif kind := picture_kind(_head(path)):
        folder.failures.append(
            (
                path,
                f"{path}: is a picture ({kind}) by its content, but not by its name; end it so",
            )
        )
    else:
        folder.others.append(path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _slides_of(folder: _Folder, root: Path) -> list[Slide]:
    """Slides that the files of one folder make."""
    pictures = sorted(folder.pictures, key=_order)
    failures = sorted(folder.failures, key=lambda failure: _order(failure[0]))
    whole = [
        Slide(path.relative_to(root).as_posix(), (path,), is_whole=True)
        for path in first_of_each_series(sorted(folder.whole_slides, key=_order))
    ]
    if folder.path == root:
        loose = [Slide(p.name, (p,)) for p in pictures]
        loose += [Slide(p.name, (), (FieldFailure(p.name, p, why),)) for p, why in failures]
        return sorted(loose + whole, key=lambda slide: _order(Path(slide.slide_id)))
    if not (pictures or failures or whole or folder.folders):
        others = sorted(p.name for p in folder.others)
        held = f"only {first_of(others)}" if others else "it is empty"
        failures = [(folder.path, f"{folder.path}: holds no picture ({held}); put the slide's fields there")]
    if not (pictures or failures):
        return whole
    slide_id = folder.path.relative_to(root).as_posix()
    failed = tuple(FieldFailure(slide_id, p, why) for p, why in failures)
    return [Slide(slide_id, tuple(pictures), failed), *whole]


def _joined(slide_id: str, slides: Iterable[Slide]) -> Slide:
    """All fields of several slides as those of one."""
    parts = list(slides)
    failures = (replace(failure, slide_id=slide_id) for part in parts for failure in part.failures)
    return Slide(slide_id, tuple(p for part in parts for p in part.paths), tuple(failures))


def _each_content_once(slides: list[Slide]) -> list[Slide]:
    """Leave out a slide's copies of its own fields; tell of fields that two slides hold.

    A field of two slides stays in both: whose it is, nobody but the user knows, and a slide's count does not
    depend on what else is scanned.
    """
    owner = {path: i for i, slide in enumerate(slides) for path in slide.paths}
    copies: list[list[tuple[Path, Path]]] = [[] for _ in slides]
    shared: list[list[tuple[Path, Path]]] = [[] for _ in slides]
    for group in copies_among(list(owner)):
        kept: dict[int, Path] = {}
        # a file goes before a link to it, and the shorter name before "NAME - Copy"
        for path in sorted(group, key=lambda p: (p.is_symlink(), len(p.name), _order(p), str(p))):
            first = kept.setdefault(owner[path], path)
            if first != path:
                copies[owner[path]].append((path, first))
        for i, path in kept.items():
            shared[i] += [(path, other) for j, other in kept.items() if j != i]
    return [
        _without_copies(slide, sorted(copies[i]), sorted(shared[i])) if copies[i] or shared[i] else slide
        for i, slide in enumerate(slides)
    ]


def _without_copies(slide: Slide, copies: list[tuple[Path, Path]], shared: list[tuple[Path, Path]]) -> Slide:
    left_out = {path for path, _ in copies}
    doubts = []
    if copies:
        n = counted(len(copies), "copy", "copies")
        doubts.append(_pairs(COPIES, f"{n} of its own fields left out, each content counts once", copies))
    if shared:
        n = counted(len({path for path, _ in shared}), "field is", "fields are")
        doubts.append(_pairs(SHARED_FIELDS, f"{n} another slide's, too, and counted in both", shared))
    paths = tuple(path for path in slide.paths if path not in left_out)
    return replace(slide, paths=paths, doubts=(*slide.doubts, *doubts))


def _pairs(name: str, told: str, pairs: list[tuple[Path, Path]]) -> Doubt:
    """Doubt about pairs of files of one content, which names the first of them."""
    which = first_of([f"{path} is {other}" for path, other in pairs])
    return Doubt(name, f"{told}: {which}", tuple(p for pair in pairs[:MOST_TOLD] for p in pair))
