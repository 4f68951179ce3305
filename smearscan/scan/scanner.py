"""The scanner: detect, crop, classify, hand back."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smearscan.config import ScanConfig, scan_config
from smearscan.differential.conclusions import report_slide
from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import SlideReport, StopInfo
from smearscan.differential.statistics.group_sequential import LookSchedule
from smearscan.differential.tally import SlideTally
from smearscan.errors import ImageError
from smearscan.io.decode import REDUCTIONS, as_rgb, longest_side, read_reduced, some_images
from smearscan.io.folders import Slide, find_slides
from smearscan.results import Field, FieldFailure, FieldResult, Scale
from smearscan.rulers.scale import measure_scale
from smearscan.runtime.batches import usable_cores
from smearscan.scan.models import Models
from smearscan.scan.pipeline import DetectFn, OnField, Pipeline
from smearscan.scan.single_cells import NamedCells, as_list, central_cells, measure_crops
from smearscan.scan.timing import StageTimer

_RULER_SIDE = 600
"""Longest side in pixels that a field keeps at least where a slide's scale is measured first."""

_SHOWN = 16
"""Most fields whose pixels are kept for who wants to see them with their cells."""

Picture = NDArray[np.uint8] | Image.Image | str | Path
Given = TypeVar("Given")


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
        self.nets = Models.load(self.config)
        card = self.nets.calibration
        self._errors = card.errors if card else None  # one object: what is computed of it is kept
        self.clock = StageTimer()

    @property
    def weights(self) -> tuple[str, ...]:
        """``name:hash`` of every network in use."""
        return self.nets.names

    @property
    def calibration_name(self) -> str:
        """Name of the calibration card that changes the nets' probabilities; empty where none does."""
        return self.nets.calibration_name

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
        return self._scan(images, self._reading("", self._given_scale()))

    def classify(
        self,
        crops: Iterable[Picture],
        um_per_px: float | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> NamedCells:
        """Name cells that are already cut: pictures of one cell each, of any size.

        Each cell is found in its picture, cut at physical scale and named as in a scan.

        Parameters
        ----------
        crops : iterable of ndarray (H, W, 3) uint8 RGB, PIL.Image.Image, str or Path
            Paths are read as they are needed, and memory stays bounded.
        um_per_px : float, optional
            Micrometers a pixel; by default the scanner's, and where that has none, measured on the pictures
            together (:func:`smearscan.scan.single_cells.measure_crops`).
        on_progress : callable, optional
            Called with the picture's name after each.

        Returns
        -------
        NamedCells
            One cell or failure a picture, in order; ``.to_frame()``.

        Raises
        ------
        ConfigError
            If `um_per_px` is out of its range.
        ImageError
            If one picture is given in place of several.
        """
        pictures = as_list(crops)
        given = scan_config(um_per_px=um_per_px).um_per_px or self.config.um_per_px
        scales = (
            [Scale(given, "given")] * len(pictures) if given else measure_crops(self.nets.detector, pictures)
        )
        pairs = zip(pictures, scales, strict=True)
        results = []
        for item in self._scan(pairs, _load_crop, find=partial(central_cells, self.nets.detector)):
            results.append(item)
            if on_progress:
                on_progress(item.path.name if item.path else "")
        return NamedCells(tuple(results), self.calibration_name)

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
            results, reading = self._read(slide, scale, on_field, on_progress)
            yield self._report(SlideTally.of(slide.slide_id, results), scale, reading), results

    def _read(
        self, slide: Slide, scale: Scale, on_field: OnField | None, on_progress: Callable[[str], None] | None
    ) -> tuple[list[FieldResult | FieldFailure], StopInfo]:
        """Read the fields of a slide, all of them or until its report is settled."""
        n = len(slide.paths)
        load = self._reading(slide.slide_id, scale)
        adaptive = self.config.until_resolved
        # a random order makes the fields read so far a sample of the slide, wherever reading stops
        order = np.random.default_rng(0).permutation(n).tolist() if adaptive else list(range(n))
        fields = self._scan((slide.paths[i] for i in order), load, on_field, one_by_one=adaptive)
        results: dict[int, FieldResult | FieldFailure] = {}
        tally, looks = SlideTally(slide.slide_id), LookSchedule(self.config.first_look)
        reading = StopInfo(n)
        for i, item in zip(order, fields, strict=True):
            results[i] = item
            if on_progress:
                on_progress(slide.slide_id)
            if not adaptive:
                continue
            tally = tally.with_field(item)
            if looks.due(tally.n_counted):
                looks = looks.next(tally.n_counted)
                reading = StopInfo(n, f"settled after {len(results)} of {n} fields", looks.error(1.0))
                if self._settled(self._report(tally, scale, reading)):
                    fields.close()
                    break
        else:
            if adaptive and not looks.fresh(tally.n_counted):
                looks = looks.next(tally.n_counted)
            reading = StopInfo(n, "every field was read", looks.error(1.0) if adaptive else 1.0)
            if adaptive and not self._settled(self._report(tally, scale, reading)):
                reading = replace(reading, why="every field was read, not settled")
        return [results[i] for i in sorted(results)], reading

    def _settled(self, report: SlideReport) -> bool:
        """Whether the flag is decided and every interval is as narrow as asked for."""
        decided = report.flag.state != "insufficient" or self.nets.blast is None
        return decided and report.widest_interval <= self.config.resolve_width_percent

    def _report(self, tally: SlideTally, scale: Scale, reading: StopInfo) -> SlideReport:
        own = self.config
        rule = FlagRule(
            own.flag_level, own.flag_tiers, own.flag_tier_probability, own.flag_power,
            own.flag_must_find_percent, own.flag_min_cells, own.flag_blast_percent,
            own.flag_most_unclassified_percent,
        )  # fmt: skip
        nets = self.nets
        names = nets.differential.card.classes if nets.differential else ()
        with self.clock("report"):
            return report_slide(tally, own.task, scale, rule, self.weights, names, self._errors, reading)

    def measure(self, slide: Slide) -> Scale:
        """Scale of a slide: as given, or measured on a few of its fields, evenly spread."""
        if given := self._given_scale():
            return given
        with self.clock("scale"):
            longest = next((side for side in map(longest_side, slide.paths) if side), 0)
            reduction = max((r for r in REDUCTIONS if longest / r >= _RULER_SIDE), default=1)
            scale, reduction = self._measured(slide, reduction)
            needed = self.nets.detector.card.working_red_cell_px
            if reduction > 1 and (scale.ruler != "red cells" or scale.red_cell_px < needed):
                scale, reduction = self._measured(slide, 1)  # its red cells are smaller than the detector's
            return scale.reduced(1 / reduction)

    def _measured(self, slide: Slide, reduction: int) -> tuple[Scale, int]:
        """Scale of a slide's fields as they are read at a reduction, and the reduction made."""
        made = set()

        def read(path: Path) -> NDArray[np.uint8]:
            image, _, own = read_reduced(path, reduction)
            made.add(own)
            return image

        # broken fields are passed over here and reported when their turn comes
        images = some_images(slide.paths, self.config.ruler_fields, read)
        if not images:
            return Scale(1.0, "assumed"), 1
        if made != {reduction}:  # fields that are no JPEG are whole: together they would have two scales
            return self._measured(slide, 1)
        return measure_scale(self.nets.detector, images), reduction

    def _given_scale(self) -> Scale | None:
        return Scale(self.config.um_per_px, "given") if self.config.um_per_px else None

    def _reading(self, slide_id: str, scale: Scale | None) -> Callable[[Picture], Field | FieldFailure]:
        """How pictures are read: with no more pixels than the nets ask for, where the scale is known."""
        reduction = self.nets.reduction(scale) if scale else 1
        return partial(_load, slide_id=slide_id, scale=scale, reduction=reduction)

    def _scan(
        self,
        pictures: Iterable[Given],
        load: Callable[[Given], Field | FieldFailure],
        on_field: OnField | None = None,
        one_by_one: bool = False,
        find: DetectFn | None = None,
    ) -> Generator[FieldResult | FieldFailure, None, None]:
        window = self.config.window
        if on_field:  # who may stop at any field wants to hear of no field beyond it
            window = 1 if one_by_one else min(window, _SHOWN)
        own = self.config
        workers = own.workers or usable_cores() + 1  # one may read while the others compute
        way = Pipeline(
            self.nets,
            workers,
            max(own.read_ahead, workers),
            window,
            find or self.nets.detector.detect,
            on_field,
            self.clock,
        )
        return way.scan(pictures, load)


def _load(picture: Picture, slide_id: str, scale: Scale | None, reduction: int = 1) -> Field | FieldFailure:
    path = Path(picture) if isinstance(picture, (str, Path)) else None
    try:
        if path is None:
            return Field(as_rgb(picture), None, slide_id, scale)
        image, shape, reduction = read_reduced(path, reduction)
        return Field(image, path, slide_id, scale, reduction, shape)
    except ImageError as error:
        return FieldFailure(slide_id, path, str(error))


def _load_crop(given: tuple[Picture, Scale]) -> Field | FieldFailure:
    return _load(given[0], "", given[1])
