"""The shipped detector made smaller without training it anew, judged on every site's validation fields.

It is made without its coarsest grid and all that serves this alone, and quantized to whole numbers of 8 bits
by NNCF (which is no dependency of smearscan: ``pip install nncf``).
"""

import importlib.util
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from benchmarks.accuracy import fields_of_sites
from smearscan.detection.detector import PAD, STRIDE, Detector, network_spec, resized
from smearscan.experiments.measure_detector import measure_fields
from smearscan.io.decode import read_image
from smearscan.runtime import Engine, NetworkSpec, make_engine
from smearscan.runtime.openvino_engine import OpenVinoEngine, blob_of, to_openvino
from smearscan.taxonomy import LEUKOCYTE
from smearscan.training.annotated_fields import BoxedImage
from smearscan.weights.pairs import shipped

AS_SHIPPED = "as shipped"
WITHOUT_COARSEST = "without the grid of 32 px"
INT8 = "8 bits"
_STRIDES = (8, 16, 32)
_CALIBRATION = 300
_TIMED = (96, 128)  # a field of 640x480 at the working scale


def smaller_detector(quick: bool, data: Path | None) -> dict[str, Any]:
    """Tell figures by site and time of each variant, and from which grid the shipped one's boxes are."""
    if data is None:
        return {}
    card, plan = network_spec(shipped("detector"))
    sites = fields_of_sites(data, "val", 6 if quick else None)
    engines: dict[str, Engine] = {AS_SHIPPED: make_engine(plan, "cpu", "openvino", "f32")}
    engines[WITHOUT_COARSEST] = _engine(without_coarsest(plan.build()), plan)
    if importlib.util.find_spec("nncf"):
        known = fields_of_sites(data, "train", 5 if quick else _CALIBRATION // len(sites))
        engines[INT8] = _quantized(
            plan, [p for items in known.values() for p in _inputs(items, card.working_red_cell_px)]
        )
    finders = {name: Detector(engine, card) for name, engine in engines.items()}
    return {
        "core_ms": _core_ms(engines, 2 if quick else 15),
        "grids": {site: grids_of_boxes(finders[AS_SHIPPED], items) for site, items in sites.items()},
        "sites": {
            site: {name: measure_fields(own, items, known_scale=False) for name, own in finders.items()}
            for site, items in sites.items()
        },
    }


def without_coarsest(network: Any) -> nn.Module:
    """Take the coarsest head, and the layers that serve it alone, from a fused YOLOv8 network."""
    model = network.network.model  # FromPixels(Decoded(DetectionModel))
    layers, head = list(model.model), model.model[-1]
    *others, last = head.f
    head.f, head.nl, head.i = others, len(others), max(others) + 1
    head.cv2, head.cv3, head.stride = head.cv2[:-1], head.cv3[:-1], head.stride[:-1]
    if last != len(layers) - 2:
        raise ValueError(f"layer {last} feeds the coarsest head, and is not the last before it")
    model.model = nn.Sequential(*layers[: head.i], head)
    return network.eval()


def grids_of_boxes(finder: Detector, items: Sequence[BoxedImage]) -> dict[str, dict[str, int]]:
    """Count the leukocytes and the other boxes that are found, the scale given, by the grid they are from."""
    counts = {"leukocytes": Counter[str](), "other": Counter[str]()}
    for item in items:
        factor = finder.card.working_red_cell_px / item.red_cell_px
        picture = padded(resized(read_image(item.path), factor))
        found = finder.select(finder.raw(picture))
        probs, grid = finder.engine.run(picture[None])[0, 4:], grid_of_anchors(*picture.shape[:2])
        for score, label in zip(found.scores, found.labels, strict=True):
            anchor = int(np.abs(probs[label] - score).argmin())
            counts["leukocytes" if label == LEUKOCYTE else "other"][str(grid[anchor])] += 1
    return {what: dict(own) for what, own in counts.items()}


def grid_of_anchors(height: int, width: int) -> NDArray[np.int64]:
    """Spacing, px, of the grid that each anchor of a picture belongs to, in the network's order."""
    return np.concatenate([np.full(height // s * (width // s), s) for s in _STRIDES])


def padded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill a picture up to multiples of the stride, as the detector does."""
    down, right = (-side % STRIDE for side in picture.shape[:2])
    edge = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(PAD,) * 3)
    return np.asarray(edge, np.uint8)


def _inputs(items: Sequence[BoxedImage], working_px: float) -> list[NDArray[np.uint8]]:
    """Give fields as the network gets them, (1, H, W, 3)."""
    return [padded(resized(read_image(i.path), working_px / i.red_cell_px))[None] for i in items]


def _engine(network: nn.Module, plan: NetworkSpec) -> Engine:
    return OpenVinoEngine(blob_of(to_openvino(network, plan, plan.batch), "f32"), plan.batch, "f32")


def _quantized(plan: NetworkSpec, known: Sequence[NDArray[np.uint8]]) -> Engine:
    """Quantize by NNCF's mixed preset; what makes boxes of the answers stays in float32."""
    import nncf

    model = to_openvino(plan.build(), plan, plan.batch)
    decoding = nncf.IgnoredScope(types=["Multiply", "Subtract", "Sigmoid"])
    smaller = nncf.quantize(
        model, nncf.Dataset(known), preset=nncf.QuantizationPreset.MIXED, ignored_scope=decoding,
        subset_size=len(known),
    )  # fmt: skip
    return OpenVinoEngine(blob_of(smaller, "f32"), plan.batch, "f32")


def _core_ms(engines: Mapping[str, Engine], rounds: int) -> dict[str, float]:
    """Milliseconds of a core that a field takes each network, in turns."""
    field = np.random.default_rng(0).integers(0, 256, (1, *_TIMED, 3), np.uint8)
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds + 1):
        for name, engine in engines.items():
            began = time.process_time()
            for _ in range(20):
                engine.run(field)
            taken[name].append(1000 * (time.process_time() - began) / 20)
    return {name: round(median(each[1:]), 3) for name, each in taken.items()}
