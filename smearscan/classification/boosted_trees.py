"""Trees that vote on a cell by what was measured of it; as arrays, so that a scan needs nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]

_AT_ONCE = 64
"""Cells that walk down all trees together: a few MB of memory."""


@dataclass(frozen=True, slots=True, eq=False)
class BoostedTrees:
    """Gradient-boosted trees; the sums of their leaves are logits.

    Attributes
    ----------
    root : ndarray, (T,) int32
        First node of each tree; tree t votes on class t modulo K.
    column : ndarray, (M,) int16
        What a node asks for, a column of what is measured.
    limit : ndarray, (M,) float64
        A cell goes to the right where its measure is above it.
    missing_left : ndarray, (M,) bool
        Where a cell goes of which that could not be measured.
    left, right : ndarray, (M,) int32
        Where cells go; a leaf leads to itself.
    value : ndarray, (M,) float32
        What a leaf adds.
    base : ndarray, (K,) float32
        What each class begins with.
    measures : ndarray, (1,) uint32
        :data:`smearscan.classification.morphometry.MEASURES` of the columns that nodes ask for.
    """

    root: NDArray[np.int32]
    column: NDArray[np.int16]
    limit: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]
    base: NDArray[np.float32]
    measures: NDArray[np.uint32]

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> "BoostedTrees":
        """Take what :meth:`arrays` gave, read from a file.

        Raises
        ------
        KeyError
            Naming an array that is missing.
        ValueError
            If a node does not lead on to a later one, for then there may be no end, an array is of another
            length, or a value is no finite number.
        """
        trees = cls(**{part.name: arrays[part.name] for part in fields(cls)})  # type: ignore[arg-type]
        n = len(trees.limit)
        if any(
            len(part) != n
            for part in (trees.column, trees.missing_left, trees.left, trees.right, trees.value)
        ):
            raise ValueError("the nodes' arrays are not of one length")
        own = np.arange(n)
        is_leaf = (trees.left == own) & (trees.right == own)
        onward = np.minimum(trees.left, trees.right) > own
        leads = np.concatenate([trees.root, trees.left, trees.right])
        whole = len(trees.root) and len(trees.base) and len(trees.root) % len(trees.base) == 0
        if not whole or not (is_leaf | onward).all() or leads.min() < 0 or leads.max() >= n:
            raise ValueError("a node leads to none")
        finite = np.isfinite(trees.value).all() and np.isfinite(trees.base).all()
        if trees.column.min() < 0 or not finite or np.isnan(trees.limit).any():  # a limit may be infinite
            raise ValueError("a value is no number, or of no column")
        return trees

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Give all arrays by name, for a file."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def scores(self, measured: NDArray[np.float32]) -> Scores:
        """Sum the leaves that cells come to.

        Parameters
        ----------
        measured : ndarray, (N, F) float32
            As :func:`smearscan.classification.morphometry.measure` gives it.

        Returns
        -------
        ndarray, (N, K) float32
            Logits; a cell's do not depend on its company.
        """
        parts = [self._walked(measured[k : k + _AT_ONCE]) for k in range(0, len(measured), _AT_ONCE)]
        return np.concatenate([np.empty((0, len(self.base)), np.float32), *parts])

    def _walked(self, measured: NDArray[np.float32]) -> Scores:
        begins = np.arange(len(measured), dtype=np.int64)[:, None] * measured.shape[1]
        every, missing = measured.ravel(), np.isnan(measured).any()
        node = np.broadcast_to(self.root, (len(measured), len(self.root)))
        while True:
            value = every.take(begins + self.column.take(node))
            goes_left = value <= self.limit.take(node)
            if missing:
                goes_left |= np.isnan(value) & self.missing_left.take(node)
            onward = np.where(goes_left, self.left.take(node), self.right.take(node))
            if np.array_equal(onward, node):
                break
            node = onward
        votes = self.value.take(node).reshape(len(measured), -1, len(self.base))
        return np.asarray(votes.sum(axis=1, dtype=np.float64) + self.base, np.float32)
