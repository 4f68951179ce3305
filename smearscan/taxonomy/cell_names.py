"""What laboratories, analyzers and data sets call cells, and the class that each name means."""

from collections.abc import Container
from difflib import get_close_matches
from typing import Final
from unicodedata import combining, normalize

from smearscan.taxonomy import (
    BLAST,
    BLAST_SUMS,
    DIFFERENTIAL_CLASSES,
    DIFFERENTIAL_SUMS,
    FINE_CLASSES,
    HEALTHY,
)

# The table of names, folded as `fold_name` does: what a cell is -> what laboratories, analyzers and data sets
# call it. A blank line parts English, abbreviations and codes first, from Portuguese and Spanish, German,
# French, and Italian. A plural in -s needs no entry. A name that is absent is refused, never guessed.
_NAMES: Final[dict[str, str]] = {
    "neutrophil": """
        neutrophil neutro neutr neut neu pmn poly polymorph polymorphonuclear polymorphonuclear_neutrophil
        polymorphonuclear_leukocyte neutrophil_granulocyte granulocyte_neutrophil seg segmented
        segmented_neutrophil segmented_granulocyte neutrophil_segmented seg_neutrophil segmented_cell sne band
        banded band_cell band_form band_neutrophil neutrophil_band banded_neutrophil bne stab stab_cell
        stab_neutrophil mature_neutrophil

        neutrofilo segmentado neutrofilo_segmentado granulocito_neutrofilo bastonete bastao bastonado
        neutrofilo_bastonete neutrofilo_em_bastao cayado en_cayado neutrofilo_en_cayado banda en_banda
        neutrofilo_banda neutrofilo_en_banda abastonado polimorfonuclear

        neutrophiler neutrophile neutrophiler_granulozyt neutrophile_granulozyten segmentkerniger
        segmentkernige segmentkerniger_neutrophiler segmentkernige_neutrophile
        segmentkernige_granulozyten segmentkerniger_granulozyt stabkerniger stabkernige
        stabkerniger_neutrophiler stabkernige_neutrophile stabkernige_granulozyten stabkerniger_granulozyt

        polynucleaire_neutrophile pnn granulocyte_neutrophile segmente polynucleaire_segmente

        neutrofili granulocita_neutrofilo granulociti_neutrofili segmentato segmentati neutrofilo_segmentato
        neutrofili_segmentati a_banda neutrofilo_a_banda neutrofili_a_banda bande
    """,
    "lymphocyte": """
        lymphocyte lympho lymph lym ly typical_lymphocyte lymphocyte_typical atypical_lymphocyte
        lymphocyte_atypical atypical_lymph atyp_lymph reactive_lymphocyte lymphocyte_reactive reactive_lymph
        activated_lymphocyte variant_lymphocyte variant_lymph lymphocyte_variant lgl
        large_granular_lymphocyte

        linfocito linf linfo linfocito_reativo linfocito_reactivo linfocito_atipico linfocito_tipico
        linfocito_ativado linfocito_activado

        lymphozyt lymphozyten reaktiver_lymphozyt reaktive_lymphozyten atypischer_lymphozyt
        atypische_lymphozyten reizform reizformen

        lymphocyte_reactionnel lymphocyte_active lymphocyte_atypique lymphocyte_hyperbasophile

        linfocita linfociti linfocita_reattivo linfociti_reattivi linfocita_atipico linfociti_atipici
    """,
    "monocyte": """
        monocyte mono mon mo

        monocito monozyt monozyten monocita monociti
    """,
    "eosinophil": """
        eosinophil eosino eos eo eosinophil_granulocyte eosinophilic_granulocyte

        eosinofilo granulocito_eosinofilo

        eosinophiler eosinophile eosinophiler_granulozyt eosinophile_granulozyten

        polynucleaire_eosinophile pne granulocyte_eosinophile

        eosinofili granulocita_eosinofilo granulociti_eosinofili
    """,
    "basophil": """
        basophil baso bas ba basophil_granulocyte basophilic_granulocyte

        basofilo granulocito_basofilo

        basophiler basophile basophiler_granulozyt basophile_granulozyten

        polynucleaire_basophile pnb granulocyte_basophile

        basofili granulocita_basofilo granulociti_basofili
    """,
    "immature_granulocyte": """
        immature_granulocyte ig myelocyte myelo my metamyelocyte meta metamyelo mmy

        granulocito_imaturo granulocito_inmaduro mielocito metamielocito

        unreifer_granulozyt unreife_granulozyten myelozyt myelozyten metamyelozyt metamyelozyten
        jugendlicher jugendliche

        granulocyte_immature

        granulocita_immaturo granulociti_immaturi mielocita mielociti metamielocita metamielociti
    """,
    "promyelocyte": """
        promyelocyte promyelo pro pmy

        promielocito promyelozyt promyelozyten promielocita promielociti
    """,
    "bilobed_promyelocyte": "bilobed_promyelocyte",
    "blast": """
        blast blast_cell blast_equivalent blast_no_lineage_spec leukemic_blast leukaemic_blast myeloblast
        monoblast lymphoblast promonocyte

        blasto celula_blastica mieloblasto monoblasto linfoblasto promonocito

        blasten myeloblasten monoblasten lymphoblasten promonozyt promonozyten

        blaste cellule_blastique myeloblaste monoblaste lymphoblaste

        blasti mieloblasti monoblasti linfoblasti promonocita promonociti
    """,
    "erythroblast": """
        erythroblast nrbc nucleated_red_cell nucleated_red_blood_cell nucleated_rbc normoblast

        eritroblasto normoblasto

        erythroblasten normoblasten kernhaltige_erythrozyten

        erythroblaste erythroblastes

        eritroblasti
    """,
    "smudge_cell": """
        smudge smu smudge_cell smudged_cell basket_cell gumprecht gumprecht_shadow

        sombra_de_gumprecht mancha_de_gumprecht restos_celulares

        gumprecht_schatten gumprechtscher_schatten kernschatten

        ombre_de_gumprecht ombra_di_gumprecht ombre_di_gumprecht
    """,
    "platelet": """
        platelet plt thrombocyte giant_platelet large_platelet giant_thrombocyte platelet_clump
        platelet_aggregate thrombocyte_aggregation

        plaqueta plaqueta_gigante trombocito

        thrombozyt thrombozyten riesenthrombozyt riesenthrombozyten

        plaquette piastrina piastrine trombocita trombociti
    """,
    "other": """
        other oth artefact artifact

        artefato artefacto artefakt artefakte artefatto artefatti
    """,
    "plasma_cell": """
        plasma_cell plasmocyte

        celula_plasmatica plasmocito plasmazelle plasmazellen plasmocita plasmacellula plasmacellule
    """,
    "healthy": "healthy ok normal non_blast no_blast",
    "none": """
        none no_cell not_a_cell no_leukocyte background nothing red_cell red_blood_cell rbc erythrocyte

        nenhum nenhuma ninguno ninguna hemacia hematie eritrocito globulo_vermelho globulo_rojo

        keine kein_leukozyt erythrozyt erythrozyten

        aucun aucune globule_rouge

        nessuno nessuna eritrocita eritrociti globulo_rosso globuli_rossi
    """,
    "leave_out": "leave_out skip unsure not_sure unknown unclear unclassified",
}

