"""The way of fields through a scan: read, detect and crop on threads; classify across fields; hand back."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smearscan.classification import Geometry, cut_crops, fine_names
from smearscan.classification.morphometry import measure
from smearscan.detection import Detector
from smearscan.errors import OutputError
from smearscan.io import read_ahead, read_image, windows
from smearscan.results import AS_PHOTOGRAPHED, Detections, Field, FieldFailure, FieldResult, Scale
from smearscan.rulers import measure_scale
from smearscan.rulers.quality import measure_quality
from smearscan.rulers.stain import measure_cells
from smearscan.rulers.unlike_cells import count_unlike, standing_apart
from smearscan.scan.cell_classifier import CellClassifier, CellProbs
from smearscan.scan.detected_field import DetectedField, StreamT, with_stains
from smearscan.scan.film import CLAIM_UM, within_core
from smearscan.scan.opencv_threads import opencv_in_one_thread
from smearscan.scan.streams import LoadFn, Source, Stream
from smearscan.scan.timing import StageTimer
from smearscan.taxonomy import LEUKOCYTE, RED_CELL

OnField = Callable[[Field, FieldResult], None]
DetectFn = Callable[[NDArray[np.uint8], Scale], Detections]

_ENOUGH_CROPS = 128
"""A window ends with so many crops, however few fields they are of: 16 batches, 2.5 MB at 80 px."""


class _Mark(Enum):
    """What takes a field's place in the order."""

    END = auto()  # of a stream
    UNWANTED = auto()  # of a stream that has ended


_Found = DetectedField | FieldFailure | Exception | _Mark
_Named = FieldResult | FieldFailure | Exception | _Mark


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Scans a stream of pictures with bounded memory.

    Each field is read, searched and cut by one thread, and its pixels are dropped before the next; only
    crops wait for a window to fill the classifiers' batches. While these run, the threads go on.

    Attributes
    ----------
    detector : Detector
    classifier : CellClassifier
    workers, ahead : int
        Threads, and fields kept ready.
    window : int
        Most fields whose crops are classified together; changes no answer.
    timer : StageTimer
        Adds up what each stage takes.
    detect : callable or None
        Finds the cells of a picture at a given scale, in place of the detector alone.
    reference_stain : bool
        Whether slides of a stain that no training cell has are shown to the classifiers in the reference.
    on_field : callable or None
        Called with each field and its result while the pixels are still there; keeps those of a window.
    """

    detector: Detector
    classifier: CellClassifier
    workers: int
    ahead: int
    window: int
    timer: StageTimer
    reference_stain: bool = True
    detect: DetectFn | None = None
    on_field: OnField | None = None

    def scan(
        self, pictures: Iterable[Source], load: LoadFn[Source]
    ) -> Generator[FieldResult | FieldFailure, None, None]:
        """Yield the result of each picture, in order; a failure takes the place of one that has none."""
        stream = Stream(pictures, load)
        for _, item in self.scan_each([stream]):
            if item is not None:
                yield item
        if stream.error:
            raise stream.error

    def scan_each(
        self, streams: Iterable[StreamT]
    ) -> Generator[tuple[StreamT, FieldResult | FieldFailure | None], None, None]:
        """Yield the results of one stream after the other, and None where one has come to its end.

        While the last fields of a stream are named, the first of the next are read, and they share windows.
        An exception ends the stream that it arose in alone; an OutputError of `on_field` ends all.
        """
        with opencv_in_one_thread():
            found = read_ahead(_turns(streams), self._found, self.workers, self.ahead)
            if self.reference_stain and (known := self.classifier.known_stain):
                found = with_stains(found, known[1])
            for window in windows(found, self.window, _n_crops, _ENOUGH_CROPS):
                for stream, item in self._named(window):
                    if item is _Mark.END:
                        yield stream, None
                    elif isinstance(item, Exception):
                        stream.broken(item)
                    elif not stream.ended and not isinstance(item, _Mark):
                        yield stream, item

    def _found(self, turn: tuple[StreamT, Any]) -> tuple[StreamT, _Found]:
        stream, picture = turn
        if picture is _Mark.END:
            return stream, _Mark.END
        if stream.ended:
            return stream, _Mark.UNWANTED
        try:
            with self.timer("decode"):
                field = stream.load(picture)
            return stream, self._detect_and_crop(field) if isinstance(field, Field) else field
        except Exception as error:
            return stream, error

    def _detect_and_crop(self, field: Field) -> DetectedField:
        with self.timer("scale"):
            scale = field.scale or measure_scale(self.detector, [field.image])
        with self.timer("detect"):
            detect = self.detect or self.detector.detect
            image_scale = scale.downsampled(field.reduction)  # of the pixels at hand
            detections = _claimed(field, detect(field.image, image_scale), image_scale)
        with self.timer("crop"):
            xyxy = detections.leukocytes.xyxy
            crops = {
                how: cut_crops(field.image, xyxy, image_scale.um_per_px, how.um, how.px)
                for how in self.classifier.geometries
            }
            forms = {how: measure(crops[how], how) for how in self.classifier.measured_geometries}
        with self.timer("quality"):  # of a film's regions the parts are judged before they are read
            is_photograph = field.origin is None
            quality = measure_quality(field.image, image_scale, detections) if is_photograph else None
            mine = within_core(field, xyxy * np.float32(field.reduction))  # each cell of a film in one field
            stained = self._stained(crops, xyxy, image_scale, mine)
            known = self.classifier.known_cells
            unlike = count_unlike(stained, known[1]) if known else (0, 0)
        in_field = detections.rescaled_to(field.reduction, field.shape)
        shown = _full_resolution(field) if self.on_field else None
        return DetectedField(
            field.slide_id, field.path, field.shape, in_field, scale, crops, forms, field.origin, quality,
            unlike, stained, field.stain, shown,
        )  # fmt: skip

    def _stained(
        self, crops: dict[Geometry, NDArray[np.uint8]], xyxy: NDArray[np.float32], scale: Scale,
        mine: NDArray[np.bool_],
    ) -> NDArray[np.float64]:  # fmt: skip
        """Measure how a field's own cells that stand apart are stained, (M, 2, 3)."""
        if self.classifier.known_cells is None:
            return np.empty((0, 2, 3))
        how, _ = self.classifier.known_cells
        apart = mine & standing_apart(xyxy, how.um / scale.um_per_px)
        return measure_cells(crops[how][apart], how.um)

    def _named(self, window: list[tuple[StreamT, _Found]]) -> list[tuple[StreamT, _Named]]:
        """Name the cells of a window; empties it, so that pixels that `on_field` has seen go."""
        turns = [(stream, item) for stream, item in window if item is _Mark.END or not stream.ended]
        window.clear()
        fields = [(stream, item) for stream, item in turns if isinstance(item, DetectedField)]
        results = iter(self._results([(stream, field.owned(stream.own)) for stream, field in fields]))
        named = (next(results) if isinstance(item, DetectedField) else item for _, item in turns)
        return [(stream, item) for (stream, _), item in zip(turns, named, strict=True)]

    def _results(self, fields: list[tuple[StreamT, DetectedField]]) -> list[FieldResult | Exception]:
        """Name the cells of fields; where the classifiers fail, of each stream apart."""
        try:
            with self.timer("classify"):
                probs = self.classifier.predict_probs(
                    [field.crops for _, field in fields],
                    [field.forms for _, field in fields],
                    [field.stain is not None and field.stain.is_reference for _, field in fields],
                )
        except Exception as error:
            if len({stream for stream, _ in fields}) == 1:
                return [error] * len(fields)
            apart = [list(own) for _, own in groupby(fields, itemgetter(0))]
            return [result for own in apart for result in self._results(own)]
        results = [self._result(field, own) for (_, field), own in zip(fields, probs, strict=True)]
        return [self._shown(field, result) for (_, field), result in zip(fields, results, strict=True)]

    def _shown(self, field: DetectedField, result: FieldResult) -> FieldResult | Exception:
        """Show a result to whoever wants to see it with its pixels."""
        if self.on_field is None or field.field is None:
            return result
        try:
            self.on_field(field.field, result)
        except OutputError:
            raise  # a place that stops one from being written would stop all
        except Exception as error:
            return error
        return result

    def _result(self, field: DetectedField, probs: CellProbs) -> FieldResult:
        stain, fine_classes = field.stain or AS_PHOTOGRAPHED, self.classifier.fine_classes
        rule = self.classifier.rule_of(stain)
        types = rule.names(probs.types, probs.blast)
        fine_types, fine_probs = fine_names(types, probs.fine, fine_classes)
        return FieldResult(
            slide_id=field.slide_id,
            path=field.path,
            shape=field.shape,
            detections=field.detections.leukocytes,
            probs=probs.types,
            classes=self.classifier.classes,
            blast_probs=probs.blast,
            types=types,
            scale=field.scale,
            red_cell_xyxy=_red_cells(field),
            n_red_cells=field.detections.count("red_cell"),
            n_platelets=field.detections.count("platelet"),
            n_possible_blasts=int(rule.may_be_blast(probs.blast).sum()),
            origin=field.origin,
            quality=field.quality,
            unlike_training=field.unlike_training,
            fine_classes=fine_classes,
            fine_types=fine_types,
            fine_probs=fine_probs,
            stain=stain,
        )


