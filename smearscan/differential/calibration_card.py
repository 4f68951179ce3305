"""The calibration card: how the nets together err, counted on labeled cells that they have not learned.

A card is NAME.yaml. It belongs to the pair of nets that it names by hash, for at another pair its numbers
mean nothing.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from smearscan.classification.naming import NamingRule, Recalibration
from smearscan.config import FileStem, Word, checked
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.errors import WeightsError
from smearscan.io.atomic import write_text
from smearscan.io.kept import read_kept_yaml
from smearscan.taxonomy import NOTICE
from smearscan.weights.pairs import ClassifierCard, shipped_folder

Share = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RecalibrationParams(_Strict):
    """How one net's probabilities are changed: parameters of a :class:`Recalibration`."""

    temperature: Annotated[float, Field(gt=0)] = 1.0
    offsets: dict[str, float] = {}

    def rescaling(self, classes: tuple[str, ...]) -> Recalibration:
        """Put the offsets in the order of a net's classes; a class not named has none."""
        return Recalibration(self.temperature, tuple(self.offsets.get(name, 0.0) for name in classes))


class Calibration(_Strict):
    """What ``smearscan calibrate`` writes and a scan reads.

    `networks` maps ``blast``, ``differential`` and, where others name slides of unknown stain,
    ``blast_unlike`` and ``differential_unlike`` to the SHA-256 of their weights. `confusion` has a row for
    each of `classes` and a column for each of them and ``unclassified``. `spread`, `groups`, `pairs`,
    `found`, `variation` and `variation_high` are what
    :class:`smearscan.differential.statistics.misclassification.MisclassificationModel` calls ``icc``,
    ``groups``, ``group_concentration``, ``detector_recall``, ``overdispersion`` and ``overdispersion_high``.
    `threshold` and `unclassified_below` replace those of the nets' cards where given; `site_confusion`
    counts the labeled cells of one site; `scaling` comes on top of the nets' temperatures. `box_score` is the
    least score of a leukocyte's box that counts at that site, and `detector` the SHA-256 of the detector that
    it was fitted to. `unlike` is the card of slides that are stained unlike the training cells: threshold,
    limit and errors of cells of laboratories that the nets had not seen.
    """

    name: FileStem
    stage: Literal["calibration"] = "calibration"
    notice: str = NOTICE
    smearscan_version: str = ""
    made: date | None = None
    networks: dict[str, str]
    scaling: dict[str, RecalibrationParams] = {}
    box_score: Share | None = None
    detector: str = ""
    threshold: Share | None = None
    unclassified_below: Share | None = None
    unclassified_rate: Share | None = None
    classes: tuple[Word, ...]
    confusion: list[list[Annotated[int, Field(ge=0)]]]
    spread: list[Share]
    groups: list[Annotated[int, Field(ge=0)]]
    pairs: list[Share]
    found: list[tuple[int, int]]
    variation: Annotated[float, Field(ge=0)]
    variation_high: Annotated[float, Field(ge=0)]
    site_confusion: list[list[Annotated[int, Field(ge=0)]]] = []
    unlike: "Calibration | None" = None
    data: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    limits: list[str] = []

    @model_validator(mode="after")
    def _shapes(self) -> "Calibration":
        t = len(self.classes)
        if {len(row) for row in self.confusion} != {t + 1} or any(
            len(values) != t for values in (self.confusion, self.spread, self.groups, self.pairs, self.found)
        ):
            raise ValueError(f"{t} classes need {t} rows of {t + 1} counts, and {t} values of each list")
        if self.site_confusion and [len(row) for row in self.site_confusion] != [t + 1] * t:
            raise ValueError(f"site_confusion needs {t} rows of {t + 1} counts")
        if any(not 0 <= hit <= there for hit, there in self.found):
            raise ValueError("found must be pairs of cells found and cells there were")
        if self.box_score is not None and not self.detector:
            raise ValueError("box_score needs the SHA-256 of its detector")
        if self.unlike is not None and (
            self.unlike.classes != self.classes
            or self.unlike.networks != self.networks
            or self.unlike.unlike
            or self.unlike.changes_cells
        ):
            raise ValueError(
                "unlike must be of the same classes and networks, and change no probabilities or boxes"
            )
        return self

    @property
    def errors(self) -> MisclassificationModel:
        """The naming errors as arrays."""
        return MisclassificationModel(
            self.classes,
            np.array(self.confusion, np.int64),
            np.array(self.spread, np.float64),
            np.array(self.groups, np.int64),
            np.array(self.pairs, np.float64),
            np.array(self.found, np.int64).reshape(-1, 2),
            self.variation,
            self.variation_high,
            np.array(self.site_confusion or np.zeros_like(self.confusion), np.int64),
        )

    def of_slide(self, is_restained: bool) -> "Calibration":
        """Return what holds of a slide: the card `unlike`, where there is one, if it was restained."""
        return self.unlike if is_restained and self.unlike is not None else self

    def belongs_to(self, networks: dict[str, str]) -> bool:
        """Whether the nets in use, by their SHA-256, are the ones this card was made with.

        A scan may do without those of unlike slides, but not have other ones.
        """
        return {"blast", "differential"} <= networks.keys() and networks.items() <= self.networks.items()

    @property
    def changes_cells(self) -> bool:
        """Whether cells are found or called with other probabilities than without the card."""
        return bool(self.scaling) or self.box_score is not None

    def with_errors(self, errors: MisclassificationModel) -> "Calibration":
        """Return the card with other naming errors."""
        return self.model_copy(
            update={
                "confusion": errors.counts.tolist(),
                "spread": [round(float(v), 6) for v in errors.icc],
                "groups": errors.groups.tolist(),
                "pairs": [round(float(v), 6) for v in errors.group_concentration],
                "found": [tuple(map(int, v)) for v in errors.detector_recall],
                "variation": round(errors.overdispersion, 6),
                "variation_high": round(errors.overdispersion_high, 6),
                "site_confusion": errors.site.tolist() if errors.site.any() else [],
            }
        )