NOT_A_CELL: Final = "none"
"""A box that holds no leukocyte; a label of it says nothing about naming."""
LEAVE_OUT: Final = "leave_out"
"""The reader is not sure: such a label is left out and counted. A question mark (``blast?``) says so, too."""
PROMYELOCYTE: Final = "promyelocyte"
"""Blast or immature granulocyte: that depends on the patient, so a label must say which."""
PLASMA_CELL: Final = "plasma_cell"
"""No class of the differential; in labels and counts by hand it is counted with the lymphocytes."""

STANDARD_NAMES: Final[dict[str, str]] = {
    name: standard for standard, names in _NAMES.items() for name in names.split()
}
"""Folded name -> what the cell is: one of the differential's classes, ``blast``, ``healthy``, or one of the
four above, or ``bilobed_promyelocyte``."""

DIFFERENTIAL_SYNONYMS: Final[dict[str, str]] = {
    **{name: kind for name, kind in STANDARD_NAMES.items() if kind in DIFFERENTIAL_CLASSES},
    **{name: "immature_granulocyte" for name, kind in STANDARD_NAMES.items() if kind.endswith(PROMYELOCYTE)},
}
"""Folded names -> class of the differential, in training sets. One that is absent is no class; training
refuses it by name."""

BLAST_SYNONYMS: Final[dict[str, str]] = {
    **{name: HEALTHY for name in DIFFERENTIAL_SYNONYMS},
    **{name: HEALTHY for name, kind in STANDARD_NAMES.items() if kind == HEALTHY},
    **{
        name: BLAST
        for name, kind in STANDARD_NAMES.items()
        if kind == BLAST or kind.endswith(PROMYELOCYTE)  # an equivalent in acute promyelocytic leukemia
    },
}
"""Folded names -> ``healthy`` or ``blast``, in training sets."""


