"""The command line: help is quick, wrong usage ends with 2 and one sentence."""

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import fakes
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from smearscan import __version__
from smearscan.classification.classifier import Classifier
from smearscan.cli import _COMMANDS, main
from smearscan.cli.console import voice
from smearscan.cli.options import stages
from smearscan.cli.stopping import Terminated
from smearscan.detection.detector import Detector
from smearscan.errors import ConfigError
from smearscan.io.decode import write_image
from smearscan.scan import cell_classifier
from smearscan.taxonomy import NOTICE
from smearscan.weights.pairs import ClassifierCard, DetectorCard, save_card

JPEG = ("--overlay-format", "jpeg", "--no-resume")


def ask(*args: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in args])


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield (*path, name)
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    image, _ = fakes.draw(200, 260, [(0, 100, 100, 60), *((1, 30 + 40 * i, 30, 32) for i in range(6))])
    (tmp_path / "slides" / "s").mkdir(parents=True)
    for i in range(2):
        image[0, 0] += np.uint8(i)  # two files, not a file and its copy
        write_image(tmp_path / "slides" / "s" / f"{i}.png", image)
    return tmp_path / "slides"


@pytest.fixture
def _fake_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    class Even:
        name = "fake"

        def __init__(self, k: int) -> None:
            self.k = k

        def run(self, images: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return np.tile(np.linspace(5, 0, self.k, dtype=np.float32), (len(images), 1))

    def shipped(task: str, *_: object) -> Classifier:
        classes = ("healthy", "blast") if task == "blast" else ("neutrophil", "monocyte")
        return Classifier(Even(2), classifier_card(task, classes))

    monkeypatch.setattr(Detector, "load", lambda *_: fakes.detector())
    monkeypatch.setattr(cell_classifier, "unlike_pairs", lambda _: {})
    monkeypatch.setattr(
        cell_classifier, "load_classifiers", lambda paths, *_: [shipped(path.stem) for path in paths]
    )


def classifier_card(task: str, classes: tuple[str, ...]) -> ClassifierCard:
    return ClassifierCard(
        name=task, task=task, architecture="none", classes=classes, crop_um=20, crop_px=32,
        mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2),
    )  # fmt: skip


# ---------------------------------------------------------------- a URL


@pytest.mark.usefixtures("_fake_nets")
def test_slides_at_a_url_give_the_tables_of_their_folder(slides: Path, tmp_path: Path) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    store = MemoryFileSystem()
    for path in slides.rglob("*.png"):
        store.pipe(f"/lab/{path.relative_to(slides)}", path.read_bytes())
    try:
        here = ask("run", slides, "--out", tmp_path / "here.csv", "--cells", tmp_path / "here_cells.csv")
        there = ask(
            "run", "memory://lab", "--out", tmp_path / "there.csv", "--cells", tmp_path / "there_cells.csv"
        )
    finally:
        store.rm("/lab", recursive=True)
    assert here.exit_code == there.exit_code == 0, there.output
    assert "2 files fetched" in there.output
    for name in ("", "_cells"):
        assert (tmp_path / f"there{name}.csv").read_bytes() == (tmp_path / f"here{name}.csv").read_bytes()
    assert sorted(p.name for p in (tmp_path / "there.pictures" / "s").iterdir()) == ["0.png", "1.png"]


