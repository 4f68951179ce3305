"""Leukocytes of which the detector was sure, and which were left out for being no darker than red cells.

On sites that the detector knows hardly any is (docs/results/odd_fields.json, by ``python -m references
odd-fields``); where many are, the detector does not know the stain, and may miss leukocytes as well.
"""

from collections.abc import Iterator, Sequence

from smearscan.results import FieldResult
from smearscan.results.doubts import PALE_LEUKOCYTES, Doubt

_FEWEST, _MOST_SHARE = 10, 0.5
"""So many were left out, at least, and this share of those that were kept."""


def count_pale(fields: Sequence[FieldResult]) -> tuple[int, int]:
    """Leukocytes that were left out, and those that were kept, of fields whose quality was measured."""
    known = [(field.quality.pale, len(field)) for field in fields if field.quality is not None]
    return sum(pale for pale, _ in known), sum(kept for _, kept in known)


def doubts_of_pale_leukocytes(fields: Sequence[FieldResult]) -> Iterator[Doubt]:
    """Doubt a slide of which more than half as many leukocytes were left out as were kept.

    Parameters
    ----------
    fields : sequence of FieldResult
        Of one slide.
    """
    pale, kept = count_pale(fields)
    if pale >= _FEWEST and pale > _MOST_SHARE * kept:
        yield Doubt(
            PALE_LEUKOCYTES,
            f"{pale} boxes that the detector took for leukocytes are no darker than red cells and were left "
            f"out, beside {kept} that were kept: it does not know this stain, and may miss leukocytes; look "
            "at overlays, and retrain the detector with boxes of this stain",
        )