def standard_name(label: str) -> str | None:
    """Tell what a cell is from the name that somebody gave it.

    Parameters
    ----------
    label : str
        In any case, with or without accents, singular or plural: ``"Segs"``, ``"linfócitos"``,
        ``"Stabkernige"``.

    Returns
    -------
    str or None
        A value of :data:`STANDARD_NAMES`; :data:`LEAVE_OUT` where the label has a question mark; None where
        the name is not known.
    """
    if "?" in label:
        return LEAVE_OUT
    name = fold_name(label)
    return next((STANDARD_NAMES[form] for form in _singulars(name) if form in STANDARD_NAMES), None)


def similar_names(label: str) -> list[str]:
    """Known names that are written much like a label, likeliest first; for a message."""
    return get_close_matches(fold_name(label), STANDARD_NAMES, n=1, cutoff=0.75)


def known_as(label: str, names: Container[str]) -> str | None:
    """Form of a label, folded and in the singular if need be, that is among `names`; None where none is.

    A label with a question mark is no name.
    """
    if "?" in label:
        return None
    return next((form for form in _singulars(fold_name(label)) if form in names), None)


def _singulars(name: str) -> tuple[str, ...]:
    """Return a folded name and the same without the -s of each word, of all words but the last left alone."""
    words = name.split("_")
    return (
        name,
        "_".join([*words[:-1], words[-1].removesuffix("s")]),
        "_".join(word.removesuffix("s") if len(word) > 3 else word for word in words),
    )


_FINE_OF_KIND: Final[dict[str, tuple[str, ...]]] = {
    **{name: (name,) for name in FINE_CLASSES},
    "neutrophil": DIFFERENTIAL_SUMS["neutrophil"],
    "lymphocyte": (
        "lymphocyte",
        "abnormal_lymphocyte",
    ),  # laboratories' words for reactive ones are among them
    "immature_granulocyte": DIFFERENTIAL_SUMS["immature_granulocyte"],
    "bilobed_promyelocyte": ("promyelocyte",),
    BLAST: ("myeloblast", "monoblast", "lymphoblast"),
    HEALTHY: BLAST_SUMS[HEALTHY],
}
FINE_SYNONYMS: Final[dict[str, tuple[str, ...]]] = {
    **{name: _FINE_OF_KIND[kind] for name, kind in STANDARD_NAMES.items() if kind in _FINE_OF_KIND},
    **{name: (name,) for name in FINE_CLASSES},
    "segmented": ("segmented_neutrophil",),
    "seg": ("segmented_neutrophil",),
    "band": ("band_neutrophil",),
    "stab": ("band_neutrophil",),
    "atypical_lymphocyte": ("abnormal_lymphocyte",),
    "reactive_lymphocyte": ("abnormal_lymphocyte",),
    "lymphocyte_variant": ("abnormal_lymphocyte",),
    "prolymphocyte": ("abnormal_lymphocyte",),
    "plasma": ("plasma_cell",),
    "promonocyte": ("monoblast",),
    "blast_no_lineage_spec": ("myeloblast", "monoblast"),
    "proerythroblast": ("erythroblast",),
    "basophilic": ("erythroblast",),
    "polychromatic": ("erythroblast",),
    "orthochromatic": ("erythroblast",),
    "malignant_field": ("lymphoblast",),
    "benign_field": BLAST_SUMS[HEALTHY],
}
"""What each name that a set gives allows: the fine types that such a cell may be."""


def fold_name(name: str) -> str:
    """Bring a cell's name to the form that the table of names uses.

    Parameters
    ----------
    name : str
        For example ``"Blast, no lineage spec"``.

    Returns
    -------
    str
        Lower case without accents, runs of other characters than letters and digits folded to one
        underscore: ``"blast_no_lineage_spec"``.
    """
    plain = "".join(c for c in normalize("NFKD", name.casefold()) if not combining(c))
    return "_".join("".join(c if c.isalnum() else " " for c in plain).split())
