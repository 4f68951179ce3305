"""The small slides that OpenSlide's Python package is tested with: ``make openslide-test`` fetches them."""

import os
from pathlib import Path

import numpy as np
import pytest

from smearscan.errors import ImageError
from smearscan.io.whole_slides import Region, WholeSlide, is_whole_slide

openslide = pytest.importorskip("openslide", reason="the extra wsi is not installed")
SLIDES = Path(os.environ.get("OPENSLIDE_SLIDES", "build/openslide"))
pytestmark = pytest.mark.skipif(not SLIDES.is_dir(), reason=f"no slides in {SLIDES}: make openslide-test")


@pytest.mark.parametrize(
    ("name", "shape", "um_per_px"),
    [
        ("small.svs", (16, 16), 0.499),
        ("boxes_0.dcm", (16, 16), 0.499),
        ("boxes_1.dcm", (16, 16), 0.499),
        ("boxes.tiff", (250, 300), None),
    ],
)
def test_its_slides_have_the_pixels_that_it_reads(
    name: str, shape: tuple[int, int], um_per_px: float | None
) -> None:
    path = SLIDES / name
    slide = WholeSlide(path)
    assert is_whole_slide(path) == (um_per_px is not None)  # of a few hundred pixels a TIFF is a photograph
    assert (slide.shape, slide.um_per_px) == (shape, um_per_px)
    height, width = shape
    with openslide.OpenSlide(path) as its_own:
        pixels = np.asarray(its_own.read_region((0, 0), 0, (width, height)).convert("RGB"))
    np.testing.assert_array_equal(slide.read(Region(0, 0, width, height)), pixels)


@pytest.mark.parametrize(
    ("name", "why"), [("unreadable.svs", "cannot be read"), ("unopenable.tiff", "damaged")]
)
def test_its_broken_slides_are_refused_by_name(name: str, why: str) -> None:
    with pytest.raises(ImageError, match=f"{name}: .*{why}"):
        WholeSlide(SLIDES / name).read(Region(0, 0, 1, 1))
