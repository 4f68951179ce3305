"""What was read and counted, and should not be believed unlooked: one word for each kind, everywhere.

A *failure* (:class:`smearscan.results.FieldFailure`) was not read: it ends a run with exit code 1. A *doubt*
was read: it changes no exit code, and stands on the screen, in the report and in the run folder.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

COPIES: Final = "copies"
SHARED_FIELDS: Final = "shared fields"
SCALE: Final = "scale"
FIELD_SIZES: Final = "field sizes"
CUT_CELLS: Final = "cut cells"
MAGNIFICATION: Final = "magnification"
OVERLAP: Final = "overlap"
SMALL_LEUKOCYTES: Final = "small leukocytes"
EMPTY_FIELDS: Final = "empty fields"
FOCUS: Final = "focus"
EXPOSURE: Final = "exposure"
COLORS: Final = "colors"
NO_SMEAR: Final = "no smear"
LIGHT_CIRCLE: Final = "light circle"
SCALE_BAR: Final = "scale bar"
BORDER_CELLS: Final = "border cells"
FIELD_COLORS: Final = "field colors"
THICK_PART: Final = "thick part"
PALE_LEUKOCYTES: Final = "pale leukocytes"
UNLIKE_TRAINING: Final = "unlike training cells"

ABOUT_NAMES: Final = frozenset(
    {SCALE, MAGNIFICATION, SMALL_LEUKOCYTES, FOCUS, EXPOSURE, COLORS, NO_SMEAR, UNLIKE_TRAINING}
)
"""Doubts in which what cells are called, and so a flag, is not to be believed unlooked."""

MOST_TOLD: Final = 3
"""Of many files or pairs of files, so many are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One doubt about a slide.

    Attributes
    ----------
    name : str
        Stable, as in ``report.csv``.
    reason : str
        A plain sentence, with what to do.
    paths : tuple of Path
        Pictures that `reason` names by their paths; where names are replaced, so are these.
    """

    name: str
    reason: str
    paths: tuple[Path, ...] = ()


def about_names(doubts: Sequence[Doubt]) -> list[str]:
    """Names of those doubts in which what cells are called is not to be believed, each once."""
    return list(dict.fromkeys(doubt.name for doubt in doubts if doubt.name in ABOUT_NAMES))


def caution(doubts: Sequence[Doubt]) -> str:
    """Begin the sentence of a flag whose names are in doubt, and say by what; empty where none are."""
    names = about_names(doubts)
    return f"suggested with doubt ({', '.join(names)}): " if names else ""


def counted(n: int, one: str, many: str) -> str:
    """Name a number of things: ``1 field``, ``2 fields``."""
    return f"{n} {one if n == 1 else many}"


def named_files(paths: Iterable[Path | None]) -> tuple[tuple[Path, ...], str]:
    """Give the files that fields are of, without those of none, and the first of their names in brackets."""
    known = tuple(path for path in paths if path is not None)
    return known, f" ({first_of([str(path) for path in known])})" if known else ""


def first_of(told: Sequence[T], say: Callable[[T], str] = str) -> str:
    """Join the first of many, each in the words that `say` has for it, and tell how many more there are."""
    more = len(told) - MOST_TOLD
    return ", ".join(map(say, told[:MOST_TOLD])) + (f" and {more} more" if more > 0 else "")
