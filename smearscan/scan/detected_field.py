"""A field between the two stages, and the stain of its slide, for which the slide's first fields wait."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from smearscan.classification import Geometry
from smearscan.results import Detections, Field, FieldFailure, FieldQuality, Scale, Stain
from smearscan.rulers.optical_density import multiply_density
from smearscan.rulers.unlike_cells import ENOUGH_CELLS, MOST_FIELDS, measured_stain
from smearscan.scan.streams import OwnFn, Stream
from smearscan.taxonomy import LEUKOCYTE
from smearscan.weights import KnownCells

StreamT = TypeVar("StreamT", bound=Stream[Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DetectedField:
    """A field whose cells are found and cut, and not yet named.

    Attributes
    ----------
    slide_id, path, shape
        Of the field.
    detections : Detections
    scale : Scale
    crops : dict
        Geometry to crops (N, S, S, 3) uint8 RGB of the N leukocytes; empty where nothing is to be named.
    forms : dict
        Geometry to what was measured of these leukocytes as photographed, whatever stain the networks are
        shown (:func:`smearscan.classification.morphometry.measure`), for nets with trees.
    origin : tuple of int or None
        Of the field.
    quality : FieldQuality or None
        Of a photograph.
    unlike_training : tuple of int
        As of the :class:`smearscan.results.FieldResult`.
    stain_cells : ndarray, (M, 2, 3) float64
        Of the leukocytes that stand apart, :func:`smearscan.rulers.stain.measure_cells`; empty where no card
        of a network tells what it learned from.
    stain : Stain or None
        What brings its cells to the reference; None until the slide's is known.
    field : Field or None
        With its pixels, where somebody asked to see them.
    """

    slide_id: str
    path: Path | None
    shape: tuple[int, int]
    detections: Detections
    scale: Scale
    crops: dict[Geometry, NDArray[np.uint8]]
    forms: dict[Geometry, NDArray[np.float32]]
    origin: tuple[int, int] | None
    quality: FieldQuality | None
    unlike_training: tuple[int, int]
    stain_cells: NDArray[np.float64]
    stain: Stain | None
    field: Field | None

    def owned(self, own: OwnFn | None) -> "DetectedField":
        """Return it with those leukocytes alone that are its own."""
        if own is None:
            return self
        found = self.detections
        leukocytes = found.labels == LEUKOCYTE
        mine = own(self.path, found.xyxy[leukocytes])
        keep = ~leukocytes
        keep[leukocytes] = mine
        crops = {how: cut[mine] for how, cut in self.crops.items()}
        forms = {how: form[mine] for how, form in self.forms.items()}
        return replace(self, detections=found.where(keep), crops=crops, forms=forms)


def with_stains(
    found: Iterable[tuple[StreamT, T]], known: KnownCells
) -> Iterator[tuple[StreamT, T | DetectedField]]:
    """Give each detected field its slide's stain, in order.

    A slide is measured on its first fields, which wait until there are :data:`MOST_FIELDS` of them, or
    :data:`ENOUGH_CELLS`; what follows passes through. A picture that belongs to no slide is measured alone.
    The order alone decides, so threads and windows change nothing.

    Parameters
    ----------
    found : iterable
        Of each stream in turn a :class:`DetectedField`, a :class:`smearscan.results.FieldFailure`, or what
        ends the stream.
    known : KnownCells
        Of the classifiers.
    """
    waiting: deque[tuple[StreamT, T]] = deque()
    for stream, item in found:
        waiting.append((stream, item))
        is_last = not isinstance(item, (DetectedField, FieldFailure))
        del item  # the consumer's copy shall be the only one
        if stream.is_slide and stream.stain is None:
            cells = [field.stain_cells for _, field in waiting if isinstance(field, DetectedField)]
            if len(cells) < MOST_FIELDS and sum(map(len, cells)) < ENOUGH_CELLS and not is_last:
                continue
            stream.stain = measured_stain(cells, known)
        while waiting:
            owner, field = waiting.popleft()
            yield owner, _stained(field, owner.stain, known) if isinstance(field, DetectedField) else field
            del field


def _stained(field: DetectedField, of_slide: Stain | None, known: KnownCells) -> DetectedField:
    """Return a field whose crops are as the networks are shown them."""
    stain = field.stain or of_slide or measured_stain([field.stain_cells], known)
    if stain.source == "photographed":
        return replace(field, stain=stain)
    crops = {how: multiply_density(cut, stain.gain) for how, cut in field.crops.items()}
    return replace(field, crops=crops, stain=stain)
