"""What a programmer sees: results in a few lines, names at the top level, cures that always work."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fakes import scanner

import smearscan
from smearscan import FieldResult, SmearscanError
from smearscan.differential import FlagRule, SlideTally, report_slide
from smearscan.report.slide_summary import whole_percent, why
from smearscan.results import Detections, Scale
from smearscan.runtime.engine import CURES


def field(name: str = "<b>.png") -> FieldResult:
    found = Detections(
        np.array([[1, 2, 9, 12], [5, 5, 20, 20]], np.float32), np.ones(2, np.float32), np.zeros(2, np.int64)
    )
    return FieldResult(
        "s", Path("slides") / name, (48, 64), found, np.array([[0.7, 0.3], [0.5, 0.5]], np.float32),
        ("neutrophil", "lymphocyte"), np.array([0.1, 0.9], np.float32), ("neutrophil", "blast"),
        Scale(0.1, "red cells", 9),
    )  # fmt: skip


def test_a_field_is_told_in_a_line() -> None:
    told = repr(field())
    assert told == (
        "FieldResult(<b>.png, 48 x 64 px, 2 leukocytes: 1 neutrophil, 1 blast; 0.1 um a pixel, red cells)"
    )
    page = field()._repr_html_()
    assert "<b>" not in page
    assert page.count("<tr") == 3  # the header and two cells


def test_a_slide_is_told_in_a_line_and_its_differential_as_a_table() -> None:
    tally = SlideTally.of("<i>s", [field()])
    report = report_slide(
        tally, "both", Scale(0.1, "given"), FlagRule(), ("w:1",), ("neutrophil", "lymphocyte")
    )
    told = repr(report)
    assert told.startswith(
        "SlideReport(<i>s: 1 field, 2 leukocytes, 0 without a name, 50.0 % blasts (1.3 to 98.7)"
    )
    assert len(told) < 400
    assert "array" not in told
    page = report._repr_html_()
    assert "<i>" not in page
    assert "never a diagnosis" in page


@pytest.mark.parametrize(
    ("named", "unnamed", "told"),
    [
        (1, 0, "1 leukocyte is fewer than the 100 needed: photograph more fields."),
        (1, 1, "1 of 2 leukocytes have a name, 100 are needed: photograph more fields."),
        (0, 9, "0 of 9 leukocytes have a name, 100 are needed: photograph more fields."),
        (4, 6, "60 % of the leukocytes have no name: the networks do not know such slides,"),
        (0, 0, "No leukocyte was counted in 1 field: check the scale and the pictures."),
    ],
)
def test_a_handful_of_cells_without_a_name_says_nothing_of_the_slide(
    named: int, unnamed: int, told: str
) -> None:
    tally = SlideTally("s", 1, 0, Counter({"neutrophil": named, "unclassified": unnamed}), 0, 0)
    report = report_slide(tally, "both", Scale(0.1, "given"), FlagRule(), ("w:1",), ("neutrophil",))
    assert why(report).startswith(told)


@pytest.mark.parametrize(("percent", "told"), [(74.46, "75"), (87.5, "88"), (0.449, "0"), (100.0, "100")])
def test_a_sentence_and_a_table_round_to_the_same_percentage(percent: float, told: str) -> None:
    assert whole_percent(percent) == told
    assert whole_percent(round(percent, 1)) == told


def test_a_scanner_is_told_by_its_networks() -> None:
    assert repr(scanner()) == f"SmearScanner(both; {', '.join(scanner().weights)})"


def test_every_name_of_the_top_level_is_there() -> None:
    for name in smearscan.__all__:
        assert getattr(smearscan, name).__name__ == name
    with pytest.raises(SmearscanError):
        raise smearscan.ImageError("x")


def test_cures_need_no_index_that_knows_this_package() -> None:
    assert not any("smearscan[" in cure for cure in CURES.values())
