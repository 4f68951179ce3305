"""The names of cells: what laboratories write is understood, and nothing is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, cell_names
from smearscan.taxonomy.cell_names import (
    BLAST_SYNONYMS,
    DIFFERENTIAL_SYNONYMS,
    LEAVE_OUT,
    STANDARD_NAMES,
    fold_name,
    known_as,
    standard_name,
)


@given(
    name=st.sampled_from(sorted(STANDARD_NAMES)),
    change=st.sampled_from([str.upper, str.title, lambda s: s.replace("_", " "), lambda s: f" {s}. "]),
)
def test_case_and_punctuation_change_no_meaning(name: str, change: object) -> None:
    assert standard_name(change(name)) == STANDARD_NAMES[name]  # type: ignore[operator]


@given(name=st.sampled_from(sorted(STANDARD_NAMES)))
def test_a_plural_and_a_question_mark(name: str) -> None:
    assert standard_name(name + "s") == STANDARD_NAMES[name]
    assert standard_name(name + "?") == LEAVE_OUT
    assert known_as(name + "?", STANDARD_NAMES) is None


@given(label=st.text(max_size=12))
def test_any_text_has_one_meaning_or_none(label: str) -> None:
    assert standard_name(label) in {*STANDARD_NAMES.values(), None}
    assert fold_name(fold_name(label)) == fold_name(label)


def test_no_name_has_two_meanings() -> None:
    names = [name for row in cell_names._NAMES.values() for name in row.split()]
    assert len(names) == len(set(names))
    assert all(fold_name(name) == name for name in names)


@pytest.mark.parametrize("name", [*DIFFERENTIAL_CLASSES, BLAST])
def test_our_own_names_mean_themselves(name: str) -> None:
    assert standard_name(name) == name


@pytest.mark.parametrize(
    ("labels", "meaning"),
    [
        (
            "seg, Segs, band, stab, PMN, polys, neu, Stabkernige, segmentado, bastonetes, cayado, PNN",
            "neutrophil",
        ),
        ("neutrófilos, neutrofili, Polynucléaires neutrophiles, segmentkerniger Neutrophiler", "neutrophil"),
        (
            "lymph, LYM, reactive lymphocyte, linfócitos, Lymphozyten, linfociti, lymphocytes réactionnels",
            "lymphocyte",
        ),
        ("mono, monócito, Monozyten, monociti", "monocyte"),
        ("eos, eosinófilo, Eosinophile, eosinofili", "eosinophil"),
        ("baso, basófilos, basophiles, basofili", "basophil"),
        (
            "metamyelocyte, mielócito, Myelozyten, Jugendliche, ig, granulócito imaturo",
            "immature_granulocyte",
        ),
        ("Blasts, blasto, Blasten, blastes, mieloblastos, Lymphoblasten, linfoblasti", "blast"),
        ("NRBC, normoblast, eritroblastos, Erythroblasten, érythroblaste", "erythroblast"),
        ("smudge, Gumprecht-Schatten, basket cells, ombre de Gumprecht", "smudge_cell"),
        ("plt, plaquetas, Thrombozyten, plaquettes, piastrine", "platelet"),
        ("plasma cell, plasmócito, Plasmazellen, plasmocytes, plasmacellule", "plasma_cell"),
        ("rbc, hemácias, Erythrozyten, globuli rossi, keine", "none"),
        ("?, blast?, unsure, unclassified", "leave_out"),
    ],
)
def test_laboratory_words_of_six_languages(labels: str, meaning: str) -> None:
    assert {label: standard_name(label) for label in labels.split(", ")} == dict.fromkeys(
        labels.split(", "), meaning
    )


@pytest.mark.parametrize("label", ["", "unicorn", "granulocyte", "prolymphocyte", "cell", "s"])
def test_what_is_not_certain_has_no_meaning(label: str) -> None:
    assert standard_name(label) is None


def test_training_never_takes_a_plasma_cell_for_a_lymphocyte() -> None:
    assert "plasma_cell" not in DIFFERENTIAL_SYNONYMS
    assert DIFFERENTIAL_SYNONYMS["promyelocyte"] == "immature_granulocyte"
    assert BLAST_SYNONYMS["promyelocyte"] == BLAST
    assert BLAST_SYNONYMS["seg"] == "healthy"
