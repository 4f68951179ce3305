"""A picture of what training shows a network: some cells, each as it is and as it is augmented."""

import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from smearscan.classification.classifier import apply_background
from smearscan.errors import DatasetError
from smearscan.training.augment import Augmentation, augmented, mixed
from smearscan.training.cells import ROOM, load_crops
from smearscan.training.config import ClassifierTraining

_TILE_INCH, _GAP = 1.0, 0.05
_LEFT_INCH, _HEAD_INCH, _EDGE_INCH = 1.35, 0.82, 0.15
_LETTERS_AN_INCH = 18
_INK, _FAINT = "#22252b", "#7a808a"


def sampled(table: pd.DataFrame, n: int, seed: int) -> pd.DataFrame:
    """Draw `n` cells, the classes in turn and the sites in turn within each; sorted by class.

    Raises
    ------
    DatasetError
        If there is no cell.
    """
    if table.empty:
        raise DatasetError("there is no cell to show; check 'sites', 'exclude_sites' and 'synonyms'")
    drawn = table.sample(frac=1, random_state=seed)
    by_site = drawn.groupby(["target", "site"]).cumcount()
    drawn = drawn.iloc[np.argsort(by_site.to_numpy(), kind="stable")]
    by_class = drawn.groupby("target").cumcount()
    drawn = drawn.iloc[np.argsort(by_class.to_numpy(), kind="stable")[:n]]
    return drawn.sort_values(["target", "site"], kind="stable").reset_index(drop=True)


def sample_grid(
    cells: pd.DataFrame, root: Path, config: ClassifierTraining, n_classes: int, draws: int, seed: int
) -> NDArray[np.uint8]:
    """Cut and augment cells as training does.

    Parameters
    ----------
    cells : DataFrame
        N located cells with ``target``.
    root : Path
        What ``image`` is relative to.
    config : ClassifierTraining
    n_classes : int
    draws : int
        Augmented crops of each cell.
    seed : int

    Returns
    -------
    ndarray, (N, 1 + draws, S, S, 3) uint8 RGB
        The first of each row is the crop as it is; where crops are mixed, a column is a batch.
    """
    room_um, px, rng = ROOM * config.crop_um, config.crop_px, np.random.default_rng(seed)
    windows = apply_background(load_crops(cells, root, room_um, round(ROOM * px)), config.background, room_um)
    targets = torch.tensor(cells["target"].to_numpy(np.int64))
    columns = [np.stack([augmented(w, px, rng, Augmentation.none()) for w in windows])]
    for _ in range(draws):
        batch = np.stack([augmented(w, px, rng, config.augmentation, config.crop_um) for w in windows])
        crops, _ = mixed(torch.from_numpy(batch), targets, n_classes, config.augmentation.mixup, rng)
        columns.append(crops.numpy())
    return np.stack(columns, axis=1)


def in_words(augmentation: Augmentation) -> str:
    """Say in words what an augmentation does, without what is switched off."""
    if augmentation == Augmentation.none():
        return "no augmentation"
    a = augmentation
    told = {
        "turned fully" if a.rotation == 180 else f"turned up to ±{a.rotation:g}°": a.rotation,
        f"shifted {'up to ±' if a.shift_law == 'uniform' else 'about '}{100 * a.shift:g} %": a.shift,
        f"resized about {a.scale:g} octaves": a.scale,
        f"mirrored ↔ {100 * a.flip_horizontal:g} %": a.flip_horizontal,
        f"mirrored ↕ {100 * a.flip_vertical:g} %": a.flip_vertical,
        f"fill: {a.fill}": a.rotation or a.shift or a.scale,
        f"coarse {100 * a.coarse:g} %": a.coarse,
        f"stain ({a.stain}) {100 * a.stain_share:g} %": a.stain != "none" and a.stain_share,
        f"color {100 * a.color:g} %": a.color,
        f"blur {100 * a.blur:g} %": a.blur,
        f"noise {100 * a.noise:g} %": a.noise,
        f"own nucleus at the reference {100 * a.nucleus:g} %": a.nucleus,
        f"of these green light alone {100 * a.green:g} %": a.nucleus and a.green,
        f"mixup {a.mixup:g}": a.mixup,
    }
    return "  ·  ".join(word for word, on in told.items() if on)


def draw_grid(grid: NDArray[np.uint8], rows: list[tuple[str, str]], title: str, words: str) -> Figure:
    """Draw a sample grid with its labels.

    Parameters
    ----------
    grid : ndarray, (N, 1 + draws, S, S, 3) uint8 RGB
    rows : list of (str, str)
        Class and site of each row.
    title, words : str
        Above the grid; below it.
    """
    n, columns = grid.shape[:2]
    apart = 0.12  # the original stands a little apart
    width = _LEFT_INCH + columns * _TILE_INCH + apart + _EDGE_INCH
    # hard spaces: a line may end after a dot alone
    foot = textwrap.wrap(words.replace(" ", "\u00a0").replace("·\u00a0", "· "), int(width * _LETTERS_AN_INCH))
    height = _HEAD_INCH + n * _TILE_INCH + _EDGE_INCH + 0.17 * (len(foot) + 1)
    figure = Figure(figsize=(width, height), dpi=160, facecolor="white")

    def write(x: float, y: float, text: str, size: float, color: str, **more: str) -> None:
        """Write at inches from the upper left corner."""
        figure.text(x / width, 1 - y / height, text, fontsize=size, color=color, **more)  # type: ignore[arg-type]

    write(_EDGE_INCH, 0.32, title, 13, _INK, weight="bold")
    for k, line in enumerate(reversed(foot)):
        write(_EDGE_INCH, height - 0.17 * (k + 1), line.replace("\u00a0", " ").strip(), 8, _FAINT)
    for k in range(columns):
        x = _LEFT_INCH + k * _TILE_INCH + (apart if k else 0)
        name, color = ("original", _INK) if k == 0 else (f"draw {k}", _FAINT)
        write(x + _TILE_INCH / 2, _HEAD_INCH - 0.08, name, 8.5, color, ha="center")
        for i in range(n):
            y = height - _HEAD_INCH - (i + 1) * _TILE_INCH
            side = _TILE_INCH - _GAP
            panel = figure.add_axes(
                ((x + _GAP / 2) / width, (y + _GAP / 2) / height, side / width, side / height)
            )
            panel.imshow(grid[i, k], interpolation="lanczos")
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set(color=_INK if k == 0 else "#d9dce1", linewidth=1.2 if k == 0 else 0.6)
    for i, (name, site) in enumerate(rows):
        lines = textwrap.wrap(name.replace("_", " "), 15)
        y = _HEAD_INCH + (i + 0.5) * _TILE_INCH + 0.14 - 0.09 * (len(lines) + 1)
        for k, line in enumerate(lines):
            write(_EDGE_INCH, y + 0.16 * k, line, 9.5, _INK)
        write(_EDGE_INCH, y + 0.16 * len(lines), site, 8, _FAINT)
    return figure
