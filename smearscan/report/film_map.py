"""Map of a whole slide, to look at: what was read, what was left out and why, and where blasts were named.

No part is told by its color alone: what is left out is dotted or hatched, and grays alone would do.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from smearscan.detection.boxes import centers
from smearscan.differential.slide_report import SlideReport
from smearscan.io.whole_slides import region_of
from smearscan.report.lettering import font, shortened
from smearscan.report.overlay import scale_bar
from smearscan.report.slide_summary import printable
from smearscan.results import FILM_PARTS, LAYER, FieldFailure, FieldResult, FilmMap
from smearscan.taxonomy import BLAST, NOTICE
from smearscan.taxonomy.palette import look

Color = tuple[int, int, int]
Rgb = NDArray[np.uint8]


class Pattern(NamedTuple):
    """How a kind of square is filled: its ground, and lines or dots of another color on it."""

    told: str
    ground: Color
    marks: Color
    kind: str = "plain"


PATTERNS = (
    *(
        Pattern(f"left out, {FILM_PARTS[part]}", ground, marks, kind)
        for part, (ground, marks, kind) in enumerate(
            (
                ((255, 255, 255), (255, 255, 255), "plain"),
                ((255, 255, 255), (150, 150, 150), "dots"),
                ((205, 205, 205), (90, 90, 90), "rising"),
                ((230, 230, 230), (130, 130, 130), "falling"),
            )
        )
    ),
    Pattern("one layer, not read", (196, 222, 240), (196, 222, 240)),
    Pattern("read", (0, 114, 178), (0, 114, 178)),
    Pattern("could not be read", (0, 0, 0), (255, 255, 255), "rising"),
)
"""Of each kind of square: those left out by their numbers in ``FILM_PARTS``, then these three."""

_UNREAD, _READ, _FAILED = LAYER, LAYER + 1, LAYER + 2

_SIDE, _LEAST_SQUARE_PX, _MOST_SQUARE_PX = 1000, 4, 96
_LETTERS, _PAD, _PITCH, _DOT = 18, 10, 28, 5
_LEAST_WIDTH = 640
_INK, _GRAY, _PAPER, _LINE = (20, 20, 20), (90, 90, 90), (250, 250, 250), (170, 170, 170)


def draw_film_map(report: SlideReport, results: Sequence[FieldResult | FieldFailure]) -> Rgb:
    """Draw the map of a whole slide, with a legend and a scale bar below.

    Parameters
    ----------
    report : SlideReport
        Of a whole slide: its ``film`` is not None.
    results : sequence of FieldResult or FieldFailure
        Of its fields; blasts are those of the scan.

    Returns
    -------
    ndarray, (H, W, 3) uint8 RGB
        The slide lies in it as in the file, the first row of pixels above.

    Raises
    ------
    ValueError
        If the report is of no whole slide.
    """
    film = report.film
    if film is None:
        raise ValueError(f"{report.slide_id}: is no whole slide, it has no map")
    kinds = _kinds(film, results)
    square = _square_px(film)
    squares = np.kron(kinds, np.ones((square, square), np.uint8))
    height, width = (max(1, round(side * square / film.side)) for side in film.shape)
    drawn = _filled(squares)
    drawn[::square], drawn[:, ::square] = _LINE, _LINE
    picture = Image.new("RGB", (max(width, _LEAST_WIDTH), height), _PAPER)
    picture.paste(Image.fromarray(drawn[:height, :width]))
    blasts = np.concatenate([np.empty((0, 2)), *map(_blasts, results)])
    pen = ImageDraw.Draw(picture)
    for x, y in blasts * square / film.side:
        _dot(pen, float(x), float(y))
    pen.rectangle((0, 0, width - 1, height - 1), outline=_INK)
    strip = _legend(
        report, film, kinds, len(blasts), picture.width, report.scale.um_per_px * film.side / square
    )
    return np.concatenate([np.asarray(picture), np.asarray(strip)])


def _kinds(film: FilmMap, results: Sequence[FieldResult | FieldFailure]) -> NDArray[np.uint8]:
    """Kind of each square, (R, C): an index into :data:`PATTERNS`."""
    kinds = np.where(film.read, np.uint8(_READ), film.parts)
    for item in results:
        found = region_of(item.path) if isinstance(item, FieldFailure) and item.path is not None else None
        if found:  # a region begins within the square before its own, or at the slide's edge
            kinds[-(-found[1].y // film.side), -(-found[1].x // film.side)] = _FAILED
    return kinds


def _square_px(film: FilmMap) -> int:
    """Side of a square on the map: so that the slide's longer side fills it, and every square is seen."""
    return int(np.clip(_SIDE * film.side // max(film.shape), _LEAST_SQUARE_PX, _MOST_SQUARE_PX))


def _filled(kinds: NDArray[np.uint8]) -> Rgb:
    """Fill pixels of each kind, (H, W), with its pattern."""
    y, x = np.indices(kinds.shape)
    marked = {
        "plain": np.zeros(kinds.shape, bool),
        "dots": (x % 6 < 2) & (y % 6 < 2),
        "rising": (x + y) % 8 < 2,
        "falling": (x - y) % 8 < 2,
    }
    out = np.empty((*kinds.shape, 3), np.uint8)
    for k, pattern in enumerate(PATTERNS):
        own = kinds == k
        out[own] = pattern.ground
        out[own & marked[pattern.kind]] = pattern.marks
    return out


def _blasts(item: FieldResult | FieldFailure) -> NDArray[np.float64]:
    """Middles of a field's blasts, (N, 2), pixels of the slide."""
    if isinstance(item, FieldFailure):
        return np.empty((0, 2))
    is_blast = np.array([kind == BLAST for kind in item.types], bool)
    return centers(item.slide_xyxy[is_blast].astype(np.float32)).astype(np.float64)


def _dot(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    around = (x - _DOT, y - _DOT, x + _DOT, y + _DOT)
    pen.ellipse(around, fill=look(BLAST).rgb, outline=(255, 255, 255), width=1)


def _legend(
    report: SlideReport, film: FilmMap, kinds: NDArray[np.uint8], n_blasts: int, width: int, um_per_px: float
) -> Image.Image:
    """Strip of `width` px: the slide in words, each kind of square that there is, blasts, a scale bar."""
    letters = font(_LETTERS)
    counts = np.bincount(kinds.ravel(), minlength=len(PATTERNS))
    told = [f"{pattern.told}: {n}" for pattern, n in zip(PATTERNS, counts, strict=True)]
    shown = [k for k in range(len(PATTERNS)) if counts[k]]
    columns = max(1, width // 320)
    rows = -(-(len(shown) + 1) // columns)
    strip = Image.new("RGB", (width, (rows + 4) * _PITCH + 2 * _PAD), _PAPER)
    pen = ImageDraw.Draw(strip)
    share = f"{film.read_percent:.1f} %" if film.read.any() else "none"
    lines = (
        (printable(report.slide_id), _INK),
        (f"{report.n_leukocytes} leukocytes; {share} of the squares in one layer were read", _INK),
    )
    for row, (text, color) in enumerate(lines):
        at = (_PAD, _PAD + row * _PITCH)
        pen.text(at, shortened(text, letters, width - 2 * _PAD), fill=color, font=letters)
    for place, k in enumerate([*shown, None]):
        x = _PAD + place % columns * ((width - 2 * _PAD) // columns)
        y = _PAD + (2 + place // columns) * _PITCH
        if k is None:
            _dot(pen, x + _LETTERS / 2, y + _LETTERS / 2)
        else:
            strip.paste(Image.fromarray(_filled(np.full((_LETTERS, _LETTERS), k, np.uint8))), (x, y))
            pen.rectangle((x, y, x + _LETTERS, y + _LETTERS), outline=_INK)
        text = f"called blast: {n_blasts}" if k is None else told[k]
        pen.text((x + _LETTERS + _PAD, y + _LETTERS / 2), text, fill=_INK, font=letters, anchor="lm")
    bar_px, words = scale_bar(um_per_px, width)
    y = _PAD + (rows + 2) * _PITCH
    pen.rectangle((_PAD, y + 8, _PAD + bar_px, y + 11), fill=_INK)
    pen.text((_PAD + bar_px + _PAD, y + _LETTERS / 2), words, fill=_INK, font=letters, anchor="lm")
    notice = shortened(NOTICE, font(14), width - 2 * _PAD)
    pen.text((_PAD, y + _PITCH), notice, fill=_GRAY, font=font(14))
    return strip
