"""Is a new calibration card better than the one it starts from? Figures before and after, weighed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MARGIN = 0.01
"""Smaller changes of a share or an error say nothing."""
_HALF = 0.5

_LABELS = {
    "right_of_all": ("cells named right, of all found", True),
    "right_of_named": ("named right, of those with a name", True),
    "unclassified": ("without a name", False),
    "blasts_called": ("blasts called blast", True),
    "false_blasts": ("called blast, of what is none", False),
    "calibration_error_blast": ("error of the blast probability", False),
    "calibration_error_differential": ("error of the type's probability", False),
}
"""What is shown of a figure, and whether more is better."""
_WEIGHED = ("right_of_all", "calibration_error_blast", "calibration_error_differential")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a card changes.

    Attributes
    ----------
    state : str
        ``better``, ``no better`` (nothing changes by more than :data:`MARGIN`) or ``worse`` in something.
    reason : str
    """

    state: str
    reason: str


def weigh(before: Mapping[str, Any], after: Mapping[str, Any]) -> Verdict:
    """Weigh the figures of the same cells before and after: right names, and errors of the probabilities."""
    gains: list[str] = []
    losses: list[str] = []
    for name in _WEIGHED:
        old, new = _value(before.get(name)), _value(after.get(name))
        if old is None or new is None:
            continue
        label, more_is_better = _LABELS[name]
        change = (new - old) * (1 if more_is_better else -1)
        if abs(change) > MARGIN:
            (gains if change > 0 else losses).append(f"{label} {old:.3f} before, {new:.3f} after")
    if losses:
        return Verdict("worse", "; ".join(losses))
    if gains:
        return Verdict("better", "; ".join(gains))
    return Verdict("no better", f"nothing changes by more than {MARGIN:g}")


def is_unknown_stain(after: Mapping[str, Any]) -> bool:
    """Whether so few cells get their right name that a card alone cures nothing: fewer than half of all."""
    right = _value(after.get("right_of_all"))
    return right is not None and right < _HALF


def figure_rows(told: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Rows of the table of figures: a label, then a column for each set of figures, with cells and interval.

    Parameters
    ----------
    told : mapping
        Title (``before``, ``after``, ``fitted``) to figures.
    """
    for name, (label, _) in _LABELS.items():
        cells = tuple(_shown(found.get(name)) for found in told.values())
        if any(cells):
            yield label, *cells


def _value(found: object) -> float | None:
    value = found.get("value") if isinstance(found, Mapping) else found
    return float(value) if isinstance(value, int | float) else None


def _shown(found: object) -> str:
    value = _value(found)
    if value is None:
        return ""
    if not isinstance(found, Mapping):
        return f"{value:.3f}"
    limits = found.get("interval_95")
    interval = f" ({limits[0]:.3f} to {limits[1]:.3f})" if limits else ""
    return f"{value:.3f}{interval}, {found['cells']} cells"
