"""The same cells whatever the batch, threads, order and load; nearly the same from every engine."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from smearscan.detection import boxes
from smearscan.differential.slide_report import SlideReport
from smearscan.io.folders import find_slides
from smearscan.results import FieldResult
from smearscan.runtime.engine import ENGINES, installed, resolve_device
from smearscan.scan.scanner import SmearScanner
from smearscan.synthetic import BEIGE, HEALTHY, LEUKEMIC, write_slides
from smearscan.training.annotated_fields import read_site
from smearscan.training.config import DetectorTraining, load_config
from smearscan.weights.pairs import shipped_folder

pytestmark = [pytest.mark.weights, pytest.mark.slow]

N_FIELDS = 9
BOX_PX = 0.5
PROBABILITY = 0.01
OTHERS = ["openvino-bf16", "onnxruntime-f32", "torch-f32"]


@dataclass(frozen=True)
class Told:
    """What a scan tells of the slides of a folder."""

    reports: dict[str, SlideReport]
    fields: dict[str, FieldResult]

    @property
    def flags(self) -> dict[str, str]:
        return {name: report.flag.state for name, report in self.reports.items()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    specs = {"healthy": replace(HEALTHY, stain=BEIGE), "leukemic": replace(LEUKEMIC, stain=BEIGE)}
    write_slides(root, specs, N_FIELDS, seed=11)
    return root


@pytest.fixture(scope="module")
def photographed(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fields of each site with boxes that no training has seen, a slide of each."""
    root = tmp_path_factory.mktemp("photographed")
    for site in load_config(shipped_folder("configs") / "detector.yaml", DetectorTraining).sites:
        if (data_root / site.images).is_dir():
            (root / site.name).mkdir()
            for item in read_site(site, data_root, "test")[:6]:
                (root / site.name / item.path.name).symlink_to(item.path)
    return root


@pytest.fixture(scope="module", params=["drawn", pytest.param("photographed", marks=pytest.mark.realdata)])
def slides(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture(scope="module")
def scanner() -> SmearScanner:
    return SmearScanner(device="cpu")


@pytest.fixture(scope="module")
def usual(scanner: SmearScanner, slides: Path) -> Told:
    return scanned(scanner, slides)


def scanned(scanner: SmearScanner, root: Path, **settings: int) -> Told:
    before = scanner.config
    scanner.config = before.model_copy(update=settings)
    try:
        found = list(scanner.scan_slides(root))
    finally:
        scanner.config = before
    fields = {f.path.relative_to(root).as_posix(): f for _, own in found for f in own if f.path}
    assert all(isinstance(f, FieldResult) for f in fields.values())
    return Told({r.tally.slide_id: r for r, _ in found}, fields)  # type: ignore[arg-type]


def assert_identical(one: Mapping[str, FieldResult], other: Mapping[str, FieldResult]) -> None:
    """To the last bit: boxes, scores, probabilities, names, numbers of other cells."""
    assert one.keys() == other.keys()
    for name, a in one.items():
        b = other[name]
        assert a.scale == b.scale, name
        assert a.types == b.types, name
        assert (a.n_red_cells, a.n_platelets) == (b.n_red_cells, b.n_platelets), name
        for x, y in (
            (a.detections.xyxy, b.detections.xyxy),
            (a.detections.scores, b.detections.scores),
            (a.probs, b.probs),
            (a.blast_probs, b.blast_probs),
        ):
            np.testing.assert_array_equal(x, y, name)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Other processes that keep every core busy."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def test_there_is_something_to_compare(usual: Told) -> None:
    assert sum(len(f.types) for f in usual.fields.values()) > 20


@pytest.mark.parametrize("window", [1, 7, 32])
@pytest.mark.parametrize("workers", [1, 4])
def test_batch_and_threads_change_no_cell(
    scanner: SmearScanner, slides: Path, usual: Told, window: int, workers: int
) -> None:
    told = scanned(scanner, slides, window=window, workers=workers, read_ahead=2 * workers)
    assert_identical(usual.fields, told.fields)
    assert [r.to_frame().to_csv() for r in usual.reports.values()] == [
        r.to_frame().to_csv() for r in told.reports.values()
    ]


def test_the_order_of_fields_changes_no_cell(scanner: SmearScanner, slides: Path, usual: Told) -> None:
    for slide in find_slides(slides):
        order = np.random.default_rng(3).permutation(len(slide.paths)).tolist()
        scale = usual.reports[slide.slide_id].scale
        before = scanner.config
        scanner.config = before.model_copy(update={"um_per_px": scale.um_per_px})
        try:
            found = list(scanner.stream(slide.paths[i] for i in order))
        finally:
            scanner.config = before
        told = {slide.paths[i].relative_to(slides).as_posix(): f for i, f in zip(order, found, strict=True)}
        assert all(isinstance(f, FieldResult) for f in told.values())
        same = {name: replace(f, scale=scale, slide_id=slide.slide_id) for name, f in told.items()}  # type: ignore[type-var]
        assert_identical({name: usual.fields[name] for name in told}, same)  # type: ignore[arg-type]


def test_a_busy_machine_changes_no_cell(scanner: SmearScanner, slides: Path, usual: Told) -> None:
    with busy_cores():
        told = scanned(scanner, slides)
    assert_identical(usual.fields, told.fields)


@pytest.mark.parametrize("how", OTHERS)
def test_engines_agree(slides: Path, how: str) -> None:
    engine, precision = how.split("-")
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    measure = scanned(SmearScanner(device="cpu", engine="openvino", precision="f32"), slides)
    other = scanned(SmearScanner(device="cpu", engine=engine, precision=precision), slides)
    assert_alike(measure, other)


@pytest.mark.parametrize("engine", [e for e in ENGINES if e in ("torch", "tensorrt")])
def test_a_gpu_agrees(slides: Path, engine: str) -> None:
    if not resolve_device("auto").startswith("cuda"):
        pytest.skip("there is no GPU of NVIDIA")
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    measure = scanned(SmearScanner(device="cpu", engine="torch", precision="f32"), slides)
    on_gpu = SmearScanner(device="cuda", engine=engine)
    told = scanned(on_gpu, slides)
    assert_alike(measure, told)
    assert_identical(told.fields, scanned(on_gpu, slides, window=7, workers=4).fields)


def assert_alike(one: Told, other: Told) -> None:
    """Boxes within half a pixel, probabilities within .01, every flag the same."""
    assert one.flags == other.flags
    assert one.fields.keys() == other.fields.keys()
    for name, a in one.fields.items():
        b = other.fields[name]
        assert len(a.types) == len(b.types), name
        if not a.types:
            continue
        pairs = boxes.iou(a.detections.xyxy, b.detections.xyxy).argmax(axis=1)
        assert sorted(pairs) == list(range(len(pairs))), name
        np.testing.assert_allclose(
            a.detections.xyxy, b.detections.xyxy[pairs], rtol=0, atol=BOX_PX, err_msg=name
        )
        np.testing.assert_allclose(a.probs, b.probs[pairs], rtol=0, atol=PROBABILITY, err_msg=name)
        np.testing.assert_allclose(
            a.blast_probs, b.blast_probs[pairs], rtol=0, atol=PROBABILITY, err_msg=name
        )
