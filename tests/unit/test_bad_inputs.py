"""The bad inputs themselves: enough of them, each of its name, and read or refused as it should be."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from references.bad_inputs.case import READ, REFUSED, SOUND, Case
from references.bad_inputs.labels import try_labels
from references.bad_inputs.pictures import bmps, jpegs, others, pngs
from references.bad_inputs.places import places
from references.bad_inputs.table import as_json, bad_inputs_table
from references.bad_inputs.tiffs import tiffs
from smearscan.errors import ImageError
from smearscan.io import read_image
from smearscan.synthetic import SmearSpec, draw_field

Rgb = NDArray[np.uint8]


@pytest.fixture(scope="module")
def image() -> Rgb:
    return draw_field(SmearSpec(height=120, width=160, um_per_px=0.2), 1).image


def shows(read: Rgb, image: Rgb) -> bool:
    """Whether a picture is the field, in color or gray, at any brightness."""
    if read.shape != image.shape:
        return False
    gray = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    scaled = read * (image.mean() / max(read.mean(), 1))
    return min(float(np.abs(scaled - wanted).mean()) for wanted in (image, gray)) < 12


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("make", [pngs, jpegs, bmps, tiffs, others])
def test_every_file_is_read_rightly_or_refused_by_name(
    image: Rgb, make: Callable[[Rgb], Iterator[Case]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("files")
    wrong = []
    for case in make(image):
        path = folder / case.name
        path.write_bytes(case.data)
        try:
            read = read_image(path)
        except ImageError as error:
            outcome = REFUSED if path.name in str(error) else f"refused without its name: {error}"
        else:
            outcome = READ if shows(read, image) else f"read as another picture {read.shape}"
        if outcome not in case.allowed:
            wrong.append((case.group, case.name, outcome))
    assert not wrong


def test_label_files_are_read_as_meant_or_refused_by_name() -> None:
    done = try_labels()
    assert [one for one in done if not one.is_right] == []
    assert len(done) > 150
    told = as_json(done)
    assert told["right"] == told["inputs"] == len(done)
    assert f"**{len(done)} of {len(done)}**" in bad_inputs_table(done)


def test_there_are_hundreds_each_of_its_own_name(image: Rgb) -> None:
    files = [case for make in (pngs, jpegs, bmps, tiffs, others) for case in make(image)]
    assert len({(case.group, case.name) for case in files}) == len(files) >= 200
    assert sum(case.allowed == SOUND for case in files) > 60
    names = [(place.group, place.name) for place in places()]
    assert len(set(names)) == len(names) > 50
