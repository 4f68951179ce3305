"""Each export is opened by a library of its own ecosystem."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import drawn_run
import numpy as np
import pytest
from shapely.geometry import box, shape

from smearscan.config import scan_config
from smearscan.differential import SuspectRule
from smearscan.errors import ConfigError
from smearscan.report.exports import KINDS, write_exports
from smearscan.report.exports.names import FileNames
from smearscan.report.exports.parquet import ParquetExport
from smearscan.report.run_facts import RunFacts
from smearscan.results import FieldResult, cells_frame

EVIL = '../../etc/<img onerror>"\u202e'


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_run.draw(tmp_path_factory.mktemp("drawn"), 3)


@pytest.fixture(scope="module")
def run(slides: Path) -> drawn_run.Slides:
    return drawn_run.run(slides)


@pytest.fixture(scope="module")
def out(run: drawn_run.Slides, slides: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    pytest.importorskip("pyarrow")
    written = write_exports(folder, KINDS, drawn_run.facts(), iter(run), slides)
    assert all(path.exists() for path in written.files)
    assert written.missing_pictures == ()
    return folder


def read(run: drawn_run.Slides) -> list[FieldResult]:
    return [r for _, results in run for r in results if isinstance(r, FieldResult)]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
def test_coco_is_what_pycocotools_reads(out: Path, run: drawn_run.Slides) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    with contextlib.redirect_stdout(io.StringIO()):
        opened = coco.COCO(str(out / "coco.json"))
    results = read(run)
    assert len(opened.imgs) == len(results)
    assert len(opened.anns) == sum(map(len, results))
    for image_id, result in zip(sorted(opened.imgs), results, strict=True):
        found = opened.loadAnns(opened.getAnnIds(imgIds=image_id))
        names = [opened.loadCats(a["category_id"])[0]["name"] for a in found]
        assert names == list(result.types)
        boxes = np.array([a["bbox"] for a in found], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        np.testing.assert_allclose(boxes, result.detections.xyxy, atol=0.02)
        assert all(opened.annToMask(a).sum() > 0 for a in found)


def test_yolo_labels_give_the_boxes_back(out: Path, run: drawn_run.Slides, slides: Path) -> None:
    import yaml

    names = yaml.safe_load((out / "yolo/data.yaml").read_text(encoding="utf-8"))["names"]
    for result in read(run):
        assert result.path is not None
        label = out / "yolo/labels" / result.path.relative_to(slides).with_suffix(".txt")
        rows = [line.split() for line in label.read_text(encoding="utf-8").splitlines()]
        assert [names[int(row[0])] for row in rows] == list(result.types)
        x, y, w, h = np.array([row[1:] for row in rows], np.float64).reshape(-1, 4).T
        corners = np.column_stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        np.testing.assert_allclose(corners * ([*result.shape[::-1]] * 2), result.detections.xyxy, atol=0.01)


def test_geojson_is_valid_closed_and_classified(out: Path, run: drawn_run.Slides, slides: Path) -> None:
    geojson = pytest.importorskip("geojson")
    for result in read(run):
        assert result.path is not None
        file = out / "geojson" / f"{result.path.relative_to(slides)}.geojson"
        opened = geojson.loads(file.read_text(encoding="utf-8"))
        assert opened.is_valid
        assert len(opened.features) == len(result)
        for part, cell in zip(opened.features, result, strict=True):
            polygon = shape(part["geometry"])
            assert polygon.is_valid
            assert polygon.exterior.is_closed
            assert polygon.symmetric_difference(box(*cell.xyxy)).area < 1e-6
            assert part["properties"]["objectType"] == "detection"
            assert part["properties"]["measurements"]["Detection probability"] == pytest.approx(
                cell.score, rel=1e-4
            )
            named = part["properties"].get("classification", {}).get("name", "unclassified")
            assert named == cell.type
        ids = [part["id"] for part in opened.features]
        assert len(set(ids)) == len(ids)


def test_parquet_holds_the_columns_of_cells_csv(out: Path, run: drawn_run.Slides, slides: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    files = {path.stem: path for path in (out / "parquet").iterdir()}
    assert set(files) == {report.slide_id for report, _ in run}
    for report, results in run:
        own, want = parquet.ParquetFile(files[report.slide_id]), cells_frame(results, slides)
        table = own.read().to_pandas()
        assert list(table.columns) == list(want.columns)
        for name in want.columns:
            np.testing.assert_array_equal(table[name], want[name])  # not a number equals itself here
        facts = json.loads(own.schema_arrow.metadata[b"smearscan"])
        assert facts["weights"][0]["sha256"] == "d" * 64
    whole = parquet.read_table(out / "parquet").to_pandas()  # the folder is one table
    assert len(whole) == sum(len(cells_frame(results, slides)) for _, results in run)


def test_a_slide_without_a_cell_has_a_parquet_file_without_a_row(
    tmp_path: Path, run: drawn_run.Slides
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export = ParquetExport(tmp_path, drawn_run.facts(), None)
    report, results = run[0]
    export.add(replace(report, tally=replace(report.tally, slide_id="a/empty")), [])
    export.add(report, results)
    (folder,) = export.close()
    assert parquet.read_table(folder / "a/empty.parquet").num_rows == 0
    assert parquet.read_table(folder).num_rows == sum(len(r) for r in results if isinstance(r, FieldResult))


def test_fhir_is_r4_with_method_neutral_codes(out: Path, run: drawn_run.Slides) -> None:
    bundle = pytest.importorskip("fhir.resources.R4B.bundle")
    for report, _ in run:
        text = (out / "fhir" / f"{report.slide_id}.json").read_text(encoding="utf-8")
        opened = bundle.Bundle.model_validate_json(text)
        kinds = [entry.resource.get_resource_type() for entry in opened.entry]
        assert kinds.count("DiagnosticReport") == kinds.count("Device") == 1
        panel = next(e.resource for e in opened.entry if e.resource.get_resource_type() == "DiagnosticReport")
        assert [(c.code, c.display) for c in panel.code.coding] == [
            ("69738-3", "Differential panel, method unspecified - Blood")
        ]
        observations = [e.resource for e in opened.entry if e.resource.get_resource_type() == "Observation"]
        assert {o.status for o in observations} == {"preliminary"}
        codes = {c.code: float(o.valueQuantity.value) for o in observations for c in o.code.coding or []}
        assert set(codes) == {"26511-6", "26478-8", "26485-3", "26450-7", "30180-4", "26446-5"}
        assert codes["26446-5"] == pytest.approx(report.blast_percent, abs=0.01)
        urls = {entry.fullUrl for entry in opened.entry}
        assert {ref.reference for ref in opened.entry[0].resource.result} <= urls


def test_a_slide_without_cells_has_no_percentages(run: drawn_run.Slides) -> None:
    bundle = pytest.importorskip("fhir.resources.R4B.bundle")
    from smearscan.report.exports.fhir import bundle as made

    empty = drawn_run.report("empty", [], drawn_run.errors())
    opened = bundle.Bundle.model_validate(made(empty, drawn_run.facts()))
    observations = [e.resource for e in opened.entry if e.resource.get_resource_type() == "Observation"]
    assert all(o.valueQuantity is None and o.dataAbsentReason for o in observations)


def test_the_manifest_hashes_inputs_and_tells_of_no_machine(
    out: Path, run: drawn_run.Slides, slides: Path
) -> None:
    import hashlib

    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["weights"][0]["sha256"] == "d" * 64
    first = manifest["slides"][0]["fields"][0]
    assert first["sha256"] == hashlib.sha256((slides / first["field"]).read_bytes()).hexdigest()
    failed = manifest["slides"][1]["fields"][-1]
    assert failed["failed"].startswith("leukemic/broken.jpg:")
    for file in out.rglob("*"):
        if file.is_file():
            assert str(slides.parent).encode() not in file.read_bytes(), file


def test_names_from_outside_stay_below_the_folder(
    run: drawn_run.Slides, slides: Path, tmp_path: Path
) -> None:
    report, results = drawn_run.renamed(run, EVIL, "x")[0]
    results[0] = replace(results[0], path=Path("/elsewhere") / "..odd|name?.jpg")
    folder = tmp_path / "a" / "b" / "c"
    write_exports(folder, KINDS, drawn_run.facts(), [(report, results)], slides)
    assert {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("*")} == {"a"}
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]
    assert [p.name for p in (tmp_path / "a/b").iterdir()] == ["c"]


def test_two_names_never_become_one() -> None:
    names = FileNames()
    made = [str(names(name)) for name in ("a?b", "a*b", "A*B", "a?b", "..", ".")]
    assert made == ["a_b", "a_b (2)", "A_B (3)", "a_b", "_", "_ (2)"]


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none of coco, yolo, geojson, parquet, fhir"):
        write_exports(tmp_path, ["dicom"], drawn_run.facts(), [], None)


def test_pages_and_exports_tell_the_ranges_that_the_report_is_tested_against(tmp_path: Path) -> None:
    own = tmp_path / "ranges.yaml"
    own.write_text("neutrophil: {low: 33, high: 77}\n", encoding="utf-8")
    facts = RunFacts.of(scan_config(reference_ranges=own), [], None)
    assert facts.range_of("neutrophil") == (33, 77)
    assert facts.range_of("lymphocyte") is None
    assert facts.ranges_source.endswith("ranges.yaml")
    shipped = RunFacts.of(scan_config(), [], None)
    assert shipped.ranges == SuspectRule.of(scan_config()).ranges
    assert shipped.range_of("eosinophil") == (0, 6)
    assert shipped.range_of("blast") is None