def _red_cells(field: DetectedField) -> NDArray[np.float32]:
    """Return boxes of a photograph's red cells, (M, 4); none of a film's field: these are too many."""
    is_red = field.detections.labels == RED_CELL
    return field.detections.where(is_red & (field.origin is None)).xyxy


def _claimed(field: Field, found: Detections, image_scale: Scale) -> Detections:
    """Cells of a region that are its own; leukocytes at its edge that may be a neighbor's, too."""
    if field.core is None:
        return found
    xyxy = found.xyxy * np.float32(field.reduction)
    mine = within_core(field, xyxy)
    near = within_core(field, xyxy, CLAIM_UM / image_scale.um_per_px * field.reduction)
    return found.where(np.where(found.labels == LEUKOCYTE, near, mine))


def _turns(streams: Iterable[StreamT]) -> Iterator[tuple[StreamT, Any]]:
    """Pictures of all streams, and a mark where each has come to its end."""
    for stream in streams:
        for picture in stream.pictures:
            if stream.ended:
                break
            yield stream, picture
        yield stream, _Mark.END


def _n_crops(found: tuple[StreamT, _Found]) -> int:
    field = found[1]
    return sum(len(crops) for crops in field.crops.values()) if isinstance(field, DetectedField) else 0


def _full_resolution(field: Field) -> Field:
    """Return a field with all pixels of the photograph, for whoever wants to see it."""
    if field.reduction == 1:
        return field
    assert field.path is not None
    return replace(field, image=read_image(field.path), reduction=1, original_shape=None)
