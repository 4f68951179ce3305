"""Archives from elsewhere lead nowhere, run nothing, and take no more memory than they have on disk."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import drawn_run
import numpy as np
import pytest
from numpy.lib import format as npy

from smearscan.errors import DatasetError, RunError
from smearscan.io.archives import open_arrays
from smearscan.results import FieldFailure
from smearscan.scan.slide_file import read_fields, read_report, read_stored, slide_bytes
from smearscan.training.packed import PackedCells

ZEROS = 4_000_000
"""Bytes that a compressed archive holds in a thousandth of it."""


def bomb() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, slide=np.zeros(ZEROS, np.uint8))
    assert len(out.getvalue()) < ZEROS / 500
    return out.getvalue()


def liar() -> bytes:
    """An array that says it has a terabyte."""
    out, array = io.BytesIO(), io.BytesIO()
    npy.write_array_header_1_0(array, {"descr": "|u1", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("slide.npy", array.getvalue() + bytes(1000))
    return out.getvalue()


@pytest.mark.parametrize(
    ("make", "why"), [(bomb, "is compressed"), (liar, "says it holds more than it does")]
)
def test_an_archive_that_would_fill_the_memory_is_refused(
    tmp_path: Path, make: Callable[[], bytes], why: str
) -> None:
    file = tmp_path / "s.npz"
    file.write_bytes(make())
    with pytest.raises(ValueError, match=why), open_arrays(file):
        pass
    assert read_stored(file) is None
    with pytest.raises(RunError, match=r"s\.npz: is damaged .* scan again with --resume"):
        read_report(file)
    with pytest.raises(DatasetError, match=r"s\.npz: cannot be read as a pack of cells"):
        PackedCells.open(file)


@pytest.mark.parametrize("where", ["/etc/passwd", "../outside.png", "a/../../outside.png"])
def test_a_slide_s_file_leads_to_no_picture_outside(tmp_path: Path, where: str) -> None:
    (tmp_path / "slides").mkdir()
    report, _ = drawn_run.run(drawn_run.draw(tmp_path / "slides"))[0]
    (tmp_path / "s.npz").write_bytes(slide_bytes("key", report, [FieldFailure("one", Path(where), "why")]))
    with pytest.raises(RunError, match=r"s\.npz: .* leads out of the scanned folder"):
        read_fields(tmp_path / "s.npz")


def test_deep_json_is_refused(tmp_path: Path) -> None:
    deep = np.frombuffer(b"[" * 100_000, np.uint8)
    names = np.frombuffer(json.dumps(["fields", "slide"]).encode(), np.uint8)
    np.savez(tmp_path / "s.npz", slide=deep, fields=deep, members=names)
    assert read_stored(tmp_path / "s.npz") is None
    with pytest.raises(RunError, match="is damaged"):
        read_fields(tmp_path / "s.npz")
