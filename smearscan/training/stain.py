"""Change of stain, light and sharpness: the augmentation both stages train with."""

import cv2
import numpy as np
from numpy.typing import NDArray

_Rng = np.random.Generator


def recolored(image: NDArray[np.uint8], rng: _Rng) -> NDArray[np.uint8]:
    """Change stain, light and sharpness the way sites and cameras do.

    Strength of the dyes and white balance act on optical density (a table of 256 values a channel), hue and
    saturation by mixing channels, focus by a blur, the camera by noise.
    """
    if rng.random() < 0.8:
        image = cv2.LUT(image, _density_table(rng))
    if rng.random() < 0.4:
        grey = np.full((3, 3), 1 / 3)
        mix = (grey + (np.eye(3) - grey) * rng.uniform(0.5, 1.4)) @ _hue_turn(rng.normal(0, 0.15))
        image = cv2.transform(image, mix)
    if rng.random() < 0.2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.2:
        noise = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))  # OpenCV's own generator knows nothing of `rng`
        cv2.randn(noise, 0, rng.uniform(1, 8))
        image = cv2.add(image, noise, dtype=cv2.CV_8U)
    return np.asarray(image, np.uint8)


def restained(image: NDArray[np.uint8], rng: _Rng) -> NDArray[np.uint8]:
    """Stain a cell with other dyes: hue and saturation change in optical density, so that white stays white.

    Dyes absorb, so their colors mix as densities (Beer and Lambert; Ruifrok and Johnston 2001). Rapid stains
    render as red or blue what Wright-Giemsa renders violet; a classifier must go by form and texture as well.
    """
    density = cv2.LUT(image, _DENSITY)
    grey = np.full((3, 3), 1 / 3)
    dye = grey + (np.eye(3) - grey) * rng.uniform(0.3, 1.5)
    mix = dye @ _hue_turn(rng.normal(0, 0.4)) @ np.diag(rng.uniform(0.75, 1.3, 3))
    density = np.maximum(cv2.transform(density, mix), 0)
    return np.asarray(255 * cv2.exp(-density), np.uint8)


_DENSITY = -np.log(np.clip(np.arange(256) / 255, 0.004, 1)).astype(np.float32)


def _density_table(rng: _Rng) -> NDArray[np.uint8]:
    """Table (1, 256, 3) that scales and shifts the optical density of each channel."""
    density = -np.log(np.clip(np.arange(256) / 255, 0.004, 1))[:, None]
    density = density * rng.uniform(0.55, 1.4) * rng.uniform(0.88, 1.14, 3) + rng.uniform(-0.06, 0.1, 3)
    return np.asarray(np.clip(np.exp(-density) * 255, 0, 255), np.uint8)[None]


def _hue_turn(angle: float) -> NDArray[np.float64]:
    """Rotation of RGB space about the grey axis by `angle` radians, (3, 3)."""
    third, root = (1 - np.cos(angle)) / 3, np.sin(angle) / np.sqrt(3)
    plus, minus = third + root, third - root
    mix = np.array([[third, minus, plus], [plus, third, minus], [minus, plus, third]])
    return np.asarray(np.cos(angle) * np.eye(3) + mix, np.float64)
