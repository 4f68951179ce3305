"""How classes look wherever cells are drawn: colors that started from Okabe and Ito's, and short names.

Colors are apart for any color vision, blasts from all others most of all (a test measures it), and no picture
tells a class by its color alone: a short name or a letter goes with it, which is understood as a label, too.
Source: Okabe and Ito, Color Universal Design (2008).
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
    BLAST: Look("BLAST", (213, 60, 0)),
    "neutrophil": Look("neu", (0, 114, 178)),
    "lymphocyte": Look("lym", (0, 158, 115)),
    "monocyte": Look("mono", (240, 130, 200)),
    "eosinophil": Look("eos", (245, 225, 60)),
    "basophil": Look("baso", (100, 215, 240)),
    "immature_granulocyte": Look("ig", (45, 30, 130)),
    "erythroblast": Look("nrbc", (170, 0, 110)),
    "smudge_cell": Look("smu", (195, 165, 115)),
    "platelet": Look("plt", (225, 225, 225)),
    OTHER: Look("oth", (0, 0, 0)),
    HEALTHY: Look("ok", (0, 114, 178)),
    UNCLASSIFIED: Look("?", (120, 120, 120)),
}
_OWN: Final = ((204, 102, 119), (221, 204, 119), (170, 68, 153), (102, 153, 204), (136, 204, 238))


def look(name: str) -> Look:
    """Look of a class; one of somebody's own gets a color by its name, the same each time."""
    return LOOKS.get(name) or Look(name[:6], _OWN[sum(name.encode()) % len(_OWN)])
