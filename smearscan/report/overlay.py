"""A field with its cells drawn on it, to look at: boxes, readable labels, a legend, a scale bar."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from smearscan.report.label_placement import place_labels
from smearscan.report.lettering import font
from smearscan.results import Cell, FieldResult
from smearscan.taxonomy import BLAST, UNCLASSIFIED
from smearscan.taxonomy.palette import LOOKS, look

Color = tuple[int, int, int]

_TEXT_SHARE, _LEAST_TEXT, _MOST_TEXT = 1 / 62, 12, 64
_LEAST_SHARE = 1 / 125  # of the longer side: read where the whole field is shown on one screen
_BAR_UM = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_BAR_SHARE = 0.2


def draw_overlay(image: NDArray[np.uint8], result: FieldResult) -> NDArray[np.uint8]:
    """Draw each cell's box, number, type and the probability of that type in percent; below, the legend.

    The number is the ``id`` of the cell's row in ``cells.csv``. Letters are as large as suits the field;
    labels stand where they hide no other label, with a line to their cell where they stand off it.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
        The field; not changed.
    result : FieldResult

    Returns
    -------
    ndarray, (H + L, W, 3) uint8 RGB
        The field in its own pixels, and below it a strip with the colors, how many cells of each type there
        are, and a scale bar.
    """
    size, line = _sizes(max(image.shape[:2]), result.detections.xyxy)
    picture = Image.fromarray(np.ascontiguousarray(image))
    pen = ImageDraw.Draw(picture)
    cells = list(result)
    for cell in cells:
        _draw_box(pen, cell, line)
    letters = font(size)
    texts = [_label(number, cell) for number, cell in enumerate(cells, 1)]
    pad = max(2, size // 6)
    sizes = np.array([(letters.getlength(text) + 2 * pad, size + 2 * pad) for text in texts]).reshape(-1, 2)
    corners = place_labels(result.detections.xyxy, sizes, (image.shape[0], image.shape[1]))
    for cell, corner, extent in zip(cells, corners, sizes, strict=True):
        _draw_leader(pen, cell, corner, extent, line)
    for cell, text, corner, extent in zip(cells, texts, corners, sizes, strict=True):
        _draw_label(pen, cell.type, text, corner, extent, letters)
    strip = _legend(result, image.shape[1], size)
    return np.concatenate([np.asarray(picture), np.asarray(strip)])


def _sizes(side: int, xyxy: NDArray[np.float32]) -> tuple[int, int]:
    """Height of letters and width of lines in px: as suits the field, and never so that they hide cells."""
    cell = float(np.median(xyxy[:, 2:] - xyxy[:, :2])) if len(xyxy) else float(side)
    letters = min(side * _TEXT_SHARE, max(cell / 2, side * _LEAST_SHARE))
    return round(min(max(letters, _LEAST_TEXT), _MOST_TEXT)), max(1, round(min(side / 600, cell / 24)))


def _label(number: int, cell: Cell) -> str:
    text = f"{number} {look(cell.type).short if cell.type in LOOKS else cell.type}"
    return f"{text} {100 * cell.type_probability:.0f}" if np.isfinite(cell.type_probability) else text


def _draw_box(pen: ImageDraw.ImageDraw, cell: Cell, line: int) -> None:
    x0, y0, x1, y1 = (round(v) for v in cell.xyxy)
    edge = (x0, y0, max(x0, x1 - 1), max(y0, y1 - 1))
    wide = 2 * line if cell.type == BLAST else line
    around = (edge[0] - 1, edge[1] - 1, edge[2] + 1, edge[3] + 1)
    pen.rectangle(around, outline=_ink(look(cell.type).rgb), width=wide + 2)  # seen on light and dark ground
    pen.rectangle(edge, outline=look(cell.type).rgb, width=wide)


def _draw_leader(
    pen: ImageDraw.ImageDraw, cell: Cell, corner: NDArray[np.float64], extent: NDArray[np.float64], line: int
) -> None:
    """Draw a line from a label to its cell, where these do not touch."""
    x0, y0, x1, y1 = cell.xyxy
    near = np.clip([(x0 + x1) / 2, (y0 + y1) / 2], corner, corner + extent)
    to = np.clip(near, [x0, y0], [x1, y1])
    if np.abs(to - near).max() > 2:
        ends = [tuple(near.tolist()), tuple(to.tolist())]
        pen.line(ends, fill=_ink(look(cell.type).rgb), width=line + 2)
        pen.line(ends, fill=look(cell.type).rgb, width=line)


def _draw_label(
    pen: ImageDraw.ImageDraw, kind: str, text: str, corner: NDArray[np.float64], extent: NDArray[np.float64],
    letters: ImageFont.FreeTypeFont,
) -> None:  # fmt: skip
    color = look(kind).rgb
    x0, y0 = (round(float(v)) for v in corner)
    x1, y1 = (round(float(v)) - 1 for v in corner + extent)
    pen.rectangle((x0, y0, x1, y1), fill=color, outline=_ink(color))
    pen.text(((x0 + x1) / 2, (y0 + y1) / 2), text, fill=_ink(color), font=letters, anchor="mm")


def _ink(color: Color) -> Color:
    """Black or white, whichever can be read on a color (relative luminance as of WCAG 2)."""
    share = np.array(color) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return (0, 0, 0) if float(linear @ (0.2126, 0.7152, 0.0722)) > 0.18 else (255, 255, 255)


def _legend(result: FieldResult, width: int, size: int) -> Image.Image:
    """Strip of `width` px: each type that there is with its color and number of cells, and a scale bar."""
    letters, pad = font(size), size // 2
    entries = _entries(result)
    bar_px, bar_told = scale_bar(result.scale.um_per_px, width)
    told = bar_told + ("" if result.scale.source != "assumed" else " (scale not known)")
    room = width - max(bar_px, round(letters.getlength(told))) - 4 * pad
    places, x, row = [], pad, 0
    for _, text in entries:
        wide = round(2 * size + letters.getlength(text) + pad)
        if x + wide > room and x > pad:
            x, row = pad, row + 1
        places.append((x, row))
        x += wide
    pitch = size + pad
    strip = Image.new("RGB", (width, max(row + 1, 2) * pitch + 2 * pad), (250, 250, 250))
    pen = ImageDraw.Draw(strip)
    for (kind, text), (x, row) in zip(entries, places, strict=True):
        y = pad + row * pitch
        if kind:
            pen.rectangle((x, y, x + 3 * size // 2, y + size), fill=look(kind).rgb, outline=(0, 0, 0))
        pen.text(
            (x + (2 * size if kind else 0), y + size / 2), text, fill=(0, 0, 0), font=letters, anchor="lm"
        )
    right, y = width - pad, pad + size
    pen.rectangle((right - bar_px, y + pad // 2, right, y + pad // 2 + max(2, size // 5)), fill=(0, 0, 0))
    pen.text((right, y), told, fill=(0, 0, 0), font=letters, anchor="rs")
    return strip


def _entries(result: FieldResult) -> list[tuple[str, str]]:
    """Type and words of each entry of the legend, blasts first."""
    counts = Counter(result.types)
    order = {kind: i for i, kind in enumerate(LOOKS)}
    found = []
    for kind in sorted(counts, key=lambda kind: (order.get(kind, len(order)), kind)):
        words = "without a name" if kind == UNCLASSIFIED else kind.replace("_", " ")
        short = "" if kind == BLAST or kind not in LOOKS else f"{look(kind).short} = "
        found.append((kind, f"{short}{words}: {counts[kind]}"))
    return found or [("", "no leukocyte found")]


def scale_bar(um_per_px: float, width: int) -> tuple[int, str]:
    """Scale bar of a picture `width` px wide, the longest round one with room: its length in px, in words."""
    fitting = [um for um in _BAR_UM if um / um_per_px <= _BAR_SHARE * width]
    um = max(fitting, default=_BAR_UM[0])
    told = f"{um:g} um" if um < 1000 else f"{um / 1000:g} mm"
    return min(max(1, round(um / um_per_px)), width), told
