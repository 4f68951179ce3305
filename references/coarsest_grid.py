"""The shipped detector without its coarsest grid: how it is made, and that it finds the same cells.

At the working scale a leukocyte is about 39 px wide, and no box is from the grid of 32 px. The layers that
serve it alone are a ninth of the network's time.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from references.doubt_rates import spread
from smearscan.detection import Detector, yolo
from smearscan.errors import DatasetError, WeightsError
from smearscan.io import read_image
from smearscan.io.streams import read_ahead
from smearscan.results import Detections, Scale
from smearscan.rulers import measure_scale
from smearscan.runtime.batches import usable_cores
from smearscan.weights.pairs import DetectorCard, load_weights, save_weights

Rgb = NDArray[np.uint8]

COMMAND = "python -m references without-coarsest-grid"
_PART, _FOR_SCALE = 60, 6
_NO_PHOTOGRAPHS = "masks"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")


def write_without_coarsest_grid(pair: Path, out: Path) -> DetectorCard:
    """Write a detector without its coarsest grid, and the layers that serve it alone; trained no further.

    Parameters
    ----------
    pair, out : Path
        The detector as it was trained, and where the other one goes.

    Raises
    ------
    WeightsError
        If `pair` cannot be read, or has no such grid.
    """
    card, tensors = load_weights(pair, DetectorCard)
    architecture = f"{card.architecture}-p4"
    if architecture not in yolo.ARCHITECTURES:
        raise WeightsError(
            f"{pair}: a {card.architecture} has no grid of 32 px; give the detector as trained"
        )
    network = yolo.build(architecture, len(card.classes))
    kept = yolo.fitting(tensors, network)
    cut = {"from": card.sha256, "architecture": card.architecture, "command": COMMAND}
    update = {"architecture": architecture, "training": {**card.training, "cut": cut}}
    network.load_state_dict(kept)  # all of them, or it raises
    return save_weights(out, card.model_copy(update=update), network.state_dict())


def compare_boxes(
    one: Detector, other: Detector, data: Path, most: int, advance: Callable[[str], None] = lambda word: None
) -> dict[str, dict[str, int]]:
    """Find the cells of published photographs with two detectors, each with its own ruler.

    The photographs of a set are read in parts of sixty, whose scale is measured on six.

    Parameters
    ----------
    one, other : Detector
    data : Path
        Folder of the sets; folders named ``masks`` hold no photographs.
    most : int
        Photographs of a set, at most, evenly spread.
    advance : callable
        Called with the name of the set after each photograph.

    Returns
    -------
    dict
        Of each set: ``photographs``, ``parts``; ``boxes`` and ``leukocytes`` of `one`; ``other_scales``,
        parts that have another scale; ``other_boxes``, photographs of which any box, score, class or number
        of pale leukocytes differs in any bit.
    """
    told = {}
    for site, paths in photographs(data, most).items():
        own = told[site] = dict.fromkeys(_COUNTS, 0)
        for i in range(0, len(paths), _PART):
            images = [read_image(path) for path in paths[i : i + _PART]]
            scales = [measure_scale(finder, spread(images, _FOR_SCALE)) for finder in (one, other)]
            own["parts"] += 1
            own["other_scales"] += scales[0] != scales[1]
            look = partial(_looked_at, (one, other), scales)
            for found, again in read_ahead(images, look, usable_cores(), len(images)):
                own["photographs"] += 1
                own["boxes"] += len(found)
                own["leukocytes"] += found.count("leukocyte")
                own["other_boxes"] += not _same(found, again)
                advance(site)
    return told


_COUNTS = ("photographs", "parts", "boxes", "leukocytes", "other_scales", "other_boxes")


def photographs(data: Path, most: int) -> dict[str, list[Path]]:
    """List the photographs of each set in `data`, at most so many, evenly spread.

    Raises
    ------
    DatasetError
        If there is none.
    """
    sites: dict[str, list[Path]] = {}
    for path in sorted(data.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and _NO_PHOTOGRAPHS not in path.parts:
            sites.setdefault(path.relative_to(data).parts[0], []).append(path)
    if not sites:
        raise DatasetError(f"{data}: holds no photograph; give the folder of the published sets")
    return {site: spread(paths, most) for site, paths in sites.items()}


def _looked_at(finders: Sequence[Detector], scales: Sequence[Scale], image: Rgb) -> list[Detections]:
    return [finder.detect(image, scale) for finder, scale in zip(finders, scales, strict=True)]


def _same(found: Detections, again: Detections) -> bool:
    def bits(own: Detections) -> tuple[NDArray[Any], ...]:
        return own.xyxy, own.scores, own.labels, np.array(own.n_pale)

    return all(np.array_equal(a, b) for a, b in zip(bits(found), bits(again), strict=True))
