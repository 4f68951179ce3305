"""A fair few of many cells: the same number of each kind at each site."""

import numpy as np
import pandas as pd

from smearscan.errors import DatasetError


def per_kind(table: pd.DataFrame, most: int | None, seed: int) -> pd.DataFrame:
    """Draw at most so many cells of each class at each site; groups stay what they are.

    Parameters
    ----------
    table : DataFrame
        With ``site`` and ``target``.
    most : int or None
        None keeps every cell.
    seed : int

    Returns
    -------
    DataFrame
        In the order of `table`, with a new index.

    Raises
    ------
    DatasetError
        If `most` is below one.
    """
    if most is None:
        return table.reset_index(drop=True)
    if most < 1:
        raise DatasetError(f"{most} cells of each class at each site are none; ask for 1 or more")
    order = np.random.default_rng(seed).permutation(len(table))
    drawn = table.iloc[order].groupby(["site", "target"]).head(most)
    return drawn.sort_index().reset_index(drop=True)
