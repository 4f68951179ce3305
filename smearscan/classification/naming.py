"""From probabilities to names: the one rule, used in scanning and wherever names are judged."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.taxonomy import BLAST, HEALTHY, UNCLASSIFIED


@dataclass(frozen=True, slots=True)
class NamingRule:
    """When a cell gets which name.

    Attributes
    ----------
    classes : tuple of str, (K,)
        Of the differential net; empty where it did not run.
    blast_threshold : float or None
        Blast probability from which a cell is a blast; None where the blast net did not run.
    unclassified_below : float
        Least probability of the likeliest class that gives a name.
    possible_from : float or None
        Blast probability from which a cell may be a blast: lower than `blast_threshold`, so that few are
        missed.
    """

    classes: tuple[str, ...]
    blast_threshold: float | None
    unclassified_below: float
    possible_from: float | None = None

    def may_be_blast(self, blast_probs: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Tell which cells may be blasts, bool of the shape given; none where the blast net did not run."""
        limit = np.inf if self.possible_from is None else self.possible_from
        return np.asarray(blast_probs, np.float32) >= np.float32(limit)

    def names(self, probs: NDArray[np.floating], blast_probs: NDArray[np.floating]) -> tuple[str, ...]:
        """Name cells: blast where the blast net says so at its threshold, else the likeliest class.

        Parameters
        ----------
        probs : ndarray, (N, K)
            Calibrated, of the differential.
        blast_probs : ndarray, (N,)
            Calibrated; not read where the blast net did not run.

        Returns
        -------
        tuple of str, (N,)
        """
        if not self.classes:
            named = np.full(len(blast_probs), HEALTHY, dtype=object)
        else:
            named = np.array(self.classes, dtype=object)[probs.argmax(axis=1)]
            named[probs.max(axis=1, initial=0) < self.unclassified_below] = UNCLASSIFIED
        if self.blast_threshold is not None:
            named[np.asarray(blast_probs, np.float32) >= np.float32(self.blast_threshold)] = BLAST
        return tuple(named.tolist())


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A site's change of a net's calibrated probabilities, on top of the temperature of its card.

    Attributes
    ----------
    temperature : float
        Above 1 makes probabilities more cautious.
    offsets : tuple of float, (K,) or empty
        Added to the log of each class's probability: other class shares than in training.
    """

    temperature: float = 1.0
    offsets: tuple[float, ...] = ()

    def __call__(self, probs: NDArray[np.floating]) -> NDArray[np.float32]:
        """Rescale probabilities, (N, K) to (N, K) float32; rows sum to 1."""
        if self == Recalibration() or not len(probs):
            return np.asarray(probs, np.float32)
        logits = np.log(np.maximum(np.asarray(probs, np.float64), 1e-30)) / self.temperature
        logits += np.array(self.offsets) if self.offsets else 0.0
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
