"""Measures the whole way: fields in, named cells out, against cells of a known type."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from smearscan.detection import boxes
from smearscan.differential.statistics.estimates import share
from smearscan.errors import DatasetError
from smearscan.results import FieldResult
from smearscan.scan.scanner import SmearScanner
from smearscan.taxonomy import DIFFERENTIAL_CLASSES
from smearscan.training.cells import with_targets


def measure_pipeline(
    scanner: SmearScanner, table: pd.DataFrame, root: Path, synonyms: dict[str, str | None]
) -> dict[str, Any]:
    """Scan fields that hold one leukocyte of known type and compare.

    Parameters
    ----------
    scanner : SmearScanner
        Its default way: each field is measured by the ruler, found, cropped, named.
    table : DataFrame
        ``image, class, site, x0, y0, x1, y1``: the leukocyte's box.
    root : Path
    synonyms : dict
        See :func:`smearscan.training.cells.with_targets`.

    Returns
    -------
    dict
        Cells found; types right of those found, and of those not left unclassified; what was called what.
    """
    table = with_targets(table, DIFFERENTIAL_CLASSES, synonyms)
    if table.empty:
        raise DatasetError("no field with a leukocyte of known type")
    called: Counter[tuple[str, str]] = Counter()
    for row, result in zip(
        table.itertuples(), scanner.stream(root / name for name in table["image"]), strict=True
    ):
        truth = DIFFERENTIAL_CLASSES[int(row.target)]  # type: ignore[arg-type]
        box = boxes.as_boxes([row.x0, row.y0, row.x1, row.y1])
        called[truth, _called(result, box) if isinstance(result, FieldResult) else "not read"] += 1
    found = {k: n for k, n in called.items() if k[1] not in ("not found", "not read")}
    n_found, right = sum(found.values()), sum(n for (truth, name), n in found.items() if truth == name)
    unclassified = sum(n for (_, name), n in found.items() if name == "unclassified")
    return {
        "found": share(n_found, len(table)),
        "right_of_found": share(right, n_found),
        "right_of_named": share(right, n_found - unclassified),
        "called": {f"{truth} -> {name}": n for (truth, name), n in sorted(called.items())},
    }


def _called(result: FieldResult, truth: np.ndarray[Any, Any]) -> str:
    overlap = boxes.iou(result.detections.xyxy, truth)[:, 0]
    if not len(overlap) or overlap.max() < 0.5:
        return "not found"
    return result.types[int(overlap.argmax())]
