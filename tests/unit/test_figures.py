"""Figures as JSON: read back unchanged, one record a line."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.report.figures import json_of_figures

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_it_reads_back_as_it_was(value: Any) -> None:
    assert json.loads(json_of_figures(value)) == value


def test_a_record_is_a_line_and_a_changed_figure_changes_one() -> None:
    def figures(recall: float) -> dict[str, Any]:
        accuracy = {"value": 0.9, "interval_95": [0.8, 0.95], "cells": 2125, "groups": 1128}
        curve = [round(k / 120, 4) for k in range(120)]
        sites = {name: {"accuracy": accuracy, "recall": accuracy, "curve": curve} for name in ("a", "b")}
        sites["b"]["recall"] = {**accuracy, "value": recall}
        return sites

    one, other = json_of_figures(figures(0.5)).splitlines(), json_of_figures(figures(0.6)).splitlines()
    assert len(one) == len(other) == 12
    assert [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b] == [8]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_does_not_have_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        json_of_figures({"value": value})
