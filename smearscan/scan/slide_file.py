"""One scanned slide as one file, restored to the last bit: JSON for the structure, raw arrays beside it.

The file is a zip archive in numpy's ``.npz`` form, whose checksums tell a damaged file. ``slide`` and
``fields`` hold JSON as bytes; every array is a stretch of one long array of its type. Nothing is pickled, and
what is read becomes the types that are asked for and no others, so that a file from elsewhere runs no code.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

import numpy as np
from numpy.typing import NDArray

from smearscan.differential.slide_report import SlideReport
from smearscan.errors import RunError
from smearscan.io.archives import open_arrays
from smearscan.results import FieldFailure, FieldResult

if TYPE_CHECKING:
    from cattrs import Converter

FieldItems = list[FieldResult | FieldFailure]
T = TypeVar("T")

_ARRAY = "array"
_FORMAT = 5
_MEMBERS = "members"
"""Names of all other parts: an archive whose index is damaged may have lost one without a word."""


@dataclass(frozen=True, slots=True)
class StoredSlide:
    """What a slide's file says of itself.

    Attributes
    ----------
    slide_id : str
    key : str
        Hash of all that the result depends on; empty where it is to be read again in any case.
    """

    slide_id: str
    key: str


class _Pools:
    """Arrays of one type laid end to end: a slide of many fields has a handful of arrays, not thousands."""

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._sizes: dict[str, int] = {}

    def put(self, value: object) -> object:
        """Store what JSON has no form for: an array is replaced by where it lies, a number by Python's."""
        if isinstance(value, np.generic):
            return value.item()
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            raise TypeError(f"a {type(value).__name__} cannot be stored in a run folder")
        kind = value.dtype.newbyteorder("<").str
        start = self._sizes.get(kind, 0)
        self._parts.setdefault(kind, []).append(np.ravel(value))
        self._sizes[kind] = start + value.size
        return {_ARRAY: kind, "start": start, "shape": value.shape}

    def joined(self) -> dict[str, NDArray[Any]]:
        """Every pool as one array, by its name in the archive."""
        return {f"values{kind[1:]}": np.concatenate(parts) for kind, parts in self._parts.items()}


def slide_bytes(key: str, report: SlideReport, fields: FieldItems) -> bytes:
    """Return the content of a slide's file."""
    report_arrays, field_arrays = _Pools(), _Pools()
    slide = {
        "format": _FORMAT,
        "slide_id": report.slide_id,
        "key": key,
        "report": _converter().unstructure(report),
    }
    items = [[type(item).__name__, _converter().unstructure(item)] for item in fields]
    members = {
        "slide": _json_bytes(slide, report_arrays),
        "fields": _json_bytes(items, field_arrays),
        **{f"report_{name}": array for name, array in report_arrays.joined().items()},
        **{f"fields_{name}": array for name, array in field_arrays.joined().items()},
    }
    members[_MEMBERS] = np.frombuffer(json.dumps(sorted(members)).encode("ascii"), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **members)
    return buffer.getvalue()


def read_stored(path: Path) -> StoredSlide | None:
    """Read what a file says of itself; None where there is none that is whole and of this format."""
    try:
        with open_arrays(path) as archive:
            damaged = archive.zip.testzip()
            slide = json.loads(archive["slide"].tobytes())
            if damaged is not None or slide["format"] != _FORMAT:
                return None
            if sorted(archive.files) != sorted([*json.loads(archive[_MEMBERS].tobytes()), _MEMBERS]):
                return None
            return StoredSlide(slide["slide_id"], slide["key"])
    except _UNREADABLE:
        return None


def read_report(path: Path) -> SlideReport:
    """Restore a slide's report alone, without its cells.

    Raises
    ------
    RunError
        If the file is damaged or of another version.
    """

    def restore(archive: Any) -> SlideReport:
        slide = _from_json(archive, "slide", "report")
        return _converter().structure(slide["report"], SlideReport)

    return _restored(path, restore)


def read_fields(path: Path) -> FieldItems:
    """Restore the results of a slide's fields, in their order; raises as :func:`read_report`."""
    types: dict[str, type[FieldResult] | type[FieldFailure]] = {
        kind.__name__: kind for kind in (FieldResult, FieldFailure)
    }

    def restore(archive: Any) -> FieldItems:
        items = _from_json(archive, "fields", "fields")
        return [_converter().structure(value, types[name]) for name, value in items]

    return _restored(path, restore)


_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error,
    RuntimeError,  # of zipfile, where a damaged index speaks of passwords or versions to come
)  # fmt: skip


def _restored(path: Path, restore: Callable[[Any], T]) -> T:
    from cattrs import BaseValidationError

    try:
        with open_arrays(path) as archive:
            return restore(archive)
    except (*_UNREADABLE, BaseValidationError) as error:
        raise RunError(
            f"{path}: is damaged or was written by another version of smearscan ({_reason(error)}); "
            "scan again with --resume, which reads this slide anew"
        ) from error


def _reason(error: BaseException) -> str:
    """Say in a few words what is wrong with a file: the innermost of what cattrs gathers."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {str(error)[:200]}"


def _json_bytes(value: object, pools: _Pools) -> NDArray[np.uint8]:
    text = json.dumps(value, default=pools.put, separators=(",", ":"))
    return np.frombuffer(text.encode("ascii"), np.uint8)


def _from_json(archive: Any, name: str, arrays: str) -> Any:
    """Read a member with its arrays in their places."""
    values: dict[str, NDArray[Any]] = {}

    def placed(node: dict[str, Any]) -> Any:
        if _ARRAY not in node:
            return node
        kind, start, shape = node[_ARRAY], node["start"], tuple(node["shape"])
        if kind not in values:
            values[kind] = archive[f"{arrays}_values{kind[1:]}"]
        size = int(np.prod(shape, dtype=np.int64))
        return values[kind][start : start + size].reshape(shape)

    return json.loads(archive[name].tobytes(), object_hook=placed)


def _is_array(kind: Any) -> bool:
    return kind is np.ndarray or get_origin(kind) is np.ndarray


def _as_array(value: Any, _: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray):
        raise TypeError(f"an array was expected, not {type(value).__name__}")
    return value


def converter(
    store: Callable[[NDArray[Any]], Any], restore: Callable[[Any, Any], NDArray[Any]]
) -> "Converter":
    """Dataclasses to plain values and back; a field that a type does not know is an error.

    Parameters
    ----------
    store, restore : callable
        What becomes of an array, and how it is had again.
    """
    from cattrs import Converter, UnstructureStrategy  # late: a scan's first field does not wait for it

    made = Converter(forbid_extra_keys=True, unstruct_strat=UnstructureStrategy.AS_DICT)
    made.register_unstructure_hook_func(_is_array, store)
    made.register_structure_hook_func(_is_array, restore)
    made.register_unstructure_hook(Path, lambda path: path.as_posix())
    made.register_structure_hook(Path, lambda text, _: _below(Path(text)))
    return made


def _below(path: Path) -> Path:
    """Refuse what leads out of the folder that was scanned: a run folder may come from anywhere."""
    if path.is_absolute() or path.drive or ".." in path.parts:
        raise ValueError(f"the path {str(path)!r} leads out of the scanned folder")
    return path


@cache
def _converter() -> "Converter":
    return converter(lambda array: array, _as_array)
