"""How a scanner reads slides: at what scale, with how many pixels, which fields."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smearscan.config import ScanConfig
from smearscan.detection import Detector
from smearscan.io import REDUCTIONS, Picture, Slide, load_field
from smearscan.results import Field, FieldFailure, Scale
from smearscan.rulers import measure_slide_scale
from smearscan.scan.cell_classifier import CellClassifier
from smearscan.scan.film import Film, open_film
from smearscan.scan.timing import StageTimer

_SPARE = 1.05
"""How many times more pixels a reduced field holds than a network is given, at least."""


@dataclass(frozen=True, slots=True)
class SlideOpener:
    """Opens slides for one pair of stages.

    Attributes
    ----------
    detector : Detector
    classifier : CellClassifier
    config : ScanConfig
    timer : StageTimer
    """

    detector: Detector
    classifier: CellClassifier
    config: ScanConfig
    timer: StageTimer

    @property
    def given_scale(self) -> Scale | None:
        """As the settings say."""
        return Scale(self.config.um_per_px, "given") if self.config.um_per_px else None

    def measure_scale(self, slide: Slide) -> Scale:
        """Scale of a slide: as given, or measured on a few of its fields, evenly spread."""
        if given := self.given_scale:
            return given
        with self.timer("scale"):
            return self._measured(slide.paths)

    def open_film(self, slide: Slide) -> Film:
        """Open a whole slide: what of it can be read, and at what scale.

        Raises
        ------
        ImageError
            As :func:`smearscan.scan.film.open_film`.
        """
        with self.timer("scale"):
            return open_film(slide.paths[0], self.given_scale, self._measured)

    def reduction(self, scale: Scale) -> int:
        """How far a field may be reduced while it is read: it keeps more pixels than any network is given."""
        needed = _SPARE * max(self.detector.card.working_red_cell_px, self.classifier.red_cell_px)
        return max((r for r in REDUCTIONS if scale.red_cell_px / r >= needed), default=1)

    def loader(self, slide_id: str, scale: Scale | None) -> Callable[[Picture], Field | FieldFailure]:
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

    def _measured(self, paths: Sequence[Path]) -> Scale:
        """Scale of fields by their red cells."""
        return measure_slide_scale(
            self.detector,
            paths,
            self.config.ruler_fields,
            self.config.max_field_pixels,
            self.config.false_colors == "read",
        )
