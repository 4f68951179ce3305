"""Measures whole scans: beside the peer script and the limits, over numbers of fields, and from the start."""

import os
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fields import KINDS, LARGE, SMALL, Kind, slide, truth
from benchmarks.sessions import Told, Worker, in_turns
from smearscan.detection import boxes
from smearscan.detection.detector import STRIDE
from smearscan.weights.pairs import DetectorCard, load_card, shipped

ROUNDS = 5
PEER = "peer"
PEER_AS_IS = "peer, its own cells"
PEER_ALL_CORES = "peer, torch told to use all cores"
PEER_OUR_SIZE = "peer at our working scale"
OURS = "smearscan"
OURS_GIVEN = "smearscan, scale given"
OURS_F32 = "smearscan, f32"
OURS_TORCH = "smearscan with torch"


def beside_peer(quick: bool) -> dict[str, Any]:
    """Time both programs in turns on one slide of each camera, and compare their cells."""
    wanted = ((SMALL, 20),) if quick else ((SMALL, 100), (LARGE, 40))
    return {kind.name: _beside_peer(kind, n, 1 if quick else ROUNDS) for kind, n in wanted}


def _beside_peer(kind: Kind, n_fields: int, rounds: int) -> dict[str, Any]:
    with Worker("ours", slide(kind, kind.distinct)) as once:
        once.ready()
        once.go()
        cells = [field["xyxy"] for field in once.cells()]
    folder = slide(kind, n_fields)
    peer = partial(Worker, "peer", folder, um_per_px=kind.um_per_px)
    size = round(640 / (kind.spec.width * kind.enlarged) * kind.red_cell_px)  # px a red cell at 640 px
    ours = partial(Worker, "ours", folder)
    working = load_card(shipped("detector"), DetectorCard).working_red_cell_px
    as_is = {PEER_AS_IS: peer} if kind is SMALL else {}  # slow, and the same story with the other camera
    runs = in_turns(
        {
            PEER: partial(peer, cells=cells),
            OURS: ours,
            OURS_F32: partial(ours, precision="f32"),
            OURS_TORCH: partial(ours, engine="torch"),
            PEER_OUR_SIZE: partial(peer, imgsz=round(640 * working / size / STRIDE) * STRIDE),
            PEER_ALL_CORES: partial(peer, cells=cells, threads=os.cpu_count()),
            **as_is,
        },
        rounds,
        cells_of=(PEER, OURS, OURS_F32, OURS_TORCH, PEER_OUR_SIZE, PEER_ALL_CORES, *as_is),
        twice=tuple(as_is),
    )
    found = {name: run.pop("cells") for name, run in runs.items()}
    drawn = [{"xyxy": xyxy.tolist(), "types": [""] * len(xyxy)} for xyxy in truth(kind)]
    drawn = [drawn[i % len(drawn)] for i in range(n_fields)]
    for name, run in runs.items():
        run["against_ours"] = agreement(found[OURS], found[name])
        run["against_drawn"] = agreement(drawn, found[name])
    base = runs[PEER]["ms_per_field"]
    ratios = {name: round(base / run["ms_per_field"], 2) for name, run in runs.items()}
    return {"fields": n_fields, "rounds": rounds, "runs": runs, "times_faster_than_peer": ratios}


def agreement(one: list[Told], other: list[Told]) -> dict[str, int]:
    """Count cells of two programs: of each, found by both (IoU of at least .5), and of one name to both."""
    told = {"one": 0, "other": 0, "both": 0, "same_name": 0}
    for a, b in zip(one, other, strict=True):
        told["one"] += len(a["types"])
        told["other"] += len(b["types"])
        pairs = matched(boxes.as_boxes(a["xyxy"]), boxes.as_boxes(b["xyxy"]))
        told["both"] += len(pairs)
        told["same_name"] += sum(a["types"][i] == b["types"][j] for i, j in pairs)
    return told


