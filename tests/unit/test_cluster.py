"""What a worker of a cluster does, and what is refused before it is asked; for Ray: ``make cluster-test``."""

import json
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import fakes
import pytest
from click.testing import CliRunner

from smearscan.cli import main
from smearscan.errors import ConfigError, RunError
from smearscan.io import Slide, find_slides, write_image
from smearscan.io.naming import OutputNames
from smearscan.runtime import usable_cores
from smearscan.scan.cluster import SlideWorker, share_of
from smearscan.scan.packed_slides import PackedSlide
from smearscan.scan.run import answer_settings, open_run, scan_into
from smearscan.scan.run_reports import write_run_reports
from smearscan.taxonomy import FINE_CLASSES


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes.use_fake_nets(monkeypatch, fine_classes=FINE_CLASSES)


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    for i in range(3):
        (tmp_path / "slides" / f"{i}").mkdir(parents=True)
        write_image(tmp_path / "slides" / f"{i}" / "f.png", fakes.field(i, n_white=i))
    (tmp_path / "slides" / "1" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "slides"


def backwards(own: SlideWorker, slides: Sequence[Slide]) -> Iterator[PackedSlide]:
    for batch in own({"slide": slides[::-1]}):
        yield PackedSlide(**{name: value for name, (value,) in batch.items()})


def nothing(slides: Sequence[Slide]) -> Iterator[PackedSlide]:
    assert not slides
    yield from ()


def worker(root: Path, **changed: object) -> SlideWorker:
    scanner, names = fakes.scanner(), OutputNames(root)
    told = answer_settings(scanner, names) | changed
    return SlideWorker(scanner.config, json.dumps(told), names)


def test_slides_of_workers_in_any_order_give_the_bytes_and_the_progress_of_one_run(
    tmp_path: Path, slides: Path
) -> None:
    found, names = find_slides(slides), OutputNames(slides)
    tables, progress = [], []
    for name, own in (("plain", None), ("cluster", worker(slides))):
        folder, told = tmp_path / f"{name}.run", list[str]()
        scan_all = partial(backwards, own) if own else None
        scanner = fakes.scanner()
        with open_run(scanner, found, names, folder, None) as state:
            done = scan_into(state, scanner, found, names, on_progress=told.append, scan_all=scan_all)
        assert (done.n_slides, done.n_kept, done.broken) == (3, 0, ())
        write_run_reports(folder, report=folder / "r.csv", cells=folder / "c.csv")
        tables.append([(folder / file).read_bytes() for file in ("r.csv", "c.csv")])
        progress.append(sorted(told))
        with open_run(scanner, found, names, folder, True) as state:  # nothing is left to be scanned
            assert scan_into(state, scanner, found, names, scan_all=nothing).n_kept == 3
    assert tables[0] == tables[1]
    assert b"fine_type,fine_probability" in tables[0][1]
    assert progress[0] == progress[1]


def test_a_worker_of_another_version_or_weights_is_refused(slides: Path) -> None:
    with pytest.raises(RunError, match="has another version, weights: give every machine the same"):
        worker(slides, version="0.0.1", weights=["blast:123"])


def test_workers_share_machines_by_cores_and_gpus() -> None:
    large, small, gpu = {"CPU": 16.0}, {"CPU": 4.0}, {"CPU": 16.0, "GPU": 8.0}
    assert share_of([large, small], None, needs_gpu=False) == (4, 5)
    assert share_of([large, small], 8, needs_gpu=False) == (8, 2)
    assert share_of([small, gpu, gpu], None, needs_gpu=True) == (2, 16)
    assert share_of([gpu], 8, needs_gpu=True) == (8, 2)
    for machines, cores, needs_gpu in (([small], 8, False), ([large], None, True), ([{}], None, False)):
        with pytest.raises(RunError, match="no machine of the cluster has"):
            share_of(machines, cores, needs_gpu)


def test_a_process_can_be_told_to_take_fewer_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = usable_cores()
    for told, cores in (("1", 1), ("999", bound), ("", bound)):
        monkeypatch.setenv("SMEARSCAN_CORES", told)
        assert usable_cores() == cores
    for told in ("0", "two", "-1", "1.5"):
        monkeypatch.setenv("SMEARSCAN_CORES", told)
        with pytest.raises(ConfigError, match=f"SMEARSCAN_CORES={told}: is no number of cores"):
            usable_cores()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--address", "auto"], "add --engine-cluster ray"),
        (["--worker-cores", "2"], "add --engine-cluster ray"),
        (["--engine-cluster", "ray", "--overlays", "o"], "drawn by the machine that scans"),
        (["--engine-cluster", "ray", "--timing"], "accounts for this process alone"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(slides: Path, options: list[str], told: str) -> None:
    done = CliRunner().invoke(main, ["run", str(slides), "--out", "r.csv", *options])
    assert done.exit_code == 2
    assert told in " ".join(done.output.split())


def test_a_missing_ray_is_told_with_its_cure(
    tmp_path: Path, slides: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    out = str(tmp_path / "r.csv")
    done = CliRunner().invoke(main, ["run", str(slides), "--out", out, "--engine-cluster", "ray"])
    assert done.exit_code == 2
    assert "pip install 'smearscan[ray]'" in " ".join(done.output.split())
