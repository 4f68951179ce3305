"""What a few labels teach: who is labeled is never who is judged, and tables say what was counted."""

import numpy as np
import pytest

from references import few_labels
from references.few_labels import DRAWS, HALVES, few_labels_table
from references.labeled_scan import labeled_scans_table

PATIENT = np.repeat([p for half in HALVES for p in half], 30)


@pytest.mark.parametrize("way", [few_labels._of_all, few_labels._of_half])
def test_no_cell_is_both_labeled_and_judged(way) -> None:  # type: ignore[no-untyped-def]
    for taught, judged in way(PATIENT, 25):
        assert len(taught) == 25
        assert not set(taught) & set(judged)


def test_other_patients_are_judged_each_once_a_draw() -> None:
    pairs = list(few_labels._of_half(PATIENT, 25))
    assert len(pairs) == 2 * DRAWS
    for taught, judged in pairs:
        assert not set(PATIENT[taught]) & set(PATIENT[judged])
    judged = np.concatenate([judged for _, judged in pairs[::DRAWS]])
    assert sorted(judged) == list(range(len(PATIENT)))


def test_the_table_gives_the_mean_and_the_range_of_the_draws() -> None:
    def row(value: float) -> dict[str, object]:
        names = ("right_of_all", "unclassified", "blasts_called", "false_blasts", "blast_auroc")
        return {name: {"value": value, "draws": [value - 0.1, value + 0.1]} for name in names}

    way = [{"labeled": 25, "before": row(0.3), "after": row(0.6)}]
    told = {
        "weights": ["detector:a", "differential:b", "blast:c"],
        "cells": 9,
        "blasts": 4,
        "patients": 2,
        "same_slides": way,
        "other_patients": way,
    }
    table = few_labels_table(told)
    assert "9 cells (4 blasts and equivalents) of 2 patients" in table
    assert "| none | other patients | 0.300 (0.200 to 0.400)" in table
    assert "| 25 | the other cells of these slides | 0.600 (0.500 to 0.700)" in table


def test_flags_are_counted_by_disease_and_draw() -> None:
    def patient(disease: str, flag: str, suspects: list[str]) -> dict[str, object]:
        return {"disease": disease, "flag": flag, "suspects": suspects}

    none = [patient("ALL", "insufficient", []), patient("CLL", "flagged", [])]
    found = [patient("ALL", "flagged", ["blasts"]), patient("CLL", "insufficient", ["lymphocytosis"])]
    told = {"labeled": 100, "before": none, "same_slides": [none, found], "other_patients": [found]}
    lines = labeled_scans_table(told).splitlines()
    assert lines[2] == "| nothing labeled | 0 of 1 | 1 of 1 | 0 of 1 |"
    assert lines[3] == "| 100 cells of these slides labeled | 0, 1 of 1 | 1, 0 of 1 | 0, 1 of 1 |"
