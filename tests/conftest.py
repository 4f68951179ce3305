"""Shared by all tests: one thread, so that results do not hang on the machine; the real images, where they are."""

import os
from pathlib import Path

import cv2
import pytest
import torch

torch.set_num_threads(1)
cv2.setNumThreads(1)


@pytest.fixture(scope="session")
def data_root() -> Path:
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("SMEARSCAN_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real images are not at {folder}; set SMEARSCAN_DATA")
    return folder