def naming_rule(
    differential: ClassifierCard | None, blast: ClassifierCard | None, own: Calibration | None
) -> NamingRule:
    """Rule by which a pair of nets names cells, under a calibration card where there is one.

    Parameters
    ----------
    differential, blast : ClassifierCard or None
        None where that net does not run.
    own : Calibration or None
        Its threshold and limit go before those of the nets' cards.
    """
    threshold = possible = blast.threshold if blast else None
    limit = differential.unclassified_below if differential else 0.0
    if own is not None:
        threshold = threshold if own.threshold is None else own.threshold
        limit = limit if own.unclassified_below is None else own.unclassified_below
    if possible is not None and threshold is not None:
        possible = min(possible, threshold)
    return NamingRule(differential.classes if differential else (), threshold, limit, possible)


def shipped_calibration() -> Path:
    """Path of the card that goes with the shipped nets."""
    return shipped_folder("weights") / "calibration.yaml"


def load_calibration(path: Path) -> Calibration:
    """Read and check a card.

    Raises
    ------
    WeightsError
        If it is missing, not YAML, or no calibration.
    """
    content = read_kept_yaml(path, WeightsError, "the calibration card cannot be read")
    return checked(Calibration, content, path, WeightsError, "is no calibration card ({told})")


def save_calibration(path: Path, card: Calibration) -> None:
    """Write a card; what it cannot do without stands last, so that a file that was cut is refused."""
    told = card.model_dump(mode="json")
    needed = [name for name, field in Calibration.model_fields.items() if field.is_required()]
    last = [*(name for name in needed if name not in ("name", "networks")), "networks"]
    ordered = {name: told[name] for name in (*(n for n in told if n not in last), *last)}
    write_text(path, yaml.safe_dump(ordered, sort_keys=False, allow_unicode=True, width=110))
