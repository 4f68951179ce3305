"""What each stage of a scan costs alone: `make bench`."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.fields import KINDS, SMALL, Kind, slide
from smearscan.classification.crops import cut_crops
from smearscan.classification.shared_trunk import load_classifiers, predict_probs
from smearscan.detection.detector import Detector
from smearscan.differential.slide_report import SlideReport, report_frame
from smearscan.io.decode import read_image
from smearscan.report.tables import write_csv
from smearscan.results import FieldFailure, FieldResult, Scale, cells_frame
from smearscan.rulers.scale import measure_scale
from smearscan.runtime.engine import installed
from smearscan.scan.scanner import SmearScanner
from smearscan.weights.pairs import shipped

ENGINES = [("openvino", "f32"), ("openvino", "bf16"), ("onnxruntime", "f32"), ("torch", "f32")]
Scanned = tuple[SlideReport, list[FieldResult | FieldFailure]]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def path(kind: Kind) -> Path:
    return sorted(slide(kind, kind.distinct).rglob("*.jpg"))[0]


@pytest.fixture(scope="module")
def image(path: Path) -> NDArray[np.uint8]:
    return read_image(path)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector.load(engine="openvino")


@pytest.fixture(scope="module")
def crops(detector: Detector, scanner: SmearScanner) -> NDArray[np.uint8]:
    """Sixty-four crops, as a window of fields fills eight batches."""
    found = []
    for file in sorted(slide(SMALL, SMALL.distinct).rglob("*.jpg"))[:20]:
        field = read_image(file)
        cells = detector.detect(field, Scale(SMALL.um_per_px, "given")).leukocytes
        found.append(cut_crops(field, cells.xyxy, SMALL.um_per_px, *scanner.classifier.geometries[0]))
    every = np.concatenate(found)
    return np.concatenate([every] * (64 // len(every) + 1))[:64]


@pytest.fixture(scope="module")
def scanner() -> SmearScanner:
    return SmearScanner(um_per_px=SMALL.um_per_px)


@pytest.fixture(scope="module")
def scanned(scanner: SmearScanner) -> Scanned:
    return next(scanner.scan_slides(slide(SMALL, SMALL.distinct)))


def test_decode(benchmark: BenchmarkFixture, path: Path) -> None:
    assert benchmark(read_image, path).ndim == 3


def test_ruler(benchmark: BenchmarkFixture, detector: Detector, image: NDArray[np.uint8], kind: Kind) -> None:
    found = benchmark(measure_scale, detector, [image])
    assert found.um_per_px == pytest.approx(kind.um_per_px, rel=0.2)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_detect(benchmark: BenchmarkFixture, engine: str, image: NDArray[np.uint8], kind: Kind) -> None:
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    finder = Detector.load(engine=engine, device="cpu")
    assert len(benchmark(finder.detect, [image], [Scale(kind.um_per_px, "given")])[0])


def test_crop(
    benchmark: BenchmarkFixture, scanner: SmearScanner, image: NDArray[np.uint8], kind: Kind
) -> None:
    cells = scanner.detector.detect(image, Scale(kind.um_per_px, "given")).leukocytes
    crop = scanner.classifier.geometries[0]
    assert len(benchmark(cut_crops, image, cells.xyxy, kind.um_per_px, *crop)) == len(cells)


@pytest.mark.parametrize("how", ENGINES, ids="-".join)
def test_classify_64_crops(
    benchmark: BenchmarkFixture, how: tuple[str, str], crops: NDArray[np.uint8]
) -> None:
    engine, precision = how
    if not installed(engine):
        pytest.skip(f"{engine} is not installed")
    pairs = [shipped(task) for task in ("differential", "blast")]
    nets = load_classifiers(pairs, "cpu", engine, precision)  # type: ignore[arg-type]
    benchmark.extra_info["engine"] = nets[0].engine.name
    both = benchmark(predict_probs, nets, {net.geometry: crops for net in nets})
    assert [len(probs) for probs in both] == [len(crops)] * 2


def test_statistics_of_a_slide(benchmark: BenchmarkFixture, scanner: SmearScanner, scanned: Scanned) -> None:
    report, _ = scanned
    made = benchmark(scanner.judge.report, report.tally, report.scale, report.reading)
    assert made.flag == report.flag


def test_writing_the_tables(
    benchmark: BenchmarkFixture, scanner: SmearScanner, scanned: Scanned, tmp_path: Path
) -> None:
    report, fields = scanned
    root = slide(SMALL, SMALL.distinct)

    def write() -> None:
        write_csv(report_frame([report]), tmp_path / "report.csv")
        write_csv(cells_frame(fields, root, scanner.calibration_name), tmp_path / "cells.csv")

    benchmark(write)
    assert (tmp_path / "cells.csv").is_file()
