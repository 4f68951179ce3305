"""Fine types in a scan: which net names them, and where what it says is kept."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import classifier, field, scanner, use_fake_nets

from smearscan.config import scan_config
from smearscan.differential.conclusions import report_slide
from smearscan.differential.flag import FlagRule
from smearscan.differential.tally import SlideTally
from smearscan.errors import ConfigError
from smearscan.io import write_image
from smearscan.report.exports.fhir import bundle
from smearscan.report.exports.geojson import feature
from smearscan.report.exports.parquet import ParquetExport
from smearscan.report.scan_page import write_scan_page
from smearscan.results import FINE_COLUMNS, Scale
from smearscan.scan import cell_classifier
from smearscan.scan.cell_classifier import fine_pair
from smearscan.scan.facts_file import facts_of
from smearscan.scan.run import answer_settings
from smearscan.scan.scanner import SmearScanner
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, FINE_CLASSES, FINE_TYPES_OF


@pytest.fixture(autouse=True)
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch, fine_classes=FINE_CLASSES)


def without_fine(monkeypatch: pytest.MonkeyPatch) -> SmearScanner:
    monkeypatch.setattr(cell_classifier, "fine_pair", lambda _: None)
    return scanner()


# ---------------------------------------------------------------- what a scan says


def test_a_scan_names_fine_types_within_the_types(monkeypatch: pytest.MonkeyPatch) -> None:
    scan, images = scanner(), [field(seed, n_white=3) for seed in range(4)]
    results = scan.analyze_batch(images)
    plain = without_fine(monkeypatch).analyze_batch(images)
    for own, bare in zip(results, plain, strict=True):
        assert own.fine_classes == FINE_CLASSES
        assert own.types == bare.types
        for cell in own:
            assert cell.fine_type in FINE_TYPES_OF[cell.type]
            assert 0 < cell.fine_probability <= 1
        assert (bare.fine_classes, bare.fine_types) == ((), ())
    assert len({name for own in results for name in own.fine_types}) > 1
    bare_frame = results[0].to_frame().drop(columns=list(FINE_COLUMNS))
    assert list(bare_frame) == list(plain[0].to_frame())


def test_each_field_gets_the_answers_to_its_own_cells() -> None:
    own = scanner().classifier
    assert own.fine is not None
    (how,) = own.geometries
    crops = np.random.default_rng(0).integers(0, 256, (7, how.px, how.px, 3), np.uint8)
    cut = [{how: crops[:2]}, {how: crops[2:2]}, {how: crops[2:]}]
    parts = own.predict_probs(cut, [{}, {}, {}], [False, False, False])
    assert [part.fine.shape for part in parts] == [(2, 18), (0, 18), (5, 18)]
    np.testing.assert_array_equal(np.concatenate([part.fine for part in parts]), own.fine.probs(crops))


def test_a_report_and_a_run_tell_of_the_fine_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "f.png", field(3, n_white=4))
    scan = scanner()
    ((report, results),) = scan.scan_slides(tmp_path)
    told = {share.name: share.count for share in report.fine_shares}
    named = [cell.fine_type for result in results for cell in result]  # type: ignore[union-attr]
    assert told == {name: named.count(name) for name in told}
    assert scan.weights[-1] == "cells:cececececece"
    facts, settings = facts_of(scan), answer_settings(scan)
    assert (facts.networks[-1].stage, facts.has_fine_types) == ("cells", True)
    assert facts.classes == DIFFERENTIAL_CLASSES
    plain = without_fine(monkeypatch)
    bare = answer_settings(plain)
    assert not facts_of(plain).has_fine_types
    assert "cells" not in settings  # where the pair lies changes no answer
    assert settings["cells_card"] != bare["cells_card"] is None


def test_exports_tell_the_fine_type(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    write_image(tmp_path / "f.png", field(3, n_white=4))
    scan = scanner()
    ((report, results),) = scan.scan_slides(tmp_path)
    export = ParquetExport(tmp_path / "out", facts_of(scan), None)
    export.add(report, results)
    table = parquet.read_table(export.close()[0]).to_pandas()
    cells = [cell for result in results for cell in result]  # type: ignore[union-attr]
    assert table["fine_type"].tolist() == [cell.fine_type for cell in cells]
    made = feature(cells[0], "f")["properties"]
    assert made["metadata"] == {"Fine type": cells[0].fine_type}
    assert made["measurements"]["Fine type probability"] == pytest.approx(cells[0].fine_probability, rel=1e-4)


def test_a_laboratory_s_system_is_told_the_fine_types(tmp_path: Path) -> None:
    write_image(tmp_path / "f.png", field(3, n_white=4))
    scan = scanner()
    ((report, _),) = scan.scan_slides(tmp_path)
    made = [entry["resource"] for entry in bundle(report, facts_of(scan))["entry"]]
    told = {r["code"]["text"]: r for r in made if r["resourceType"] == "Observation"}
    total = report.differential.total
    for share in report.fine_shares:
        one = told[f"fine type {share.name}/100 leukocytes in Blood"]
        assert one["note"][1]["text"] == f"{share.count} of {total} leukocytes"
        assert one["valueQuantity"]["value"] == pytest.approx(share.percent, abs=0.01)
        limits = [part["valueQuantity"]["value"] for part in one["component"]]
        assert limits == pytest.approx([share.low, share.high], abs=0.01)
    assert len(told) == len(report.differential.classes) + len(report.fine_shares)


@pytest.mark.parametrize("unnamed", [0, 300])
def test_the_page_to_print_tells_them_and_the_suspicions(tmp_path: Path, unnamed: int) -> None:
    types = Counter(neutrophil=60, monocyte=40, blast=100, unclassified=unnamed)
    tally = SlideTally("s", 1, 0, types, fine_types=Counter(promyelocyte=90, myeloblast=10))
    scale = Scale(0.07, "red cells", 30)
    report = report_slide(tally, "both", scale, FlagRule(), (), fine_classes=FINE_CLASSES)
    write_scan_page([report], tmp_path / "page.html")
    page = " ".join((tmp_path / "page.html").read_text(encoding="utf-8").split())
    assert all(suspect.reason in page for suspect in report.suspects if suspect.name == "promyelocytes")
    row = '<tr><td>promyelocyte</td><td class="n">90</td><td class="n">45.0 %</td>'
    assert (row in page) == (unnamed == 0)  # a slide that the networks do not know has no percentages
    assert "lymphoblast" not in page


# ---------------------------------------------------------------- which net names them


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Undo the fakes' choice of a net; a shipped pair lies where this points to."""
    monkeypatch.undo()
    shipped = tmp_path / "cells.safetensors"
    monkeypatch.setattr(cell_classifier, "shipped", lambda name: tmp_path / f"{name}.safetensors")
    return shipped