def test_a_folder_for_pictures_is_of_a_url_alone(slides: Path, tmp_path: Path) -> None:
    told = ask("run", slides, "--out", tmp_path / "r.csv", "--pictures", tmp_path / "p")
    assert told.exit_code == 2
    assert "--pictures is for what is fetched from a URL" in told.output
    piped = ask("run", "memory://lab", "--out", "-")
    assert "give the folder for its files with --pictures" in piped.output


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("path", list(commands(main)), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    shown = ask(*path, "--help")
    assert shown.exit_code == 0, shown.output
    assert f"Usage: main {' '.join(path)}" in shown.output
    told = shown.output.split("\n\n")[1].strip()
    assert told
    assert not told.startswith("Options")


def test_the_list_of_commands_is_complete_and_true() -> None:
    shown = ask("--help").output
    for name, (_, text) in _COMMANDS.items():
        assert f"  {name}" in shown
        assert text in shown
    assert ask("-h").output == shown


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom smearscan.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'cv2', 'pandas', 'openvino', 'ultralytics'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("Usage:")
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_scan_loads_nothing_heavy_but_its_engine(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "field.jpg")
    code = (
        "import sys\nfrom smearscan.cli import main\n"
        "try: main(['run', '--help'])\nexcept SystemExit: pass\n"
        "import smearscan.cli.run_scan, smearscan.scan.scanner, smearscan.io\n"
        "assert smearscan.io.longest_side(sys.argv[1]) == 20\n"
        "heavy = {'torch', 'torchvision', 'ultralytics', 'sklearn', 'matplotlib', 'pandas', 'pyarrow',\n"
        "         'shapely', 'scipy', 'jinja2', 'cattrs', 'rich.console', 'rich.progress', \n"
        "         'PIL.PdfImagePlugin'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    scan = [sys.executable, "-c", code, str(tmp_path / "field.jpg")]
    done = subprocess.run(scan, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version() -> None:
    assert __version__ in ask("--version").output


# ---------------------------------------------------------------- wrong usage


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["scan"], "No such command 'scan'"),
        (["run", "--colour"], "No such option"),
        (["run"], "Missing argument 'SLIDES'"),
        (["run", "x"], "Missing option '--out'"),
        (["run", "x", "--out", "y.csv", "--task", "all"], "'all' is not one of"),
        (["run", "x", "--out", "y.csv", "--um-per-px", "wide"], "'wide' is not a valid float"),
        (["run", "a/1", "a/2", "--out", "y.csv"], "give the folder above them: smearscan run a;"),
        (["run", "a/1", "b/2", "c", "--out", "y.csv"], "a/1, b/2 ...: 3 folders or files were given"),
        (["classify", "a/1.png", "a/2.png", "--out", "y.csv"], "smearscan classify a;"),
        (["train"], "Usage:"),
        (["train", "detector"], "Missing option"),
        (["train", "classifier", "x"], "Missing option '--out'"),
    ],
)
def test_wrong_usage(args: list[str], told: str) -> None:
    refused = ask(*args)
    assert refused.exit_code == 2
    assert told in refused.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out", "{tmp}/r.xlsx"], "--out writes CSV, not .xlsx; give"),
        (["--out", "{tmp}/r.csv", "--summary", "{tmp}/r.csv"], "is given for --out and for --summary"),
        (["--out", "{tmp}/r.csv", "--overlays", "{tmp}/slides/drawn"], "lies in the scanned folder"),
        (["--out", "{tmp}/r.csv", "--overlays", "{tmp}/slides"], "lies in the scanned folder"),
        (["--out", "{tmp}/r.csv", "--run", "{tmp}/slides/s/0.png"], "is a file; --run is a folder"),
        (["--out", "-", "--resume"], "--resume: with the report on a pipe, give the run folder with --run"),
        (["--out", "{tmp}/r.csv", "--pseudonymize", "{tmp}/none"], "the key of pseudonyms cannot be read"),
        (["--out", "{tmp}/r.csv", "--cells", "{tmp}"], "is a folder; --cells is the CSV file to write"),
        (["--out", "{tmp}/r.csv", "--cells", "{tmp}/r.csv"], "is given for --out and for --cells"),
        (["--out", "{tmp}/r.csv", "--overlays", "{tmp}/slides/s/0.png"], "is a file; --overlays is a folder"),
        (["--out", "{tmp}/r.csv", "--window", "0"], "window = 0"),
        (["--out", "{tmp}/r.csv", "--um-per-px", "-1"], "um_per_px = -1.0"),
        (["--out", "{tmp}/r.csv", "--config", "{tmp}/none.yaml"], "none.yaml"),
        (["--out", "{tmp}/r.csv", "--weights", "{tmp}/none.safetensors"], "none.yaml: the card is missing"),
        (["--out", "{tmp}/r.csv", "--device", "abacus"], "device 'abacus' is not available"),
    ],
)
@pytest.mark.usefixtures("slides")
def test_a_scan_that_cannot_be_is_refused_before_it_starts(
    tmp_path: Path, options: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: object, device: str, engine: str) -> Detector:
        from smearscan.runtime.engine import resolve_device

        resolve_device(device)
        pytest.fail("the scan began")

    monkeypatch.setattr(Detector, "load", load)
    refused = ask("run", tmp_path / "slides", *(o.format(tmp=tmp_path) for o in options))
    assert refused.exit_code == 2, refused.output
    assert told in " ".join(refused.output.split())
    assert "Traceback" not in refused.output
    assert not (tmp_path / "r.csv").exists()


