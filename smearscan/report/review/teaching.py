"""In which order a person's answers teach most: cells the nets doubt, and each unlike those asked before.

Uncertainty alone asks the same question many times, diversity alone asks what is known. Here the next cell is
the one whose doubt times its distance to all cells already asked is largest: farthest-first traversal (Sener
and Savarese, ICLR 2018), weighed by the entropy of the nets' answer.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FIRST = 200
"""So many are put in order by doubt and distance; the others follow by doubt alone."""


def doubt(probs: Floats, blast: Floats) -> Floats:
    """Entropy of what the nets say of each cell, in nats.

    Parameters
    ----------
    probs : ndarray, (N, K)
        Of the differential's classes; K is 0 where it did not run.
    blast : ndarray, (N,)
        NaN where the blast net did not run.

    Returns
    -------
    ndarray, (N,)
    """
    return np.asarray(_entropy(_answers(probs, blast)), np.float32)


def teaching_order(probs: Floats, blast: Floats, looks: Floats, first: int = FIRST) -> NDArray[np.int64]:
    """Order cells by what a person's answer to them teaches.

    Parameters
    ----------
    probs, blast : ndarray, (N, K) and (N,)
        As of :func:`doubt`.
    looks : ndarray, (N, D)
        What the cells look like, see :func:`smearscan.report.review.pictures.appearance`.
    first : int
        How many to put in order by doubt and distance.

    Returns
    -------
    ndarray, (N,) int64
        Indices, the most teaching first.
    """
    n = len(probs)
    if not n:
        return np.zeros(0, np.int64)
    answers = _answers(probs, blast)
    weight = _entropy(answers) + 1e-3
    spread = looks.std(axis=0)
    scaled = (looks - looks.mean(axis=0)) / np.where(spread > 0, spread, 1) / np.sqrt(2 * looks.shape[1])
    features = np.column_stack([np.sqrt(answers), scaled])
    chosen = [int(weight.argmax())]
    distance = np.full(n, np.inf)
    while len(chosen) < min(first, n):
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
        score = weight * distance
        score[chosen] = -1
        chosen.append(int(score.argmax()))
    rest = np.setdiff1d(np.arange(n), chosen)
    return np.concatenate([chosen, rest[np.argsort(-weight[rest], kind="stable")]]).astype(np.int64)


def _answers(probs: Floats, blast: Floats) -> NDArray[np.float64]:
    """Shares of one answer out of all classes, blast among them, (N, K + 2)."""
    p = np.where(np.isfinite(blast), blast, 0.0).astype(np.float64)[:, None]
    if not probs.shape[1]:
        return np.hstack([p, 1 - p])
    return np.hstack([probs * (1 - p), p])


def _entropy(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-(answers * np.log(np.maximum(answers, 1e-12))).sum(axis=1), np.float64)
