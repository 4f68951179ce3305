"""The picture of a feature space: two-dimensional maps side by side, cells colored by one of their labels."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

_MARKERS = "os^DvP"


def draw_maps(
    path: Path, maps: Mapping[str, NDArray[np.floating]], labels: NDArray[np.str_], title: str
) -> None:
    """Draw one panel a map; labels differ in color and in marker.

    Parameters
    ----------
    path : Path
        PNG to write.
    maps : mapping
        Name of a map to its coordinates, (N, 2).
    labels : ndarray, (N,) str
        What each cell is colored by.
    title : str
    """
    figure = Figure(figsize=(4.6 * len(maps) + 1.6, 4.4), layout="constrained")
    names = np.unique(labels)
    panels = figure.subplots(1, len(maps), squeeze=False)[0]
    for axes, (name, points) in zip(panels, maps.items(), strict=True):
        for k, label in enumerate(names):
            own = points[labels == label]
            look = {"color": f"C{k % 10}", "marker": _MARKERS[k % len(_MARKERS)]}
            axes.scatter(own[:, 0], own[:, 1], s=9, alpha=0.7, linewidths=0, label=str(label), **look)
        axes.set(title=name, xticks=[], yticks=[])
    handles, words = panels[0].get_legend_handles_labels()
    figure.legend(handles, words, loc="outside right upper", frameon=False, markerscale=2)
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
