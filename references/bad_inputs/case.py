"""One bad or odd input, and what may become of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

READ: Final = "read right"
REFUSED: Final = "refused by name"
MARKED: Final = "read and marked"
WRONG: Final = "wrong in silence"
CRASHED: Final = "crashed"

SOUND: Final = frozenset({READ})
BROKEN: Final = frozenset({REFUSED})
EITHER: Final = frozenset({READ, REFUSED})
"""Of kinds that need not be read: all that counts is that no other cells are read from them."""
STRANGE: Final = frozenset({REFUSED, MARKED})
"""Pictures of something else than a smear as the networks know it: somebody has to be told."""


@dataclass(frozen=True, slots=True)
class Case:
    """A picture of the field, as a file.

    Attributes
    ----------
    group : str
        Line of the table.
    name : str
        Of the file.
    data : bytes
        Its content.
    allowed : frozenset of str
        What may become of it.
    is_alone : bool
        Whether no sound field lies beside it: colors are judged over a slide.
    """

    group: str
    name: str
    data: bytes
    allowed: frozenset[str]
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Something that lies in a slide's folder beside sound fields, made by a function.

    Attributes
    ----------
    group, name : str
    make : callable
        Called with the slide's folder and the bytes of a PNG file of the field; makes it.
    allowed : frozenset of str
    told : str
        What the report or the screen must hold; empty where a failure or doubt of the slide is enough.
    n_fields : int
        Fields of the slide that show cells of the field made, 0 or 1.
    """

    group: str
    name: str
    make: Callable[[Path, bytes], None]
    allowed: frozenset[str]
    told: str = ""
    n_fields: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input.

    Attributes
    ----------
    group, name, outcome : str
    is_right : bool
        Whether that is allowed, and the sound inputs beside it were read as if they were alone.
    told : str
        What a user is told of it.
    """

    group: str
    name: str
    outcome: str
    is_right: bool
    told: str = ""
