"""The way of fields through a scan: read, detect and crop on threads; classify across fields; hand back."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smearscan.classification import Geometry, cut_crops
from smearscan.detection import Detector
from smearscan.io import read_ahead, read_image, windows
from smearscan.results import Detections, Field, FieldFailure, FieldQuality, FieldResult, Scale
from smearscan.rulers import measure_scale
from smearscan.rulers.quality import measure_quality
from smearscan.scan.cell_classifier import CellClassifier
from smearscan.scan.film import CLAIM_UM, within_core
from smearscan.scan.timing import StageTimer
from smearscan.taxonomy import LEUKOCYTE, RED_CELL

Source = TypeVar("Source")
OnField = Callable[[Field, FieldResult], None]
DetectFn = Callable[[NDArray[np.uint8], Scale], Detections]
OwnFn = Callable[[Path | None, NDArray[np.float32]], NDArray[np.bool_]]

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
    origin : tuple of int or None
        Of the field.
    quality : FieldQuality or None
        Of a photograph.
    field : Field or None
        With its pixels, where somebody asked to see them.
    """

    slide_id: str
    path: Path | None
    shape: tuple[int, int]
    detections: Detections
    scale: Scale
    crops: dict[Geometry, NDArray[np.uint8]]
    origin: tuple[int, int] | None
    quality: FieldQuality | None
    field: Field | None

    def owning(self, own: OwnFn) -> "DetectedField":
        """Return it with those leukocytes alone that are its own."""
        found = self.detections
        leukocytes = found.labels == LEUKOCYTE
        mine = own(self.path, found.xyxy[leukocytes])
        keep = ~leukocytes
        keep[leukocytes] = mine
        crops = {how: cut[mine] for how, cut in self.crops.items()}
        return replace(self, detections=found.where(keep), crops=crops)


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
    on_field : callable or None
        Called with each field and its result while the pixels are still there; keeps those of a window.
    own : callable or None
        Called with each field's path and its leukocytes' boxes, (N, 4) px, in order, before they are named;
        tells which are its own, (N,). For a whole slide, see :class:`smearscan.scan.film.Seams`.
    """

    detector: Detector
    classifier: CellClassifier
    workers: int
    ahead: int
    window: int
    timer: StageTimer
    detect: DetectFn | None = None
    on_field: OnField | None = None
    own: OwnFn | None = None

    def scan(
        self, pictures: Iterable[Source], load: Callable[[Source], Field | FieldFailure]
    ) -> Generator[FieldResult | FieldFailure, None, None]:
        """Yield the result of each picture, in order; a failure takes the place of one that has none."""

        def read(picture: Source) -> DetectedField | FieldFailure:
            with self.timer("decode"):
                field = load(picture)
            return self._detect_and_crop(field) if isinstance(field, Field) else field

        detected = read_ahead(pictures, read, self.workers, self.ahead)
        for window in windows(detected, self.window, _n_crops, _ENOUGH_CROPS):
            results = iter(self._classify([item for item in window if isinstance(item, DetectedField)]))
            failures = [item if isinstance(item, FieldFailure) else None for item in window]
            window.clear()  # pixels that were kept for `on_field` have been seen
            for failure in failures:
                yield failure if failure is not None else next(results)

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
        with self.timer("quality"):  # of a film's regions the parts are judged before they are read
            is_photograph = field.origin is None
            quality = measure_quality(field.image, image_scale, detections) if is_photograph else None
        in_field = detections.rescaled_to(field.reduction, field.shape)
        shown = _full_resolution(field) if self.on_field else None
        return DetectedField(
            field.slide_id, field.path, field.shape, in_field, scale, crops, field.origin, quality, shown
        )

    def _classify(self, fields: list[DetectedField]) -> list[FieldResult]:
        if self.own:
            fields = [field.owning(self.own) for field in fields]
        crops = [field.crops for field in fields]
        with self.timer("classify"):
            probs = self.classifier.predict_probs(crops)
        results = [self._result(field, *own) for field, own in zip(fields, probs, strict=True)]
        for field, result in zip(fields, results, strict=True):
            if self.on_field and field.field is not None:
                self.on_field(field.field, result)
        return results

    def _result(
        self, field: DetectedField, probs: NDArray[np.float32], blast_probs: NDArray[np.float32]
    ) -> FieldResult:
        rule = self.classifier.rule
        return FieldResult(
            slide_id=field.slide_id,
            path=field.path,
            shape=field.shape,
            detections=field.detections.leukocytes,
            probs=probs,
            classes=self.classifier.classes,
            blast_probs=blast_probs,
            types=rule.names(probs, blast_probs),
            scale=field.scale,
            red_cell_xyxy=_red_cells(field),
            n_red_cells=field.detections.count("red_cell"),
            n_platelets=field.detections.count("platelet"),
            n_possible_blasts=int(rule.may_be_blast(blast_probs).sum()),
            origin=field.origin,
            quality=field.quality,
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


def _n_crops(field: DetectedField | FieldFailure) -> int:
    return sum(len(crops) for crops in field.crops.values()) if isinstance(field, DetectedField) else 0


def _full_resolution(field: Field) -> Field:
    """Return a field with all pixels of the photograph, for whoever wants to see it."""
    if field.reduction == 1:
        return field
    assert field.path is not None
    return replace(field, image=read_image(field.path), reduction=1, original_shape=None)
