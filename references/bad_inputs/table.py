"""What became of all inputs, as figures and as a table."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from references.bad_inputs.case import CRASHED, MARKED, READ, REFUSED, WRONG, Outcome

_COLUMNS = (READ, REFUSED, MARKED, WRONG, CRASHED)


def as_json(done: Sequence[Outcome]) -> dict[str, Any]:
    """Return the counts by group, and every input with what became of it."""
    return {
        "inputs": len(done),
        "right": sum(one.is_right for one in done),
        "groups": {group: dict(Counter(one.outcome for one in of)) for group, of in _groups(done).items()},
        "outcomes": [asdict(one) for one in done],
    }


def read_outcomes(figures: Path) -> list[Outcome]:
    """Read what :func:`as_json` tells, from its file."""
    return [Outcome(**one) for one in json.loads(figures.read_text(encoding="utf-8"))["outcomes"]]


def bad_inputs_table(done: Sequence[Outcome]) -> str:
    """Write a Markdown table, a row a group."""
    rows = [
        f"| {group} | {len(of)} | "
        + " | ".join(str(sum(one.outcome == column for one in of) or "") for column in _COLUMNS)
        + f" | {sum(one.is_right for one in of)} |"
        for group, of in _groups(done).items()
    ]
    head = f"| inputs | n | {' | '.join(_COLUMNS)} | as it should be |"
    total = f"**{sum(one.is_right for one in done)} of {len(done)}** inputs end as they should."
    return "\n".join([total, "", head, "|---" * (len(_COLUMNS) + 3) + "|", *rows, ""])


def _groups(done: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for one in done:
        groups.setdefault(one.group, []).append(one)
    return groups
