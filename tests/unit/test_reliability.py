"""The reliability diagram."""

from pathlib import Path

import cv2
import pytest
from made_up import calibration, cards, labeled

from smearscan.calibration.fit import cross_validated, figures
from smearscan.calibration.reliability_plot import draw_reliability


def test_a_diagram_a_net_side_by_side(tmp_path: Path) -> None:
    cells = labeled(120)
    made = cross_validated(calibration(), cells, cards())
    lines = {k: v for k, v in made.items() if isinstance(v, dict)}
    draw_reliability(tmp_path / "new" / "both.png", lines)
    one = {"fitted": {k: v for k, v in lines["before"].items() if not k.endswith("blast")}}
    draw_reliability(tmp_path / "one.png", one)
    both, single = (cv2.imread(str(tmp_path / name)) for name in ("new/both.png", "one.png"))
    assert both.shape[0] == single.shape[0]
    assert both.shape[1] == pytest.approx(2 * single.shape[1], abs=2)


def test_a_line_that_lacks_a_net_is_left_out(tmp_path: Path) -> None:
    cells = labeled(60)
    whole = figures(cells, calibration(), cards())
    part = {k: v for k, v in whole.items() if not k.endswith("differential")}
    draw_reliability(tmp_path / "a.png", {"whole": whole, "part": part})
    draw_reliability(tmp_path / "none.png", {"nothing": {}})
    assert (tmp_path / "none.png").stat().st_size > 1000
