"""Pictures on their way through the pipeline, parted by whom they belong to."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from smearscan.results import Field, FieldFailure, Stain

Source = TypeVar("Source")
LoadFn = Callable[[Source], Field | FieldFailure]
OwnFn = Callable[[Path | None, NDArray[np.float32]], NDArray[np.bool_]]


@dataclass(slots=True, eq=False)
class Stream(Generic[Source]):
    """Pictures to be scanned in order, as those of one slide.

    Attributes
    ----------
    pictures : iterable
        May be endless.
    load : callable
        Reads one, on a thread.
    own : callable or None
        Called with each field's path and its leukocytes' boxes, (N, 4) px, in order, before they are named;
        tells which are its own, (N,). For a whole slide, see :class:`smearscan.scan.film.Seams`.
    is_slide : bool
        Whether all pictures are of one slide, stained once.
    stain : Stain or None
        Of the slide, once it is measured.
    ended : bool
        Set by whoever has enough: what was read beyond is not handed back, and no more is read.
    error : Exception or None
        What ended it before its end.
    """

    pictures: Iterable[Source]
    load: LoadFn[Source]
    own: OwnFn | None = None
    is_slide: bool = False
    stain: Stain | None = None
    ended: bool = False
    error: Exception | None = None

    def broken(self, error: Exception) -> None:
        """End it for this reason, unless it has ended before."""
        if not self.ended:
            self.error, self.ended = error, True
