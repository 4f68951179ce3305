"""Colors as people see them who see fewer than others."""

import cv2
import numpy as np
from numpy.typing import NDArray

VISION = {
    "usual": np.eye(3),
    # Machado, Oliveira and Fernandes, IEEE Trans. Vis. Comput. Graph. 2009, severity 1
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def seen(color: tuple[int, int, int], vision: str) -> NDArray[np.float32]:
    """CIELAB of a color as somebody sees it."""
    share = np.array(color) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = np.clip(VISION[vision] @ linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return cv2.cvtColor(np.float32(srgb)[None, None], cv2.COLOR_RGB2LAB)[0, 0]
