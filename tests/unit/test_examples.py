"""The examples do what they say; what takes the shipped networks is tested with them."""

import io
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fakes import UM_PER_PX, draw, field, scanner, use_fake_nets

from smearscan import draw_overlay
from smearscan.classification.crops import cut_crops
from smearscan.io.decode import write_image
from smearscan.taxonomy import NOTICE

FOLDER = Path(__file__).resolve().parents[2] / "examples"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / name))


@pytest.fixture
def slides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MPLBACKEND", "agg")
    use_fake_nets(monkeypatch)
    (tmp_path / "slides" / "one").mkdir(parents=True)
    for i in range(2):
        write_image(tmp_path / "slides" / "one" / f"{i}.png", field(i))
    (tmp_path / "slides" / "one" / "broken.png").write_bytes(b"no picture")
    return tmp_path / "slides"


def test_each_is_listed_and_short() -> None:
    listed = (FOLDER / "README.md").read_text(encoding="utf-8")
    scripts = sorted(FOLDER.glob("*.py"))
    assert len(scripts) == 5
    for script in scripts:
        assert f"({script.name})" in listed
        assert len(script.read_text(encoding="utf-8").splitlines()) <= 80


def test_a_folder_is_scanned_and_drawn(
    slides: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example("scan_folder.py")["scan"](scanner(), slides, tmp_path / "charts")
    told = capsys.readouterr().out
    assert "one: " in told
    assert " flagged\n" in told
    assert "not read: " in told
    assert (tmp_path / "charts" / "one.png").stat().st_size > 1000


def test_the_endpoint_answers_cells_and_refuses_what_is_no_picture(slides: Path) -> None:
    scan = scanner()
    client = example("endpoint.py")["application"](scan).test_client()
    sent = (slides / "one" / "0.png").read_bytes()
    answer = client.post("/analyze", data={"field": (io.BytesIO(sent), "0.png")})
    assert answer.status_code == 200
    wanted = [list(cell.xyxy) for cell in scan.analyze(slides / "one" / "0.png")]
    assert [cell["xyxy"] for cell in answer.json["cells"]] == wanted
    assert len(wanted) == 2
    assert client.post("/analyze").status_code == 400
    refused = client.post("/analyze", data={"field": (io.BytesIO(b"no picture"), "a.png")})
    assert refused.status_code == 422


def test_a_report_is_summarized(slides: Path) -> None:
    ((report, _),) = scanner().scan_slides(slides)
    tables = example("summarize.py")["summarize"](report.to_frame())
    assert tables["slides by flag"].to_dict("list") == {"flag": ["flagged"], "size": [1]}
    assert tables["to look at"]["slide"].tolist() == ["one"]
    unnamed = report.to_frame().assign(n_counted=10, n_unclassified=90)
    assert tables["percentages of known slides"].loc["blast_percent", "count"] == 1
    assert example("summarize.py")["summarize"](unnamed)["percentages of known slides"]["count"].max() == 0


def test_crops_cut_by_hand_are_those_of_a_scan() -> None:
    image, boxes = draw(120, 150, [(0, 8.0, 60.0, 30.0), (0, 90.0, 115.0, 28.5), (0, 100.0, 40.0, 33.0)])
    cells = pd.DataFrame(boxes, columns=["x0", "y0", "x1", "y1"])
    for um_per_px in (0.1, 0.4):
        own = example("onnx_by_hand.py")["crops_of"](image, cells.assign(um_per_px=um_per_px), 20.0, 112)
        wanted = cut_crops(image, boxes, um_per_px, 20.0, 112)
        assert np.abs(own.astype(int) - wanted).max() <= 1


def test_results_and_reports_draw_themselves(slides: Path) -> None:
    scan = scanner()
    ((report, fields),) = scan.scan_slides(slides)
    result = fields[0]
    axes = result.plot(field(0))
    assert len(axes.patches) == len(result) == 2
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert len(result.plot().patches) == 2
    with pytest.raises(ValueError, match="give the picture scanned"):
        result.plot(draw_overlay(field(0), result))
    drawn = report.plot(axes)
    assert drawn is axes
    bars = [patch.get_width() for patch in report.plot().patches]
    np.testing.assert_allclose(bars, report.differential.percent)
    assert NOTICE in report.plot().get_xlabel()
    assert result.scale.um_per_px == UM_PER_PX
