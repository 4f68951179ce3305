"""The page as text: one file, or an index and one file a slide; nothing in it asks for anything outside."""

import base64
import hashlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, TextIO

from smearscan.io.atomic import atomic_text
from smearscan.report.review.parts import Spooled

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<title>smearscan: review</title>
<style>{style}</style>
</head>
<body>
<div id="app"><p>Research use only, not a diagnosis. This page needs JavaScript.</p></div>
"""
_TAIL = """<script>{script}</script>
</body>
</html>
"""


def write_page(path: Path, run: dict[str, Any], slides: dict[int, Spooled]) -> int:
    """Write one page whole or not at all.

    Parameters
    ----------
    path : Path
    run : dict
        Block ``run``, see ``web/src/model/data.ts``.
    slides : dict of int to Spooled
        Slides of this file by their place in the run.

    Returns
    -------
    int
        Its size, bytes.
    """
    script, style = built("page.js"), built("page.css")
    with atomic_text(path) as out:
        out.write(_HEAD.format(policy=_policy(script, style), style=style))
        _block(out, "run", run)
        for index, slide in slides.items():
            _block(out, f"slide-{index}", slide.numbers)
            for name, file in slide.pictures:
                out.write(f'<script type="text/plain" id="{name}" data-type="image/webp">')
                out.write(file.read_text(encoding="ascii"))
                out.write("</script>\n")
        out.write(_TAIL.format(script=script))
    return path.stat().st_size


def built(name: str) -> str:
    """Return a built file of the page, as ``make page`` left it."""
    text = files("smearscan.report.review").joinpath("page", name).read_text(encoding="utf-8")
    if "</script" in text.lower() or "</style" in text.lower():
        raise ValueError(f"{name} would end its own element")
    return text


def dictionaries() -> dict[str, dict[str, str]]:
    """Return the words of every language that has a file in ``words/``, English first."""
    folder = files("smearscan.report.review").joinpath("words")
    names = sorted(
        (file.name for file in folder.iterdir() if file.name.endswith(".json")), key=_english_first
    )
    return {
        name.removesuffix(".json"): json.loads(folder.joinpath(name).read_text(encoding="utf-8"))
        for name in names
    }


def _english_first(name: str) -> tuple[bool, str]:
    return name != "en.json", name


def _policy(script: str, style: str) -> str:
    """Allow this script and these styles, pictures from the page itself, and nothing else."""
    own = (f"{kind}-src 'sha256-{_sha256(text)}'" for kind, text in (("script", script), ("style", style)))
    none = ("default-src 'none'", "base-uri 'none'", "form-action 'none'")
    return "; ".join((*none, *own, "img-src blob:"))


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _block(out: TextIO, name: str, value: dict[str, Any]) -> None:
    """Write data that cannot end its element, whatever names it holds."""
    out.write(f'<script type="application/json" id="{name}">')
    out.writelines(_pieces(value))
    out.write("</script>\n")


def _pieces(value: dict[str, Any]) -> Iterator[str]:
    for piece in json.JSONEncoder(allow_nan=False, separators=(",", ":")).iterencode(value):
        yield piece.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
