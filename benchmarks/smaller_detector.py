"""The shipped detector in whole numbers of 8 bits, judged on every site's validation fields.

NNCF quantizes it without training it anew (it is no dependency of smearscan: ``pip install nncf``).
"""

import importlib.util
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import fields_of_sites
from smearscan.detection.detector import PAD, STRIDE, Detector, network_spec, resized
from smearscan.experiments.measure_detector import measure_fields
from smearscan.io.decode import read_image
from smearscan.runtime import Engine, NetworkSpec, make_engine
from smearscan.runtime.openvino_engine import OpenVinoEngine, blob_of, to_openvino
from smearscan.training.annotated_fields import BoxedImage
from smearscan.weights.pairs import shipped

AS_SHIPPED = "as shipped"
INT8 = "8 bits"
_CALIBRATION = 300
_TIMED = (96, 128)  # a field of 640x480 at the working scale


def smaller_detector(quick: bool, data: Path | None) -> dict[str, Any]:
    """Tell figures by site and time of each variant."""
    if data is None:
        return {}
    card, plan = network_spec(shipped("detector"))
    sites = fields_of_sites(data, "val", 6 if quick else None)
    engines: dict[str, Engine] = {AS_SHIPPED: make_engine(plan, "cpu", "openvino", "f32")}
    if importlib.util.find_spec("nncf"):
        known = fields_of_sites(data, "train", 5 if quick else _CALIBRATION // len(sites))
        engines[INT8] = _quantized(
            plan, [p for items in known.values() for p in _inputs(items, card.working_red_cell_px)]
        )
    finders = {name: Detector(engine, card) for name, engine in engines.items()}
    return {
        "core_ms": _core_ms(engines, 2 if quick else 15),
        "sites": {
            site: {name: measure_fields(own, items, known_scale=False) for name, own in finders.items()}
            for site, items in sites.items()
        },
    }


def padded(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fill a picture up to multiples of the stride, as the detector does."""
    down, right = (-side % STRIDE for side in picture.shape[:2])
    edge = cv2.copyMakeBorder(picture, 0, down, 0, right, cv2.BORDER_CONSTANT, value=(PAD,) * 3)
    return np.asarray(edge, np.uint8)


def _inputs(items: Sequence[BoxedImage], working_px: float) -> list[NDArray[np.uint8]]:
    """Give fields as the network gets them, (1, H, W, 3)."""
    return [padded(resized(read_image(i.path), working_px / i.red_cell_px))[None] for i in items]


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
