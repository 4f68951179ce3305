"""How cells are misnamed: a confusion matrix that knows how few cells it rests on and how slides differ.

Row t says what a leukocyte of true class t is called. Two things make it uncertain for the slide at hand:
the labeled cells are a sample, and slides (patients, stains, cameras) differ in their own rows. Both enter
the rows that :meth:`MisclassificationModel.rows` draws.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smearscan.taxonomy import BLAST, NON_LEUKOCYTES, UNCLASSIFIED

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_LEAST_SPREAD = 1e-4
_MOST_ODDS = 99.0


@dataclass(frozen=True, slots=True, eq=False)  # two are the same only if they are one: may be a key
class MisclassificationModel:
    """What labeled cells were called.

    Attributes
    ----------
    classes : tuple of str, (T,)
        True classes.
    counts : ndarray, (T, T + 1) int64
        Labeled cells by true class (row) and by name (column): `classes`, then ``unclassified``.
    icc : ndarray, (T,) float64
        Intraclass correlation of each row, 0 to 1: how much one slide's own row differs from the mean row,
        false blasts apart.
    groups : ndarray, (T,) int64
        Slides or patients that the cells of a row come from.
    group_concentration : ndarray, (T,) float64
        Sum of squared cells a group, over the squared sum: how unevenly groups contribute, 1 / groups at
        best.
    detector_recall : ndarray, (T, 2) int64
        Cells of the class that the detector found, and cells there were; (0, 0) where not measured.
    overdispersion : float
        Relative variance of a new slide's false-blast rate around what its composition lets expect: slides
        differ in stain and focus, and one with many false blasts among its lymphocytes has many among its
        monocytes.
    overdispersion_high : float
        Upper 95 % limit of `overdispersion`, which so few slides leave uncertain.
    site : ndarray, (T, T + 1) int64
        Labeled cells of the site in use, counted as `counts`; zeros where none is labeled.
    """

    classes: tuple[str, ...]
    counts: Counts
    icc: Floats
    groups: Counts
    group_concentration: Floats
    detector_recall: Counts
    overdispersion: float
    overdispersion_high: float
    site: Counts

    def __post_init__(self) -> None:
        t = len(self.classes)
        arrays = self.counts, self.site, self.icc, self.groups, self.group_concentration, self.detector_recall
        shapes = tuple(a.shape for a in arrays)
        if shapes != ((t, t + 1), (t, t + 1), (t,), (t,), (t,), (t, 2)):
            raise ValueError(f"{t} classes do not fit naming errors of shapes {shapes}")

    @property
    def names(self) -> tuple[str, ...]:
        """What cells can be called, (T + 1,)."""
        return (*self.classes, UNCLASSIFIED)

    @property
    def labeled(self) -> Counts:
        """Labeled cells of each class, (T,) int64."""
        return np.asarray((self.counts + self.site).sum(axis=1), np.int64)

    @property
    def mean(self) -> Floats:
        """Mean rows, (T, T + 1), of a slide of the site.

        The published cells give a mean row, with one cell's weight of ignorance spread evenly (Perks'
        prior). For a site of its own it weighs as many cells as it says about a slide it was not counted on,
        its concentration; the site's cells come on top (conjugate Dirichlet-multinomial). Hence a hundred
        cells outweigh a row that differs much from slide to slide, and hardly move one that is the same
        everywhere.
        """
        n = len(self.names)
        known = (self.counts + 1 / n) / (self.counts.sum(axis=1, keepdims=True) + 1)
        weight = self._concentration(self.counts.sum(axis=1))[:, None]
        return np.asarray((weight * known + self.site) / (weight + self.site.sum(axis=1, keepdims=True)))

    @property
    def called_blast(self) -> Floats:
        """Share of each class called blast, of its cells that get a name, (T,)."""
        mean = self.mean
        return np.asarray(mean[:, self.classes.index(BLAST)] / np.maximum(1 - mean[:, -1], 1e-9), np.float64)

    @property
    def concentration(self) -> Floats:
        """Dirichlet concentration, (T,), of one new slide's row around :attr:`mean`.

        The variance of a share p is ``p (1 - p) / (concentration + 1)``: the slide's own deviation (`icc`)
        plus the error of the mean, which falls with cells (first term) and with groups (second term).
        """
        return self._concentration(self.labeled)

    def _concentration(self, cells: Counts) -> Floats:
        variance = self.icc + (1 - self.icc) / (cells + 1) + self.icc * self.group_concentration
        return np.asarray(1 / np.clip(variance, _LEAST_SPREAD, 0.999) - 1, np.float64)

    def rows(self, draws: int, rng: np.random.Generator) -> Floats:
        """Draw `draws` possible matrices of one slide, (draws, T, T + 1); rows sum to 1.

        The share of false blasts among named cells is drawn apart from the other names: each row's rate as
        its labeled cells leave it uncertain, its odds times one factor for the whole slide
        (gamma-distributed, mean 1, variance `overdispersion`). On odds, because a rate times a factor may
        pass one; where rates are small the two are the same. What a cell is called else follows the row's
        Dirichlet distribution.
        """
        shape = np.maximum(self.mean * self.concentration[:, None], 1e-6)
        gammas = rng.standard_gamma(shape, (draws, *shape.shape))
        gammas += 1e-300  # a row of which every gamma underflows stays a row
        if BLAST in self.classes:
            self._share_factor(gammas, rng)
        return np.asarray(gammas / gammas.sum(axis=2, keepdims=True), np.float64)

    def _share_factor(self, gammas: Floats, rng: np.random.Generator) -> None:
        """Replace, in place, the false blasts of drawn rows."""
        blast = self.classes.index(BLAST)
        others = np.array([k for k in range(len(self.classes)) if k != blast])
        cells = self.labeled[others] + 1
        false = self.called_blast[others] * cells
        rate = rng.beta(false, cells - false, (len(gammas), len(others)))
        odds = rate / np.maximum(1 - rate, 1 / (1 + _MOST_ODDS))
        if self.overdispersion:
            odds *= rng.gamma(1 / self.overdispersion, self.overdispersion, (len(gammas), 1))
        rest = gammas[:, others, :-1].sum(axis=2) - gammas[:, others, blast]
        gammas[:, others, blast] = np.maximum(rest, 1e-300) * np.minimum(odds, _MOST_ODDS)

    @property
    def found_or_pooled(self) -> Counts:
        """Cells found and cells there were, (T, 2); of all classes where a class was not measured."""
        return np.where(
            self.detector_recall[:, 1:] > 0, self.detector_recall, self.detector_recall.sum(axis=0)
        )

    def recall(self, draws: int, rng: np.random.Generator) -> Floats:
        """Draw the detector's recall of each class, (draws, T); 1 where no class was measured."""
        hit, there = self.found_or_pooled.T
        drawn = rng.beta(hit + 0.5, there - hit + 0.5, (draws, len(self.classes)))
        return np.where(there > 0, drawn, 1.0)

    @property
    def mean_recall(self) -> Floats:
        """Mean recall of each class, (T,)."""
        hit, there = self.found_or_pooled.T
        return np.where(there > 0, (hit + 0.5) / (there + 1), 1.0)

    def updated(self, counts: Counts, found: Counts) -> "MisclassificationModel":
        """Add labeled cells of one new site, (T, T + 1) and (T, 2); see :attr:`mean` for how they weigh."""
        return replace(self, site=self.site + counts, detector_recall=self.detector_recall + found)


def healthy_rows(classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Rows of leukocytes that are no blasts."""
    outside = (*NON_LEUKOCYTES, BLAST)
    return np.array([k for k, name in enumerate(classes) if name not in outside], np.int64)
