"""Tables as files."""

from pathlib import Path

import pandas as pd

from smearscan.io.atomic import atomic_text


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all.

    Raises
    ------
    OutputError
        If the place cannot be written to.
    """
    with atomic_text(path) as file:
        table.to_csv(file, index=False, lineterminator="\n")
