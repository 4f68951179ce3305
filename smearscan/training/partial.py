"""Partial labels: a coarse name allows several classes, and the loss is on the sum of their probabilities.

Sets name cells at different depth: a "neutrophil" is a segmented or a band one, and nobody wrote down which.
Such a cell teaches a net that it is one of the two, and leaves the choice to what other sets teach (Cour,
Sapp and Taskar, J. Mach. Learn. Res. 2011).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from smearscan.taxonomy import BLAST, BLAST_SUMS, DIFFERENTIAL_SUMS


def allowed_classes(table: pd.DataFrame, n_classes: int) -> NDArray[np.bool_]:
    """Tell which classes each ``target`` of a table allows.

    Parameters
    ----------
    table : DataFrame
        With ``target`` and, where it has partial labels, ``allowed``
        (see :func:`smearscan.training.cells.with_targets`).
    n_classes : int
        K.

    Returns
    -------
    ndarray, (L, K) bool
        Row k < K allows class k alone; a number that no cell of the table has allows none.
    """
    most = max(n_classes, int(table["target"].max()) + 1) if len(table) else n_classes
    allows = np.zeros((most, n_classes), bool)
    allows[:n_classes] = np.eye(n_classes, dtype=bool)
    if "allowed" in table:
        labeled = table[table["target"] >= n_classes]
        for target, told in labeled.groupby("target")["allowed"].first().items():
            allows[int(str(target)), [int(k) for k in str(told).split("|")]] = True
    return allows


def partial_loss(logits: Tensor, allows: Tensor, smoothing: float) -> Tensor:
    """Mean of -log of the allowed classes' summed probabilities; with one class allowed, cross-entropy.

    Parameters
    ----------
    logits : Tensor, (B, K)
    allows : Tensor, (B, K) bool
        At least one class a row.
    smoothing : float
        Share of the loss that wants every class alike, as of label smoothing.
    """
    log_probs = torch.log_softmax(logits, dim=1)
    likely = torch.logsumexp(log_probs.masked_fill(~allows, -torch.inf), dim=1)
    return -((1 - smoothing) * likely + smoothing * log_probs.mean(dim=1)).mean()


def summed_targets(
    table: pd.DataFrame, classes: tuple[str, ...], task: str, normal_sites: Sequence[str] = ()
) -> NDArray[np.int64]:
    """Tell what each cell is among a task's sums of fine types.

    Parameters
    ----------
    table : DataFrame
        With ``site``, ``target`` and, where it has partial labels, ``allowed``.
    classes : tuple of str
        The fine types.
    task : str
        ``blast`` or ``differential``.
    normal_sites : sequence of str
        Sites whose promyelocytes are those of healthy people: immature granulocytes, and no blasts.

    Returns
    -------
    ndarray, (N,) int64
        Index in the task's sums (:data:`smearscan.taxonomy.SUMS`); -1 where the cell's name says not which,
        where the task does not ask of it (a blast in the differential), or it has no target.
    """
    allows = allowed_classes(table, len(classes))
    target = table["target"].to_numpy()
    normal = table["site"].isin(list(normal_sites)).to_numpy()
    blast = _whole(allows, classes, BLAST_SUMS)[target]
    blast[normal & (target == classes.index("promyelocyte"))] = -1
    if task == "differential":
        blast_index = list(BLAST_SUMS).index(BLAST)
        kinds = _whole(allows, classes, DIFFERENTIAL_SUMS)[target]
        blast[target < 0] = blast_index
        return np.where(blast == blast_index, -1, kinds)
    return np.where(target < 0, -1, blast)


def _whole(
    allows: NDArray[np.bool_], classes: tuple[str, ...], sums: Mapping[str, tuple[str, ...]]
) -> NDArray[np.int64]:
    """Index of the sum that holds all that a label allows, (L,); -1 where there is none."""
    within = np.stack([(allows <= np.isin(classes, types)).all(axis=1) for types in sums.values()], axis=1)
    return np.where(within.any(axis=1) & allows.any(axis=1), within.argmax(axis=1), -1).astype(np.int64)
