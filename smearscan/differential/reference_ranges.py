"""Reference ranges that a slide's counts are tested against: the shipped ones, or a laboratory's own."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from smearscan.config import checked, read_yaml
from smearscan.errors import ConfigError

SHIPPED = Path(__file__).with_name("reference_ranges.yaml")
SHIPPED_SOURCE = (
    "after Dacie and Lewis, Practical Haematology, 12th ed., not yet checked against the book; "
    "the limit of immature granulocytes is smearscan's own"
)
"""Said wherever the shipped ranges are shown."""


class Range(BaseModel):
    """Percentages between which a class is usual; a side that is not given is not tested."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: Annotated[float, Field(gt=0, lt=100)] | None = None
    high: Annotated[float, Field(gt=0, lt=100)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low is None and self.high is None:
            raise ValueError("needs low, high or both, in percent")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low = {self.low:g} must be below high = {self.high:g}")
        return self


class _File(RootModel[dict[str, Range]]):
    pass


@dataclass(frozen=True, slots=True)
class ReferenceRanges:
    """Ranges by class, and the two that are of no single class.

    Attributes
    ----------
    of_class : dict of str to Range
    """

    of_class: dict[str, Range]

    def get(self, name: str) -> Range | None:
        """Range of a class; None where none is given, and it is not tested."""
        return self.of_class.get(name)

    def as_json(self) -> dict[str, dict[str, float | None]]:
        """Return the ranges as JSON values, percent."""
        return {name: range_.model_dump() for name, range_ in self.of_class.items()}


@cache
def shipped_ranges() -> ReferenceRanges:
    """Ranges of adults that are shipped; read once."""
    return load_ranges(SHIPPED)


def load_ranges(path: Path = SHIPPED) -> ReferenceRanges:
    """Read and check a file of ranges.

    Raises
    ------
    ConfigError
        If it is missing, not YAML, or a range is none; naming file, class, value and limit.
    """
    cure = "{told}; write ranges as 'monocyte: {low: 2, high: 10}', in percent"
    ranges = checked(_File, read_yaml(path), path, refusal=cure).root
    if unknown := sorted(set(ranges) - KNOWN):
        raise ConfigError(f"{path}: {unknown[0]} is no range; use {', '.join(sorted(KNOWN))}")
    return ReferenceRanges(ranges)


KNOWN = frozenset(
    (
        "neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil", "immature_granulocyte",
        "promyelocyte", "abnormal_lymphocyte", "erythroblast", "smudge_cell", "one_type_alone",
        "neutrophils_nearly_absent",
    )
)  # fmt: skip
"""What a range can be given for."""