def matched(one: NDArray[np.float32], other: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pair the boxes (N, 4) of two programs one to one, best overlap first, down to an IoU of .5."""
    overlap, pairs = boxes.iou(one, other), []
    while overlap.size and overlap.max() >= 0.5:
        i, j = divmod(int(overlap.argmax()), overlap.shape[1])
        overlap[i], overlap[:, j] = 0, 0
        pairs.append((i, j))
    return pairs


def limits(quick: bool) -> dict[str, Any]:
    """Time a scan, decoding alone, networks alone and both at once, in turns."""
    wanted = ((SMALL, 50 if quick else 300), (LARGE, 10 if quick else 80))
    return {kind.name: _limits(kind, n, 1 if quick else ROUNDS) for kind, n in wanted}


def _limits(kind: Kind, n_fields: int, rounds: int) -> dict[str, Any]:
    folder = slide(kind, n_fields)
    runs = in_turns(
        {
            "decode": partial(Worker, "decode", folder, kind=kind.name),
            "network": partial(Worker, "network", folder, kind=kind.name),
            "both": partial(Worker, "both", folder, kind=kind.name),
            OURS: partial(Worker, "ours", folder),
            OURS_GIVEN: partial(Worker, "ours", folder, um_per_px=kind.um_per_px),
        },
        rounds,
    )
    return {"fields": n_fields, "rounds": rounds, "runs": runs, **bounds(runs)}


def bounds(runs: dict[str, Told]) -> dict[str, Any]:
    """Tell the least a field can take, ms, and what share of each bound a scan reaches."""
    decode, network, both = (runs[name]["ms_per_field"] for name in ("decode", "network", "both"))
    least = {
        "slower of the two": max(decode, network),
        "one after the other": decode + network,
        "side by side": both,
    }
    return {
        "bounds_ms": {name: round(ms, 3) for name, ms in least.items()},
        "share_of_bound": {
            scan: {name: round(ms / runs[scan]["ms_per_field"], 3) for name, ms in least.items()}
            for scan in (OURS, OURS_GIVEN)
            if scan in runs
        },
    }


def profile(quick: bool) -> dict[str, Any]:
    """Tell where the processor's time goes, each field another picture; Linux only."""
    if not Path("/proc/self/task").is_dir():
        return {}
    return {kind.name: _profile(kind, 1 if quick else ROUNDS) for kind in (SMALL, LARGE)}


def _profile(kind: Kind, rounds: int) -> dict[str, Any]:
    with Worker("profile", slide(kind, kind.distinct)) as worker:
        worker.ready()
        _, *runs = [worker.go() for _ in range(rounds + 1)]
    n = runs[0]["fields"]
    core_ms = {step: round(1000 * median(r["steps"][step] for r in runs) / n, 3) for step in runs[0]["steps"]}
    return {"fields": n, "rounds": rounds, "core_ms": core_ms}


def scaling(quick: bool) -> dict[str, Any]:
    """Scan slides of more and more fields, each in a new process."""
    wanted = {
        SMALL.name: (50, 100, 200) if quick else (50, 100, 500, 1000, 5000),
        LARGE.name: (10, 20) if quick else (20, 50, 100, 500),
    }
    _once(SMALL, SMALL.distinct)  # fills the cache of compiled networks
    return {name: [_once(KINDS[name], n) for n in counts] for name, counts in wanted.items()}


def _once(kind: Kind, n_fields: int) -> dict[str, Any]:
    with Worker("ours", slide(kind, n_fields)) as worker:
        loaded, told = worker.ready(), worker.go()
        return {
            "fields": n_fields,
            "ms_per_field": round(1000 * told["seconds"] / n_fields, 3),
            "peak_mb": round(told["peak_mb"], 1),
            "loaded_mb": round(loaded["peak_mb"], 1),
        }


def threads(quick: bool) -> dict[str, Any]:
    """Scan one slide with several numbers of threads that read, search and cut, in turns; ms a field."""
    told = {}
    for kind, n in ((SMALL, 50),) if quick else ((SMALL, 200), (LARGE, 40)):
        start = partial(Worker, "ours", slide(kind, n), um_per_px=kind.um_per_px)
        jobs = {str(workers): partial(start, workers=workers) for workers in (1, 2, 3, 4)}
        runs = in_turns(jobs, 1 if quick else ROUNDS)
        told[kind.name] = {workers: run["ms_per_field"] for workers, run in runs.items()}
    return told
