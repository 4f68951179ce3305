"""Leukocytes of every type that smearscan names, drawn from a table of looks.

Sizes, nuclei and granules follow the descriptions of Wright-Giemsa stained cells in Bain, Blood Cells
(5th ed.), Bain, Clark and Wilkins, Bone Marrow Pathology, and the ICSH recommendations on nomenclature of
blood cell morphology (Palmer et al., Int J Lab Hematol 2015).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from smearscan.errors import ConfigError
from smearscan.synthetic.cells import Cell, draw_platelet, window
from smearscan.synthetic.nuclei import lobed_nucleus, roughen, round_nucleus
from smearscan.synthetic.stain import Stain
from smearscan.synthetic.texture import (
    DRAW_UM,
    OUTLINE_SAMPLES,
    FloatImage,
    band_noise,
    cover,
    outline,
    speckle,
    star_depth,
)
from smearscan.taxonomy import BLAST, DIFFERENTIAL_CLASSES, NON_LEUKOCYTES

_WINDOW_UM: Final = 27.0

_COUNTED: Final = tuple(name for name in DIFFERENTIAL_CLASSES if name not in NON_LEUKOCYTES)
LEUKOCYTE_TYPES: Final = (*_COUNTED, BLAST, *NON_LEUKOCYTES)
"""Types that can be drawn: the differential's classes and the blast."""

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Granules:
    dye: str
    per_um2: float
    sigma_um: float
    strength: float
    over_nucleus: float


@dataclass(frozen=True, slots=True)
class _Look:
    """How one type of leukocyte looks; ranges are drawn uniformly, cell by cell."""

    diameter_um: Range
    nucleus: Callable[[np.random.Generator, int, float], FloatImage]
    wobble: float
    elongation: float
    gain: Range  # strength of the chromatin dye
    clump_um: float  # wavelength of the chromatin's texture
    contrast: float
    blue: Range
    pink: Range
    granules: tuple[_Granules, ...] = ()
    vacuoles: float = 0.0
    nucleoli: tuple[int, int] = (0, 0)
    rough_um: float = 0.12
    edge_um: float = 0.4


