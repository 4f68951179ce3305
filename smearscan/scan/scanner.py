"""The scanner: detect, crop, classify, hand back."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from smearscan.config import ScanConfig, scan_config
from smearscan.detection import Detector
from smearscan.differential import FlagRule, SlideReport, SlideTally, StopInfo, SuspectRule, report_slide
from smearscan.differential.calibration_card import Calibration
from smearscan.differential.flag import is_settled
from smearscan.differential.statistics.correction import Corrector
from smearscan.errors import ConfigError, ImageError, WeightsError
from smearscan.io import REDUCTIONS, Picture, Slide, find_slides, load_field
from smearscan.results import Field, FieldFailure, FieldResult, Scale
from smearscan.rulers import measure_slide_scale
from smearscan.runtime import usable_cores
from smearscan.scan.cell_classifier import CellClassifier
from smearscan.scan.film import Film, Seams, open_film
from smearscan.scan.pipeline import DetectFn, OnField, OwnFn, Pipeline, Source
from smearscan.scan.reading import Outcome, Pace, order_of, pace_of, read_slide
from smearscan.scan.single_cells import NamedCells, central_cell, check_several, measure_crops
from smearscan.scan.slide_doubts import doubts_of_fields
from smearscan.scan.timing import StageTimer

_SHOWN = 16
"""Most fields whose pixels are kept for who wants to see them with their cells."""

_SPARE = 1.05
"""How many times more pixels a reduced field holds than a network is given, at least."""

OnProgress = Callable[[str], None]
LoadFn = Callable[[Path], Field | FieldFailure]


class SmearScanner:
    """Reads fields and slides. A research aid that suggests, never a diagnosis.

    Parameters
    ----------
    detector : Detector, optional
        Stage one; by default what the settings name, else the shipped one.
    classifier : CellClassifier, optional
        Stage two; by default what the settings name, else the shipped networks.
    config : ScanConfig, optional
    **settings
        Any field of :class:`smearscan.config.ScanConfig`, for example ``task="blast"``, ``device="cuda"``,
        ``um_per_px=0.07``, ``blast=Path("mine.safetensors")``; they go before those of `config`.

    Raises
    ------
    ConfigError
        If a setting is unknown or out of its range.
    WeightsError
        If weights are missing, altered or made for another stage.
    EngineError
        If the device or engine is not available.

    Examples
    --------
    >>> result = SmearScanner().analyze("field.jpg")  # doctest: +SKIP
    >>> for cell in result:  # doctest: +SKIP
    ...     print(cell.type, cell.xyxy)
    """

    def __init__(
        self,
        detector: Detector | None = None,
        classifier: CellClassifier | None = None,
        config: ScanConfig | None = None,
        **settings: object,
    ) -> None:
        if isinstance(detector, ScanConfig):
            raise ConfigError("the first argument is the detector: use SmearScanner.load(config)")
        if isinstance(detector, (str, Path)):  # the setting of this name, as in ScanConfig
            settings, detector = {**settings, "detector": detector}, None
        given = {name: value for name, value in settings.items() if value is not None}
        self.config = scan_config(None, **{**(config.model_dump() if config else {}), **given})
        # weights that do not fit are refused before an engine is made of the detector
        own, self._is_custom = self.config, detector is not None or classifier is not None
        self.suspect_rule = SuspectRule.of(own)  # a file of ranges that cannot be read is refused here
        self.classifier = classifier or CellClassifier.load(own)
        self.detector = _at_site(
            detector or Detector.load(own.detector, own.device, own.engine), self.classifier.calibration
        )
        if own.read == "blasts" and self.classifier.blast is None:
            raise ConfigError("read is 'blasts', and no blast net runs; take the task both or blast")
        self.timer = StageTimer()

    @classmethod
    def load(cls, config: ScanConfig) -> "SmearScanner":
        """Load the networks that a configuration names; raises as the constructor does."""
        return cls(config=config)

    def __reduce__(self) -> tuple[Callable[[ScanConfig], "SmearScanner"], tuple[ScanConfig]]:
        """Pickle the settings: a worker process loads networks of its own."""
        if self._is_custom:
            raise TypeError("a scanner with stages of one's own cannot be pickled; make it in the worker")
        return SmearScanner.load, (self.config,)

    @property
    def weights(self) -> tuple[str, ...]:
        """``name:hash`` of every network in use."""
        card = self.detector.card
        return (f"{card.name}:{card.short_hash}", *self.classifier.weights)

    @property
    def calibration_name(self) -> str:
        """Name of the calibration card that changes what is found or how sure; empty where none does."""
        return self.classifier.calibration_name

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

        Raises
        ------
        ImageError
            At once, if one picture is given in place of several.
        """
        check_several(images, "stream")
        return self._scan(images, self._loader("", self._given_scale()))

    def classify(
        self,
        crops: Iterable[Picture],
        um_per_px: float | None = None,
        on_progress: OnProgress | None = None,
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
        check_several(crops, "classify")
        pictures = list(crops)
        given = scan_config(um_per_px=um_per_px).um_per_px or self.config.um_per_px
        scales = [Scale(given, "given")] * len(pictures) if given else measure_crops(self.detector, pictures)
        pairs = zip(pictures, scales, strict=True)
        results = []
        for item in self._scan(pairs, _load_crop, detect=partial(central_cell, self.detector)):
            results.append(item)
            if on_progress:
                on_progress(item.path.name if item.path else "")
        return NamedCells(tuple(results), self.calibration_name)

    def scan_slides(
        self, root: str | Path, on_field: OnField | None = None, on_progress: OnProgress | None = None
    ) -> Iterator[tuple[SlideReport, list[FieldResult | FieldFailure]]]:
        """Scan every slide of a folder.

        Parameters
        ----------
        root : str or Path
            Every sub-folder that holds pictures is a slide; a loose picture is a one-field slide.
        on_field, on_progress : callable, optional
            See :meth:`scan_slide`.

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
            yield self.scan_slide(slide, on_field, on_progress)

    def scan_slide(
        self, slide: Slide, on_field: OnField | None = None, on_progress: OnProgress | None = None
    ) -> tuple[SlideReport, list[FieldResult | FieldFailure]]:
        """Scan one slide: its fields at one scale, all of them or until its report is settled.

        Parameters
        ----------
        slide : Slide
            See :func:`smearscan.io.find_slides`.
        on_field : callable, optional
            Called with each scanned field while its pixels are still there.
        on_progress : callable, optional
            Called with the slide's name after each field, failed or not.

        Returns
        -------
        SlideReport, list of FieldResult or FieldFailure
            The report, and the results of its fields, those that were read, in the order of their names;
            what lies in its folder and is not read follows as failures.
        """
        film = self.open_film(slide) if slide.is_whole else None
        scale = film.scale if film else self.measure_scale(slide)
        paths = film.fields if film else slide.paths
        load: LoadFn = self._loader(slide.slide_id, scale)
        own = None
        if film:
            load, own = film.loader(load), Seams(film.grid, self.detector.card.nms_iou)
        reads_all = self.config.read == "all"

        def scan(paths: Iterable[Path]) -> Generator[Outcome, None, None]:
            fields = self._scan(paths, load, on_field, one_by_one=not reads_all, own=own)
            return _told(fields, slide.slide_id, on_progress)

        n = len(paths)
        order = order_of(n, is_film=film is not None, reads_all=reads_all)
        results, stop = read_slide(slide.slide_id, paths, order, scan, self._pace(n, scale))
        read = [r.path for r in results if isinstance(r, FieldResult) and r.path is not None]
        film_map = film.map_of(read) if film else None
        results += slide.failures
        report = self._report(SlideTally.of(slide.slide_id, results), scale, stop)
        with self.timer("report"):  # a film's scale is judged by its run, and its fields share their seams
            doubts = () if film else doubts_of_fields(scale, results)
        return replace(report, doubts=(*slide.doubts, *doubts), film=film_map), results

    def open_film(self, slide: Slide) -> Film:
        """Open a whole slide: what of it can be read, and at what scale.

        Raises
        ------
        ImageError
            As :func:`smearscan.scan.film.open_film`.
        """
        with self.timer("scale"):
            return open_film(slide.paths[0], self._given_scale(), self._measured)

    def report_unread(
        self, slide: Slide, reason: str
    ) -> tuple[SlideReport, list[FieldResult | FieldFailure]]:
        """Report of a slide that could not be scanned: each of its fields failed, for the reason given."""
        failures = [FieldFailure(slide.slide_id, path, f"{path}: {reason}") for path in slide.paths]
        failures += slide.failures
        tally = SlideTally.of(slide.slide_id, failures)
        stop = StopInfo(len(slide.paths), "the slide could not be scanned")
        report = self._report(tally, Scale(1.0, "assumed"), stop)
        return replace(report, doubts=slide.doubts), list(failures)

    def measure_scale(self, slide: Slide) -> Scale:
        """Scale of a slide: as given, or measured on a few of its fields, evenly spread."""
        if given := self._given_scale():
            return given
        with self.timer("scale"):
            return self._measured(slide.paths)

    def reduction(self, scale: Scale) -> int:
        """How far a field may be reduced while it is read: it keeps more pixels than any network is given."""
        needed = _SPARE * max(self.detector.card.working_red_cell_px, self.classifier.red_cell_px)
        return max((r for r in REDUCTIONS if scale.red_cell_px / r >= needed), default=1)

    def _measured(self, paths: Sequence[Path]) -> Scale:
        """Scale of fields by their red cells."""
        return measure_slide_scale(
            self.detector,
            paths,
            self.config.ruler_fields,
            self.config.max_field_pixels,
            self.config.false_colors == "read",
        )

    def _pace(self, n: int, scale: Scale) -> Pace:
        """How far a slide of `n` fields is read."""
        enough = _is_flagged if self.config.read == "blasts" else self._is_settled

        def settled(tally: SlideTally, stop: StopInfo) -> bool:
            return enough(self._report(tally, scale, stop))

        return pace_of(self.config.read, n, settled, self.config.first_look)

    def _is_settled(self, report: SlideReport) -> bool:
        """Whether the flag is decided and every interval is as narrow as asked for."""
        width, has_blasts = self.config.resolve_width_percent, self.classifier.blast is not None
        return is_settled(report.flag, report.widest_interval, width, has_blasts)

    @cached_property
    def _corrector(self) -> Corrector | None:
        """Corrects every slide's report; made for the first of them."""
        card = self.classifier.calibration
        return Corrector(card.errors) if card else None

    def _report(self, tally: SlideTally, scale: Scale, stop: StopInfo) -> SlideReport:
        rule, classes = FlagRule.of(self.config), self.classifier.classes
        with self.timer("report"):
            return report_slide(
                tally, self.config.task, scale, rule, self.weights, classes, self._corrector, stop,
                self.suspect_rule,
            )  # fmt: skip

    def _given_scale(self) -> Scale | None:
        return Scale(self.config.um_per_px, "given") if self.config.um_per_px else None

    def _loader(self, slide_id: str, scale: Scale | None) -> Callable[[Picture], Field | FieldFailure]:
        """How pictures are read: with no more pixels than the networks ask for, where the scale is known."""
        reduction = self.reduction(scale) if scale else 1
        return partial(
            load_field,
            slide_id=slide_id,
            scale=scale,
            reduction=reduction,
            max_pixels=self.config.max_field_pixels,
            any_colors=self.config.false_colors == "read",
        )

    def _scan(
        self,
        pictures: Iterable[Source],
        load: Callable[[Source], Field | FieldFailure],
        on_field: OnField | None = None,
        one_by_one: bool = False,
        detect: DetectFn | None = None,
        own: OwnFn | None = None,
    ) -> Generator[FieldResult | FieldFailure, None, None]:
        window = self.config.window
        if on_field:  # who may stop at any field wants to hear of no field beyond it
            window = 1 if one_by_one else min(window, _SHOWN)
        workers = self.config.workers or usable_cores() + 1  # one may read while the others compute
        ahead = max(self.config.read_ahead, workers)
        pipeline = Pipeline(
            self.detector, self.classifier, workers, ahead, window, self.timer, detect, on_field, own
        )
        return pipeline.scan(pictures, load)


def _at_site(detector: Detector, card: Calibration | None) -> Detector:
    """Keep boxes of leukocytes by the least score of a site's card, where it tells one."""
    if card is None or card.box_score is None:
        return detector
    if card.detector != detector.card.sha256:
        raise WeightsError(
            f"the calibration card {card.name}: its box_score was fitted to another detector than "
            f"{detector.card.name}:{detector.card.short_hash}; calibrate anew with a table that this one made"
        )
    return detector.with_least_score(card.box_score)


def _is_flagged(report: SlideReport) -> bool:
    """Whether enough blasts were found to raise the flag."""
    return report.flag.state == "flagged"


def _load_crop(given: tuple[Picture, Scale]) -> Field | FieldFailure:
    picture, scale = given
    return load_field(picture, scale=scale)


def _told(
    fields: Generator[Outcome, None, None], slide_id: str, on_progress: OnProgress | None
) -> Generator[Outcome, None, None]:
    """Pass results on, telling of each."""
    try:
        for item in fields:
            if on_progress:
                on_progress(slide_id)
            yield item
    finally:
        fields.close()
