"""A disk that is full in earnest: a small one of memory, where this machine lets one be mounted."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fakes
import pytest

from smearscan.errors import OutputError
from smearscan.io import write_image
from smearscan.scan.run import run_slides
from smearscan.scan.run_folder import read_run
from smearscan.scan.run_reports import write_run_reports
from smearscan.scan.scanner import SmearScanner

SIZE, PAGE = 256 * 1024, 4096
REPORTS = ("report.csv", "cells.csv", "page.html")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    told = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    try:
        done = subprocess.run(told, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no disk of memory can be mounted here ({error})")
    if done.returncode:
        pytest.skip(f"no disk of memory can be mounted here ({done.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    for i in range(4):
        (tmp_path / "slides" / f"s{i}").mkdir(parents=True)
        write_image(tmp_path / "slides" / f"s{i}" / "field.png", fakes.field(i))
    return tmp_path / "slides"


def scanner() -> SmearScanner:
    return fakes.scanner(ruler_fields=1)


def leave(disk: Path, free: int) -> None:
    """Fill the disk until so many bytes are free."""
    (disk / "ballast").unlink(missing_ok=True)
    there = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(there.f_bavail * there.f_frsize - free))


def reports(run: Path, to: Path) -> list[bytes]:
    table, cells, page = (to / name for name in REPORTS)
    write_run_reports(run, report=table, cells=cells, page=page)
    return [(to / name).read_bytes() for name in REPORTS]


def test_nothing_half_written_is_read_as_whole_and_resume_goes_on(
    slides: Path, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes.use_fake_nets(monkeypatch)
    run_slides(scanner(), slides, tmp_path / "whole.run")
    expected = reports(tmp_path / "whole.run", tmp_path)
    whole = {file.name: file.read_bytes() for file in (tmp_path / "whole.run").rglob("*.npz")}
    run, n_kept, refusals, pages = small_disk / "r.run", [0], list[str](), 1
    while True:
        leave(small_disk, pages * PAGE)
        try:
            done = run_slides(scanner(), slides, run, resume=True)
            break
        except OutputError as error:
            refusals.append(str(error))
        kept = {file.name: file.read_bytes() for file in run.rglob("*.npz")}
        assert kept.items() <= whole.items()
        assert not list(run.rglob("*.part"))
        if (run / "run.json").exists():
            assert len(list(read_run(run))) == len(kept)
        pages += len(kept) == n_kept[-1]  # more room, where this was too little for one slide more
        n_kept.append(len(kept))
    assert all("cannot be written: the disk is full; make room" in told for told in refusals)
    assert n_kept[1] == 0
    assert {1, 2, 3} & set(n_kept)  # it was full before the first slide, and between slides
    assert (done.n_slides, done.n_kept) == (4, n_kept[-1])
    (small_disk / "ballast").unlink()
    assert reports(run, tmp_path / "again") == expected

    assert reports(run, small_disk) == expected
    leave(small_disk, 0)
    with pytest.raises(OutputError, match="the disk is full"):
        reports(run, small_disk)
    assert [(small_disk / name).read_bytes() for name in REPORTS] == expected  # the former ones, whole
