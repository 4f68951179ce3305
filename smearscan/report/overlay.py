"""A field with its cells drawn on it, to look at."""

import cv2
import numpy as np
from numpy.typing import NDArray

from smearscan.results import FieldResult
from smearscan.taxonomy import BLAST, UNCLASSIFIED

# Okabe and Ito's palette, told apart with any color vision; blasts in vermilion
_COLORS = {
    BLAST: (213, 94, 0),
    "neutrophil": (0, 114, 178),
    "lymphocyte": (0, 158, 115),
    "monocyte": (204, 121, 167),
    "eosinophil": (230, 159, 0),
    "basophil": (86, 180, 233),
    "immature_granulocyte": (60, 60, 160),
    UNCLASSIFIED: (90, 90, 90),
}
_SHORT = {
    "neutrophil": "neu",
    "lymphocyte": "lym",
    "monocyte": "mono",
    "eosinophil": "eos",
    "basophil": "baso",
    "immature_granulocyte": "ig",
    UNCLASSIFIED: "?",
}


def draw_overlay(image: NDArray[np.uint8], result: FieldResult) -> NDArray[np.uint8]:
    """Draw each cell's box, its type and the probability of that type in percent.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
        The field; not changed.
    result : FieldResult

    Returns
    -------
    ndarray, (H, W, 3) uint8 RGB
    """
    out = image.copy()
    line = max(1, round(max(image.shape[:2]) / 500))
    size = max(0.4, max(image.shape[:2]) / 1400)
    for cell in result:
        color = _COLORS.get(cell.type, (90, 90, 90))
        x0, y0, x1, y1 = (round(v) for v in cell.xyxy)
        cv2.rectangle(out, (x0, y0), (x1 - 1, y1 - 1), color, line)
        told = _SHORT.get(cell.type, cell.type)
        if np.isfinite(cell.type_probability):
            told += f" {100 * cell.type_probability:.0f}"
        (width, height), below = cv2.getTextSize(told, cv2.FONT_HERSHEY_SIMPLEX, size, line)
        top = y0 - height - below if y0 > height + below else y1
        x = min(x0, max(0, image.shape[1] - width))
        cv2.rectangle(out, (x, top), (x + width, top + height + below), color, cv2.FILLED)
        at = (x, top + height + below // 2)
        cv2.putText(out, told, at, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), line, cv2.LINE_AA)
    return np.asarray(out, np.uint8)
