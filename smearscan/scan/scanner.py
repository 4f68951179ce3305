"""The scanner: detect, crop, classify, hand back."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from smearscan.config import ScanConfig, scan_config
from smearscan.detection import Detector
from smearscan.differential import SuspectRule
from smearscan.differential.calibration_card import Calibration
from smearscan.differential.statistics.correction import Corrector
from smearscan.errors import ConfigError, ImageError, WeightsError
from smearscan.io import Picture, Slide, find_slides, load_field
from smearscan.results import AS_PHOTOGRAPHED, Field, FieldFailure, FieldResult, Scale, Stain
from smearscan.runtime import usable_cores
from smearscan.scan.cell_classifier import CellClassifier
from smearscan.scan.pipeline import DetectFn, OnField, Pipeline
from smearscan.scan.single_cells import NamedCells, central_cell, check_several, measure_crops, measure_stain
from smearscan.scan.slide_judge import ScannedSlide, SlideJudge
from smearscan.scan.slide_opening import SlideOpener
from smearscan.scan.slides_in_flight import OnProgress, scan_in_one_go
from smearscan.scan.timing import StageTimer

_SHOWN = 16
"""Most fields whose pixels are kept for who wants to see them with their cells."""


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
        own, self._is_custom = self.config, detector is not None or classifier is not None
        self.suspect_rule = SuspectRule.of(own)  # a file of ranges that cannot be read is refused here
        with ThreadPoolExecutor(1, "smearscan-load") as pool:  # verified and loaded without Python's lock
            found = pool.submit(lambda: detector or Detector.load(own.detector, own.device, own.engine))
            self.classifier = classifier or CellClassifier.load(own)
            self.detector = _at_site(found.result(), self.classifier.calibration)
        if own.read == "blasts" and self.classifier.blast is None:
            raise ConfigError("read is 'blasts', and no blast net runs; take the task both or blast")
        self.timer = StageTimer()

    @property
    def _opener(self) -> SlideOpener:
        """What opens slides, by the settings and the timer of this moment: both may be replaced."""
        return SlideOpener(self.detector, self.classifier, self.config, self.timer)

    @classmethod
    def load(cls, config: ScanConfig) -> "SmearScanner":
        """Load the networks that a configuration names; raises as the constructor does."""
        return cls(config=config)

    def __reduce__(self) -> tuple[Callable[[ScanConfig], "SmearScanner"], tuple[ScanConfig]]:
        """Pickle the settings: a worker process loads networks of its own."""
        if self._is_custom:
            raise TypeError("a scanner with stages of one's own cannot be pickled; make it in the worker")
        return SmearScanner.load, (self.config,)

    def __repr__(self) -> str:
        return f"SmearScanner({self.config.task}; {', '.join(self.weights)})"

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
        opener = self._opener
        return self._pipeline().scan(images, opener.loader("", opener.given_scale))

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
        stain = AS_PHOTOGRAPHED
        if self.config.reference_stain and (known := self.classifier.known_stain):
            stain = measure_stain(self.detector, pictures, scales, *known)
        load = partial(_load_crop, stain=stain)
        pairs = zip(pictures, scales, strict=True)
        results = []
        for item in self._pipeline(detect=partial(central_cell, self.detector)).scan(pairs, load):
            results.append(item)
            if on_progress:
                on_progress(item.path.name if item.path else "")
        named = NamedCells(tuple(results), self.calibration_name)
        doubts = self.judge.doubts_of_cells([named.unlike_training])
        return replace(named, doubts=self.judge.with_stain_told(doubts, stain))

    def scan_slides(
        self, root: str | Path, on_field: OnField | None = None, on_progress: OnProgress | None = None
    ) -> Iterator[ScannedSlide]:
        """Scan every slide of a folder.

        Parameters
        ----------
        root : str or Path
            Every sub-folder that holds pictures is a slide; a loose picture is a one-field slide.
        on_field, on_progress : callable, optional
            See :meth:`scan_slide`. While the cells of one slide are named, fields of the next may be scanned.

        Yields
        ------
        SlideReport, list
            The report, and the results of its fields.

        Raises
        ------
        ImageError
            If the folder is missing or holds no picture.
        """
        for _, done in self.scan_each(find_slides(Path(root)), on_field, on_progress):
            if isinstance(done, Exception):
                raise done
            yield done

    def scan_slide(
        self, slide: Slide, on_field: OnField | None = None, on_progress: OnProgress | None = None
    ) -> ScannedSlide:
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
        ((_, done),) = self.scan_each([slide], on_field, on_progress)
        if isinstance(done, Exception):
            raise done
        return done

    def scan_each(
        self, slides: Iterable[Slide], on_field: OnField | None = None, on_progress: OnProgress | None = None
    ) -> Generator[tuple[Slide, ScannedSlide | Exception], None, None]:
        """Scan slides in one go: no core waits for the end of one, and each gets the answers it has alone.

        Parameters
        ----------
        slides : iterable of Slide
            Drawn a few ahead.
        on_field, on_progress : callable, optional
            See :meth:`scan_slide`; an OutputError of `on_field` ends the scan.

        Yields
        ------
        Slide, (SlideReport, list) or Exception
            What became of each, in order; an exception where a slide could not be scanned.
        """
        pipeline = self._pipeline(on_field, one_by_one=self.config.read != "all")
        return scan_in_one_go(slides, self._opener, self.judge, pipeline, on_progress)

    @property
    def judge(self) -> SlideJudge:
        """What makes the reports of slides, by the settings and the timer of this moment."""
        return SlideJudge(
            self.config,
            self.classifier,
            self.weights,
            self.suspect_rule,
            self.timer,
            lambda is_restained: self._unlike_corrector if is_restained else self._corrector,
            self.detector.card.quality,
        )

    @cached_property
    def _corrector(self) -> Corrector | None:
        """Corrects every slide's report; made for the first of them."""
        card = self.classifier.calibration
        return Corrector(card.errors) if card else None

    @cached_property
    def _unlike_corrector(self) -> Corrector | None:
        """Corrects the reports of slides that are stained unlike the training cells."""
        card = self.classifier.calibration
        return Corrector(card.unlike.errors) if card and card.unlike else self._corrector

    def measure_scale(self, slide: Slide) -> Scale:
        """Scale of a slide: as given, or measured on a few of its fields, evenly spread."""
        return self._opener.measure_scale(slide)

    def reduction(self, scale: Scale) -> int:
        """How far a field may be reduced while it is read: it keeps more pixels than any network is given."""
        return self._opener.reduction(scale)

    def _pipeline(
        self, on_field: OnField | None = None, one_by_one: bool = False, detect: DetectFn | None = None
    ) -> Pipeline:
        window = self.config.window
        if on_field:  # who may stop at any field wants to hear of no field beyond it
            window = 1 if one_by_one else min(window, _SHOWN)
        workers = self.config.workers or usable_cores() + 1  # one may read while the others compute
        ahead = max(self.config.read_ahead, workers)
        return Pipeline(
            self.detector, self.classifier, workers, ahead, window, self.timer, self.config.reference_stain,
            detect, on_field,
        )  # fmt: skip


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


def _load_crop(given: tuple[Picture, Scale], stain: Stain) -> Field | FieldFailure:
    picture, scale = given
    field = load_field(picture, scale=scale)
    return replace(field, stain=stain) if isinstance(field, Field) else field
