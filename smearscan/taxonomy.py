"""The words of the field: detector labels, leukocyte classes, and what data sets call them.

Which mature and immature cells count as *blast equivalents* follows the WHO classification (5th ed., 2022)
and the ICC (Arber et al., Blood 2022;140:1200): promonocytes always, abnormal promyelocytes in acute
promyelocytic leukemia.
"""

from typing import Final

DETECTOR_CLASSES: Final = ("leukocyte", "red_cell", "platelet")
LEUKOCYTE: Final = 0
RED_CELL: Final = 1
PLATELET: Final = 2

DIFFERENTIAL_CLASSES: Final = (
    "neutrophil",
    "lymphocyte",
    "monocyte",
    "eosinophil",
    "basophil",
    "immature_granulocyte",
    "erythroblast",
    "smudge_cell",
    "platelet",
    "other",
)
FOUR_CLASSES: Final = ("neutrophil", "lymphocyte", "monocyte", "eosinophil")
"""The four-class differential that is always reported."""

NON_LEUKOCYTES: Final = ("erythroblast", "smudge_cell", "platelet", "other")
"""Classes outside the denominator of a differential, given per 100 leukocytes instead (CLSI H20-A2):
erythroblasts, smudge cells, giant or clumped platelets, and what is none of these (artifacts)."""

BLAST_CLASSES: Final = ("healthy", "blast")
BLAST: Final = "blast"
HEALTHY: Final = "healthy"
"""What a cell that is no blast is called where the differential did not run."""
OTHER: Final = "other"
UNCLASSIFIED: Final = "unclassified"

RED_CELL_UM: Final = 7.2
"""Mean diameter of a dried, stained red cell in um (7.2 to 7.5: Bain, Blood Cells, 5th ed., ch. 3)."""

NOTICE: Final = "Research use only. smearscan suggests; it is not a medical device and never a diagnosis."
"""Goes wherever smearscan speaks: reports, cards, terminal."""

# Names seen in data sets (lower case, punctuation folded to "_") -> our class. A name that is absent is no
# leukocyte class; training refuses it by name instead of guessing.
DIFFERENTIAL_SYNONYMS: Final[dict[str, str]] = {
    "neutrophil": "neutrophil",
    "neutrophils": "neutrophil",
    "segmented_neutrophil": "neutrophil",
    "segmented_neutrophils": "neutrophil",
    "band_neutrophil": "neutrophil",
    "band_neutrophils": "neutrophil",
    "lymphocyte": "lymphocyte",
    "lymphocytes": "lymphocyte",
    "atypical_lymphocyte": "lymphocyte",
    "lymphocyte_variant": "lymphocyte",
    "monocyte": "monocyte",
    "monocytes": "monocyte",
    "eosinophil": "eosinophil",
    "eosinophils": "eosinophil",
    "basophil": "basophil",
    "basophils": "basophil",
    "immature_granulocyte": "immature_granulocyte",
    "ig": "immature_granulocyte",
    "myelocyte": "immature_granulocyte",
    "metamyelocyte": "immature_granulocyte",
    "promyelocyte": "immature_granulocyte",
    "bilobed_promyelocyte": "immature_granulocyte",
    "other": "other",
    "erythroblast": "erythroblast",
    "smudge": "smudge_cell",
    "smudge_cell": "smudge_cell",
    "smudge_cells": "smudge_cell",
    "platelet": "platelet",
    "giant_thrombocyte": "platelet",
    "thrombocyte_aggregation": "platelet",
    "artefact": "other",
    "artifact": "other",
}

_BLAST_EQUIVALENT: Final = (
    "blast",
    "blast_no_lineage_spec",
    "myeloblast",
    "monoblast",
    "lymphoblast",
    "promonocyte",
    "promyelocyte",
    "bilobed_promyelocyte",
)
BLAST_SYNONYMS: Final[dict[str, str]] = {
    **{name: "healthy" for name in DIFFERENTIAL_SYNONYMS},
    **{name: "blast" for name in _BLAST_EQUIVALENT},
    "healthy": "healthy",
}


def fold_name(name: str) -> str:
    """Bring a data set's class name to the form the synonym tables use.

    Parameters
    ----------
    name : str
        For example ``"Blast, no lineage spec"``.

    Returns
    -------
    str
        Lower case, runs of other characters than letters and digits folded to one underscore:
        ``"blast_no_lineage_spec"``.
    """
    folded = "".join(c if c.isalnum() else " " for c in name.lower())
    return "_".join(folded.split())
