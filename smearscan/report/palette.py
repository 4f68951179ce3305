"""How classes look wherever cells are drawn: Okabe and Ito's colors and Tol's muted ones, and short names.

Neighbors that are confused most are far apart for any color vision, and no picture tells a class by its color
alone: a short name or a letter goes with it. Sources: Okabe and Ito, Color Universal Design (2008); Tol,
Colour schemes, SRON technical note (2021).
"""

from typing import Final, NamedTuple

from smearscan.taxonomy import BLAST, HEALTHY, OTHER, UNCLASSIFIED


class Look(NamedTuple):
    """Short name of a class and its color, red, green, blue of 255."""

    short: str
    rgb: tuple[int, int, int]

    @property
    def hex(self) -> str:
        """The color as ``#rrggbb``."""
        return "#" + "".join(f"{part:02x}" for part in self.rgb)


LOOKS: Final = {
    BLAST: Look("BLAST", (213, 94, 0)),
    "neutrophil": Look("neu", (0, 114, 178)),
    "lymphocyte": Look("lym", (0, 158, 115)),
    "monocyte": Look("mono", (204, 121, 167)),
    "eosinophil": Look("eos", (240, 228, 66)),
    "basophil": Look("baso", (86, 180, 233)),
    "immature_granulocyte": Look("ig", (92, 76, 190)),
    "erythroblast": Look("nrbc", (136, 34, 85)),
    "smudge_cell": Look("smu", (153, 153, 51)),
    "platelet": Look("plt", (68, 170, 153)),
    OTHER: Look("oth", (120, 110, 100)),
    HEALTHY: Look("ok", (0, 114, 178)),
    UNCLASSIFIED: Look("?", (150, 150, 150)),
}
_OWN: Final = ((204, 102, 119), (221, 204, 119), (170, 68, 153), (102, 153, 204), (136, 204, 238))


def look(name: str) -> Look:
    """Look of a class; one of somebody's own gets a color by its name, the same each time."""
    return LOOKS.get(name) or Look(name[:6], _OWN[sum(name.encode()) % len(_OWN)])
