"""How cells are misnamed: a confusion matrix that knows how few cells it rests on and how slides differ.

Row t says what a leukocyte of true class t is called. Two things make it uncertain for the slide at hand:
the labeled cells are a sample, and slides (patients, stains, cameras) differ in their own rows. Both enter
the rows that :meth:`MisclassificationModel.rows` draws.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2

from smearscan.taxonomy import BLAST, NON_LEUKOCYTES, UNCLASSIFIED

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

_LEAST_SPREAD = 1e-4
_MOST_ODDS = 99.0
_FEW = 100
_WIDEST = 20.0


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


def misclassification_model(
    classes: tuple[str, ...], truth: NDArray[np.str_], called: NDArray[np.str_], group: NDArray[np.str_],
    found: Counts | None = None,
) -> MisclassificationModel:  # fmt: skip
    """Count labeled cells.

    Parameters
    ----------
    classes : tuple of str, (T,)
    truth, called : ndarray, (N,) str
        What each cell is, and what it was called: one of `classes` or ``unclassified``.
    group : ndarray, (N,) str
        The slide or patient of each cell.
    found : ndarray, (T, 2) int64, optional

    Returns
    -------
    MisclassificationModel

    Notes
    -----
    The spread is the analysis-of-variance estimator of the intraclass correlation, summed over names (Weir
    and Cockerham, Evolution 38:1358, 1984; Ridout et al., Biometrics 55:137, 1999, for a single name).
    """
    names = (*classes, UNCLASSIFIED)
    ids, code = np.unique(group, return_inverse=True)
    table = np.zeros((len(ids), len(classes), len(names)), np.int64)
    row = {name: i for i, name in enumerate(names)}
    true = np.array([row[t] for t in truth], np.int64)
    np.add.at(table, (code, true, np.array([row[c] for c in called], np.int64)), 1)
    size = table.sum(axis=2)  # cells by group and class
    total = np.maximum(size.sum(axis=0), 1)
    return MisclassificationModel(
        classes,
        table.sum(axis=0),
        _spreads([_without_false(table[:, t], classes, t) for t in range(len(classes))]),
        np.asarray((size > 0).sum(axis=0), np.int64),
        np.asarray((size.astype(np.float64) ** 2).sum(axis=0) / total.astype(np.float64) ** 2),
        np.zeros((len(classes), 2), np.int64) if found is None else found,
        *_variations(classes, table),
        np.zeros((len(classes), len(names)), np.int64),
    )


def healthy_rows(classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Rows of leukocytes that are no blasts."""
    outside = (*NON_LEUKOCYTES, BLAST)
    return np.array([k for k, name in enumerate(classes) if name not in outside], np.int64)


def _variations(classes: tuple[str, ...], table: Counts) -> tuple[float, float]:
    """Relative variance of a group's false-blast rate and its upper 95 % limit, from counts (G, T, names).

    The variance at which the squared excesses of the groups over what their composition lets expect, each
    over its own variance (binomial, and the one sought), sum up to their degrees of freedom (Paule and
    Mandel, J. Res. Natl. Bur. Stand. 87:377, 1982); at the limit they sum up to the 5 % quantile of
    chi-square (Viechtbauer, Stat. Med. 26:37, 2007).
    """
    if BLAST not in classes:
        return 0.0, 0.0
    healthy = table[:, healthy_rows(classes)]
    blast = classes.index(BLAST)
    named = healthy[:, :, :-1].sum(axis=2)
    rate = (healthy[:, :, blast].sum(axis=0) + 1 / (len(classes) + 1)) / (named.sum(axis=0) + 1)
    seen, expected, n = healthy[:, :, blast].sum(axis=1), named @ rate, named.sum(axis=1)
    seen, expected, n = seen[n > 0], expected[n > 0], n[n > 0]
    if len(n) < 2:
        return 0.0, 0.0

    def above(variance: float, wanted: float) -> float:
        spread = expected * (1 - expected / n) + variance * expected**2
        return float(((seen - expected) ** 2 / spread).sum()) - wanted

    def solved(wanted: float) -> float:
        if above(0.0, wanted) <= 0:
            return 0.0
        return _WIDEST if above(_WIDEST, wanted) >= 0 else float(brentq(above, 0.0, _WIDEST, (wanted,)))

    return solved(len(n) - 1), solved(float(chi2.ppf(0.05, len(n) - 1)))


def _without_false(row: Counts, classes: tuple[str, ...], t: int) -> Counts:
    """Leave out the false blasts of a row, (G, names); `overdispersion` holds how these differ."""
    if BLAST not in classes or classes[t] == BLAST:
        return row
    return np.delete(row, classes.index(BLAST), axis=1)


def _spreads(rows: list[Counts]) -> Floats:
    """Intraclass correlation of each row, (T,), drawn toward that of all rows where cells are few."""
    parts = np.array([_mean_squares(row) for row in rows])
    cells = np.array([row.sum() for row in rows], np.float64)
    own = _correlation(parts.T)
    shared = _correlation((parts * cells[:, None]).sum(axis=0) / max(cells.sum(), 1.0))
    weight = cells / (cells + _FEW)
    return np.asarray(weight * own + (1 - weight) * shared, np.float64)


def _correlation(parts: Floats) -> Floats:
    """Intraclass correlation from (numerator, denominator, ...); 0 where nothing tells."""
    over, under = parts
    ratio = np.divide(over, under, out=np.zeros_like(over), where=under > 0)
    return np.asarray(np.clip(ratio, 0.0, 0.9), np.float64)


def _mean_squares(table: Counts) -> tuple[float, float]:
    """Numerator and denominator of the intraclass correlation, from counts by group, (G, names)."""
    n = table.sum(axis=1).astype(np.float64)
    table, n = table[n > 0], n[n > 0]
    cells, groups = n.sum(), len(n)
    if groups < 2 or cells <= groups:
        return 0.0, 0.0
    share, mean = table / n[:, None], table.sum(axis=0) / cells
    between = float((n[:, None] * (share - mean) ** 2).sum()) / (groups - 1)
    within = float((n[:, None] * share * (1 - share)).sum()) / (cells - groups)
    typical = (cells - (n**2).sum() / cells) / (groups - 1)
    return between - within, between + (typical - 1) * within
