"""From labeled cells to a card with its figures and a verdict: what ``smearscan calibrate`` does."""

from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from smearscan.calibration.false_boxes import BoxFit
from smearscan.calibration.fit import cross_validated, figures, new_calibration, recalibrated
from smearscan.calibration.labeled_cells import LabeledCells
from smearscan.calibration.unlike_fit import with_unlike
from smearscan.calibration.verdict import Verdict, weigh
from smearscan.differential.calibration_card import Calibration
from smearscan.errors import ConfigError
from smearscan.weights.pairs import ClassifierCard

Figures = dict[str, Any]
_APART = ("last_layer", "boxes")
SPECIFICITY_ELSEWHERE = 0.9
"""Of the blast threshold for slides stained unlike the training cells, as the mean over laboratories. Of
slides pooled at such laboratories far more with blasts are flagged than with .95, of healthy ones hardly more
(``smearscan evaluate pooled --unseen unlike``, docs/statistics.md)."""
RATE_ELSEWHERE = 0.3
"""Share of such a slide's cells that may get a wrong name."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A fitted card and how good it is.

    Attributes
    ----------
    card : Calibration
    figures : dict
        ``fitted``, or ``before`` and ``after``, see :func:`smearscan.calibration.fit.figures`;
        ``judged`` says on what.
    """

    card: Calibration
    figures: Figures

    @property
    def compared(self) -> dict[str, Figures]:
        """The sets of figures of the whole card, by title."""
        return {k: v for k, v in self.figures.items() if isinstance(v, dict) and k not in _APART}

    @property
    def verdict(self) -> Verdict | None:
        """Whether the card is better than the one it starts from; None where it starts from none."""
        shown = self.compared
        return weigh(shown["before"], shown["after"]) if "after" in shown else None

    def with_boxes(self, boxes: BoxFit, detector: str) -> "Calibrated":
        """Return the card with the least score of boxes, if one pays, and with its figures.

        Parameters
        ----------
        boxes : BoxFit
        detector : str
            SHA-256 of the detector whose boxes were labeled.
        """
        told = {"boxes": asdict(boxes)} if boxes.n_false else {}
        card = self.card
        if boxes.least_score is not None:
            card = card.model_copy(update={"box_score": boxes.least_score, "detector": detector})
        return Calibrated(card, self.figures | told)

    def documented(self, cells: LabeledCells, table: str, limits: tuple[str, ...] = ()) -> Calibration:
        """Return the card with what it was fitted to, its figures and more known limits.

        Parameters
        ----------
        cells : LabeledCells
            That it was fitted to.
        table : str
            Name of their table.
        limits : tuple of str
        """
        data = {"cells": len(cells), "slides": len(set(cells.group.tolist())), "table": table}
        data |= {"sites": dict(sorted(Counter(cells.site.tolist()).items()))}
        known = list(dict.fromkeys([*self.card.limits, *limits]))
        # the card of unlike slides tells its own
        elsewhere = self.card.unlike.metrics if self.card.unlike else {}
        metrics = {name: told for name, told in self.figures.items() if name not in elsewhere}
        return self.card.model_copy(update={"data": data, "metrics": metrics, "limits": known})


def calibrate_from_scratch(
    name: str, cells: LabeledCells, cards: dict[str, ClassifierCard], error_rate: float,
    left_out: LabeledCells | None = None, rate_elsewhere: float = RATE_ELSEWHERE,
) -> Calibrated:  # fmt: skip
    """Fit a card for networks without one.

    Parameters
    ----------
    name : str
    cells : LabeledCells
        Not learned by the nets.
    cards : dict
        Of ``blast`` and ``differential``.
    error_rate : float
        Share of a slide's cells that may get a wrong name.
    left_out : LabeledCells, optional
        Of laboratories that were left out of the training of nets of this kind, see
        :func:`smearscan.calibration.unlike_fit.with_unlike`.
    rate_elsewhere : float
        Share of the cells of such a laboratory that may get a wrong name.

    Raises
    ------
    DatasetError
        As :func:`smearscan.calibration.fit.new_calibration` and ``with_unlike``.
    """
    card = new_calibration(name, cells, cards, error_rate)
    sets = {"fitted": figures(cells, card, cards)}
    if left_out is not None:
        card = with_unlike(card, left_out, cards, rate_elsewhere, SPECIFICITY_ELSEWHERE)
        assert card.unlike is not None
        sets |= card.unlike.metrics
    return Calibrated(card, sets)


def calibrate_to_site(
    name: str, base: Calibration, cells: LabeledCells, cards: dict[str, ClassifierCard],
    judging: LabeledCells | None = None, refitted: Collection[str] = (),
) -> Calibrated:  # fmt: skip
    """Fit a known card to a site.

    Parameters
    ----------
    name : str
        Of the new card.
    base : Calibration
        To start from, see :func:`check_base`.
    cells : LabeledCells
        Of the site.
    cards : dict
        Of ``blast`` and ``differential``.
    judging : LabeledCells, optional
        Cells that judge the card before and after; by default those of `cells` by cross-validation.
    refitted : collection of str
        Tasks whose nets were refitted to `cells`; see :func:`smearscan.calibration.fit.recalibrated`.

    Raises
    ------
    DatasetError
        If there are too few cells to judge by.
    """
    card = recalibrated(name, base, cells, cards, refitted)
    if judging is None:
        return Calibrated(card, cross_validated(base, cells, cards, refitted))
    sets = {"before": figures(judging, base, cards), "after": figures(judging, card, cards)}
    return Calibrated(card, sets)


def check_base(base: Calibration, cards: dict[str, ClassifierCard], where: str) -> None:
    """Refuse a card that no site can be fitted from.

    Parameters
    ----------
    base : Calibration
    cards : dict
        Of the networks in use.
    where : str
        What the card is, for the message.

    Raises
    ------
    ConfigError
        If it belongs to other networks, or to a site already.
    """
    if not base.belongs_to({task: card.sha256 for task, card in cards.items()}):
        raise ConfigError(
            f"{where}: was made with other networks than these; "
            "give their --weights, another --base, or --from-scratch"
        )
    if base.changes_cells or base.site_confusion:
        raise ConfigError(
            f"{where}: is the card of a site already; start from the one it was made from, as the "
            "shipped one, with all labeled cells of the site"
        )
