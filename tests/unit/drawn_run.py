"""A run over drawn slides without any network: cells where they were drawn, named as a fair net might."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from smearscan.differential.calibration_card import load_calibration, shipped_calibration
from smearscan.differential.conclusions import report_slide
from smearscan.differential.flag import FlagRule
from smearscan.differential.slide_report import SlideReport, StopInfo
from smearscan.differential.statistics.correction import Corrector
from smearscan.differential.statistics.misclassification import MisclassificationModel
from smearscan.differential.tally import SlideTally
from smearscan.report.run_facts import Network, RunFacts
from smearscan.results import Detections, FieldFailure, FieldResult, Scale
from smearscan.synthetic import HEALTHY, LEUKEMIC, write_slides
from smearscan.taxonomy import BLAST, FINE_CLASSES, FINE_TYPES_OF, UNCLASSIFIED

Slides = list[tuple[SlideReport, list[FieldResult | FieldFailure]]]

POSSIBLE_FROM, BLAST_FROM, NAMED_FROM = 0.3, 0.7, 0.68


def errors() -> MisclassificationModel:
    return load_calibration(shipped_calibration()).errors


def facts(known: MisclassificationModel | None = None) -> RunFacts:
    known = known or errors()
    nets = tuple(Network(name, name, name[0] * 64) for name in ("detector", "blast", "cells"))
    return RunFacts(
        "both", known.classes[:-1], nets, "calibration", known, {"task": "both"}, "2026-01-01T00:00:00Z"
    )


def draw(folder: Path, n_fields: int = 6, seed: int = 3) -> Path:
    """Draw a healthy and a leukemic slide; returns the folder to scan."""
    slides = folder / "slides"
    write_slides(slides, {"healthy": HEALTHY, "leukemic": LEUKEMIC}, n_fields, seed)
    return slides


def fields(slides: Path, seed: int = 0) -> Iterator[FieldResult]:
    """What a net might say of every field, in order; the same each time."""
    known = errors().classes
    classes, rng = known[:-1], np.random.default_rng(seed)
    cells: dict[str, list[dict[str, str]]] = defaultdict(list)
    with (slides / "truth.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["label"] == "leukocyte":
                cells[row["field"]].append(row)
    for path in sorted(slides.glob("*/*.jpg")):
        rows = cells[path.relative_to(slides).as_posix()]
        with Image.open(path) as picture:
            shape = picture.height, picture.width
        yield field_result(path, shape, rows, classes, rng)


def field_result(
    path: Path, shape: tuple[int, int], rows: list[dict[str, str]], classes: tuple[str, ...],
    rng: np.random.Generator, um_per_px: float = 0.09,
) -> FieldResult:  # fmt: skip
    n = len(rows)
    xyxy = np.array([[float(r[k]) for k in ("x0", "y0", "x1", "y1")] for r in rows], np.float32).reshape(n, 4)
    truth = [r["type"] for r in rows]
    probs = rng.dirichlet(np.full(len(classes), 0.15), n).astype(np.float32)
    sure = rng.uniform(0.55, 0.98, n).astype(np.float32)
    for i, kind in enumerate(truth):
        k = classes.index(kind) if kind in classes else rng.integers(len(classes))
        probs[i] *= 1 - sure[i]
        probs[i, k] += 1 - probs[i].sum()
    blast = np.where([t == BLAST for t in truth], rng.uniform(0.5, 1, n), rng.beta(1, 12, n)).astype(
        np.float32
    )
    named = [classes[int(p.argmax())] if p.max() >= NAMED_FROM else UNCLASSIFIED for p in probs]
    types = tuple(BLAST if b >= BLAST_FROM else kind for b, kind in zip(blast, named, strict=True))
    return FieldResult(
        path.parent.name,
        path,
        shape,
        Detections(xyxy, rng.uniform(0.5, 1, n).astype(np.float32), np.zeros(n, np.int64)),
        probs,
        classes,
        blast,
        types,
        Scale(um_per_px, "red cells", 300),
        n_red_cells=180,
        n_possible_blasts=int((blast >= POSSIBLE_FROM).sum()),
        **fine_types(types),
    )


def fine_types(types: tuple[str, ...]) -> dict[str, Any]:
    """What a net might say finer of such cells."""
    rng = np.random.default_rng(len(types))
    within = [FINE_TYPES_OF.get(name, ("",)) for name in types]
    probs = rng.uniform(0.4, 1, len(types)).astype(np.float32)
    probs[[own == ("",) for own in within]] = np.nan
    return {
        "fine_classes": FINE_CLASSES,
        "fine_types": tuple(str(rng.choice(own)) for own in within),
        "fine_probs": probs,
    }


def run(slides: Path) -> Slides:
    """Reports and results of both slides, the second with one field that failed."""
    known = errors()
    of: dict[str, list[FieldResult | FieldFailure]] = defaultdict(list)
    for result in fields(slides):
        of[result.slide_id].append(result)
    broken = slides / "leukemic" / "broken.jpg"
    of["leukemic"].append(FieldFailure("leukemic", broken, f"{broken}: the JPEG file is cut short"))
    return [(report(name, results, known), results) for name, results in of.items()]


def report(
    name: str, results: list[FieldResult | FieldFailure], known: MisclassificationModel | None
) -> SlideReport:
    tally = SlideTally.of(name, results)
    reading = StopInfo(len(results))
    corrector = None if known is None else Corrector(known)
    classes = errors().classes[:-1]
    scale = Scale(0.09, "red cells", 300)
    return report_slide(
        tally, "both", scale, FlagRule(), ("net:000",), classes, corrector, reading, fine_classes=FINE_CLASSES
    )


def renamed(run_: Slides, slide: str, field: str) -> Slides:
    """Give the first slide and its fields other names; the pictures stay where they are."""
    first, results = run_[0]
    results = [replace(r, slide_id=slide) for r in results]
    assert field is not None
    return [(replace(first, tally=replace(first.tally, slide_id=slide)), results), *run_[1:]]
