"""The stains that a net was trained on, and cells from beyond shown to it in each of them.

A net names cells of a stain that it has never seen by what that stain resembles, not by what the cell is. So
a cell whose depth of stain no training site had is looked at again with the depth of each training site, and
the look counts whose answer resembles the answers on training cells most. Cells that lie within the stain of
any training site are left alone.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from smearscan.density import Density, brought_to, middle_density

Rgb = tuple[float, float, float]
Logits = NDArray[np.float32]


class SiteStain(BaseModel):
    """Depth of stain of one site: mean and covariance of :func:`smearscan.density.middle_density`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: Rgb
    covariance: tuple[Rgb, Rgb, Rgb]

    @model_validator(mode="after")
    def _has_an_extent(self) -> "SiteStain":
        covariance = np.array(self.covariance)
        if not np.allclose(covariance, covariance.T) or np.linalg.eigvalsh(covariance).min() <= 0:
            raise ValueError("covariance must be symmetric and positive definite")
        return self

    def distance(self, density: Density) -> Density:
        """Mahalanobis distance of densities (N, 3) from the mean, (N,)."""
        off = density - np.array(self.mean)
        inverse = np.linalg.inv(np.array(self.covariance))
        return np.asarray(np.sqrt(np.sum(off @ inverse * off, axis=1)), np.float64)


class StainRange(BaseModel):
    """Stains that a net was trained on, and what it answered there.

    Attributes
    ----------
    sites : dict
        Of each training site its stain.
    answers : (A, K)
        Mean logits of the training cells of each site and class: what the net says of cells that it knows.
    limit : float
        Mahalanobis distance from a site's mean at which its stain ends; of three normal channels 90 % lie
        within 2.5, and of training cells 97 % within that of any site.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sites: dict[str, SiteStain] = Field(min_length=1)
    answers: tuple[tuple[float, ...], ...] = Field(min_length=1)
    limit: float = Field(2.5, gt=0)

    @model_validator(mode="after")
    def _of_one_net(self) -> "StainRange":
        if len({len(answer) for answer in self.answers}) != 1:
            raise ValueError("answers must all be of the same classes")
        return self

    @classmethod
    def of(
        cls, density: Density, site: NDArray[np.str_], target: NDArray[np.int64], logits: Logits
    ) -> "StainRange":
        """Describe training cells.

        Parameters
        ----------
        density : ndarray, (N, 3)
            Of each cell, :func:`smearscan.density.middle_density`.
        site : ndarray, (N,) str
            A site of fewer than four cells has no covariance and is left out.
        target : ndarray, (N,) int64
        logits : ndarray, (N, K)
        """
        names, size = np.unique(site, return_counts=True)
        own = {str(name): site == name for name in names[size > 3]}
        # five digits tell more than the cells do, and a card is read by people
        means = {name: density[rows].mean(axis=0).round(5).tolist() for name, rows in own.items()}
        spreads = {name: np.cov(density[rows].T).round(7).tolist() for name, rows in own.items()}
        pairs = [rows & (target == k) for rows in own.values() for k in np.unique(target[rows])]
        answers = [logits[rows].mean(axis=0).astype(float).round(4).tolist() for rows in pairs]
        sites = {name: {"mean": means[name], "covariance": spreads[name]} for name in own}
        return cls.model_validate({"sites": sites, "answers": answers})

    def outside(self, density: Density) -> NDArray[np.bool_]:
        """Tell which densities (N, 3) lie beyond the stain of every site, (N,)."""
        nearest = np.min([one.distance(density) for one in self.sites.values()], axis=0)
        return np.asarray(nearest > self.limit)

    def views(self, crops: NDArray[np.uint8], side_um: float) -> Iterator[NDArray[np.uint8]]:
        """Show crops (N, S, S, 3) uint8 RGB, `side_um` wide, in the mean stain of each site in turn."""
        have = middle_density(crops, side_um)
        for one in self.sites.values():
            want = np.array(one.mean)
            yield np.stack([brought_to(crop, own, want) for crop, own in zip(crops, have, strict=True)])

    def most_familiar(self, looks: Logits) -> Logits:
        """Choose of several looks (V, N, K) at each cell the one nearest to any known answer, (N, K)."""
        known = np.array(self.answers, np.float64)
        off = looks[:, :, None].astype(np.float64) - known
        nearest = np.sqrt((off**2).sum(axis=3)).min(axis=2)
        return np.asarray(looks[nearest.argmin(axis=0), np.arange(looks.shape[1])])