def test_a_missing_folder_and_one_without_pictures(tmp_path: Path) -> None:
    missing = ask("run", tmp_path / "nowhere", "--out", tmp_path / "r.csv")
    assert missing.exit_code == 2
    assert "nowhere: there is no such folder or picture" in missing.stderr
    assert not missing.stdout
    empty = ask("run", tmp_path, "--out", tmp_path / "r.csv")
    assert empty.exit_code == 2
    assert "holds no picture" in empty.stderr


def test_training_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("name: x\nsites: []\nepoch: 3\n")
    refused = ask("train", "detector", "--config", tmp_path / "c.yaml", "--out", tmp_path / "o")
    assert refused.exit_code == 2
    assert "epoch" in refused.stderr
    refused = ask("train", "classifier", tmp_path / "nowhere", "--out", tmp_path / "o")
    assert refused.exit_code == 2
    assert "nowhere" in refused.stderr


# ---------------------------------------------------------------- which stage a pair is for


def pair(folder: Path, name: str, card: ClassifierCard | DetectorCard) -> Path:
    save_card(folder / f"{name}.yaml", card)
    return folder / f"{name}.safetensors"


def test_the_card_tells_the_stage(tmp_path: Path) -> None:
    found = pair(tmp_path, "d", fakes.detector().card)
    blast = pair(tmp_path, "b", classifier_card("blast", ("healthy", "blast")))
    types = pair(tmp_path, "t", classifier_card("differential", ("neutrophil", "monocyte")))
    assert stages((types, blast, found)) == {"detector": found, "blast": blast, "differential": types}
    assert stages(()) == {}


def test_a_net_of_ones_own_is_used_for_what_it_knows(tmp_path: Path) -> None:
    types = pair(tmp_path, "t", classifier_card("custom", ("reactive", "resting")))
    blast = pair(tmp_path, "b", classifier_card("custom", ("blast", "healthy")))
    assert stages((types, blast)) == {"blast": blast, "differential": types}


def test_two_pairs_of_one_stage_are_refused(tmp_path: Path) -> None:
    one = pair(tmp_path, "one", fakes.detector().card)
    two = pair(tmp_path, "two", fakes.detector().card)
    with pytest.raises(ConfigError, match="both for the detector"):
        stages((one, two))


# ---------------------------------------------------------------- a scan with fake networks


