"""Drawn slides through the whole way: files, counts, flag, failures, magnification."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import scan_only
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from smearscan.cli import main
from smearscan.detection import boxes
from smearscan.differential.count import COUNTED
from smearscan.io.decode import read_image, write_image
from smearscan.scan.scanner import SmearScanner
from smearscan.synthetic import BEIGE, HEALTHY, LEUKEMIC, write_slides
from smearscan.taxonomy import DIFFERENTIAL_CLASSES, NON_LEUKOCYTES

pytestmark = [pytest.mark.weights, pytest.mark.slow]

N_FIELDS = 6
BOX = ["x0", "y0", "x1", "y1"]


def run(slides: Path, out: Path, *options: object) -> Result:
    told = ["run", slides, "--out", out / "report.csv", "--cells", out / "cells.csv", *options]
    return CliRunner().invoke(main, [str(o) for o in told])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A healthy and a leukemic slide with their truth."""
    root = tmp_path_factory.mktemp("drawn")
    specs = {"healthy": replace(HEALTHY, stain=BEIGE), "leukemic": replace(LEUKEMIC, stain=BEIGE)}
    write_slides(root, specs, N_FIELDS, seed=7)
    return root


@pytest.fixture(scope="module")
def scanned(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("scanned")
    return run(drawn, out, "--overlays", out / "overlays"), out


@pytest.fixture(scope="module")
def scanner() -> SmearScanner:
    return SmearScanner()


def matched(truth: NDArray[np.float32], found: NDArray[np.float32]) -> int:
    """Cells of the truth that have a found box of their own with IoU of at least 0.5."""
    free, n = set(range(len(found))), 0
    overlap = boxes.iou(truth, found)
    for i in np.argsort(-overlap.max(axis=1, initial=0)):
        best = max(free, key=lambda j: overlap[i, j], default=None)
        if best is not None and overlap[i, best] >= 0.5:
            free.remove(best)
            n += 1
    return n


def test_the_files_are_written_with_their_columns(scanned: tuple[Result, Path], drawn: Path) -> None:
    done, out = scanned
    assert done.exit_code == 0, done.output
    report, cells = pd.read_csv(out / "report.csv"), pd.read_csv(out / "cells.csv")
    assert report["slide"].tolist() == ["healthy", "leukemic"]
    assert report["n_fields"].tolist() == [N_FIELDS, N_FIELDS]
    assert report["n_failed_fields"].tolist() == [0, 0]
    assert {"blast_percent", "flag", "flag_reason", "um_per_px", "ruler", "weights"} <= set(report)
    assert [c for c in cells if c.startswith("p_")] == [
        f"p_{name}" for name in DIFFERENTIAL_CLASSES if name != "other"
    ]
    assert set(cells["field"]) <= {p.relative_to(drawn).as_posix() for p in drawn.rglob("*.jpg")}


def test_an_environment_for_scans_alone_gives_the_same_reports_at_its_first_scan(
    scanned: tuple[Result, Path], drawn: Path, tmp_path: Path
) -> None:
    """Of the packages in requirements/scan.txt, without torch; ten seconds, as both networks are compiled."""
    python = scan_only.linked(tmp_path / "environment")
    code = (
        f"import importlib.util as u; assert not [n for n in {scan_only.ABSENT} if u.find_spec(n)]\n"
        "from smearscan.cli import main; main()"
    )
    own = {"PYTHONPATH": str(scan_only.ROOT), "SMEARSCAN_CACHE": str(tmp_path / "cache")}
    told = ["run", drawn, "--out", tmp_path / "report.csv", "--cells", tmp_path / "cells.csv"]
    done = subprocess.run(
        [str(o) for o in (python, "-c", code, *told)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, **own},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in ("report.csv", "cells.csv"):
        assert (tmp_path / name).read_bytes() == (scanned[1] / name).read_bytes()


def test_the_report_is_the_count_of_its_cells(scanned: tuple[Result, Path]) -> None:
    _, out = scanned
    report = pd.read_csv(out / "report.csv").set_index("slide")
    cells = pd.read_csv(out / "cells.csv")
    for slide, own in cells.groupby("slide"):
        row, types = report.loc[str(slide)], own["type"].value_counts()
        assert row["n_leukocytes"] == len(own)
        assert row["n_unclassified"] == types.get("unclassified", 0)
        assert row["blast_count"] == types.get("blast", 0)
        assert all(row[name] == types.get(name, 0) for name in DIFFERENTIAL_CLASSES if name != "other")
        assert row["other"] == sum(types.get(name, 0) for name in NON_LEUKOCYTES)
        percent = [row[f"{name}_percent"] for name in (*COUNTED, "blast")]
        assert sum(percent) == pytest.approx(100, abs=0.1)
    probabilities = cells[[c for c in cells if c.startswith("p_")]]
    assert probabilities.sum(axis=1).to_numpy() == pytest.approx(1, abs=1e-3)
    assert cells["blast_probability"].between(0, 1).all()


def test_leukocytes_are_where_they_were_drawn(scanned: tuple[Result, Path], drawn: Path) -> None:
    _, out = scanned
    truth = pd.read_csv(drawn / "truth.csv")
    truth = truth[truth["label"] == "leukocyte"]
    cells = pd.read_csv(out / "cells.csv")
    hits = 0
    for field, own in truth.groupby("field"):
        found = cells[cells["field"] == field]
        hits += matched(own[BOX].to_numpy(np.float32), found[BOX].to_numpy(np.float32))
    assert len(truth) > 50
    assert hits / len(truth) >= 0.95
    assert hits / len(cells) >= 0.9


def test_the_scale_is_measured(scanned: tuple[Result, Path]) -> None:
    report = pd.read_csv(scanned[1] / "report.csv").set_index("slide")
    assert (report["ruler"] == "red cells").all()
    assert report["um_per_px"]["healthy"] == pytest.approx(HEALTHY.um_per_px, rel=0.12)
    assert report["um_per_px"]["leukemic"] == pytest.approx(LEUKEMIC.um_per_px, rel=0.12)


def test_the_leukemic_slide_is_flagged_and_the_healthy_one_is_not(scanned: tuple[Result, Path]) -> None:
    report = pd.read_csv(scanned[1] / "report.csv").set_index("slide")
    assert report["flag"]["leukemic"] == "flagged"
    assert report["blast_low"]["leukemic"] >= 20
    assert report["flag"]["healthy"] != "flagged"


def test_overlays_show_the_cells(scanned: tuple[Result, Path], drawn: Path) -> None:
    _, out = scanned
    cells = pd.read_csv(out / "cells.csv")
    for path in sorted(drawn.rglob("*.jpg")):
        name = path.relative_to(drawn).as_posix()
        before, after = read_image(path), read_image(out / "overlays" / f"{name}.png")
        assert after.shape[1:] == before.shape[1:]
        after = after[: len(before)]  # below lies the legend
        changed = (before != after).any(axis=2)
        own = cells[cells["field"] == name]
        assert changed.any() == bool(len(own))
        for x0, y0, x1, y1 in own[BOX].round().astype(int).to_numpy():
            # the table's corners are rounded: a line lies within a pixel of them
            top, left = changed[max(0, y0 - 1) : y0 + 2, x0:x1], changed[y0:y1, max(0, x0 - 1) : x0 + 2]
            assert top.any(axis=0).mean() > 0.5
            assert left.any(axis=1).mean() > 0.5


def test_failed_fields_are_told_and_the_rest_is_scanned(
    drawn: Path, scanned: tuple[Result, Path], tmp_path: Path
) -> None:
    slide = tmp_path / "slides" / "leukemic"
    slide.mkdir(parents=True)
    for path in sorted((drawn / "leukemic").glob("*.jpg"))[:2]:
        (slide / path.name).write_bytes(path.read_bytes())
    whole = (drawn / "leukemic" / "field_0003.jpg").read_bytes()
    (slide / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (slide / "letter.png").write_text("Dear colleague, the slides are on their way.")
    done = run(tmp_path / "slides", tmp_path)
    assert done.exit_code == 1, done.output
    row = pd.read_csv(tmp_path / "report.csv").iloc[0]
    assert (row["n_fields"], row["n_failed_fields"]) == (2, 2)
    for told in (row["failures"], "".join(done.stderr.split())):
        assert "cut.jpg" in told
        assert "letter.png" in told
    assert set(pd.read_csv(tmp_path / "cells.csv")["field"]) == {
        "leukemic/field_0001.jpg",
        "leukemic/field_0002.jpg",
    }


@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("slide", ["healthy", "leukemic"])
def test_magnification_changes_no_count(
    drawn: Path,
    scanned: tuple[Result, Path],
    scanner: SmearScanner,
    tmp_path: Path,
    factor: float,
    slide: str,
) -> None:
    (tmp_path / slide).mkdir()
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    for path in (drawn / slide).glob("*.jpg"):
        image = cv2.resize(read_image(path), None, fx=factor, fy=factor, interpolation=how)
        write_image(tmp_path / slide / f"{path.stem}.png", np.asarray(image, np.uint8))
    ((report, _),) = scanner.scan_slides(tmp_path)
    usual = pd.read_csv(scanned[1] / "report.csv").set_index("slide").loc[slide]
    assert report.n_leukocytes == pytest.approx(usual["n_leukocytes"], rel=0.05)
    assert report.scale.um_per_px * factor == pytest.approx(usual["um_per_px"], rel=0.1)


@pytest.mark.parametrize("held", [read_image, Image.open, str], ids=["array", "PIL", "str"])
def test_a_field_is_read_alike_however_it_is_held(
    drawn: Path, scanner: SmearScanner, tmp_path: Path, held: Callable[[Path], object]
) -> None:
    path = tmp_path / "field.png"
    write_image(path, read_image(drawn / "leukemic" / "field_0001.jpg"))
    usual = scanner.analyze(path)
    other = scanner.analyze(held(path))  # type: ignore[arg-type]
    assert len(usual) > 3
    pd.testing.assert_frame_equal(
        usual.to_frame().drop(columns="field"), other.to_frame().drop(columns="field"), check_exact=True
    )


def test_memory_and_threads_change_no_answer(drawn: Path, scanner: SmearScanner) -> None:
    def tables(**settings: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        usual = scanner.config
        scanner.config = usual.model_copy(update=settings)
        try:
            found = list(scanner.scan_slides(drawn))
        finally:
            scanner.config = usual
        cells = [item.to_frame() for _, results in found for item in results]  # type: ignore[union-attr]
        return pd.concat(cells), pd.concat([report.to_frame() for report, _ in found])

    usual = tables(window=16, workers=2, read_ahead=8)
    for other in (tables(window=1, workers=1, read_ahead=1), tables(window=5, workers=4, read_ahead=3)):
        for a, b in zip(usual, other, strict=True):
            pd.testing.assert_frame_equal(a, b, check_exact=True)
