"""Sound files whose content is no field as the networks know it: blank, false colors, out of focus, no smear."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from references.bad_inputs.case import EITHER, MARKED, READ, REFUSED, SOUND, STRANGE, Case
from references.bad_inputs.pictures import encoded

Rgb = NDArray[np.uint8]

_STILL_SEEN = ("grb", "green_light", "blur_0.15_cells")
"""In these all cells may be found."""
_ANY_WORD = frozenset({READ, REFUSED, MARKED})
"""Of changes so small that cells may be found all the same."""


def contents(image: Rgb) -> Iterator[Case]:
    """Yield all contents as PNG."""
    for name, array in _blank(image.shape).items():
        yield _png("blank or noise", name, array, STRANGE)
    for name, array in _false_colors(image).items():
        allowed = _ANY_WORD if name in _STILL_SEEN else STRANGE
        yield replace(_png("false colors, a whole slide", name, array, allowed), is_alone=True)
    for name, array in _badly_taken(image).items():
        yield _png("badly photographed", name, array, _ANY_WORD if name in _STILL_SEEN else STRANGE)
    for name, array in _no_smear(image.shape).items():
        yield _png("no smear", name, array, STRANGE)
    for name, array in _slightly_changed(image).items():
        yield _png("slightly changed", name, array, _ANY_WORD)
    for name, array in _sizes(image).items():
        yield _png("sizes", name, array, STRANGE)
    yield _png("sizes", "long_strip", np.tile(image, (1, 8, 1)), _ANY_WORD)
    yield _png("slightly changed", "the_field_itself", image, SOUND)
    yield _png("slightly changed", "gray_background_card", np.full((480, 640, 3), 128, np.uint8), STRANGE)
    yield Case("sizes", "very_large.jpg", encoded(np.tile(image, (6, 6, 1)), "JPEG"), _ANY_WORD | EITHER)


def _png(group: str, name: str, image: Rgb, allowed: frozenset[str]) -> Case:
    return Case(group, f"{name}.png", encoded(np.ascontiguousarray(image), "PNG"), allowed)


def _blank(shape: tuple[int, ...]) -> dict[str, Rgb]:
    rng = np.random.default_rng(7)
    ramp = np.linspace(0, 255, shape[1]).astype(np.uint8)
    return {
        "white": np.full(shape, 255, np.uint8),
        "black": np.zeros(shape, np.uint8),
        "gray": np.full(shape, 127, np.uint8),
        "pink": np.full(shape, (230, 180, 200), np.uint8),
        "noise": rng.integers(0, 256, shape, dtype=np.uint8),
        "faint_noise": rng.integers(225, 236, shape, dtype=np.uint8),
        "dark_noise": rng.integers(0, 12, shape, dtype=np.uint8),
        "ramp": np.broadcast_to(ramp[None, :, None], shape).copy(),
    }


def _false_colors(image: Rgb) -> dict[str, Rgb]:
    gray = image.mean(2, keepdims=True)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    turned = hsv.copy()
    turned[:, :, 0] = (turned[:, :, 0].astype(int) + 60) % 180
    return {
        "gray": np.repeat(gray, 3, 2).astype(np.uint8),
        "sepia": (gray * (1, 0.9, 0.7)).astype(np.uint8),
        "negative": 255 - image,
        "bgr": image[:, :, ::-1],
        "grb": image[:, :, (1, 0, 2)],
        "rbg": image[:, :, (0, 2, 1)],
        "hue_turned": cv2.cvtColor(turned, cv2.COLOR_HSV2RGB),
        "red_alone": image * np.array([1, 0, 0], np.uint8),
        "green_light": (image * np.array([0.4, 1, 0.4])).astype(np.uint8),
        "two_levels": np.repeat(((gray > gray.mean()) * 255).astype(np.uint8), 3, 2),
    }


def _badly_taken(image: Rgb) -> dict[str, Rgb]:
    cell = 105.0  # px a red cell of the drawn field
    blurred = {f"blur_{s:g}_cells": cv2.GaussianBlur(image, (0, 0), s * cell) for s in (0.15, 0.3, 0.6)}
    bright = {f"exposed_{f:g}": np.clip(image * f, 0, 255).astype(np.uint8) for f in (1.8, 2.5, 4.0)}
    dark = {f"exposed_{f:g}": (image * f).astype(np.uint8) for f in (0.3, 0.1, 0.03)}
    moved = np.zeros((1, 121), np.float32)
    moved[:] = 1 / 121
    return {**blurred, **bright, **dark, "moved": cv2.filter2D(image, -1, moved)}


def _no_smear(shape: tuple[int, ...]) -> dict[str, Rgb]:
    return {
        "document": _document(shape, "white", "black"),
        "colored_document": _document(shape, (255, 250, 225), (20, 40, 120)),
        "chart": _chart(shape),
        "checkerboard": np.repeat((np.indices(shape[:2]).sum(0) // 40 % 2 * 255)[..., None], 3, 2).astype(np.uint8),
    }  # fmt: skip


def no_smears() -> Iterator[tuple[str, Rgb]]:
    """Yield pictures of other things: documents, and photographs that libraries bring along, whole and in parts."""
    yield from _no_smear((480, 640, 3)).items()
    for name, photograph in _photographs():
        height, width = photograph.shape[0] // 2, photograph.shape[1] // 2
        yield name, photograph
        for k in range(4):
            y, x = k // 2 * height, k % 2 * width
            yield f"{name}, part {k + 1}", np.ascontiguousarray(photograph[y : y + height, x : x + width])


def _photographs() -> Iterator[tuple[str, Rgb]]:
    from matplotlib import cbook
    from sklearn.datasets import load_sample_image
    from ultralytics.utils import ASSETS

    for name in ("china.jpg", "flower.jpg"):
        yield name, np.asarray(load_sample_image(name), np.uint8)
    yield "grace_hopper.jpg", np.asarray(Image.open(cbook.get_sample_data("grace_hopper.jpg")).convert("RGB"))
    for name in ("bus.jpg", "zidane.jpg"):
        yield name, np.asarray(Image.open(ASSETS / name).convert("RGB"))


def _document(shape: tuple[int, ...], paper: object, ink: object) -> Rgb:
    page = Image.new("RGB", (shape[1], shape[0]), paper)  # type: ignore[arg-type]
    pen = ImageDraw.Draw(page)
    for y in range(10, shape[0] - 14, 18):
        pen.text(
            (20, y), "Hemoglobin 13.4 g/dl   Leukocytes 6.1 /nl   Platelets 250 /nl   MCV 88 fl", fill=ink
        )
    return np.asarray(page)


def _chart(shape: tuple[int, ...]) -> Rgb:
    page = Image.new("RGB", (shape[1], shape[0]), "white")
    pen = ImageDraw.Draw(page)
    for i, color in enumerate(("red", "green", "blue", "orange", "purple")):
        pen.rectangle((60 + 100 * i, 400 - 60 * (i + 1), 120 + 100 * i, 440), fill=color)
    return np.asarray(page)


def _slightly_changed(image: Rgb) -> dict[str, Rgb]:
    rng = np.random.default_rng(8)
    noisy = np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)
    y, x = np.indices(image.shape[:2]) / np.array(image.shape[:2])[:, None, None] - 0.5
    circle = np.where((np.hypot(x, y) < 0.5)[..., None], image, 0).astype(np.uint8)
    marked = Image.fromarray(image)
    pen = ImageDraw.Draw(marked)
    pen.text((500, 450), "10 um", fill="black")
    pen.rectangle((460, 430, 600, 440), fill="black")
    return {
        "noisy": noisy,
        "a_little_dark": (image * 0.8).astype(np.uint8),
        "eyepiece": circle,
        "scale_bar": np.asarray(marked),
    }


def _sizes(image: Rgb) -> dict[str, Rgb]:
    def to(width: int, height: int) -> Rgb:
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    return {
        "1x1": to(1, 1), "31x31": to(31, 31), "33x33": to(33, 33), "1x4000": np.zeros((4000, 1, 3), np.uint8),
        "quarter": to(160, 120), "squeezed": to(640, 120),
    }  # fmt: skip
