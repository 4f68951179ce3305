"""Parts of a run put together: the same bytes as of one run; what is no whole run is refused."""

from pathlib import Path

import fakes
import pytest
from click.testing import CliRunner

from smearscan.cli import main
from smearscan.cli.run import _part
from smearscan.errors import ConfigError, RunError
from smearscan.io import find_slides, write_image
from smearscan.io.naming import OutputNames
from smearscan.scan.merge import merge_runs
from smearscan.scan.run import open_run, scan_into
from smearscan.scan.run_folder import run_record
from smearscan.scan.run_reports import write_run_reports
from smearscan.taxonomy import FINE_CLASSES

N = 5


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.use_fake_nets(monkeypatch, fine_classes=FINE_CLASSES)


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    for i in range(N):
        (tmp_path / "slides" / f"{i}").mkdir(parents=True)
        write_image(tmp_path / "slides" / f"{i}" / "f.png", fakes.field(i, n_white=i % 3))
    return tmp_path / "slides"


def scan(root: Path, folder: Path, shard: str = "", **settings: object) -> Path:
    found, names = find_slides(root), OutputNames(root)
    own = _part(shard, found) if shard else found
    scanner = fakes.scanner(**settings)
    with open_run(scanner, own, names, folder, None, found if shard else ()) as state:
        scan_into(state, scanner, own, names)
    return folder


def tables(run: Path) -> list[bytes]:
    files = [run / name for name in ("report.csv", "cells.csv", "summary.csv", "page.html")]
    write_run_reports(run, report=files[0], cells=files[1], summary=files[2], page=files[3])
    return [file.read_bytes() for file in files]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_parts_merged_give_the_bytes_of_one_run(tmp_path: Path, slides: Path, n: int) -> None:
    whole = scan(slides, tmp_path / "whole.run")
    parts = [scan(slides, tmp_path / f"{i}.run", f"{i}/{n}") for i in range(n, 0, -1)]
    merge_runs(parts, tmp_path / "merged.run")
    assert tables(tmp_path / "merged.run") == tables(whole)
    assert b"fine_promyelocyte_count" in tables(whole)[0]
    assert run_record(tmp_path / "merged.run") == run_record(whole)


def test_what_is_no_whole_run_is_refused(tmp_path: Path, slides: Path) -> None:
    one, two = (scan(slides, tmp_path / f"{i}.run", f"{i}/2") for i in (1, 2))
    other = scan(slides, tmp_path / "other.run", "2/2", flag_level=0.02)
    scanner, names, found = fakes.scanner(), OutputNames(slides), find_slides(slides)
    with open_run(scanner, found[1::2], names, tmp_path / "cut.run", None, found):
        pass
    merged = tmp_path / "merged.run"
    for parts, told in (
        ([one], "1, 3: in none of the run folders"),
        ([one, two, one], "in two of the run folders"),
        ([one, other], "other.run: was scanned with another flag_level"),
        ([one, tmp_path / "cut.run"], "cut.run: is not finished"),
    ):
        with pytest.raises(RunError, match=told):
            merge_runs(parts, merged)
    assert not merged.exists()


def test_the_command_writes_what_a_run_writes(tmp_path: Path, slides: Path) -> None:
    whole = tables(scan(slides, tmp_path / "whole.run"))
    parts = [str(scan(slides, tmp_path / f"{i}.run", f"{i}/2")) for i in (1, 2)]
    out = ["--out", str(tmp_path / "r.csv"), "--cells", str(tmp_path / "c.csv")]
    done = CliRunner().invoke(main, ["merge", *parts, *out])
    assert done.exit_code == 0, done.output
    assert [(tmp_path / name).read_bytes() for name in ("r.csv", "c.csv")] == whole[:2]
    refused = CliRunner().invoke(main, ["merge", *parts, "--out", "x.csv", "--run", parts[0]])
    assert refused.exit_code == 2
    assert "is one of the parts" in refused.output


def test_a_field_that_no_part_could_read_is_told_and_ends_with_1(tmp_path: Path, slides: Path) -> None:
    (slides / "3" / "broken.png").write_bytes(b"no picture")
    parts = [str(scan(slides, tmp_path / f"{i}.run", f"{i}/2")) for i in (1, 2)]
    done = CliRunner().invoke(main, ["merge", *parts, "--out", str(tmp_path / "r.csv")])
    assert done.exit_code == 1
    told = " ".join(done.output.split())
    assert "failed: " in told
    assert "broken.png" in told
    assert "exit code 1: 1 of 6 fields could not be read" in told


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/", "-1/2", "6/6"])
def test_a_part_that_is_none_is_refused(slides: Path, shard: str) -> None:
    with pytest.raises(ConfigError, match=f"--shard {shard}"):
        _part(shard, find_slides(slides))