def of_task(task: str) -> object:
    return lambda *_: SimpleNamespace(task=task)


def test_without_a_shipped_pair_no_net_names_fine_types(asked: Path) -> None:
    assert fine_pair(scan_config()) is None


def test_the_shipped_pair_serves_the_shipped_blast_net(asked: Path) -> None:
    asked.touch()
    assert fine_pair(scan_config()) == asked


@pytest.mark.parametrize("joins", [True, False])
def test_it_serves_a_blast_net_of_ones_own_where_it_costs_no_network(
    asked: Path, monkeypatch: pytest.MonkeyPatch, joins: bool
) -> None:
    asked.touch()
    monkeypatch.setattr(cell_classifier, "have_one_body", lambda *paths: joins)
    assert fine_pair(scan_config(blast=Path("mine.safetensors"))) == (asked if joins else None)


def test_it_serves_beside_a_differential_of_ones_own(asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.touch()
    monkeypatch.setattr(cell_classifier, "load_card", of_task("differential"))
    assert fine_pair(scan_config(differential=Path("mine.safetensors"))) == asked


def test_a_differential_that_is_a_net_of_fine_types_names_them(
    asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.touch()
    monkeypatch.setattr(cell_classifier, "load_card", of_task("cells"))
    assert fine_pair(scan_config(differential=Path("mine.safetensors"))) == Path("mine.safetensors")


def test_the_pair_that_is_given_goes_before_all(asked: Path) -> None:
    asked.touch()
    given = Path("given.safetensors")
    assert fine_pair(scan_config(cells=given, differential=Path("mine.safetensors"))) == given


@pytest.mark.parametrize("task", ["blast", "differential"])
def test_one_net_alone_has_no_fine_types(task: str) -> None:
    scan = scanner(task=task)
    assert scan.classifier.fine is None
    assert scan.analyze(field(3)).fine_types == ()


@pytest.mark.parametrize("task", ["blast", "differential"])
def test_a_net_of_fine_types_beside_one_net_alone_is_refused(task: str) -> None:
    with pytest.raises(ConfigError, match=f"the task is '{task}'; take the task both, or leave cells out"):
        scan_config(task=task, cells=Path("cells.safetensors"))


def test_a_net_of_another_task_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = classifier("differential", DIFFERENTIAL_CLASSES)
    nets = [own, classifier("blast", ("healthy", "blast")), own]
    monkeypatch.setattr(cell_classifier, "load_classifiers", lambda *_: nets)
    with pytest.raises(ConfigError, match=r"cells\.safetensors: .* of the task 'differential' and names no"):
        scanner()
