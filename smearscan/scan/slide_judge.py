"""What a scanner says of a slide: its report, and whether enough of it was read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from smearscan.config import ScanConfig
from smearscan.differential import FlagRule, SlideReport, SlideTally, StopInfo, SuspectRule, report_slide
from smearscan.differential.flag import is_settled
from smearscan.differential.statistics.correction import Corrector
from smearscan.io import Slide
from smearscan.results import Doubt, FieldFailure, FieldResult, Scale, Stain
from smearscan.rulers.unlike_cells import doubts_of_unlike_cells, with_stain_told
from smearscan.scan.cell_classifier import CellClassifier
from smearscan.scan.reading import Pace, pace_of
from smearscan.scan.slide_doubts import doubts_of_fields
from smearscan.scan.timing import StageTimer
from smearscan.weights import QualityLimits

ScannedSlide = tuple[SlideReport, list[FieldResult | FieldFailure]]

UNKNOWN = Scale(1.0, "assumed")
"""Of a slide that could not be opened."""


@dataclass(frozen=True, slots=True)
class SlideJudge:
    """Makes reports of slides.

    Attributes
    ----------
    config : ScanConfig
    classifier : CellClassifier
    weights : tuple of str
        ``name:hash`` of every network in use.
    suspect_rule : SuspectRule
    timer : StageTimer
    corrector : callable
        Gives what corrects reports, of slides that were restained or were not, at the first need; None where
        no card tells the networks' errors.
    limits : QualityLimits
        How fields may be photographed.
    """

    config: ScanConfig
    classifier: CellClassifier
    weights: tuple[str, ...]
    suspect_rule: SuspectRule
    timer: StageTimer
    corrector: Callable[[bool], Corrector | None]
    limits: QualityLimits

    def report(self, tally: SlideTally, scale: Scale, stop: StopInfo) -> SlideReport:
        """Report of what was counted on a slide, read so far."""
        rule, classes = FlagRule.of(self.config), self.classifier.classes
        with self.timer("report"):
            corrector = self.corrector(tally.n_restained > 0)
            return report_slide(
                tally, self.config.task, scale, rule, self.weights, classes, corrector, stop,
                self.suspect_rule, self.classifier.fine_classes,
            )  # fmt: skip

    def doubts(self, scale: Scale, fields: Iterable[FieldResult | FieldFailure]) -> tuple[Doubt, ...]:
        """Doubts about the photographs of a slide."""
        own = self.classifier.known_cells
        return doubts_of_fields(scale, fields, self.limits, own[1] if own else None)

    def doubts_of_cells(self, unlike_training: Iterable[tuple[int, int]]) -> tuple[Doubt, ...]:
        """Doubts about the names of single cells, of how many of them are unlike those that are known."""
        own = self.classifier.known_cells
        return tuple(doubts_of_unlike_cells(unlike_training, own[1])) if own else ()

    def with_stain_told(self, doubts: Sequence[Doubt], stain: Stain) -> tuple[Doubt, ...]:
        """Tell with a slide's doubts that it was brought to the reference, and by what it is judged then."""
        card = self.classifier.calibration
        judged_by = ""
        if card and (unlike := card.unlike):
            rule = self.classifier.unlike_rule  # a card may leave threshold and limit to the networks' cards
            n = len(unlike.data.get("sites", {}))
            judged_by = (
                f"names and intervals are by what the networks did at {n} laboratories they had not seen "
                f"(blasts from a probability of {rule.blast_threshold:g}, a name from one of "
                f"{rule.unclassified_below:g})"
            )
        return with_stain_told(doubts, stain, judged_by)

    def report_unread(self, slide: Slide, reason: str) -> ScannedSlide:
        """Report of a slide that could not be scanned: each of its fields failed, for the reason given."""
        failures = [FieldFailure(slide.slide_id, path, f"{path}: {reason}") for path in slide.paths]
        failures += slide.failures
        tally = SlideTally.of(slide.slide_id, failures)
        stop = StopInfo(len(slide.paths), "the slide could not be scanned")
        report = self.report(tally, UNKNOWN, stop)
        return replace(report, doubts=slide.doubts), list(failures)

    def pace(self, n: int, scale: Scale) -> Pace:
        """How far a slide of `n` fields is read."""
        enough = _is_flagged if self.config.read == "blasts" else self._is_settled

        def settled(tally: SlideTally, stop: StopInfo) -> bool:
            return enough(self.report(tally, scale, stop))

        return pace_of(self.config.read, n, settled, self.config.first_look)

    def _is_settled(self, report: SlideReport) -> bool:
        """Whether the flag is decided and every interval is as narrow as asked for."""
        width, has_blasts = self.config.resolve_width_percent, self.classifier.blast is not None
        return is_settled(report.flag, report.widest_interval, width, has_blasts)


def _is_flagged(report: SlideReport) -> bool:
    """Whether enough blasts were found to raise the flag."""
    return report.flag.state == "flagged"
