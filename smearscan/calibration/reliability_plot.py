"""The reliability diagram: how often a net is right at the probability it states."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def draw_reliability(path: Path, figures: dict[str, dict[str, Any]]) -> None:
    """Draw reliability diagrams side by side, one a net, a line for each set of figures.

    Parameters
    ----------
    path : Path
        Picture to write.
    figures : dict
        Title of a line to figures with ``reliability_NET`` (points of confidence and share correct) and
        ``calibration_error_NET``.
    """
    nets = sorted(
        {k.removeprefix("reliability_") for f in figures.values() for k in f if k.startswith("rel")}
    )
    figure = Figure(figsize=(4.5 * max(len(nets), 1), 4.2), layout="constrained")
    for axes, net in zip(figure.subplots(1, max(len(nets), 1), squeeze=False)[0], nets, strict=False):
        axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfect")
        for title, found in figures.items():
            if points := found.get(f"reliability_{net}"):
                error = found[f"calibration_error_{net}"]
                x, y = [p["confidence"] for p in points], [p["correct"] for p in points]
                axes.plot(x, y, marker="o", label=f"{title} (error {error:.3f})")
        axes.set(title=net, xlabel="probability stated", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="upper left", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
