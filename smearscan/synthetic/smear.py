"""Drawn fields of blood smears with exact ground truth."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from smearscan.errors import ConfigError
from smearscan.synthetic.canvas import Canvas, photograph
from smearscan.synthetic.cells import Cell, draw_platelet, draw_red_cell
from smearscan.synthetic.layout import clump_offsets, place_groups, scatter
from smearscan.synthetic.leukocytes import draw_leukocyte
from smearscan.synthetic.spec import LEUKEMIC, DrawnField, SmearSpec
from smearscan.synthetic.stain import Stain, random_stain
from smearscan.taxonomy import LEUKOCYTE, PLATELET, RED_CELL, RED_CELL_UM

Seed = int | np.random.SeedSequence

_TRIES: Final = 40


def seed_sequence(seed: Seed, *key: int) -> np.random.SeedSequence:
    """Return the seed of part `key` of what `seed` draws, without using up anything.

    Parameters
    ----------
    seed : int or numpy.random.SeedSequence
        A SeedSequence is not changed (its own ``spawn`` would be).
    *key : int
        Number of the slide, the field or the stage.

    Returns
    -------
    numpy.random.SeedSequence
        The same for the same arguments, independent of any other key.

    Raises
    ------
    ConfigError
        `seed` is negative.
    """
    if isinstance(seed, np.random.SeedSequence):
        return np.random.SeedSequence(entropy=seed.entropy, spawn_key=(*seed.spawn_key, *key))
    if seed < 0:
        raise ConfigError(f"seed is {seed}; give an integer from 0")
    return np.random.SeedSequence(entropy=seed, spawn_key=key)


def draw_field(spec: SmearSpec, seed: Seed) -> DrawnField:
    """Draw one field.

    Parameters
    ----------
    spec : SmearSpec
        What to draw.
    seed : int or numpy.random.SeedSequence
        The same spec and seed give the same pixels.

    Returns
    -------
    DrawnField
        Leukocytes first, then red cells, then platelets.
    """
    rng = np.random.default_rng(seed_sequence(seed, 0))
    stain = spec.stain or random_stain(np.random.default_rng(seed_sequence(seed, 1)))
    count = max(int(rng.poisson(spec.leukocytes)), spec.min_leukocytes)
    kinds = _kinds(rng, spec, count)
    cells = [draw_leukocyte(rng, stain, kind) for kind in kinds]
    type_of = {id(cell): kind for cell, kind in zip(cells, kinds, strict=True)}
    placed = place_groups(rng, _grouped(rng, cells, spec.clump), _size_um(spec))
    return _compose(rng, spec, stain, [(cell, at, type_of[id(cell)]) for cell, at in placed])


def draw_clump(n: int, seed: Seed, spec: SmearSpec = LEUKEMIC) -> DrawnField:
    """Draw one clump of touching leukocytes in the middle of a field of red cells.

    Parameters
    ----------
    n : int
        Number of leukocytes. Each touches another or overlaps it slightly; centers are never nearer than 0.75
        of the sum of the two mean radii.
    seed : int or numpy.random.SeedSequence
        The same arguments give the same pixels.
    spec : SmearSpec, optional
        Everything but the number and the place of the leukocytes.

    Returns
    -------
    DrawnField
        With exactly `n` leukocytes, all of them whole.

    Raises
    ------
    ConfigError
        `n` is not 1 to 50, or the clump does not fit into the field.
    """
    if not 1 <= n <= 50:
        raise ConfigError(f"a clump of {n} leukocytes cannot be drawn; give 1 to 50")
    rng = np.random.default_rng(seed_sequence(seed, 0))
    stain = spec.stain or random_stain(np.random.default_rng(seed_sequence(seed, 1)))
    kinds = _kinds(rng, spec, n)
    cells = [draw_leukocyte(rng, stain, kind) for kind in kinds]
    offsets = None
    for _ in range(_TRIES):
        offsets = clump_offsets(rng, cells)
        if offsets is not None:
            break
    if offsets is None:
        raise ConfigError(f"no room for {n} leukocytes in one clump; give fewer or another seed")
    size = np.asarray(_size_um(spec))
    reach = np.array([float(cell.radii_um.max()) for cell in cells])[:, None] + 2 * spec.um_per_px
    if np.any(np.abs(offsets) + reach > size / 2.0):
        need = 2.0 * float((np.abs(offsets) + reach).max()) / spec.um_per_px
        raise ConfigError(
            f"a clump of {n} leukocytes does not fit into {spec.width}x{spec.height} px at "
            f"{spec.um_per_px:.3g} um/px; make each side at least {need:.0f} px or um_per_px larger"
        )
    return _compose(rng, spec, stain, list(zip(cells, offsets + size / 2.0, kinds, strict=True)))


def draw_slide(spec: SmearSpec, n_fields: int, seed: Seed) -> Iterator[DrawnField]:
    """Draw the fields of one slide, one at a time.

    Parameters
    ----------
    spec : SmearSpec
        What to draw. Where it names no stain, one is drawn for the slide.
    n_fields : int
        How many; field k is the same whatever this is.
    seed : int or numpy.random.SeedSequence
        Seed of the slide.

    Yields
    ------
    DrawnField
        In order.

    Raises
    ------
    ConfigError
        `n_fields` is negative.
    """
    if n_fields < 0:
        raise ConfigError(f"n_fields is {n_fields}; give 0 or more")
    stain = spec.stain or random_stain(np.random.default_rng(seed_sequence(seed, 0)))
    stained = replace(spec, stain=stain)
    return (draw_field(stained, seed_sequence(seed, 1, k)) for k in range(n_fields))


def _kinds(rng: np.random.Generator, spec: SmearSpec, count: int) -> list[str]:
    names = sorted(spec.composition)  # the order of a mapping is not part of what it says
    weights = np.array([spec.composition[name] for name in names])
    return [str(kind) for kind in rng.choice(names, size=count, p=weights / weights.sum())]


def _size_um(spec: SmearSpec) -> tuple[float, float]:
    return (spec.width * spec.um_per_px, spec.height * spec.um_per_px)


def _grouped(rng: np.random.Generator, cells: list[Cell], clump: tuple[int, int] | None) -> list[list[Cell]]:
    if clump is None:
        return [[cell] for cell in cells]
    groups: list[list[Cell]] = []
    rest = list(cells)
    while rest:
        size = int(rng.integers(clump[0], clump[1] + 1))
        groups.append(rest[:size])
        rest = rest[size:]
    return groups


def _compose(
    rng: np.random.Generator,
    spec: SmearSpec,
    stain: Stain,
    leukocytes: list[tuple[Cell, NDArray[np.float64], str]],
) -> DrawnField:
    size_um = _size_um(spec)
    clear = [(cell.radius_um, at) for cell, at, _ in leukocytes]
    area = (size_um[0] + RED_CELL_UM) * (size_um[1] + RED_CELL_UM) / 1000.0
    reds = scatter(
        rng, int(rng.poisson(spec.red_cell_density * area)), size_um, RED_CELL_UM / 2, clear, spec.rouleaux
    )
    plates = scatter(rng, int(rng.poisson(spec.platelet_density * area)), size_um, 1.4, clear, 0.0)

    canvas = Canvas(spec.height, spec.width, spec.um_per_px)
    found: list[tuple[int, str, tuple[int, int, int, int]]] = []
    for at in reds:
        if box := canvas.lay(draw_red_cell(rng, stain, spec.hypochromia), at, opaque=False):
            found.append((RED_CELL, "", box))
    for at in plates:
        if box := canvas.lay(draw_platelet(rng, stain), at, opaque=True):
            found.append((PLATELET, "", box))
    for cell, at, kind in leukocytes:
        if box := canvas.lay(cell, at, opaque=True):
            found.append((LEUKOCYTE, kind, box))
    found.sort(key=lambda item: item[0])  # stable: within a label the order of drawing

    image = photograph(
        rng,
        canvas.density,
        stain,
        um_per_px=spec.um_per_px,
        blur_px=spec.blur_px,
        halo=spec.halo,
        vignette=spec.vignette,
        noise=spec.noise,
    )
    return DrawnField(
        image=image,
        xyxy=np.array([box for _, _, box in found], dtype=np.float32).reshape(-1, 4),
        labels=np.array([label for label, _, _ in found], dtype=np.int64),
        types=tuple(kind for _, kind, _ in found),
        um_per_px=spec.um_per_px,
    )
