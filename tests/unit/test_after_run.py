"""Pages and exports of an earlier run: the same bytes as with the run, and nothing missing in silence."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
from click.testing import CliRunner, Result
from fakes import use_fake_nets
from test_run_folder import identical

from smearscan.cli import main
from smearscan.config import scan_config
from smearscan.differential.calibration_card import load_calibration, shipped_calibration
from smearscan.errors import RunError
from smearscan.io import write_image
from smearscan.io.content import file_sha256
from smearscan.report.run_facts import RunFacts
from smearscan.results import FieldResult
from smearscan.scan.facts_file import keep_facts, read_facts
from smearscan.scan.run_folder import read_run

KINDS = "coco,yolo,geojson,parquet,fhir,contact"


@pytest.fixture(scope="module", autouse=True)
def _fake_nets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        use_fake_nets(patch)
        yield


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scanned folder and its run: a slide of two fields, one broken; one of one field; a loose picture."""
    root = tmp_path_factory.mktemp("scanned")
    for name in ("one/0.png", "two/1.png", "loose.png"):
        (root / "slides" / name).parent.mkdir(parents=True, exist_ok=True)
        write_image(root / "slides" / name, fakes.field(len(name), n_white=3))
    (root / "slides/one/broken.png").write_text("no picture")
    kinds = "--review", root / "review", "--export", KINDS
    assert scan(root / "slides", root, *kinds).exit_code == 1  # the broken field
    return root


@pytest.fixture
def slides(scanned: Path, tmp_path: Path) -> Path:
    """The same to be harmed; the run lies beside it."""
    shutil.copytree(scanned / "slides", tmp_path / "slides")
    shutil.copytree(scanned / "report.run", tmp_path / "report.run")
    return tmp_path / "slides"


