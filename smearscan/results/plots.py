"""Pictures of results for notebooks, drawn by matplotlib, which is loaded when one is asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smearscan.taxonomy import NOTICE
from smearscan.taxonomy.palette import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_cells(
    shape: tuple[int, int], xyxy: NDArray[np.float32], types: Sequence[str], title: str,
    image: NDArray[np.uint8] | None = None, ax: "Axes | None" = None,
) -> "Axes":  # fmt: skip
    """Draw a field's cells as boxes in the colors of their types, each with its number.

    Parameters
    ----------
    shape : tuple of int
        ``(height, width)`` of the field in pixels.
    xyxy : ndarray, (N, 4) float32
        Field pixels.
    types : sequence of str, (N,)
    title : str
    image : ndarray, (H, W, 3) uint8 RGB, optional
        The field; on white without it.
    ax : matplotlib Axes, optional
        By default those of a new figure.

    Raises
    ------
    ValueError
        If the image is not the field's size.
    """
    from matplotlib.patches import Rectangle

    height, width = shape
    if image is not None and image.shape[:2] != shape:
        told = " x ".join(map(str, image.shape[:2]))
        raise ValueError(f"image: {told} px, the field has {height} x {width}; give the picture scanned")
    ax = ax or _axes((8, 8 * height / width))
    ax.imshow(np.full((1, 1, 3), 255, np.uint8) if image is None else image, extent=(0, width, height, 0))
    named: dict[str, Rectangle] = {}
    for number, ((x0, y0, x1, y1), kind) in enumerate(zip(xyxy.tolist(), types, strict=True), 1):
        box = Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=look(kind).hex, linewidth=2)
        ax.add_patch(box)
        named.setdefault(kind, box)
        ax.annotate(str(number), (x0, y0), color=look(kind).hex, va="bottom", annotation_clip=True)
    if named:
        words = [kind.replace("_", " ") for kind in named]
        ax.legend(list(named.values()), words, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def plot_percentages(
    classes: Sequence[str], percent: NDArray[np.float64], intervals: Sequence[tuple[float, float]],
    level: float, title: str, ax: "Axes | None" = None,
) -> "Axes":  # fmt: skip
    """Draw a differential as bars with their intervals.

    Parameters
    ----------
    classes : sequence of str, (K,)
    percent : ndarray, (K,) float64
        NaN where nothing was counted.
    intervals : sequence of (low, high), (K,)
        In percent.
    level : float
        Confidence of the intervals.
    title : str
    ax : matplotlib Axes, optional
        By default those of a new figure.
    """
    ax = ax or _axes((7, 1 + 0.4 * len(classes)))
    bars = np.nan_to_num(percent)
    low, high = np.array(intervals, np.float64).reshape(-1, 2).T
    reach = np.nan_to_num(np.maximum([bars - low, high - bars], 0))
    at = np.arange(len(classes))
    ax.barh(at, bars, xerr=reach, color=[look(kind).hex for kind in classes], ecolor="black", capsize=3)
    ax.set_yticks(at, [kind.replace("_", " ") for kind in classes])
    ax.invert_yaxis()
    ax.set_xlim(0, 100)
    ax.set_xlabel(f"% of counted leukocytes, {100 * level:.5g} % intervals of counting alone\n{NOTICE}")
    ax.set_title(title)
    return ax


def _axes(inches: tuple[float, float]) -> "Axes":
    from matplotlib import pyplot as plt

    axes: Axes = plt.subplots(figsize=inches, layout="constrained")[1]
    return axes
