"""Change of stain, light and sharpness: what both stages augment with."""

import cv2
import numpy as np
from numpy.typing import NDArray

_Rng = np.random.Generator

HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density (R, G, B) of hematoxylin, eosin and diaminobenzidine; Ruifrok and Johnston 2001, made unit
length before use.

Wright and Giemsa stain with azure and eosin: azure takes the place of hematoxylin (blue, basic), the third
row that of what the first two leave over.
"""


def happens(rng: _Rng, share: float) -> bool:
    """Draw whether something of this chance happens; what cannot happen draws nothing."""
    return share > 0 and rng.random() < share


def recolored(
    image: NDArray[np.uint8], rng: _Rng, color: float = 0.8, blur: float = 0.2, noise: float = 0.2,
    blur_px: float = 1.2,
) -> NDArray[np.uint8]:  # fmt: skip
    """Change stain, light and sharpness the way sites and cameras do.

    Strength of the dyes and white balance act on optical density (a table of 256 values a channel), hue and
    saturation by mixing channels, focus by a blur, the camera by noise.

    Parameters
    ----------
    image : ndarray, (H, W, 3) uint8 RGB
    rng : Generator
    color : float
        Chance of other dyes and white balance; hue and saturation change at half of it.
    blur, noise : float
        Chance of a Gaussian blur, of normal noise (1 to 8 gray levels).
    blur_px : float
        The blur's standard deviation at most, at least 0.4.
    """
    if happens(rng, color):
        image = cv2.LUT(image, _density_table(rng))
    if happens(rng, color / 2):
        grey = np.full((3, 3), 1 / 3)
        mix = (grey + (np.eye(3) - grey) * rng.uniform(0.5, 1.4)) @ _hue_turn(rng.normal(0, 0.15))
        image = cv2.transform(image, mix)
    if happens(rng, blur):
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, blur_px))
    if happens(rng, noise):
        grain = np.empty(image.shape, np.int16)
        cv2.setRNGSeed(int(rng.integers(2**31)))  # OpenCV's own generator knows nothing of `rng`
        cv2.randn(grain, 0, rng.uniform(1, 8))
        image = cv2.add(image, grain, dtype=cv2.CV_8U)
    return np.asarray(image, np.uint8)


def restained(image: NDArray[np.uint8], rng: _Rng) -> NDArray[np.uint8]:
    """Stain a cell with other dyes: hue and saturation change in optical density, so that white stays white.

    Dyes absorb, so their colors mix as densities (Beer and Lambert; Ruifrok and Johnston 2001). Rapid stains
    render as red or blue what Wright-Giemsa renders violet; a classifier must go by form and texture as well.
    """
    grey = np.full((3, 3), 1 / 3)
    dye = grey + (np.eye(3) - grey) * rng.uniform(0.3, 1.5)
    mix = dye @ _hue_turn(rng.normal(0, 0.4)) @ np.diag(rng.uniform(0.75, 1.3, 3))
    return _in_density(image, mix)


def concentrated(image: NDArray[np.uint8], rng: _Rng) -> NDArray[np.uint8]:
    """Change how much of each dye a cell took up: hematoxylin-eosin color deconvolution (:data:`HED`).

    The densities are split into the three dyes, each amount is multiplied by 0.8 to 1.2 and shifted by up to
    0.05, and put together again: the method of Tellez et al. (IEEE Trans. Med. Imaging 2018), factors of the
    "strong" and shifts of the "light" variant in Tellez et al. (Med. Image Anal. 2019).
    """
    dyes = HED / np.linalg.norm(HED, axis=1, keepdims=True)
    factor, shift = rng.uniform(0.8, 1.2, 3), rng.uniform(-0.05, 0.05, 3)
    # row vectors: density = amount @ dyes; OpenCV multiplies columns
    mix = (np.linalg.inv(dyes) @ np.diag(factor) @ dyes).T
    return _in_density(image, np.column_stack([mix, shift @ dyes]))


def channels_mixed(image: NDArray[np.uint8], rng: _Rng) -> NDArray[np.uint8]:
    """Let each color channel take up to 0.2 of, or lose it to, the others; gray stays gray."""
    mix = np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3))
    return np.asarray(cv2.transform(image, mix / mix.sum(axis=1, keepdims=True)), np.uint8)


_DENSITY = -np.log(np.clip(np.arange(256) / 255, 0.004, 1)).astype(np.float32)


def _in_density(image: NDArray[np.uint8], mix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Mix the optical densities of the channels by a matrix (3, 3), or (3, 4) with what is added."""
    density = np.maximum(cv2.transform(cv2.LUT(image, _DENSITY), mix), 0)
    return np.asarray(255 * cv2.exp(-density), np.uint8)


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
