"""From probabilities to names: the one rule, used in scanning and wherever names are judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smearscan.numeric import softmax
from smearscan.taxonomy import BLAST, FINE_TYPES_OF, HEALTHY, UNCLASSIFIED


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


def geometric_mean(*answers: NDArray[np.floating]) -> NDArray[np.float32]:
    """Join what networks say of the same cells, (N, K) each: the mean of their logits; rows sum to 1."""
    if len(answers) == 1:
        return np.asarray(answers[0], np.float32)
    logs = [np.log(np.maximum(np.asarray(probs, np.float64), 1e-30)) for probs in answers]
    return np.asarray(softmax(np.sum(logs, axis=0) / len(logs)), np.float32)


def probs_given_type(
    types: Sequence[str], probs: NDArray[np.floating], classes: tuple[str, ...]
) -> NDArray[np.float64]:
    """Probabilities of fine types, given what cells are called: 0 outside a cell's type, rows of sum 1.

    Parameters
    ----------
    types : sequence of str, (N,)
        What the cells are called.
    probs : ndarray, (N, F)
        Calibrated, of the net of fine types.
    classes : tuple of str, (F,)
        Of that net.

    Returns
    -------
    ndarray, (N, F) float64
        Rows of 0 for cells whose type has no fine types that the net knows (``unclassified``). Where the net
        rules out every fine type of a cell's type, each of them is as likely.
    """
    kinds = dict.fromkeys(types)
    masks = {kind: np.isin(classes, FINE_TYPES_OF.get(kind, ())) for kind in kinds}
    allowed = np.array([masks[kind] for kind in types], bool).reshape(len(types), len(classes))
    within = np.where(allowed, np.asarray(probs, np.float64), 0.0)
    within = np.where(within.sum(axis=1, keepdims=True) > 0, within, allowed)
    return np.asarray(within / np.maximum(within.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def fine_names(
    types: Sequence[str], probs: NDArray[np.floating], classes: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Name cells finer, never in contradiction to what they are called: the likeliest within their type.

    Parameters
    ----------
    types, probs, classes
        As of :func:`probs_given_type`.

    Returns
    -------
    names : tuple of str, (N,)
        Empty where a cell's type has no fine types.
    given_type : ndarray, (N,) float32
        Probability of that name, given the type; NaN where there is none.
    """
    if not classes:
        return (), np.empty(0, np.float32)
    within = probs_given_type(types, probs, classes)
    surest = within.max(axis=1)
    named = np.array(classes, dtype=object)[within.argmax(axis=1)]
    named[surest == 0] = ""
    return tuple(named.tolist()), np.where(surest > 0, surest, np.nan).astype(np.float32)


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
