"""Figures as JSON of one line a record, so that a diff of two measurements can be read."""

import json
from typing import Any

_ONE_LINE = 120


def json_of_figures(figures: Any) -> str:
    """Lay figures out as JSON: a record that fits stands on one line, and so does any list of plain values.

    Parameters
    ----------
    figures : JSON-ready
        Nested dicts, lists, strings, finite numbers, None.

    Returns
    -------
    str
        Ends in a line feed; :func:`json.loads` reads it back unchanged.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, which JSON does not have.
    """
    return "".join(_lines(figures, "")) + "\n"


def _lines(value: Any, indent: str) -> list[str]:
    short = json.dumps(value, allow_nan=False)
    nested = isinstance(value, dict | list) and bool(value)
    if not nested or len(indent) + len(short) <= _ONE_LINE:
        return [short]
    items = value.items() if isinstance(value, dict) else [(None, item) for item in value]
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return [short]
    inner = indent + " "
    parts = []
    for key, item in items:
        name = "" if key is None else f"{json.dumps(str(key))}: "
        parts.append("".join([inner, name, *_lines(item, inner)]))
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return [opening, "\n", ",\n".join(parts), "\n", indent, closing]
