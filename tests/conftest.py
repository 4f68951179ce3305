"""Shared by all tests: one thread, repeatable examples, the real images where they are."""

import os
from pathlib import Path

import cv2
import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
cv2.setNumThreads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def data_root() -> Path:
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("SMEARSCAN_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the real images are not at {folder}; set SMEARSCAN_DATA")
    return folder