@pytest.mark.usefixtures("_fake_nets")
def test_a_scan_writes_what_was_asked_for(slides: Path, tmp_path: Path) -> None:
    out, cells, overlays = tmp_path / "new" / "r.csv", tmp_path / "c.csv", tmp_path / "drawn"
    done = ask("run", slides, "--out", out, "--cells", cells, "--overlays", overlays)
    assert done.exit_code == 0, done.output
    assert len(out.read_text().splitlines()) == 2
    assert len(cells.read_text().splitlines()) == 3
    assert sorted(p.relative_to(overlays).as_posix() for p in overlays.rglob("*.png")) == [
        "s/0.png.png",
        "s/1.png.png",
    ]
    assert "insufficient" in done.stdout  # results on stdout, the rest on stderr
    assert "never a diagnosis" in " ".join(done.stderr.split())
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.usefixtures("_fake_nets")
def test_timing_accounts_for_every_stage(slides: Path, tmp_path: Path) -> None:
    done = ask("run", slides, "--out", tmp_path / "r.csv", "--timing")
    assert done.exit_code == 0, done.output
    told = done.stderr
    assert "2 fields in " in told
    assert " leukocytes/s" in told
    for stage in ("scale", "decode", "detect", "crop", "classify", "report", "write"):
        assert re.search(rf"{stage} \d+\.\d%", told), stage
    assert re.search(r"bound: .+ of \d+ cores busy", told)
    assert "peak memory: " in told
    assert "bound" not in ask("run", slides, "--out", tmp_path / "r.csv").stderr


@pytest.mark.usefixtures("_fake_nets")
def test_a_failed_field_is_told_and_ends_with_one(slides: Path, tmp_path: Path) -> None:
    (slides / "s" / "broken.jpg").write_text("no picture")
    done = ask("run", slides, "--out", tmp_path / "r.csv")
    assert done.exit_code == 1
    assert "broken.jpg" in "".join(done.stderr.split())
    assert "broken.jpg" in (tmp_path / "r.csv").read_text()


@pytest.mark.usefixtures("_fake_nets")
def test_a_single_picture_is_a_slide(slides: Path, tmp_path: Path) -> None:
    overlays = tmp_path / "drawn"
    done = ask("run", slides / "s" / "0.png", "--out", tmp_path / "r.csv", "--overlays", overlays)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "r.csv").read_text().splitlines()[1].startswith("0.png,1,0,1")
    assert [p.name for p in overlays.rglob("*.png")] == ["0.png.png"]
    ask("run", slides / "s" / "0.png", "--out", tmp_path / "r.csv", "--overlays", overlays, *JPEG)
    assert (overlays / "0.png.jpeg").read_bytes().startswith(b"\xff\xd8\xff")


@pytest.mark.usefixtures("_fake_nets")
def test_options_win_over_the_file_of_settings(slides: Path, tmp_path: Path) -> None:
    (tmp_path / "scan.yaml").write_text("task: blast\num_per_px: 0.3\n")
    done = ask(
        "run", slides, "--out", tmp_path / "r.csv", "--config", tmp_path / "scan.yaml", "--um-per-px", "0.225"
    )
    assert done.exit_code == 0, done.output
    header, row = (tmp_path / "r.csv").read_text().splitlines()
    told = dict(zip(header.split(","), row.split(","), strict=False))
    assert "blast:" in row
    assert "differential:" not in row
    assert told["neutrophil"] == ""
    assert ",0.225,given," in row


# ---------------------------------------------------------------- a run and what the terminal says of it


@pytest.mark.usefixtures("_fake_nets")
@pytest.mark.parametrize("place", ["results/", "there"])
def test_a_folder_for_the_report_gets_a_report(slides: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "there").mkdir()
    done = ask("run", slides, "--out", f"{tmp_path}/{place}")
    assert done.exit_code == 0, done.output
    assert (tmp_path / place / "report.csv").is_file()
    assert (tmp_path / place / "report.run" / "run.json").is_file()