def _segmented(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    k = cell_um / 6.5
    if rng.random() < 0.12:  # band form
        return lobed_nucleus(
            rng,
            size,
            lobes=2,
            lobe_um=1.5 * k,
            strand_um=1.1 * k,
            bend_um=3.0 * k,
            span=rng.uniform(3.6, 4.8),
            pinch=0.8,
        )
    lobes = int(rng.choice([2, 3, 4, 5], p=[0.1, 0.42, 0.36, 0.12]))
    return lobed_nucleus(
        rng,
        size,
        lobes=lobes,
        lobe_um=float({2: 2.3, 3: 2.0, 4: 1.75, 5: 1.6}[lobes]) * k,
        strand_um=rng.uniform(0.2, 0.65) * k,
        bend_um=rng.uniform(2.8, 3.5) * k,
        span={2: 3.0, 3: 4.2, 4: 5.0, 5: 5.6}[lobes] * rng.uniform(0.88, 1.1),
    )


def _bilobed(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    k = cell_um / 6.75
    return lobed_nucleus(
        rng,
        size,
        lobes=3 if rng.random() < 0.15 else 2,
        lobe_um=rng.uniform(2.3, 2.7) * k,
        strand_um=rng.uniform(0.3, 0.9) * k,
        bend_um=rng.uniform(3.0, 3.7) * k,
        span=rng.uniform(3.0, 4.0),
    )


def _kidney(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    k = cell_um / 8.0
    if rng.random() < 0.1:  # folded on itself, hardly indented
        return round_nucleus(rng, size, cell_um, rng.uniform(0.5, 0.6), 0.07, 0.5)
    return lobed_nucleus(
        rng,
        size,
        lobes=2,
        lobe_um=rng.uniform(2.8, 3.4) * k,
        strand_um=rng.uniform(1.8, 2.6) * k,
        bend_um=rng.uniform(3.0, 3.9) * k,
        span=rng.uniform(2.7, 4.3),
        pinch=0.8,
    )


def _immature(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    if rng.random() < 0.65:  # promyelocyte, myelocyte: round to oval, to the side
        return round_nucleus(rng, size, cell_um, rng.uniform(0.36, 0.52), 0.06, rng.uniform(0.5, 0.95))
    k = cell_um / 8.0  # metamyelocyte: slightly indented
    return lobed_nucleus(
        rng,
        size,
        lobes=2,
        lobe_um=3.5 * k,
        strand_um=2.7 * k,
        bend_um=2.9 * k,
        span=rng.uniform(1.8, 2.6),
        pinch=0.8,
    )


def _blast(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    return round_nucleus(rng, size, cell_um, rng.uniform(0.81, 0.9), rng.uniform(0.015, 0.06), 0.7)


def _lymphoid(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    return round_nucleus(rng, size, cell_um, rng.uniform(0.78, 0.92), 0.025, 0.75)


def _covered(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    return round_nucleus(rng, size, cell_um, rng.uniform(0.5, 0.68), 0.12, 0.4)


def _jet(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    return round_nucleus(rng, size, cell_um, rng.uniform(0.27, 0.42), 0.02, 0.6)


def _smear(rng: np.random.Generator, size: int, cell_um: float) -> FloatImage:
    return round_nucleus(rng, size, cell_um, 0.92, 0.1, 0.3)


_LOOKS: Final[Mapping[str, _Look]] = MappingProxyType(
    {
        "neutrophil": _Look(
            (12.0, 14.2), _segmented, 0.03, 1.1, (0.9, 1.25), 1.3, 0.20, (0.03, 0.16), (0.40, 0.80),
            (_Granules("pink", 6.0, 0.12, 0.55, 0.0), _Granules("violet", 1.6, 0.10, 0.17, 0.0)),
        ),
        "lymphocyte": _Look(
            (8.2, 11.0), _lymphoid, 0.025, 1.08, (0.95, 1.35), 1.6, 0.18, (0.7, 1.25), (0.0, 0.1),
        ),
        "monocyte": _Look(
            (15.0, 18.0), _kidney, 0.06, 1.15, (0.70, 0.95), 1.1, 0.22, (0.55, 0.9), (0.2, 0.5),
            (_Granules("violet", 3.0, 0.10, 0.10, 0.2),), vacuoles=8.0,
        ),
        "eosinophil": _Look(
            (12.2, 15.0), _bilobed, 0.025, 1.1, (0.85, 1.15), 1.3, 0.18, (0.05, 0.2), (0.3, 0.5),
            (_Granules("orange", 4.2, 0.22, 0.95, 0.04),),
        ),
        "basophil": _Look(
            (11.0, 13.2), _covered, 0.025, 1.08, (0.6, 0.85), 1.4, 0.15, (0.1, 0.3), (0.5, 0.9),
            (_Granules("violet", 2.0, 0.21, 1.0, 0.85),), rough_um=0.25,
        ),
        "immature_granulocyte": _Look(
            (14.0, 18.0), _immature, 0.045, 1.12, (0.66, 0.92), 0.9, 0.18, (0.25, 0.6), (0.5, 0.9),
            (_Granules("violet", 5.0, 0.14, 0.45, 0.5), _Granules("pink", 6.0, 0.14, 0.4, 0.0)),
        ),
        "blast": _Look(
            (12.5, 18.0), _blast, 0.05, 1.14, (0.56, 0.84), 0.75, 0.11, (0.8, 1.4), (0.0, 0.2),
            nucleoli=(1, 3),
        ),
        "erythroblast": _Look(
            (8.4, 10.4), _jet, 0.03, 1.08, (1.3, 1.65), 1.2, 0.12, (0.15, 0.5), (0.35, 0.7),
        ),
        "smudge_cell": _Look(
            (11.0, 16.0), _smear, 0.10, 1.2, (0.45, 0.65), 2.2, 0.20, (0.0, 0.05), (0.2, 0.5),
            rough_um=0.2, edge_um=1.8,
        ),
    }
)  # fmt: skip


def draw_leukocyte(rng: np.random.Generator, stain: Stain, kind: str) -> Cell:
    """Draw one leukocyte.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of randomness.
    stain : Stain
        Dyes of the slide.
    kind : str
        One of `LEUKOCYTE_TYPES`. ``"platelet"`` is a clump of them; ``"other"`` draws an erythroblast, a
        smudge cell or a clump of platelets: what a detector finds among leukocytes and a differential leaves
        out.

    Returns
    -------
    Cell
        Opaque where it covers red cells.

    Raises
    ------
    ConfigError
        `kind` is not known.
    """
    if kind not in LEUKOCYTE_TYPES:
        raise ConfigError(f"{kind!r} is no leukocyte type; use one of {', '.join(LEUKOCYTE_TYPES)}")
    if kind == "other":
        kind = str(rng.choice(["erythroblast", "smudge_cell", "platelet"], p=[0.6, 0.32, 0.08]))
    if kind == "platelet":
        return _platelet_clump(rng, stain)
    return _draw(rng, stain, _LOOKS[kind])


def _draw(rng: np.random.Generator, stain: Stain, look: _Look) -> Cell:
    size = window(_WINDOW_UM)
    shape = (size, size)
    radius = float(rng.uniform(*look.diameter_um)) / 2.0
    radii = outline(rng, radius, look.wobble, float(1.0 + (look.elongation - 1.0) * rng.gamma(2.0, 0.5)))
    depth = star_depth(size, radii)
    alpha = cover(depth, look.edge_um)

    nucleus_depth = roughen(rng, look.nucleus(rng, size, radius), look.rough_um, 2.2)
    nucleus_depth = np.minimum(nucleus_depth, depth - np.float32(0.25))  # the cell holds its nucleus
    nucleus = cover(nucleus_depth, 0.35)

    # The nucleus takes the cytoplasm's place but for a thin layer; granules over it stay visible.
    density = _cytoplasm(rng, stain, look, depth) * (1.0 - 0.85 * nucleus[..., None])
    for granules in look.granules:
        spots = speckle(rng, shape, granules.per_um2, granules.sigma_um)
        spots *= 1.0 - (1.0 - np.float32(granules.over_nucleus)) * nucleus
        density += np.float32(granules.strength) * spots[..., None] * stain.dye(granules.dye)
    if look.vacuoles:
        holes = speckle(rng, shape, look.vacuoles / (np.pi * radius**2), 0.38) * (1.0 - 0.8 * nucleus)
        density *= 1.0 - 0.75 * cover(holes - np.float32(0.5), 0.4)[..., None]

    strength = _chromatin(rng, look, nucleus_depth)
    density += (strength * nucleus)[..., None] * stain.dye("chromatin")
    return Cell((density * alpha[..., None]).astype(np.float32), alpha, radii)


def _cytoplasm(rng: np.random.Generator, stain: Stain, look: _Look, depth: FloatImage) -> FloatImage:
    mottle = 1.0 + 0.13 * band_noise(rng, (depth.shape[0], depth.shape[1]), 1.2)
    rim = 0.85 + 0.3 * np.exp(-np.maximum(depth, 0.0) / 0.6)  # the membrane is seen edge on
    blue = float(rng.uniform(*look.blue)) * stain.dye("basophilia")
    pink = float(rng.uniform(*look.pink)) * stain.dye("pink")
    return np.asarray((mottle * rim)[..., None] * (blue + pink), dtype=np.float32)


def _chromatin(rng: np.random.Generator, look: _Look, depth: FloatImage) -> FloatImage:
    shape = (depth.shape[0], depth.shape[1])
    clumps = np.tanh(band_noise(rng, shape, look.clump_um)) + 0.5 * band_noise(
        rng, shape, 2.8 * look.clump_um
    )
    strength = 1.0 + np.float32(look.contrast) * clumps
    strength += 0.10 * np.exp(-(((depth - 0.3) / 0.35) ** 2))  # chromatin lines the nuclear membrane
    low, high = look.nucleoli
    for _ in range(int(rng.integers(low, high + 1))):
        strength *= 1.0 - float(rng.uniform(0.14, 0.3)) * _nucleolus(rng, depth)
    return np.asarray(float(rng.uniform(*look.gain)) * strength, dtype=np.float32)


def _nucleolus(rng: np.random.Generator, depth: FloatImage) -> FloatImage:
    inside = np.argwhere(depth > 1.6)
    if len(inside) == 0:
        return np.zeros_like(depth)
    row, column = inside[int(rng.integers(len(inside)))]
    middle = (depth.shape[0] - 1) / 2.0
    at = (float(column - middle) * DRAW_UM, float(row - middle) * DRAW_UM)
    return cover(star_depth(depth.shape[0], outline(rng, float(rng.uniform(0.6, 1.3)), 0.05), at), 0.7)


def _platelet_clump(rng: np.random.Generator, stain: Stain) -> Cell:
    size = window(_WINDOW_UM)
    density = np.zeros((size, size, 3), dtype=np.float32)
    alpha = np.zeros((size, size), dtype=np.float32)
    for _ in range(int(rng.integers(7, 14))):
        platelet = draw_platelet(rng, stain)
        side = platelet.alpha.shape[0]
        at = np.clip(rng.normal(0.0, 2.0, 2), -4.5, 4.5) / DRAW_UM
        row, column = (np.round((size - side) / 2.0 + at)).astype(int)
        part = np.s_[row : row + side, column : column + side]
        density[part] = density[part] * (1.0 - platelet.alpha[..., None]) + platelet.density
        alpha[part] = np.maximum(alpha[part], platelet.alpha)
    radii = np.full(
        OUTLINE_SAMPLES, DRAW_UM * np.sqrt(max(float(alpha.sum()), 1.0) / np.pi), dtype=np.float32
    )
    return Cell(density, alpha, radii)
