"""What a scan is told: one checked object, from the command line, a YAML file or a caller.

Every YAML file that the package reads is read and checked here, so that all refuse alike.
"""

import reprlib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from smearscan.errors import ConfigError, SmearscanError

Task = Literal["blast", "differential", "both"]
M = TypeVar("M", bound=BaseModel)
Percent = Annotated[float, Field(gt=0, le=100)]


def _without_control(word: str) -> str:
    if not word.strip() or not word.isprintable():
        raise ValueError("must be printable characters, in one line")
    return word


def _without_folder(name: str) -> str:
    if set(name) & set("/\\"):
        raise ValueError("names a file: must be without / and \\")
    return name


Word = Annotated[str, Field(max_length=200), AfterValidator(_without_control)]
"""What is written into tables and shown on terminals: one line of printable characters."""

FileStem = Annotated[Word, AfterValidator(_without_folder)]
"""What files are named by: a word that leads into no other folder."""


class ScanConfig(BaseModel):
    """Settings of a scan; what is not given keeps its default, weights keep what their card says.

    Attributes
    ----------
    task : str
        ``blast``, ``differential`` or ``both``.
    device, engine, precision : str
        See :func:`smearscan.runtime.engine.make`.
    detector, blast, differential : Path or None
        Weights pairs; None takes the shipped ones.
    differential_unlike, blast_unlike, cells_unlike : Path or None
        Weights pairs that answer beside the usual ones on slides that are brought to the reference stain: the
        mean of both logits counts. None takes the shipped ones where the usual ones are the shipped ones.
    cells : Path or None
        Weights pair of a net of fine types, run where the task is ``both``; None takes that which answers
        beside the blast net at no cost, if there is one.
    um_per_px : float or None
        Micrometers a field pixel where known; None measures the red cells.
    window : int
        Most fields whose crops wait to be classified together; changes no answer.
    workers, read_ahead : int
        Threads that read, search and cut (None: one more than there are cores), and fields kept ready (at
        least one a thread); change no answer.
    max_field_pixels : int
        Most pixels of a picture; a larger one is refused by its header.
    false_colors : str
        ``refuse`` gray photographs and negatives, in which cells would be missed, or ``read`` them.
    ruler_fields : int
        Fields of a slide, evenly spread, on which its scale is measured.
    reference_stain : bool
        Whether the cells of a slide that is stained unlike the training cells are brought to the reference
        stain before they are named (:func:`smearscan.rulers.unlike_cells.measured_stain`).
    calibration : Path or None
        Calibration card; None takes the shipped one if it belongs to the nets in use.
    flag_level, flag_tiers, flag_tier_probability, flag_power, flag_min_detectable_percent, flag_min_cells,
    flag_blast_percent, flag_most_unclassified_percent
        The flag's levels, see :class:`smearscan.differential.flag.FlagRule`.
    reference_ranges : Path or None
        Ranges that counts are tested against; None takes those of adults.
    suspect_level : float
        Share of slides inside every range that may get any suspicion.
    read : str or int
        How far a slide is read, in a random order where not ``all`` of it: ``resolved``, until flag and
        intervals are settled; ``blasts``, until the flag is raised, for films of few leukocytes; a number,
        until so many leukocytes are counted. ``until_resolved: true`` is the former name of ``resolved``.
    resolve_width_percent : float
        Width, in percentage points, that every interval of the differential is to have then.
    first_look : int
        Counted leukocytes at the first look; each next look comes at twice as many.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: Task = "both"
    device: str = "auto"
    engine: str = "auto"
    precision: Literal["f32", "bf16"] = "bf16"
    detector: Path | None = None
    blast: Path | None = None
    differential: Path | None = None
    cells: Path | None = None
    differential_unlike: Path | None = None
    blast_unlike: Path | None = None
    cells_unlike: Path | None = None
    um_per_px: Annotated[float, Field(gt=0.005, lt=5)] | None = None
    window: Annotated[int, Field(ge=1, le=1024)] = 64
    workers: Annotated[int, Field(ge=1, le=64)] | None = None
    read_ahead: Annotated[int, Field(ge=1, le=1024)] = 8
    max_field_pixels: Annotated[int, Field(ge=1024, le=4_000_000_000)] = 500_000_000
    false_colors: Literal["refuse", "read"] = "refuse"
    ruler_fields: Annotated[int, Field(ge=1, le=100)] = 6
    reference_stain: bool = True
    calibration: Path | None = None
    flag_level: Annotated[float, Field(gt=0, lt=0.5)] = 0.01
    flag_tiers: tuple[Percent, ...] = (10.0, 20.0)
    flag_tier_probability: Annotated[float, Field(gt=0, lt=1)] = 0.5
    flag_power: Annotated[float, Field(gt=0, lt=1)] = 0.95
    flag_min_detectable_percent: Percent = Field(
        20.0, validation_alias=AliasChoices("flag_min_detectable_percent", "flag_must_find_percent")
    )
    flag_min_cells: Annotated[int, Field(ge=1)] = 100
    flag_blast_percent: Percent = 20.0
    flag_most_unclassified_percent: Percent = 33.0
    reference_ranges: Path | None = None
    suspect_level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    read: Literal["all", "resolved", "blasts"] | Annotated[int, Field(ge=1)] = "all"
    resolve_width_percent: Annotated[float, Field(ge=1, le=100)] = 15.0
    first_look: Annotated[int, Field(ge=20)] = 100

    @model_validator(mode="before")
    @classmethod
    def _former_names(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "until_resolved" not in values:
            return values
        known = {name: value for name, value in values.items() if name != "until_resolved"}
        if not isinstance(values["until_resolved"], bool):
            raise ValueError(f"until_resolved is true or false, not {values['until_resolved']!r}")
        if values["until_resolved"] and known.setdefault("read", "resolved") != "resolved":
            raise ValueError(f"until_resolved means read: resolved, but read is {known['read']!r}; give one")
        return known

    @field_validator("cells", "cells_unlike")
    @classmethod
    def _within_both(cls, cells: Path | None, info: ValidationInfo) -> Path | None:
        if cells and info.data.get("task", "both") != "both":
            raise ValueError(
                "names fine types within what both nets say, and the task is "
                f"{info.data['task']!r}; take the task both, or leave cells out"
            )
        return cells

    @field_validator("blast", "differential", "blast_unlike", "differential_unlike")
    @classmethod
    def _is_run(cls, weights: Path | None, info: ValidationInfo) -> Path | None:
        task, own = info.data.get("task", "both"), str(info.field_name).removesuffix("_unlike")
        if weights and task not in (own, "both"):
            raise ValueError(f"is not run, for the task is {task!r}; take the task both, or leave it out")
        return weights

    @field_validator("flag_tiers")
    @classmethod
    def _ascending(cls, tiers: tuple[float, ...]) -> tuple[float, ...]:
        if list(tiers) != sorted(set(tiers)) or not tiers:
            raise ValueError("must be percentages in ascending order")
        return tiers


def scan_config(path: Path | None = None, **given: object) -> ScanConfig:
    """Combine defaults, a YAML file and given values (which win); a given None counts as not given.

    Raises
    ------
    ConfigError
        Naming the file or option, the value and its limit.
    """
    values: dict[str, object] = {}
    if path is not None:
        content = read_yaml(path)
        if content is not None and not isinstance(content, dict):
            raise ConfigError(f"{path}: must hold settings as 'name: value' lines")
        values.update(content or {})
    chosen = {k: v for k, v in given.items() if v is not None}
    values.update(chosen)
    try:
        return ScanConfig.model_validate(values)
    except ValidationError as error:
        options_alone = all(e["loc"][0] in chosen for e in error.errors())
        where = "settings" if options_alone or path is None else path
        unknown = any(e["type"] == "extra_forbidden" for e in error.errors())
        known = f"; settings are: {', '.join(ScanConfig.model_fields)}" if unknown else ""
        raise ConfigError(f"{where}: {refusals(error)}{known}") from error


_TOLD = 5

_MOST_VALUES = 1_000_000
"""Of a YAML file, what its references stand for counted as often as they stand."""

# The parser in C reads a card ten times as fast; both read the same subset of YAML and make no objects.
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[valid-type, misc]
    """Reads plain values alone, and no key that stands twice: YAML's own readers take the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in known:
                    told = f"the key {key.value!r} stands twice; keep one"
                    raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
                known.add(key.value)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def read_yaml(
    path: Path, raises: type[SmearscanError] = ConfigError, missing: str = "cannot be read"
) -> object:
    """Read the content of a YAML file; None if it is empty.

    Parameters
    ----------
    path : Path
    raises : type
        The error that a reader of such files expects.
    missing : str
        What to say where there is no such file.

    Raises
    ------
    SmearscanError
        Of the type `raises`, naming the file: it cannot be read, is not UTF-8, or is not YAML; a key stands
        twice; its references (``&name``, ``*name``) stand for more than a million values.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content: object = yaml.load(text, _Loader)
        if "*" in text and "&" in text and _size(content, {}) > _MOST_VALUES:
            raise yaml.YAMLError(
                f"its references stand for more than {_MOST_VALUES:,} values; write them out"
            )
        return content
    except FileNotFoundError as error:
        raise raises(f"{path}: {missing} ({error.strerror})") from error
    except OSError as error:
        raise raises(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:  # a date without its month is a ValueError
        raise raises(f"{path}: is not YAML ({error})") from error


def _size(value: object, known: dict[int, float]) -> float:
    """Count values, those of a container as often as it is referred to; endless where it holds itself."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = float("inf")
        parts = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]


def checked(
    kind: type[M], content: object, path: Path, raises: type[SmearscanError] = ConfigError,
    refusal: str = "{told}",
) -> M:  # fmt: skip
    """Check the content of a file against a model.

    Parameters
    ----------
    kind : type
    content : object
    path : Path
        For messages.
    raises : type
    refusal : str
        The sentence in which ``{told}`` is replaced by what was wrong.

    Raises
    ------
    SmearscanError
        Of the type `raises`, naming the file, the keys, the values and what was wrong with them.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise raises(f"{path}: {refusal.replace('{told}', refusals(error))}") from error


def refusals(error: ValidationError) -> str:
    """Say what was wrong with each value: its key, the value and why; five at most, missing ones last."""
    told = []
    for each in sorted(error.errors(), key=lambda e: e["type"] == "missing"):
        key = ".".join(map(str, each["loc"]))
        value = "" if each["type"] == "missing" else f" = {reprlib.repr(each['input'])}"
        what = "is not known here" if each["type"] == "extra_forbidden" else each["msg"]
        told.append(f"{key}{value}: {what}" if key else what)
    more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
    return "; ".join(told[:_TOLD]) + more