def ask(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


def scan(slides: Path, out: Path, *more: object) -> Result:
    return ask("run", slides, "--out", out / "report.csv", "--um-per-px", fakes.UM_PER_PX, *more)


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_earlier_run_gives_the_very_pages_and_exports_of_the_run(scanned: Path, slides: Path) -> None:
    at, later = slides.parent / "report.run", slides.parent / "later"
    done = ask("review", at, "--out", later / "review", "--pictures", slides)
    assert done.exit_code == 0, done.stderr
    done = ask("export", at, "--export", KINDS, "--out", later / "exports", "--pictures", slides)
    assert done.exit_code == 0, done.stderr
    expected = content(scanned / "review") | content(scanned / "exports")
    assert len(expected) > 10
    assert content(later / "review") | content(later / "exports") == expected


def test_what_draws_nothing_needs_no_pictures(scanned: Path, slides: Path) -> None:
    shutil.rmtree(slides)
    done = ask("export", slides.parent / "report.run", "--export", "coco,geojson")
    assert done.exit_code == 0, done.stderr
    made, expected = content(slides.parent / "exports"), content(scanned / "exports")
    assert made == {name: expected[name] for name in made}
    assert {"coco.json", "manifest.json", "geojson/two/1.png.geojson"} <= set(made)


@pytest.mark.parametrize("harm", ["changed", "gone", "resized"])
def test_a_picture_that_is_gone_or_another_one_is_named(slides: Path, tmp_path: Path, harm: str) -> None:
    harms: dict[str, tuple[Callable[[Path], None], str]] = {
        "changed": (lambda path: write_image(path, fakes.field(99)), "its content is not the one"),
        "gone": (lambda path: path.unlink(), "is not there any more"),
        "resized": (lambda path: write_image(path, fakes.field(1)[:-9]), "its content is not the one"),
    }
    do, word = harms[harm]
    do(slides / "two/1.png")
    done = ask("review", tmp_path / "report.run", "--out", tmp_path / "review", "--pictures", slides)
    assert done.exit_code == 1
    told = " ".join(done.stderr.split())
    assert "1 fields are in the page without their pictures" in told
    assert f"two/1.png: {word}" in told
    page = (tmp_path / "review/index.html").read_text(encoding="utf-8")
    assert page.count('id="field-') == 2  # the others have theirs
    assert page.count('id="sprite-') == 3
    sheets = "contact", "--out", tmp_path / "sheets", "--pictures", slides
    done = ask("export", tmp_path / "report.run", "--export", *sheets)
    assert (done.exit_code, "two/1.png" in done.stderr) == (1, True)
    assert len(list((tmp_path / "sheets/contact").iterdir())) == 3


def test_the_manifest_tells_the_pictures_that_were_scanned(slides: Path, tmp_path: Path) -> None:
    before = file_sha256(slides / "two/1.png")
    write_image(slides / "two/1.png", fakes.field(99))
    ask("export", tmp_path / "report.run", "--export", "coco", "--pictures", slides)
    manifest = json.loads((tmp_path / "exports/manifest.json").read_text(encoding="utf-8"))
    fields = {f["field"]: f["sha256"] for slide in manifest["slides"] for f in slide["fields"]}
    assert fields["two/1.png"] == before
    assert fields["one/broken.png"] == file_sha256(slides / "one/broken.png")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (
            ["review", "{run}", "--out", "{new}", "--pictures", "{run}"],
            "holds none of the run's pictures, for",
        ),
        (["review", "{slides}", "--out", "{new}", "--pictures", "{slides}"], "holds no run; give the folder"),
        (["review", "{run}", "--out", "{report}", "--pictures", "{slides}"], "is a file; --out is a folder"),
        (["export", "{run}", "--export", "contact"], "--export contact reads the photographs again: give"),
        (["export", "{run}", "--export", "dicom"], "--export dicom: is none of coco, yolo"),
        (["export", "{run}", "--export", " , "], "--export: names no kind of file"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(slides: Path, tmp_path: Path, args: list[str], told: str) -> None:
    (tmp_path / "report.csv").touch()
    places = {"run": tmp_path / "report.run", "new": tmp_path / "new", "slides": slides}
    done = ask(*(arg.format(**places, report=tmp_path / "report.csv") for arg in args))
    assert done.exit_code == 2
    assert told in " ".join(done.stderr.split())
    assert not (tmp_path / "new").exists()


def test_a_run_with_pseudonyms_is_refused(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("0123456789abcdef")
    scan(slides / "loose.png", tmp_path / "one", "--pseudonymize", tmp_path / "key")
    done = ask("export", tmp_path / "one/report.run", "--export", "coco")
    assert (done.exit_code, "was made with --pseudonymize" in done.stderr) == (2, True)


def test_an_interrupted_run_says_how_much_of_it_there_is(slides: Path, tmp_path: Path) -> None:
    next((tmp_path / "report.run/slides").iterdir()).unlink()
    done = ask("export", tmp_path / "report.run", "--export", "coco")
    assert (done.exit_code, "2 of 3 slides are read" in " ".join(done.stderr.split())) == (0, True)


def test_one_picture_alone_is_found_again(slides: Path, tmp_path: Path) -> None:
    picture = slides / "loose.png"
    scan(picture, tmp_path / "one", "--review", tmp_path / "at_once")
    done = ask("review", tmp_path / "one/report.run", "--out", tmp_path / "later", "--pictures", picture)
    assert done.exit_code == 0, done.stderr
    assert content(tmp_path / "later") == content(tmp_path / "at_once")


def test_hashes_are_those_of_the_files(slides: Path, tmp_path: Path) -> None:
    for _, items in read_run(tmp_path / "report.run", slides):
        for item in items:
            assert item.path is not None
            assert item.sha256 == file_sha256(item.path)
            assert isinstance(item, FieldResult) or item.path.name == "broken.png"


# ---------------------------------------------------------------- facts


def facts(**settings: object) -> RunFacts:
    return RunFacts.of(scan_config(**settings), [], load_calibration(shipped_calibration()))


def test_facts_are_restored_to_the_last_bit(tmp_path: Path) -> None:
    ranges = tmp_path / "ranges.yaml"
    ranges.write_text("neutrophil: {low: 33.3, high: 77}\n", encoding="utf-8")
    known = facts(reference_ranges=ranges)
    assert known.errors is not None
    keep_facts(tmp_path, known, resumed=False)
    again = read_facts(tmp_path)
    assert identical(again.errors, known.errors)
    assert (again.ranges, again.as_json(), again.digest()) == (known.ranges, known.as_json(), known.digest())
    assert (again.ranges_source, again.recalibrated_by) == (known.ranges_source, known.recalibrated_by)


def test_a_run_that_is_gone_on_with_keeps_the_time_of_its_beginning(tmp_path: Path) -> None:
    first = replace(facts(), made="2026-01-01T00:00:00Z")
    keep_facts(tmp_path, first, resumed=False)
    keep_facts(tmp_path, facts(), resumed=True)
    assert read_facts(tmp_path).made == first.made
    keep_facts(tmp_path, facts(window=3), resumed=True)  # told on pages, so it is told as it was
    assert read_facts(tmp_path).made != first.made
    keep_facts(tmp_path, first, resumed=False)
    assert read_facts(tmp_path).made == first.made


@pytest.mark.parametrize("text", ["", "{half", "[]", '{"task": "both"}', '{"errors": {"counts": 3}}'])
def test_damaged_facts_are_refused_and_mended_by_going_on(tmp_path: Path, text: str) -> None:
    (tmp_path / "facts.json").write_text(text)
    with pytest.raises(RunError, match=r"facts\.json: is damaged or was written by another version"):
        read_facts(tmp_path)
    keep_facts(tmp_path, facts(), resumed=True)
    assert read_facts(tmp_path).task == "both"


def test_a_run_of_a_former_version_says_the_cure(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "report.run/facts.json").unlink()
    done = ask("export", tmp_path / "report.run", "--export", "coco")
    assert (done.exit_code, "scan again with --resume" in " ".join(done.stderr.split())) == (2, True)
    scan(slides, tmp_path, "--resume")
    assert ask("export", tmp_path / "report.run", "--export", "coco").exit_code == 0
