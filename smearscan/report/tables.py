"""Tables as files."""

from contextlib import suppress
from pathlib import Path

import pandas as pd

from smearscan.errors import ConfigError


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all.

    Raises
    ------
    ConfigError
        If the place cannot be written to.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_csv(part, index=False)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from error
