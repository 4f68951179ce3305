"""Reference ranges of the differential, to look at beside a count; a laboratory has its own."""

from typing import Final

from smearscan.taxonomy import BLAST

REFERENCE_RANGES: Final[dict[str, tuple[float, float]]] = {
    "neutrophil": (40.0, 80.0),
    "lymphocyte": (20.0, 40.0),
    "monocyte": (2.0, 10.0),
    "eosinophil": (1.0, 6.0),
    "basophil": (0.0, 2.0),
    "immature_granulocyte": (0.0, 0.0),
    BLAST: (0.0, 0.0),
}
"""Percent of leukocytes of healthy adults."""

SOURCE: Final = "Dacie and Lewis, Practical Haematology, 12th ed., table 2.1"
