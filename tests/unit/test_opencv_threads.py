"""A scan lets OpenCV compute in the threads that ask it, and leaves it as it was."""

import cv2
import fakes
import numpy as np
import pytest
from fakes import use_fake_nets

from smearscan.classification.crops import Geometry
from smearscan.classification.morphometry import measure
from smearscan.scan.opencv_threads import opencv_in_one_thread


@pytest.fixture(autouse=True)
def _three() -> object:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    yield
    cv2.setNumThreads(before)


def test_the_last_of_several_scans_restores_what_was() -> None:
    first, second = opencv_in_one_thread(), opencv_in_one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == 3


def test_a_scan_restores_it_when_it_ends_and_when_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fake_nets(monkeypatch)
    scan = fakes.scanner()
    assert len(list(scan.stream([fakes.field(k) for k in range(3)]))) == 3
    assert cv2.getNumThreads() == 3
    left = scan.stream([fakes.field(k) for k in range(3)])
    next(left)
    assert cv2.getNumThreads() == 1
    left.close()
    assert cv2.getNumThreads() == 3


def test_what_is_measured_does_not_hang_on_it() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (20, 80, 80, 3), np.uint8)
    many = measure(crops, Geometry(20.0, 80))
    with opencv_in_one_thread():
        np.testing.assert_array_equal(measure(crops, Geometry(20.0, 80)), many)
