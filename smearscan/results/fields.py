"""A picture on its way through the stages, its scale, and what the detector finds in it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smearscan.taxonomy import DETECTOR_CLASSES, LEUKOCYTE, RED_CELL_UM


@dataclass(frozen=True, slots=True)
class Scale:
    """Physical scale of a field or slide.

    Attributes
    ----------
    um_per_px : float
        Micrometers a field pixel.
    source : str
        How it is known: ``given``, ``file`` (as a whole slide's file says), ``red cells``, ``leukocytes``
        (too few red cells) or ``assumed``.
    n_cells : int
        Cells measured.
    """

    um_per_px: float
    source: str
    n_cells: int = 0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.um_per_px) and self.um_per_px > 0):
            raise ValueError(f"um_per_px must be a positive number, not {self.um_per_px}")

    @property
    def red_cell_px(self) -> float:
        """Diameter of a red cell in field pixels."""
        return RED_CELL_UM / self.um_per_px

    def downsampled(self, reduction: float) -> "Scale":
        """Scale of the same field where one pixel stands for `reduction` each way."""
        return replace(self, um_per_px=self.um_per_px * reduction)


@dataclass(frozen=True, slots=True)
class Stain:
    """How a slide's cells were shown to the networks that name them.

    Attributes
    ----------
    gain : tuple of float
        Factors of the optical density of red, green and blue that bring the slide to the reference stain;
        ones leave cells as photographed.
    n_cells : int
        Leukocytes measured.
    """

    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    n_cells: int = 0

    @property
    def is_reference(self) -> bool:
        """Whether cells were brought to the reference stain, for the slide is unlike the training cells."""
        return self.gain != (1.0, 1.0, 1.0)

    @property
    def source(self) -> str:
        """In the ``reference`` stain, or as ``photographed``."""
        return "reference" if self.is_reference else "photographed"

    def __str__(self) -> str:
        """Say it in words."""
        if self.source == "photographed":
            return "as photographed"
        red, green, blue = self.gain
        return (
            f"unlike the training cells' by {self.n_cells} leukocytes, brought to the reference before cells "
            f"were named (optical density of red x {red:.2f}, green x {green:.2f}, blue x {blue:.2f})"
        )


AS_PHOTOGRAPHED = Stain()
"""Of a slide whose stain was not measured."""


@dataclass(frozen=True, slots=True)
class Field:
    """One photograph, or one region of a whole slide.

    Attributes
    ----------
    image : ndarray, (H, W, 3) uint8, RGB
    path : Path or None
        Where it was read from.
    slide_id : str
        The slide it belongs to.
    scale : Scale or None
        Known beforehand (given, or measured on the whole slide); None lets the field be measured alone.
    reduction : int
        Each way one pixel of `image` stands for so many of the photograph.
    original_shape : tuple of int or None
        ``(height, width)`` of the photograph in pixels, where that is not the image's.
    origin : tuple of int or None
        ``(x, y)`` of a region's corner in its whole slide, pixels; None for a photograph.
    core : tuple of float or None
        ``(x0, y0, x1, y1)`` in pixels of the region: the part that is this region's; a cell whose middle lies
        outside belongs to a neighbor. None for a photograph, of which all is its own.
    stain : Stain or None
        Known beforehand; None lets it be measured, on the slide or on the field alone.
    """

    image: NDArray[np.uint8]
    path: Path | None = None
    slide_id: str = ""
    scale: Scale | None = None
    reduction: int = 1
    original_shape: tuple[int, int] | None = None
    origin: tuple[int, int] | None = None
    core: tuple[float, float, float, float] | None = None
    stain: Stain | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` of the photograph in pixels."""
        return self.original_shape or (self.image.shape[0], self.image.shape[1])


@dataclass(frozen=True, slots=True)
class Detections:
    """What the detector found in one field.

    Attributes
    ----------
    xyxy : ndarray, (N, 4) float32
        Field pixels, half-open, sorted by score.
    scores : ndarray, (N,) float32
    labels : ndarray, (N,) int64
        Index into :data:`smearscan.taxonomy.DETECTOR_CLASSES`.
    n_pale : int
        Leukocytes that the network was sure of and that are left out of all this, for they are no darker than
        red cells (:mod:`smearscan.detection.nuclei`).
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    n_pale: int = 0

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        if self.xyxy.shape != (n, 4) or self.scores.shape != (n,) or self.labels.shape != (n,):
            raise ValueError(
                f"{n} boxes need {n} scores and labels, got {self.scores.shape}, {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.xyxy)

    def where(self, keep: NDArray[np.bool_]) -> "Detections":
        """Return the detections for which `keep`, (N,) bool, is True."""
        return Detections(self.xyxy[keep], self.scores[keep], self.labels[keep], self.n_pale)

    def rescaled_to(self, factor: int, shape: tuple[int, int]) -> "Detections":
        """Return them in pixels that are `factor` times smaller, cut to a field of `shape`, (H, W)."""
        limit = np.array([shape[1], shape[0]] * 2, np.float32)
        xyxy = np.minimum(self.xyxy * np.float32(factor), limit)
        return replace(self, xyxy=np.asarray(xyxy, np.float32))

    @property
    def leukocytes(self) -> "Detections":
        """The leukocytes alone."""
        return self.where(self.labels == LEUKOCYTE)

    def count(self, name: str) -> int:
        """How many of one class, ``leukocyte``, ``red_cell`` or ``platelet``."""
        return int((self.labels == DETECTOR_CLASSES.index(name)).sum())
