"""Measures the networks alone: engines and precisions, batches, memory layout, architectures."""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from benchmarks.fields import FOLDER, SMALL, slide
from smearscan.classification import backbones, classifier
from smearscan.classification.crops import cut_crops
from smearscan.classification.shared_trunk import load_classifiers, predict_probs
from smearscan.detection import detector, yolo
from smearscan.io.decode import read_image
from smearscan.results import Detections, Scale
from smearscan.runtime import Engine, NetworkSpec
from smearscan.runtime.batches import usable_cores
from smearscan.runtime.engine import installed, make
from smearscan.runtime.network import no_graph
from smearscan.runtime.openvino_engine import OpenVinoEngine, blob_of, to_openvino
from smearscan.runtime.torch_engine import FromPixels
from smearscan.taxonomy import RED_CELL_UM
from smearscan.weights.pairs import shipped

Pictures = NDArray[np.uint8]
_BF16_DETECTOR = "openvino bf16"
_BATCHES = (4, 8, 16, 32)
_LARGER = ("resnet18_stage3", "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0")


def engines(quick: bool, data: Path | None) -> dict[str, Any]:
    """Time every engine and precision, and tell how far its answers are from torch's.

    Parameters
    ----------
    quick : bool
    data : Path or None
        Folder of the real data sets; without it drawn fields are compared alone.
    """
    _own_cache()
    fields = [*_drawn(5 if quick else 20), *_real(data, 5 if quick else 40)]
    made = {"torch": _made("torch", "f32")}
    made |= {name: _made(*name.split()) for name in _available()}
    base = made["torch"]
    found = [_searched(base[0], image, um_per_px) for image, um_per_px in fields]
    crops = np.concatenate(
        [_crops(*field, boxes.leukocytes.xyxy) for field, boxes in zip(fields, found, strict=True)]
    )
    half = (_working(fields[0][0], fields[0][1]),) * 2
    told = {}
    for name, (finder, nets) in made.items():
        own = [_searched(finder, image, um_per_px) for image, um_per_px in fields]
        many = np.concatenate([crops] * (64 // len(crops) + 1))[:64]
        told[name] = {
            "ms_a_field_detector": _ms(lambda f=finder: f.engine.run(np.concatenate(half)), 2, quick),
            "ms_a_crop": _ms(lambda n=nets, m=many: predict_probs(n, {n[0].geometry: m}), len(many), quick),
            **_moved(found, own, fields),
            "probability_apart": round(
                max(_apart(a, b, crops) for a, b in zip(base[1], nets, strict=True)), 5
            ),
        }
    return {"cores": usable_cores(), "fields": len(fields), "crops": len(crops), "engines": told}


def batches(quick: bool) -> dict[str, Any]:
    """Time the classifiers' batch sizes, each batch on one core: ms a crop and net."""
    _own_cache()
    crops = _some_crops(128)
    _, plan = classifier.network_spec(shipped("differential"))
    told = {}
    for batch in _BATCHES:
        for precision in ("f32", "bf16"):
            # the graph that is shipped has one fixed batch: torch's own network is converted for another
            own = replace(plan, batch=batch, graph=no_graph)
            engine = make(own, "cpu", "openvino", _asked(precision)).engine
            if precision in engine.name or precision == "f32":
                told[f"{precision}, batches of {batch}"] = _ms(
                    lambda e=engine: e.run(crops), len(crops), quick
                )
    return told


def memory_layout(quick: bool) -> dict[str, Any]:
    """Time torch with the two layouts of pictures in memory, on one thread: ms a crop, ms a field."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    crops, field = _some_crops(32), _working(read_image(_files()[0]), SMALL.um_per_px)
    told = {}
    try:
        for name, layout in (
            ("channels last", torch.channels_last),
            ("channels first", torch.contiguous_format),
        ):
            for what, plan, images in (
                ("classifier", classifier.network_spec(shipped("differential"))[1], crops),
                ("detector", detector.network_spec(shipped("detector"))[1], field),
            ):
                network = plan.build().eval().to(memory_format=layout)
                told[f"{what}, {name}"] = _ms(lambda n=network, i=images: _by_torch(n, i), len(images), quick)
    finally:
        torch.set_num_threads(threads)
    return told


def architectures(quick: bool) -> dict[str, Any]:
    """Time networks that could take the place of the shipped ones, untrained, with OpenVINO in float32."""
    card, _ = classifier.network_spec(shipped("differential"))
    crops, field = _some_crops(32), _working(read_image(_files()[0]), SMALL.um_per_px)
    told = {}
    for name in _LARGER[:2] if quick else _LARGER:
        network = backbones.build(name, len(card.classes), "linear", "batch")
        told[name] = _untrained(FromPixels(network.eval(), card.mean, card.std), "logits", crops, quick)
    for name in yolo.ARCHITECTURES:
        told[name] = _untrained(FromPixels(yolo.fused(yolo.build(name, 3))), "boxes", field, quick)
    return told


def _untrained(network: FromPixels, answers: Any, images: Pictures, quick: bool) -> float:
    batch = 1 if answers == "boxes" else 8
    plan = NetworkSpec("", answers, batch, (images.shape[1], images.shape[2]), lambda: network)
    engine = OpenVinoEngine(blob_of(to_openvino(network, plan, batch), "f32"), batch, "f32")
    many = np.concatenate([images] * usable_cores()) if len(images) == 1 else images
    return _ms(lambda: engine.run(many), len(many), quick)


def _available() -> list[str]:
    names = ["openvino f32"]
    _, plan = classifier.network_spec(shipped("blast"))
    if "bf16" in make(plan, "cpu", "openvino", "bf16").engine.name:
        names.append(_BF16_DETECTOR)
    return [*names, "onnxruntime f32"] if installed("onnxruntime") else names


def _made(engine: str, precision: str) -> tuple[detector.Detector, list[classifier.Classifier]]:
    card, plan = detector.network_spec(shipped("detector"))
    if precision == "bf16":  # what a scan never does: it would move boxes
        model = to_openvino(plan.build(), plan, plan.batch)
        finder = detector.Detector(OpenVinoEngine(blob_of(model, "bf16"), plan.batch, "bf16"), card)
    else:
        finder = detector.Detector(make(plan, "cpu", engine, "f32").engine, card)
    pairs = [shipped(task) for task in ("differential", "blast")]
    return finder, load_classifiers(pairs, "cpu", engine, _asked(precision))


def _asked(precision: str) -> Any:
    return precision


def _own_cache() -> None:
    """Keep what is compiled for trials away from what scans use."""
    os.environ["SMEARSCAN_CACHE"] = str(FOLDER / "engines")


def _by_torch(network: FromPixels, images: Pictures) -> None:
    with torch.inference_mode():
        for start in range(0, len(images), 8):
            network(torch.from_numpy(images[start : start + 8]))


def _ms(run: Callable[[], object], n: int, quick: bool) -> float:
    """Median ms one of `n` pictures takes, all cores at work."""
    run()
    seconds = []
    for _ in range(3 if quick else 9):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return round(1000 * median(seconds) / n, 3)


def _files() -> list[Path]:
    return sorted(slide(SMALL, SMALL.distinct).rglob("*.jpg"))


def _drawn(n: int) -> list[tuple[Pictures, float]]:
    return [(read_image(path), SMALL.um_per_px) for path in _files()[:n]]


def _real(data: Path | None, n: int) -> list[tuple[Pictures, float]]:
    """Validation fields of every site with boxes, with their scale."""
    if data is None:
        return []
    from benchmarks.accuracy import fields_of_sites

    sites = fields_of_sites(data, "val", max(1, n // 4))
    return [(read_image(i.path), RED_CELL_UM / i.red_cell_px) for items in sites.values() for i in items]


def _searched(finder: detector.Detector, image: Pictures, um_per_px: float) -> Detections:
    return finder.detect(image, Scale(um_per_px, "given"))


def _crops(image: Pictures, um_per_px: float, xyxy: NDArray[np.float32]) -> Pictures:
    card, _ = classifier.network_spec(shipped("differential"))
    return cut_crops(image, xyxy, um_per_px, card.crop_um, card.crop_px)


def _some_crops(n: int) -> Pictures:
    finder, _ = _made("openvino", "f32")
    found = [_crops(*field, _searched(finder, *field).leukocytes.xyxy) for field in _drawn(10)]
    crops = np.concatenate(found)
    return np.concatenate([crops] * (n // len(crops) + 1))[:n]


def _working(image: Pictures, um_per_px: float) -> Pictures:
    """A field as the detector's network sees it, (1, H, W, 3)."""
    card, _ = detector.network_spec(shipped("detector"))
    small = detector.resized(image, card.working_red_cell_px * um_per_px / RED_CELL_UM)
    return np.ascontiguousarray(
        np.pad(small, [(0, -side % detector.STRIDE) for side in small.shape[:2]] + [(0, 0)])
    )[None]


def _apart(one: classifier.Classifier, other: classifier.Classifier, crops: Pictures) -> float:
    a, b = (softmax(net.engine.run(crops), axis=1) for net in (one, other))
    return float(np.abs(a - b).max(initial=0))


def _moved(
    one: list[Detections], other: list[Detections], fields: list[tuple[Pictures, float]]
) -> dict[str, Any]:
    """Leukocytes that only one finds, and how far the boxes of the others are apart, field pixels."""
    from benchmarks.whole import matched

    lost, far = 0, 0.0
    for a, b in zip(one, other, strict=True):
        pairs = matched(a.leukocytes.xyxy, b.leukocytes.xyxy)
        lost += len(a.leukocytes) + len(b.leukocytes) - 2 * len(pairs)
        for i, j in pairs:
            far = max(far, float(np.abs(a.leukocytes.xyxy[i] - b.leukocytes.xyxy[j]).max()))
    return {"found_by_one_alone": lost, "boxes_apart_px": round(far, 4)}


__all__ = ["Engine", "architectures", "batches", "engines", "memory_layout"]
