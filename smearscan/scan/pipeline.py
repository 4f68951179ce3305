"""The way of fields through a scan: read, detect and crop on threads; classify across fields; hand back."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smearscan.classification.crops import Geometry, cut_crops
from smearscan.io.decode import read_image
from smearscan.io.streams import read_ahead, windows
from smearscan.results import Detections, Field, FieldFailure, FieldResult, Scale
from smearscan.rulers.scale import measure_scale
from smearscan.scan.models import Models
from smearscan.scan.timing import StageTimer

Given = TypeVar("Given")
OnField = Callable[[Field, FieldResult], None]
DetectFn = Callable[[Sequence[NDArray[np.uint8]], Sequence[Scale]], list[Detections]]


_ENOUGH_CROPS = 128
"""A window ends with so many crops, however few fields they are of: 16 batches, 2.5 MB at 80 px."""


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
    field : Field or None
        With its pixels, where somebody asked to see them.
    """

    slide_id: str
    path: Path | None
    shape: tuple[int, int]
    detections: Detections
    scale: Scale
    crops: dict[Geometry, NDArray[np.uint8]]
    field: Field | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Scans a stream of pictures with bounded memory.

    Each field is read, searched and cut by one thread, and its pixels are dropped before the next; only
    crops wait for a window to fill the classifiers' batches. While these run, the threads go on.

    Attributes
    ----------
    nets : Models
    workers, ahead : int
        Threads, and fields kept ready.
    window : int
        Most fields whose crops are classified together; changes no answer.
    find : callable
        Finds the cells of pictures at given scales; the detector, or what is put round it.
    on_field : callable or None
        Called with each field and its result while the pixels are still there; keeps those of a window.
    clock : StageTimer
        Adds up what each stage takes.
    """

    nets: Models
    workers: int
    ahead: int
    window: int
    find: DetectFn
    on_field: OnField | None
    clock: StageTimer

    def scan(
        self, pictures: Iterable[Given], load: Callable[[Given], Field | FieldFailure]
    ) -> Generator[FieldResult | FieldFailure, None, None]:
        """Yield the result of each picture, in order; a failure takes the place of one that has none."""

        def look(picture: Given) -> DetectedField | FieldFailure:
            with self.clock("decode"):
                item = load(picture)
            return self._look(item) if isinstance(item, Field) else item

        found = read_ahead(pictures, look, self.workers, self.ahead)
        for window in windows(found, self.window, _n_crops, _ENOUGH_CROPS):
            named = iter(self._name([f for f in window if isinstance(f, DetectedField)]))
            failures = [f if isinstance(f, FieldFailure) else None for f in window]
            window.clear()  # pixels that were kept for `on_field` have been seen
            for failure in failures:
                yield failure if failure is not None else next(named)

    def _look(self, field: Field) -> DetectedField:
        """Detect and crop."""
        with self.clock("scale"):
            scale = field.scale or measure_scale(self.nets.detector, [field.image])
        with self.clock("detect"):
            seen = scale.reduced(field.reduction)  # the scale of the pixels at hand
            found = self.find([field.image], [seen])[0]
        with self.clock("crop"):
            xyxy = found.leukocytes.xyxy
            crops = {
                how: cut_crops(field.image, xyxy, seen.um_per_px, how.um, how.px)
                for how in self.nets.geometries
            }
        detections = found.rescaled_to(field.reduction, field.shape)
        kept = _whole(field) if self.on_field else None
        return DetectedField(field.slide_id, field.path, field.shape, detections, scale, crops, kept)

    def _name(self, found: list[DetectedField]) -> list[FieldResult]:
        """Classify and hand back."""
        crops = [f.crops for f in found]
        with self.clock("classify"):
            named = self.nets.named(crops)
        results = [self._result(one, *probs) for one, probs in zip(found, named, strict=True)]
        for one, result in zip(found, results, strict=True):
            if self.on_field and one.field is not None:
                self.on_field(one.field, result)
        return results

    def _result(
        self, found: DetectedField, probs: NDArray[np.float32], blast_probs: NDArray[np.float32]
    ) -> FieldResult:
        net = self.nets.differential
        return FieldResult(
            slide_id=found.slide_id,
            path=found.path,
            shape=found.shape,
            detections=found.detections.leukocytes,
            probs=probs,
            classes=net.card.classes if net else (),
            blast_probs=blast_probs,
            types=self.nets.rule.names(probs, blast_probs),
            scale=found.scale,
            n_red_cells=found.detections.count("red_cell"),
            n_platelets=found.detections.count("platelet"),
            n_possible_blasts=int(self.nets.rule.may_be_blast(blast_probs).sum()),
        )


def _n_crops(found: DetectedField | FieldFailure) -> int:
    return sum(len(crops) for crops in found.crops.values()) if isinstance(found, DetectedField) else 0


def _whole(field: Field) -> Field:
    """Return a field with all pixels of the photograph, for whoever wants to see it."""
    if field.reduction == 1:
        return field
    assert field.path is not None
    return replace(field, image=read_image(field.path), reduction=1, original_shape=None)
