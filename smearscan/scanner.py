"""The scanner: detect, crop, classify, hand back."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smearscan import scale as ruler
from smearscan.calibration import Calibration, load_calibration, naming_rule, shipped_calibration
from smearscan.classifier import Classifier
from smearscan.config import ScanConfig, scan_config
from smearscan.detector import Detector
from smearscan.errors import ConfigError, ImageError, WeightsError
from smearscan.flag import FlagRule
from smearscan.images import as_rgb, read_image
from smearscan.naming import Rescaling
from smearscan.results import Detections, Field, FieldFailure, FieldResult, Scale
from smearscan.slide import Reading, SlideReport, SlideTally, report_slide
from smearscan.sources import Slide, find_slides
from smearscan.statistics.reading import Looks
from smearscan.streams import read_ahead, windows
from smearscan.taxonomy import BLAST

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
        self.calibration = self._calibration()
        self._rule = naming_rule(
            self.differential.card if self.differential else None,
            self.blast.card if self.blast else None,
            self.calibration,
        )

    def _calibration(self) -> Calibration | None:
        """Find the card of the nets in use; None where their errors are not known."""
        if self.differential is None or self.blast is None:
            return None
        networks = {"blast": self.blast.card.sha256, "differential": self.differential.card.sha256}
        given = self.config.calibration
        card = (
            load_calibration(given or shipped_calibration())
            if given or shipped_calibration().is_file()
            else None
        )
        if card is not None and not card.belongs_to(networks):
            if given:
                raise WeightsError(
                    f"{given}: was made with other networks than those in use; "
                    "make one for them with 'smearscan calibrate'"
                )
            return None
        return card

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
        named = [f"{card.name}:{card.short_hash}" for card in cards]
        return (*named, f"calibration:{self.calibration.name}") if self.calibration else tuple(named)

    @property
    def rescaled_by(self) -> str:
        """Name of the calibration card that changes the nets' probabilities; empty where none does."""
        return self.calibration.name if self.calibration and self.calibration.scaling else ""

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
            results, reading = self._read(slide, scale, on_field, on_progress)
            yield self._report(SlideTally.of(slide.slide_id, results), scale, reading), results

    def _read(
        self, slide: Slide, scale: Scale, on_field: OnField | None, on_progress: Callable[[str], None] | None
    ) -> tuple[list[FieldResult | FieldFailure], Reading]:
        """Read the fields of a slide, all of them or until its report is settled."""
        n = len(slide.paths)
        load = partial(_load, slide_id=slide.slide_id, scale=scale)
        adaptive = self.config.until_resolved
        # a random order makes the fields read so far a sample of the slide, wherever reading stops
        order = np.random.default_rng(0).permutation(n).tolist() if adaptive else list(range(n))
        fields = self._scan((slide.paths[i] for i in order), load, on_field, one_by_one=adaptive)
        results: dict[int, FieldResult | FieldFailure] = {}
        tally, looks = SlideTally(slide.slide_id), Looks(self.config.first_look)
        reading = Reading(n)
        for i, item in zip(order, fields, strict=True):
            results[i] = item
            if on_progress:
                on_progress(slide.slide_id)
            if not adaptive:
                continue
            tally = tally.with_field(item)
            if looks.due(tally.n_counted):
                looks = looks.next(tally.n_counted)
                reading = Reading(n, f"settled after {len(results)} of {n} fields", looks.error(1.0))
                if self._settled(self._report(tally, scale, reading)):
                    fields.close()
                    break
        else:
            if adaptive and not looks.fresh(tally.n_counted):
                looks = looks.next(tally.n_counted)
            reading = Reading(n, "every field was read", looks.error(1.0) if adaptive else 1.0)
            if adaptive and not self._settled(self._report(tally, scale, reading)):
                reading = replace(reading, why="every field was read, not settled")
        return [results[i] for i in sorted(results)], reading

    def _settled(self, report: SlideReport) -> bool:
        """Whether the flag is decided and every interval is as narrow as asked for."""
        decided = report.flag.state != "insufficient" or self.blast is None
        return decided and report.widest_interval <= self.config.resolve_width_percent

    def _report(self, tally: SlideTally, scale: Scale, reading: Reading) -> SlideReport:
        own = self.config
        rule = FlagRule(
            own.flag_level, own.flag_tiers, own.flag_tier_probability, own.flag_power,
            own.flag_must_find_percent, own.flag_min_cells, own.flag_blast_percent,
            own.flag_most_unclassified_percent,
        )  # fmt: skip
        names = self.differential.card.classes if self.differential else ()
        errors = self.calibration.errors if self.calibration else None
        return report_slide(tally, own.task, scale, rule, self.weights, names, errors, reading)

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
        one_by_one: bool = False,
    ) -> Generator[FieldResult | FieldFailure, None, None]:
        fields = read_ahead(pictures, load, self.config.workers, self.config.read_ahead)
        # who may stop at any field wants to hear of no field beyond it
        for window in windows(fields, 1 if one_by_one and on_field else self.config.window):
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
        kinds = self._probs("differential", images, boxes, scales)
        blasts = self._probs("blast", images, boxes, scales)
        results = [
            self._result(*of_field) for of_field in zip(fields, found, scales, kinds, blasts, strict=True)
        ]
        if on_field:
            for field, result in zip(fields, results, strict=True):
                on_field(field, result)
        return results

    def _probs(
        self,
        task: str,
        images: list[NDArray[np.uint8]],
        boxes: list[NDArray[np.float32]],
        scales: list[Scale],
    ) -> list[NDArray[np.float32]]:
        net = self.differential if task == "differential" else self.blast
        if net is None:
            return [np.empty((len(xyxy), 0), np.float32) for xyxy in boxes]
        own = self.calibration.scaling.get(task) if self.calibration else None
        rescale = own.rescaling(net.card.classes) if own else Rescaling()
        return [rescale(probs) for probs in net.classify(images, boxes, scales)]

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
            types=self._rule.names(probs, blast),
            scale=scale,
            n_red_cells=found.count("red_cell"),
            n_platelets=found.count("platelet"),
            n_possible_blasts=int(self._rule.may_be_blast(blast).sum()),
        )


def _load(picture: Picture, slide_id: str, scale: Scale | None) -> Field | FieldFailure:
    path = Path(picture) if isinstance(picture, (str, Path)) else None
    try:
        return Field(as_rgb(picture), path, slide_id, scale)
    except ImageError as error:
        return FieldFailure(slide_id, path, str(error))
