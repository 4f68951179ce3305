"""Text that a spreadsheet would run: how names that begin as formulas do are written and read.

A picture may be named ``=HYPERLINK(...)``. Excel and LibreOffice compute such a cell of a CSV file, and may
open what it points to (OWASP, CSV Injection). An apostrophe before it makes it text; the reader of tables
here takes it off again, so that no name changes on its way through a file.
"""

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def guarded(text: str) -> str:
    """Write a text so that no spreadsheet takes it for a formula; undone by :func:`unguarded`."""
    return f"'{text}" if _looks_run(text) else text


def unguarded(text: str) -> str:
    """Read what :func:`guarded` wrote."""
    return text[1:] if text.startswith("'") and _looks_run(text) else text


def _looks_run(text: str) -> bool:
    """Tell a formula, guarded or not; a lone sign stands for *nothing* in tables."""
    inner = text.lstrip("'")
    return inner.startswith(_STARTS) and len(inner) > 1
