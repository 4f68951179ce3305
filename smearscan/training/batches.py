"""Batches for training stage two: endless, seeded, sites and classes balanced by the root of their size."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from smearscan.rulers import stain
from smearscan.rulers.optical_density import center_optical_density, match_optical_density, multiply_density
from smearscan.training.augment import augmented, mixed
from smearscan.training.config import ClassifierTraining
from smearscan.training.stain import happens

Batches = Iterator[tuple[Tensor, Tensor]]
"""Pairs of inputs and targets: classes (B,) int64, or their chances (B, K) float32 where crops are mixed."""

GAINS = ("gain_red", "gain_green", "gain_blue")
"""Columns of a table of cells: factors that bring its slide's optical density to the reference."""

_AT_ONCE = 1024


class Cells(IterableDataset[tuple[NDArray[np.uint8], int]]):
    """Endless, seeded, augmented crops.

    Where sites exchange their stain, what sets a cell apart from the others of its site stays: only what the
    site's cells have in common is the site's.
    """

    def __init__(
        self, windows: NDArray[np.uint8], table: pd.DataFrame, config: ClassifierTraining, seed: int
    ) -> None:
        self._windows, self._config, self._seed = windows, config, seed
        self._target = table["target"].to_numpy()
        self._share = shares(table, config)
        wide = config.crop_um * windows.shape[1] / config.crop_px
        if config.reference_stain:
            self._gain = table[list(GAINS)].to_numpy()
        if config.augmentation.exchange:
            self._site, names = pd.factorize(table["site"])
            density = center_optical_density(windows, wide)
            self._depths = [density[self._site == site].mean(axis=0) for site in range(len(names))]

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], int]]:
        worker = get_worker_info()
        rng = np.random.default_rng([self._seed, worker.id if worker else 0])
        how = self._config.augmentation
        while True:
            for i in rng.choice(len(self._target), _AT_ONCE, p=self._share):
                window = self._windows[i]
                if happens(rng, self._config.reference_stain):
                    window = multiply_density(window, self._gain[i])
                if happens(rng, how.exchange):
                    other = rng.integers(len(self._depths))
                    window = match_optical_density(window, self._depths[self._site[i]], self._depths[other])
                crop = augmented(window, self._config.crop_px, rng, how, self._config.crop_um)
                yield crop, int(self._target[i])


def with_gains(table: pd.DataFrame, windows: NDArray[np.uint8], config: ClassifierTraining) -> pd.DataFrame:
    """Add the columns :data:`GAINS` of each cell's slide, where training shows the reference stain."""
    if not config.reference_stain:
        return table
    crops = middle_of(windows, config.crop_px)
    gains = slide_gains(table, stain.measure_cells(crops, config.crop_um), config.one_slide)
    return table.assign(**dict(zip(GAINS, gains.T, strict=True)))


def slide_gains(
    table: pd.DataFrame, cells: NDArray[np.float64], one_slide: Sequence[str] = ()
) -> NDArray[np.float64]:
    """Give each cell the gain that brings its slide to the reference stain, (N, 3).

    Parameters
    ----------
    table : DataFrame
        With ``site`` and ``group``. A slide of too few cells is measured with all of its site.
    cells : ndarray, (N, 2, 3)
        Of :func:`smearscan.rulers.stain.measure_cells`.
    one_slide : sequence of str
        Sites that are taken for one slide each.
    """
    site = table["site"]
    slide = (site + "/" + table["group"].astype(str)).mask(site.isin(list(one_slide)), site)
    slide = slide.where(slide.map(slide.value_counts()) >= stain.FEWEST_CELLS, site)
    gains = np.ones((len(table), 3))
    for name in slide.unique():
        own = (slide == name).to_numpy()
        gains[own] = stain.slide_gain(cells[own], cells[(site == site[own].iloc[0]).to_numpy()])
    return gains


def middle_of(windows: NDArray[np.uint8], crop_px: int) -> NDArray[np.uint8]:
    """Crops (N, crop_px, crop_px, 3) in the middle of windows."""
    edge = (windows.shape[1] - crop_px) // 2
    return windows[:, edge : edge + crop_px, edge : edge + crop_px]


def shares(table: pd.DataFrame, config: ClassifierTraining) -> NDArray[np.float64]:
    """Chance of each cell: a site, and in it a class, by weight and the root of its size."""
    n = table.groupby(["site", "target"])["image"].transform("size").to_numpy(np.float64)
    share = np.array(table.get("class_weight", 1.0) / np.sqrt(n))
    site = table["site"].to_numpy()
    for name in np.unique(site):
        own = site == name
        share[own] *= config.site_weights.get(str(name), 1.0) * np.sqrt(own.sum()) / share[own].sum()
    return np.asarray(share / share.sum(), np.float64)


def collate(batch: list[tuple[NDArray[np.uint8], int]]) -> tuple[Tensor, Tensor]:
    """Join crops to (B, S, S, 3) uint8 and (B,) int64."""
    return torch.from_numpy(np.stack([crop for crop, _ in batch])), torch.tensor(
        [target for _, target in batch]
    )


def crop_batches(
    windows: NDArray[np.uint8], table: pd.DataFrame, config: ClassifierTraining, n_classes: int, epoch: int,
    loaders: int = 1,
) -> Batches:  # fmt: skip
    """Augmented crops (B, S, S, 3) uint8 of one epoch, made by `loaders` processes; mixed where told.

    Each process draws crops of its own, so their number is part of what a seed repeats.
    """
    seed = config.seed * 1000 + epoch
    stream = Cells(windows, table, config, seed)
    rng = np.random.default_rng([seed, 1, 1])
    for crops, targets in DataLoader(
        stream, config.batch, collate_fn=collate, num_workers=loaders, prefetch_factor=4
    ):
        yield mixed(crops, targets, n_classes, config.augmentation.mixup, rng)


def feature_batches(
    features: NDArray[np.float32], table: pd.DataFrame, config: ClassifierTraining, epoch: int
) -> Batches:
    """Features (B, F) float32 of one epoch, drawn as crops are."""
    rng = np.random.default_rng([config.seed * 1000 + epoch, 0])
    share, target = shares(table, config), table["target"].to_numpy()
    while True:
        drawn = rng.choice(len(target), config.batch, p=share)
        yield torch.from_numpy(features[drawn]), torch.from_numpy(target[drawn])