@pytest.mark.usefixtures("_fake_nets")
def test_every_file_and_the_exit_code_are_told(slides: Path, tmp_path: Path) -> None:
    out, cells, short, page = (tmp_path / name for name in ("r.csv", "c.csv", "s.csv", "p.html"))
    args = ("run", slides, "--out", out, "--cells", cells, "--summary", short, "--html", page)
    first = "".join(ask(*args).stderr.split())
    for file, what in ((out, "report"), (cells, "leukocyte"), (short, "shorttable"), (page, "page")):
        assert re.search(re.escape(f"written:{file}(") + f"[a-z,]*{what}", first), first
    assert "replaced" not in first
    assert "exitcode0:everyfieldwasread" in first
    again = ask(*args)
    assert "".join(again.stderr.split()).count(",replaced)") == 4
    assert len(short.read_text().splitlines()[0].split(",")) == 12
    assert "<script" not in page.read_text()
    assert max(map(len, again.stdout.splitlines())) <= 80
    assert re.search(r"s +2 +0 % +\S+ %? ?\S* .*insufficient", again.stdout) or "  -  " in again.stdout
    told = " ".join(again.stdout.split())  # the sentence begins with the doubt about the colors drawn here
    assert re.search(
        r"with doubt \(.*\): 2 leukocytes are fewer than the 100 needed: photograph more fields\.", told
    )


