"""The probability below which a cell stays unclassified, from a stated error rate."""

import numpy as np
from numpy.typing import NDArray


def unclassified_limit(
    confidence: NDArray[np.floating], wrong: NDArray[np.bool_], group: NDArray[np.generic], rate: float
) -> float | None:
    """Least limit that keeps wrong names at a stated rate on a new patient.

    Parameters
    ----------
    confidence : ndarray, (N,)
        Probability of the likeliest class of each labeled cell.
    wrong : ndarray, (N,) bool
        Whether that class is not the true one.
    group : ndarray, (N,)
        Patient or slide of each cell: what is exchangeable with the next one.
    rate : float
        Expected share of a patient's cells that may get a wrong name.

    Returns
    -------
    float or None
        In steps of 0.01; None where so few groups cannot promise that rate (at least ``1 / rate - 1``).

    Notes
    -----
    Conformal risk control (Angelopoulos et al., ICLR 2024), split by patient: the loss of a patient, the
    share of cells named wrongly, only falls as the limit rises; the least limit with
    ``(sum of losses + 1) / (groups + 1) <= rate`` keeps the expected loss of the next patient at the rate.
    """
    _, code = np.unique(group, return_inverse=True)
    cells = np.bincount(code)
    for limit in np.arange(101) / 100:
        losses = np.bincount(code, weights=wrong & (confidence >= limit)) / cells
        if (losses.sum() + 1) / (len(cells) + 1) <= rate:
            return round(float(limit), 2)
    return None
