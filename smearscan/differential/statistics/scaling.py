"""Calibrated probabilities: fitting them, and measuring how far off they are."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax

Floats = NDArray[np.float64]


def fit_temperature(logits: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """Temperature that makes held-out probabilities most likely (Guo et al., ICML 2017), within 0.2 to 10.

    Parameters
    ----------
    logits : ndarray, (N, K)
        Or logarithms of probabilities, for a temperature on top of what gave them.
    targets : ndarray, (N,) int64
    """

    def cost(log_t: float) -> float:
        chosen = log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(targets)), targets]
        return -float(chosen.mean())

    return float(np.exp(minimize_scalar(cost, bounds=(np.log(0.2), np.log(10)), method="bounded").x))


def fit_scaling(
    logits: NDArray[np.floating], targets: NDArray[np.int64], prior: float = 1.0,
    weights: Floats | None = None,
) -> tuple[float, Floats]:  # fmt: skip
    """Temperature and class offsets that make probabilities most likely, held near 1 and 0 by a prior.

    Parameters
    ----------
    logits : ndarray, (N, K)
    targets : ndarray, (N,) int64
        A class without a cell keeps the offset 0, relative to the others' mean.
    prior : float
        Standard deviation of offsets and of the temperature's logarithm that is thought usual. It keeps a few
        cells from carrying the fit away (maximum a posteriori; Platt, 1999, regularizes for the same reason).
    weights : ndarray, (N,), optional
        How many cells each one stands for. Default: one.

    Returns
    -------
    temperature : float
    offsets : ndarray, (K,) float64
    """
    n, k = logits.shape
    present = np.bincount(targets, minlength=k) > 0

    def cost(free: Floats) -> float:
        offsets = np.where(present, free[1:], 0.0)
        chosen = log_softmax(logits / np.exp(free[0]) + offsets, axis=1)[np.arange(n), targets]
        likely = chosen if weights is None else weights * chosen
        return -float(likely.sum()) + float((free**2).sum()) / (2 * prior**2)

    best = minimize(cost, np.zeros(k + 1), method="L-BFGS-B").x
    return float(np.exp(best[0])), np.where(present, best[1:], 0.0)


def reliability(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = 10
) -> list[dict[str, float]]:
    """Points of the reliability diagram: mean confidence and share correct, in bins of equal count."""
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    return [
        {"confidence": float(confidence[p].mean()), "correct": float(correct[p].mean()), "cells": len(p)}
        for p in parts
        if len(p)
    ]


def calibration_error(confidence: NDArray[np.floating], correct: NDArray[np.bool_], bins: int = 10) -> float:
    """Compute the expected calibration error over bins of equal count (Naeini et al., AAAI 2015)."""
    points = reliability(confidence, correct, bins)
    gaps = [p["cells"] * abs(p["confidence"] - p["correct"]) for p in points]
    return float(sum(gaps) / max(len(confidence), 1))
