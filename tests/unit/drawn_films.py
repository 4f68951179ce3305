"""Whole slides of drawn discs with exact truth, written as pyramids."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import fakes
import numpy as np
import tifffile
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

FAR_UM = 40.0
"""From the slide's border, so that every cell is whole."""


def draw_film(
    height: int, width: int, seed: int = 0, white: int = 60, at: Sequence[tuple[float, float]] = ()
) -> tuple[Rgb, NDArray[np.float32]]:
    """Draw a film of discs; returns it and the boxes of its leukocytes, (N, 4) px.

    Besides `white` leukocytes laid at random there is one at each point, x and y, of `at`.
    """
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), fakes.WHITE, np.uint8)
    wanted = [(0, 59.2, x, y) for x, y in at]
    wanted += [(0, 59.2, *rng.uniform(70, (width - 70, height - 70))) for _ in range(white)]
    n_red = height * width // 4000
    wanted += [
        (1, 32 * rng.uniform(0.97, 1.03), *rng.uniform(20, (width - 20, height - 20))) for _ in range(n_red)
    ]
    free: dict[tuple[int, int], list[tuple[float, float, float]]] = {}
    cells = []
    for kind, diameter, x, y in wanted:
        bin_ = int(x) // 80, int(y) // 80
        near = [p for i in (-1, 0, 1) for j in (-1, 0, 1) for p in free.get((bin_[0] + i, bin_[1] + j), [])]
        if any(np.hypot(x - px, y - py) < (diameter + d) / 2 + 4 for px, py, d in near):
            continue
        free.setdefault(bin_, []).append((x, y, diameter))
        cells.append((kind, diameter, x, y))
    boxes = []
    for kind, diameter, x, y in cells:
        shade = np.array(fakes.COLORS[kind]) + (rng.integers(0, 12) if kind == 0 else 0)
        half = diameter / 2
        x0, y0 = max(int(x - half) - 1, 0), max(int(y - half) - 1, 0)
        part = image[y0 : int(y + half) + 3, x0 : int(x + half) + 3]
        ys, xs = np.mgrid[: part.shape[0], : part.shape[1]]
        mask = (xs + x0 + 0.5 - x) ** 2 + (ys + y0 + 0.5 - y) ** 2 <= half**2
        part[mask] = shade
        if kind == 0:
            boxes.append([x - half, y - half, x + half, y + half])
    return image, np.array(boxes, np.float32).reshape(-1, 4)


def write_pyramid(
    path: Path, image: Rgb, um_per_px: float | None = fakes.UM_PER_PX, ome: bool = False, levels: int = 2,
    compression: str | None = "zlib", description: str | None = None,
) -> Path:  # fmt: skip
    """Write a tiled pyramid, each level a quarter of the one before each way, as TIFF or OME-TIFF."""
    told = {"resolution": (1e4 / um_per_px,) * 2, "resolutionunit": "CENTIMETER"} if um_per_px else {}
    kind = {"tile": (256, 256), "photometric": "rgb", "compression": compression, **told}
    small = [image]
    for _ in range(levels - 1):
        rows, columns = (side // 4 for side in small[-1].shape[:2])
        whole = small[-1][: rows * 4, : columns * 4]
        small.append(np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)))
    size = {"PhysicalSizeX": um_per_px, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": um_per_px,
            "PhysicalSizeYUnit": "µm"} if um_per_px else {}  # fmt: skip
    with tifffile.TiffWriter(path, ome=ome, bigtiff=ome) as file:
        first = {"metadata": {"axes": "YXS", **size}, "subifds": levels - 1} if ome else {"metadata": None}
        file.write(small[0], description=None if ome else description, **first, **kind)
        for level in small[1:]:
            file.write(level, subfiletype=1, metadata=None, **kind)
    return path


def write_svs(path: Path, image: Rgb, um_per_px: float = fakes.UM_PER_PX) -> Path:
    """Write Aperio's format: two levels, a thumbnail, a label and an overview."""
    size = f"{image.shape[1]}x{image.shape[0]}"
    told = f"Aperio Image Library\r\n{size} (256x256) JPEG/RGB Q=95|AppMag = 40|MPP = {um_per_px}"
    tiles = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", "metadata": None}
    plain = {"photometric": "rgb", "compression": "jpeg", "metadata": None}
    best = {"compressionargs": {"level": 95}}
    with tifffile.TiffWriter(path) as file:
        file.write(image, description=told, **tiles, **best)
        file.write(np.ascontiguousarray(image[::8, ::8]), description=told, rowsperstrip=16, **plain)
        file.write(np.ascontiguousarray(image[::4, ::4]), description=told, **tiles)
        for kind, subfile in (("label", 1), ("macro", 9)):
            file.write(image[:64, :64], description=f"Aperio\r\n{kind} 64x64", subfiletype=subfile, **plain)
    return path


def write_dicom(folder: Path, image: Rgb, um_per_px: float = fakes.UM_PER_PX, tile: int = 256) -> list[Path]:
    """Write a series of DICOM whole-slide files, level 0 and one of a quarter of its sides."""
    from pydicom.uid import generate_uid

    series = generate_uid()
    folder.mkdir(parents=True, exist_ok=True)
    small = np.ascontiguousarray(image[::4, ::4])
    levels = [(image, um_per_px), (small, 4 * um_per_px)]
    files = [folder / f"level_{k}.dcm" for k in range(len(levels))]
    for k, (file, (level, um)) in enumerate(zip(files, levels, strict=True)):
        _write_level(file, level, um, tile, series, "NONE" if k == 0 else "RESAMPLED")
    return files


def _write_level(file: Path, image: Rgb, um_per_px: float, tile: int, series: str, kind: str) -> None:
    import simplejpeg
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit, generate_uid

    height, width = image.shape[:2]
    rows, columns = -(-height // tile), -(-width // tile)
    padded = np.full((rows * tile, columns * tile, 3), 255, np.uint8)
    padded[:height, :width] = image
    frames = [
        simplejpeg.encode_jpeg(np.ascontiguousarray(padded[y : y + tile, x : x + tile]), quality=95)
        for y in range(0, rows * tile, tile)
        for x in range(0, columns * tile, tile)
    ]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    data = FileDataset(file, {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.Modality = series, "SM"
    data.ImageType = ["ORIGINAL" if kind == "NONE" else "DERIVED", "PRIMARY", "VOLUME", kind]
    data.Rows = data.Columns = tile
    data.NumberOfFrames, data.SamplesPerPixel = len(frames), 3
    data.TotalPixelMatrixRows, data.TotalPixelMatrixColumns = height, width
    data.TotalPixelMatrixFocalPlanes, data.NumberOfOpticalPaths = 1, 1
    data.DimensionOrganizationType = "TILED_FULL"
    data.PhotometricInterpretation, data.PlanarConfiguration = "YBR_FULL_422", 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    measures, shared, path = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [um_per_px / 1000] * 2
    shared.PixelMeasuresSequence = [measures]
    data.SharedFunctionalGroupsSequence = [shared]
    path.OpticalPathIdentifier = "1"
    data.OpticalPathSequence = [path]
    data.PixelData = encapsulate(frames)
    data["PixelData"].is_undefined_length = True
    data.save_as(file, enforce_file_format=True)
