"""The classes: detector labels, leukocyte types, and the sums of fine types that both answers are.

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

FINE_CLASSES: Final = (
    "segmented_neutrophil",
    "band_neutrophil",
    "lymphocyte",
    "abnormal_lymphocyte",
    "plasma_cell",
    "monocyte",
    "eosinophil",
    "basophil",
    "promyelocyte",
    "myelocyte",
    "metamyelocyte",
    "myeloblast",
    "monoblast",
    "lymphoblast",
    "erythroblast",
    "smudge_cell",
    "platelet",
    "other",
)
"""The finest names that published sets give; every other name of a cell is a sum of some of them."""

BLAST_TYPES: Final = ("promyelocyte", "myeloblast", "monoblast", "lymphoblast")
"""Fine types that count as blasts and equivalents: a promyelocyte does in promyelocytic leukemia."""

BLAST_SUMS: Final[dict[str, tuple[str, ...]]] = {
    "healthy": tuple(name for name in FINE_CLASSES if name not in BLAST_TYPES),
    "blast": BLAST_TYPES,
}

DIFFERENTIAL_SUMS: Final[dict[str, tuple[str, ...]]] = {
    "neutrophil": ("segmented_neutrophil", "band_neutrophil"),
    "lymphocyte": ("lymphocyte", "abnormal_lymphocyte", "plasma_cell"),
    "monocyte": ("monocyte",),
    "eosinophil": ("eosinophil",),
    "basophil": ("basophil",),
    "immature_granulocyte": ("promyelocyte", "myelocyte", "metamyelocyte"),
    "erythroblast": ("erythroblast",),
    "smudge_cell": ("smudge_cell",),
    "platelet": ("platelet",),
    "other": ("other",),
}
"""Which fine types each class of the differential is the sum of, among cells that are no blasts."""

SUMS: Final = {"blast": BLAST_SUMS, "differential": DIFFERENTIAL_SUMS}
"""Both answers that one net of fine types gives, by task."""

FINE_TYPES_OF: Final[dict[str, tuple[str, ...]]] = {
    **{name: (name,) for name in FINE_CLASSES},  # what a finer differential of one's own names
    **DIFFERENTIAL_SUMS,
    BLAST: BLAST_TYPES,
}
"""Fine types that a cell of each type may be; one that is called anything else has none."""

FINE_PARTS: Final = tuple(
    name for name in FINE_CLASSES if any(name in own and len(own) > 1 for own in FINE_TYPES_OF.values())
)
"""Fine types that are a part of a type: they say more than it does."""
