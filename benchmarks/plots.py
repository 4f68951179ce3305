"""The plot of docs/performance.md: time and memory over number of fields, and speed beside the peer."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes


def draw(known: dict[str, Any], out: Path) -> None:
    """Draw what was measured; a part that was not stays empty."""
    figure, (time, memory, speed) = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for size, rows in known.get("scaling", {}).get("figures", {}).items():
        counts = [row["fields"] for row in rows]
        time.plot(counts, [row["ms_per_field"] for row in rows], "o-", label=size)
        memory.plot(counts, [row["peak_mb"] for row in rows], "o-", label=size)
    for axes, name in ((time, "ms a field"), (memory, "peak memory, MB")):
        axes.set(xscale="log", xlabel="fields of the slide", ylabel=name)
        axes.set_ylim(bottom=0)
        if axes.lines:
            axes.legend()
    _bars(speed, known.get("beside_peer", {}).get("figures", {}))
    figure.savefig(out, dpi=110)
    plt.close(figure)


def _bars(axes: Axes, figures: dict[str, Any]) -> None:
    shown = ("peer", "peer at our working scale", "smearscan with torch", "smearscan")
    for i, (size, told) in enumerate(figures.items()):
        places = [place + (i - 0.5) * 0.38 for place in range(len(shown))]
        bars = axes.barh(places, [told["times_faster_than_peer"][name] for name in shown], 0.36, label=size)
        axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set_yticks(range(len(shown)), shown)
    axes.set_xlabel("times the peer's speed, end to end")
    axes.margins(x=0.12)
    if figures:
        axes.legend()