@pytest.mark.usefixtures("_fake_nets")
def test_the_report_goes_to_stdout_or_a_pipe_and_nothing_else_does(slides: Path, tmp_path: Path) -> None:
    ask("run", slides, "--out", tmp_path / "r.csv")
    piped = ask("run", slides, "--out", "-")
    assert piped.exit_code == 0, piped.output
    assert piped.stdout == (tmp_path / "r.csv").read_text()
    assert "insufficient" in piped.stderr
    (tmp_path / "link.csv").symlink_to(tmp_path / "r.csv")
    ask("run", slides, "--out", tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert not (tmp_path / "-").exists()


@pytest.mark.usefixtures("_fake_nets")
def test_quiet_says_nothing_and_verbose_the_cause(slides: Path, tmp_path: Path) -> None:
    quiet = ask("run", slides, "--out", tmp_path / "r.csv", "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
    excel = ask("run", slides, "--out", tmp_path / "e.csv", "--excel", "-q")
    assert excel.exit_code == 0
    assert (tmp_path / "e.csv").read_bytes() == b"\xef\xbb\xbf" + (tmp_path / "r.csv").read_bytes()


@pytest.mark.usefixtures("_fake_nets")
def test_a_slide_that_breaks_is_told_with_its_cause_when_asked(
    slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smearscan.scan.slide_opening import SlideOpener

    def breaks(*_: object) -> None:
        raise RuntimeError("the network is gone")

    monkeypatch.setattr(SlideOpener, "measure_scale", breaks)
    done = ask("run", slides, "--out", tmp_path / "r.csv")
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert "exitcode1:2of2fieldscouldnotberead,snotatall:--resumetriesagain" in "".join(done.stderr.split())
    loud = ask("run", slides, "--out", tmp_path / "r.csv", "-v")
    assert "RuntimeError: the network is gone" in loud.stderr
    assert "Traceback" in loud.stderr


def test_a_terminal_gets_whole_words_and_a_pipe_whole_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    voice(quiet=False)(NOTICE)
    assert capsys.readouterr().err == f"{NOTICE}\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    voice(quiet=False)(NOTICE)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80
    assert " ".join(lines) == NOTICE


@pytest.mark.usefixtures("_fake_nets")
def test_loose_pictures_are_told_of_and_taken_as_one_slide_when_asked(slides: Path, tmp_path: Path) -> None:
    flat = ask("run", slides / "s", "--out", tmp_path / "r.csv")
    assert "2 pictures lie in s itself" in " ".join(flat.stderr.split())
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 3
    one = ask("run", slides / "s", "--out", tmp_path / "r.csv", "--one-slide")
    assert "--one-slide" not in one.stderr
    assert (tmp_path / "r.csv").read_text().splitlines()[1].startswith("s,2,0,2")
    assert flat.stderr.count("--one-slide") == 1
    for i in range(8):
        shutil.copy(slides / "s" / "1.png", slides / "s" / f"more_{i}.png")
    many = ask("run", slides / "s", "--out", tmp_path / "r.csv").stderr.splitlines()
    assert ["--one-slide" in line for line in many[-2:]] == [True, False]  # again where it is still seen


@pytest.mark.usefixtures("_fake_nets")
def test_every_folder_has_a_row_and_every_file_a_word(slides: Path, tmp_path: Path) -> None:
    (slides / "nobody").mkdir()
    (slides / "phone").mkdir()
    (slides / "phone" / "1.heic").write_bytes(b"x")
    (slides / "s" / "notes.txt").write_text("x")
    shutil.copy(slides / "s" / "1.png", slides / "s" / "1 - Copy.png")
    done = ask("run", slides, "--out", tmp_path / "r.csv", "--html", tmp_path / "r.html")
    assert done.exit_code == 1
    told = " ".join(done.output.split())
    assert "passed over: 1 file that is no picture (1 .txt)" in told
    assert "doubt: 1 copy of its own fields left out" in told
    assert "failed: nobody: holds no picture (it is empty)" in told
    assert "failed: phone/1.heic: HEIC or AVIF pictures are not read" in told
    assert "2 of 4 fields could not be read; 1 slide has doubts" in told
    rows = {row["slide"]: row for row in csv.DictReader((tmp_path / "r.csv").read_text().splitlines())}
    assert {name: (row["n_fields"], row["n_failed_fields"], row["doubt"]) for name, row in rows.items()} == {
        "nobody": ("0", "1", ""),
        "phone": ("0", "1", ""),
        # two files that differ in one pixel; discs have no stain's colors
        "s": ("2", "0", "copies;overlap;colors"),
    }
    assert "1 copy of its own fields left out" in (tmp_path / "r.html").read_text()


@pytest.mark.usefixtures("_fake_nets")
@pytest.mark.parametrize(("factor", "doubtful"), [(1.0, False), (1.2, False), (1.3, True), (0.5, True)])
def test_a_given_scale_is_measured_all_the_same(
    slides: Path, tmp_path: Path, factor: float, doubtful: bool
) -> None:
    done = ask("run", slides, "--out", tmp_path / "r.csv", "--um-per-px", fakes.UM_PER_PX * factor)
    assert ("um a pixel were given" in done.stdout) == doubtful
    doubts = [line for line in done.stdout.splitlines() if line.startswith("   doubt: ")]
    assert doubts  # discs have no stain's colors, at least
    assert ("um a pixel were given" in doubts[0]) == doubtful


@pytest.mark.usefixtures("_fake_nets")
@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt, 130), (Terminated, 143)])
def test_a_stopped_run_keeps_what_is_read_and_says_how_to_go_on(
    slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException], code: int
) -> None:
    from smearscan.scan.scanner import SmearScanner

    shutil.copytree(slides / "s", slides / "t")
    inner = SmearScanner.scan_each

    def stops(self: SmearScanner, slides: Any, *more: Any) -> Any:
        for slide, done in inner(self, slides, *more):
            if slide.slide_id == "t":
                raise stop
            yield slide, done

    args = ("run", slides, "--out", tmp_path / "r.csv")
    with monkeypatch.context() as patch:
        patch.setattr(SmearScanner, "scan_each", stops)
        stopped = ask(*args)
    assert stopped.exit_code == code
    told = " ".join(stopped.stderr.split())
    assert "1 of 2 slides are read" in told
    assert "the same command with --resume goes on" in told
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 2
    refused = ask(*args)
    assert refused.exit_code == 2
    assert "go on with --resume" in " ".join(refused.stderr.split())
    assert ask(*args, "--resume").exit_code == 0
    resumed = (tmp_path / "r.csv").read_bytes()
    ask(*args)
    assert resumed == (tmp_path / "r.csv").read_bytes()
