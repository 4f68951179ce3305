"""The tally of a slide: whole numbers, so that those of its parts add up to that of the whole."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from smearscan.differential.count import EXCLUDED_FROM_DIFFERENTIAL
from smearscan.results import FieldFailure, FieldResult


@dataclass(frozen=True, slots=True)
class SlideTally:
    """Whole numbers about a slide; tallies of parts add up to the tally of the whole.

    Attributes
    ----------
    slide_id : str
    n_fields, n_failed : int
        Fields read and fields that could not be.
    types : Counter
        Leukocytes by what they were called.
    n_red_cells, n_possible_blasts : int
    failures : tuple of FieldFailure
    fine_types : Counter
        Leukocytes by their fine type; without those that have none.
    n_restained : int
        Fields whose cells were brought to the reference stain before they were named.
    """

    slide_id: str
    n_fields: int = 0
    n_failed: int = 0
    types: Counter[str] = field(default_factory=Counter)
    n_red_cells: int = 0
    n_possible_blasts: int = 0
    failures: tuple[FieldFailure, ...] = ()
    fine_types: Counter[str] = field(default_factory=Counter)
    n_restained: int = 0

    @classmethod
    def of(cls, slide_id: str, fields: Iterable[FieldResult | FieldFailure]) -> "SlideTally":
        """Tally the fields of one slide."""
        tally = cls(slide_id)
        for item in fields:
            tally = tally.with_field(item)
        return tally

    def with_field(self, item: FieldResult | FieldFailure) -> "SlideTally":
        """Return the tally with one more field."""
        if isinstance(item, FieldFailure):
            return replace(self, n_failed=self.n_failed + 1, failures=(*self.failures, item))
        return replace(
            self,
            n_fields=self.n_fields + 1,
            types=self.types + Counter(item.types),
            n_red_cells=self.n_red_cells + item.n_red_cells,
            n_possible_blasts=self.n_possible_blasts + item.n_possible_blasts,
            fine_types=self.fine_types + Counter(filter(None, item.fine_types)),
            n_restained=self.n_restained + item.stain.is_reference,
        )

    @property
    def n_counted(self) -> int:
        """Leukocytes in the denominator."""
        return sum(n for name, n in self.types.items() if name not in EXCLUDED_FROM_DIFFERENTIAL)

    def __add__(self, more: "SlideTally") -> "SlideTally":
        return SlideTally(
            self.slide_id,
            self.n_fields + more.n_fields,
            self.n_failed + more.n_failed,
            self.types + more.types,
            self.n_red_cells + more.n_red_cells,
            self.n_possible_blasts + more.n_possible_blasts,
            self.failures + more.failures,
            self.fine_types + more.fine_types,
            self.n_restained + more.n_restained,
        )
