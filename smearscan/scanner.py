"""The scanner: detect, crop, classify, hand back."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smearscan import scale as ruler
from smearscan.classifier import Classifier
from smearscan.config import ScanConfig, scan_config
from smearscan.detector import Detector
from smearscan.errors import ConfigError, ImageError
from smearscan.flag import FlagRule
from smearscan.images import as_rgb, read_image
from smearscan.results import Detections, Field, FieldFailure, FieldResult, Scale
from smearscan.slide import HEALTHY, SlideReport, SlideTally, report_slide
from smearscan.sources import Slide, find_slides
from smearscan.streams import read_ahead, windows
from smearscan.taxonomy import BLAST, UNCLASSIFIED

Picture = NDArray[np.uint8] | Image.Image | str | Path
OnField = Callable[[Field, FieldResult], None]


class SmearScanner:
    """Reads fields and slides. A research aid that suggests, never a diagnosis.

    Parameters
    ----------
    config : ScanConfig, optional
    **settings
        Any field of :class:`smearscan.config.ScanConfig`, for example ``task="blast"``, ``device="cuda"``,
        ``um_per_px=0.07``, ``detector="mine.safetensors"``.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of its range.
    WeightsError
        If weights are missing, altered or made for another stage.

    Examples
    --------
    >>> result = SmearScanner().analyze("field.jpg")  # doctest: +SKIP
    >>> for cell in result:  # doctest: +SKIP
    ...     print(cell.type, cell.xyxy)
    """

    def __init__(self, config: ScanConfig | None = None, **settings: object) -> None:
        given = {name: value for name, value in settings.items() if value is not None}
        self.config = scan_config(None, **{**(config.model_dump() if config else {}), **given})
        device, engine = self.config.device, self.config.engine
        self.detector = Detector.load(self.config.detector, device, engine)
        self.differential = self._classifier("differential")
        self.blast = self._classifier("blast")

    def _classifier(self, task: str) -> Classifier | None:
        if self.config.task not in (task, "both"):
            return None
        path = self.config.blast if task == "blast" else self.config.differential
        device, engine = self.config.device, self.config.engine
        loaded = Classifier.load(path, device, engine) if path else Classifier.shipped(task, device, engine)
        if task == "blast" and BLAST not in loaded.card.classes:
            raise ConfigError(f"{loaded.card.name}: has no class 'blast' and cannot serve as the blast net")
        return loaded

    @property
    def weights(self) -> tuple[str, ...]:
        """``name:hash`` of every network in use."""
        cards = [stage.card for stage in (self.detector, self.differential, self.blast) if stage is not None]
        return tuple(f"{card.name}:{card.short_hash}" for card in cards)

    def analyze(self, image: Picture) -> FieldResult:
        """Scan one field.

        Parameters
        ----------
        image : ndarray (H, W, 3) uint8 RGB, PIL.Image.Image, str or Path

        Returns
        -------
        FieldResult
            Its leukocytes; iterate it, or ``.to_frame()``.

        Raises
        ------
        ImageError
            If the picture cannot be read.
        """
        return self.analyze_batch([image])[0]

    def analyze_batch(self, images: Sequence[Picture]) -> list[FieldResult]:
        """Scan several fields, each measured on its own; raises on the first unreadable one."""
        results = []
        for item in self.stream(images):
            if isinstance(item, FieldFailure):
                raise ImageError(item.reason)
            results.append(item)
        return results

    def stream(self, images: Iterable[Picture]) -> Iterator[FieldResult | FieldFailure]:
        """Scan any number of fields, in order, in bounded memory; equals scanning them one by one.

        Yields
        ------
        FieldResult or FieldFailure
            A failure takes the place of a field that could not be read.
        """
        return self._scan(images, partial(_load, slide_id="", scale=self._given_scale()))

    def scan_slides(
        self,
        root: str | Path,
        on_field: OnField | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[SlideReport, list[FieldResult | FieldFailure]]]:
        """Scan every slide of a folder.

        Parameters
        ----------
        root : str or Path
            Every sub-folder that holds pictures is a slide; a loose picture is a one-field slide.
        on_field : callable, optional
            Called with each scanned field while its pixels are still there.
        on_progress : callable, optional
            Called with the slide's name after each field, failed or not.

        Yields
        ------
        SlideReport, list
            The report, and the results of its fields.

        Raises
        ------
        ImageError
            If the folder is missing or holds no picture.
        """
        for slide in find_slides(Path(root)):
            scale = self.measure(slide)
            results: list[FieldResult | FieldFailure] = []
            for item in self._scan(
                slide.paths, partial(_load, slide_id=slide.slide_id, scale=scale), on_field
            ):
                results.append(item)
                if on_progress:
                    on_progress(slide.slide_id)
            tally = SlideTally.of(slide.slide_id, results)
            rule = FlagRule(self.config.flag_blast_percent, self.config.flag_min_cells)
            names = self.differential.card.classes if self.differential else ()
            yield report_slide(tally, self.config.task, scale, rule, self.weights, names), results

    def measure(self, slide: Slide) -> Scale:
        """Scale of a slide: as given, or measured on a few of its fields, evenly spread."""
        if given := self._given_scale():
            return given
        picked = np.linspace(0, len(slide.paths) - 1, min(len(slide.paths), self.config.ruler_fields)).round()
        images = []
        # broken fields are passed over here and reported when their turn comes
        for i in dict.fromkeys([*picked.astype(int).tolist(), *range(len(slide.paths))]):
            try:
                images.append(read_image(slide.paths[i]))
            except ImageError:
                continue
            if len(images) == len(picked):
                break
        return ruler.measure(self.detector, images) if images else Scale(1.0, "assumed")

    def _given_scale(self) -> Scale | None:
        return Scale(self.config.um_per_px, "given") if self.config.um_per_px else None

    def _scan(
        self,
        pictures: Iterable[Picture],
        load: Callable[[Picture], Field | FieldFailure],
        on_field: OnField | None = None,
    ) -> Iterator[FieldResult | FieldFailure]:
        fields = read_ahead(pictures, load, self.config.workers, self.config.read_ahead)
        for window in windows(fields, self.config.window):
            scanned = iter(self._scan_fields([f for f in window if isinstance(f, Field)], on_field))
            order = [f if isinstance(f, FieldFailure) else None for f in window]
            window.clear()  # the pixels are no longer needed: memory stays one window
            for failure in order:
                yield failure if failure is not None else next(scanned)

    def _scan_fields(self, fields: list[Field], on_field: OnField | None) -> list[FieldResult]:
        """Detect, crop, classify, hand back."""
        images = [f.image for f in fields]
        scales = [f.scale or ruler.measure(self.detector, [f.image]) for f in fields]
        found = self.detector.detect(images, scales)
        boxes = [d.leukocytes.xyxy for d in found]
        kinds = self._probs(self.differential, images, boxes, scales)
        blasts = self._probs(self.blast, images, boxes, scales)
        results = [
            self._result(*of_field) for of_field in zip(fields, found, scales, kinds, blasts, strict=True)
        ]
        if on_field:
            for field, result in zip(fields, results, strict=True):
                on_field(field, result)
        return results

    @staticmethod
    def _probs(
        net: Classifier | None,
        images: list[NDArray[np.uint8]],
        boxes: list[NDArray[np.float32]],
        scales: list[Scale],
    ) -> list[NDArray[np.float32]]:
        if net is None:
            return [np.empty((len(xyxy), 0), np.float32) for xyxy in boxes]
        return net.classify(images, boxes, scales)

    def _result(
        self,
        field: Field,
        found: Detections,
        scale: Scale,
        probs: NDArray[np.float32],
        blast_probs: NDArray[np.float32],
    ) -> FieldResult:
        cells = found.leukocytes
        blast = np.full(len(cells), np.nan, np.float32)
        if self.blast is not None:
            blast = np.ascontiguousarray(blast_probs[:, self.blast.card.classes.index(BLAST)])
        return FieldResult(
            slide_id=field.slide_id,
            path=field.path,
            shape=field.shape,
            detections=cells,
            probs=probs,
            classes=self.differential.card.classes if self.differential else (),
            blast_probs=blast,
            types=tuple(self._name(p, b) for p, b in zip(probs, blast, strict=True)),
            scale=scale,
            n_red_cells=found.count("red_cell"),
            n_platelets=found.count("platelet"),
        )

    def _name(self, probs: NDArray[np.float32], blast: np.float32) -> str:
        """Name a cell: blast where the blast net says so at its threshold, else the differential's class."""
        if self.blast is not None and blast >= self.blast.card.threshold:
            return BLAST
        if self.differential is None:
            return HEALTHY
        best = int(probs.argmax())
        limit = self.differential.card.unclassified_below
        return self.differential.card.classes[best] if probs[best] >= limit else UNCLASSIFIED


def _load(picture: Picture, slide_id: str, scale: Scale | None) -> Field | FieldFailure:
    path = Path(picture) if isinstance(picture, (str, Path)) else None
    try:
        return Field(as_rgb(picture), path, slide_id, scale)
    except ImageError as error:
        return FieldFailure(slide_id, path, str(error))
