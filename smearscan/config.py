"""What a scan is told: one checked object, from the command line, a YAML file or a caller."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smearscan.errors import ConfigError

Task = Literal["blast", "differential", "both"]


class ScanConfig(BaseModel):
    """Settings of a scan; what is not given keeps its default, weights keep what their card says.

    Attributes
    ----------
    task : str
        ``blast``, ``differential`` or ``both``.
    device, engine : str
        See :func:`smearscan.runtime.make_engine`.
    detector, blast, differential : Path or None
        Weights pairs; None takes the shipped ones.
    um_per_px : float or None
        Micrometers a field pixel where known; None measures the red cells.
    window : int
        Fields held in memory and scanned together; changes no answer.
    workers, read_ahead : int
        Threads that read pictures, and pictures kept ready; change no answer.
    ruler_fields : int
        Fields of a slide, evenly spread, on which its scale is measured.
    flag_blast_percent, flag_min_cells
        The flag's limits, see :class:`smearscan.flag.FlagRule`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task = "both"
    device: str = "auto"
    engine: str = "auto"
    detector: Path | None = None
    blast: Path | None = None
    differential: Path | None = None
    um_per_px: Annotated[float, Field(gt=0.005, lt=5)] | None = None
    window: Annotated[int, Field(ge=1, le=1024)] = 16
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    read_ahead: Annotated[int, Field(ge=1, le=1024)] = 8
    ruler_fields: Annotated[int, Field(ge=1, le=100)] = 6
    flag_blast_percent: Annotated[float, Field(gt=0, le=100)] = 20.0
    flag_min_cells: Annotated[int, Field(ge=1)] = 100


def scan_config(path: Path | None = None, **given: object) -> ScanConfig:
    """Combine defaults, a YAML file and given values (which win); a given None counts as not given.

    Raises
    ------
    ConfigError
        Naming the file or option, the value and its limit.
    """
    values: dict[str, object] = {}
    if path is not None:
        try:
            content = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: cannot be read as YAML ({error})") from error
        if content is not None and not isinstance(content, dict):
            raise ConfigError(f"{path}: must hold settings as 'name: value' lines")
        values.update(content or {})
    chosen = {k: v for k, v in given.items() if v is not None}
    values.update(chosen)
    try:
        return ScanConfig.model_validate(values)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in error.errors()
        )
        options_alone = all(e["loc"][0] in chosen for e in error.errors())
        raise ConfigError(f"{'settings' if options_alone or path is None else path}: {told}") from error
